import Foundation
import TestSupport
import Testing

extension Mounted {
    /// A writer whose size is known gets about `--run-ahead` far ahead of the network, and no further.
    @Suite struct RunningAhead {
        private static let size = 60_000_000
        private static let limit = 16 << 20

        private func written(_ stage: Stage) async throws -> Int {
            try await stage.mount.status(of: "video.mp4").bytesWritten
        }

        @Test(.shows("run-ahead")) func aCopyIsHeldBackUntilTheNetworkHasCaughtUp() async throws {
            try await withMount(["--run-ahead", "16MiB"], sandbox: ["--chunk-size", "1MiB", "--bandwidth", "15MB/s"]) {
                stage in
                let source = try await stage.source(size: Self.size)
                let copy = try await start(
                    Tool("cp", [source, stage.mount.appending("video.mp4")]))
                var furthest = 0
                while RunningProcesses.isRunning(copy.pid) {
                    guard let status = try? await stage.mount.status(of: "video.mp4") else { continue }
                    if status.state != "open" { break }
                    furthest = max(furthest, status.bytesWritten - status.bytesUploaded)
                }
                let outcome = try await copy.finished()
                #expect(outcome.succeeded, "\(outcome)")
                // What is on its way counts as ahead; each hold lets one more MiB through.
                #expect(furthest > 0 && furthest < Self.limit + (12 << 20), "\(furthest) bytes ahead")
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }

        @Test func unlimitedHoldsNobodyBack() async throws {
            try await withMount(["--run-ahead", "unlimited"], sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: Self.size)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                try await eventually("everything is written") { try await self.written(stage) == Self.size }
                try await stage.sandbox.releaseUploads()
                copy.signal(SIGTERM)
                _ = try await copy.finished()
            }
        }

        @Test func aWriterThatIsHeldBackCanBeKilled() async throws {
            try await withMount(["--run-ahead", "0"], sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: Self.size)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                try await eventually("the copy is held back") { try await self.written(stage) >= 6 << 20 }
                copy.signal(SIGKILL)
                _ = try await copy.finished()
                try await stage.sandbox.releaseUploads()
                _ = try await stage.mount.await("interrupted", of: "video.mp4")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
            }
        }
    }
}
