import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Python's `multiprocessing.Pool` in a `with` block, which ends its workers by SIGTERM when all is written.
    @Suite struct WorkerPools {
        private static let program = #"""
            import multiprocessing, os, sys
            def part(number):
                with open(sys.argv[1], "r+b") as target:
                    target.seek(number << 20)
                    target.write(bytes([number]) * (1 << 20))
            with open(sys.argv[1], "wb") as target:
                with multiprocessing.get_context("fork").Pool(3) as pool:
                    pool.map(part, range(6), chunksize=1)
            """#

        @Test(.shows("asset-closed-before", "close-one-asset")) func makeOneWholeAsset() async throws {
            try await withMount { stage in
                let outcome = try await run("python3", "-c", Self.program, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                #expect(try await stage.sandbox.completeAssets().map(\.size) == [6 << 20])
            }
        }
    }
}
