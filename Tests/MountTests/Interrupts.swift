import Foundation
import TestSupport
import Testing

extension Mounted {
    /// A close that waits for the network can be left at any time.
    @Suite struct Interrupts {
        @Test(.shows("close-interrupted"), arguments: [SIGINT, SIGTERM, SIGHUP, SIGKILL])
        func endCpWhileItsCloseWaitsAndTheUploadStillCompletes(signal: Int32) async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                try await stage.mount.await("finishing", of: "video.mp4")
                #expect(copy.isRunning)
                copy.signal(signal)
                let outcome = try await copy.finished()
                #expect(outcome.ending == .signalled(signal), "\(outcome)")
                // It ended although nothing could move: the close was left, not finished.
                #expect(try await stage.sandbox.completeAssets().isEmpty)

                try await stage.sandbox.releaseUploads()
                try await stage.mount.await("completed", of: "video.mp4")
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }

        @Test(.shows("close-harmless-signal")) func aWindowThatChangesItsSizeDoesNotDisturb() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.holdUploads()
                let copy = try await start(
                    PacedCopy.tool(source, stage.mount.appending("video.mp4"), noticesWindowChanges: true))
                try await stage.mount.await("finishing", of: "video.mp4")
                copy.signal(SIGWINCH)
                try await eventually("the signal is pending, and not taken, while the close waits on") {
                    try Self.pendingSignals(of: copy.pid) & (1 << UInt64(SIGWINCH - 1)) != 0
                }
                #expect(copy.isRunning)
                try await stage.sandbox.releaseUploads()
                let outcome = try await copy.finished()
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.errors.contains("window changed"), "\(outcome)")
                #expect(try PacedCopy.decode(outcome).error == nil)
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }

        @Test func aCtrlCAfterTheWindowChangedStillEndsTheClose() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.holdUploads()
                let copy = try await start(
                    PacedCopy.tool(source, stage.mount.appending("video.mp4"), noticesWindowChanges: true))
                try await stage.mount.await("finishing", of: "video.mp4")
                copy.signal(SIGWINCH)
                try await eventually("the signal is pending") {
                    try Self.pendingSignals(of: copy.pid) & (1 << UInt64(SIGWINCH - 1)) != 0
                }
                copy.signal(SIGINT)
                let outcome = try await copy.finished()
                #expect(!outcome.succeeded)
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await stage.sandbox.releaseUploads()
                try await stage.mount.await("completed", of: "video.mp4")
            }
        }

        /// The signals that wait for the process as a whole, or for its main thread, as bits.
        private static func pendingSignals(of pid: pid_t) throws -> UInt64 {
            let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
            var pending: UInt64 = 0
            for line in status.split(separator: "\n") where line.hasPrefix("SigPnd:") || line.hasPrefix("ShdPnd:") {
                pending |= UInt64(line.split(separator: "\t").last ?? "0", radix: 16) ?? 0
            }
            return pending
        }
    }
}
