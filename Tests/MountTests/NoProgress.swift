import Foundation
import TestSupport
import Testing

extension Mounted {
    /// What moves and gets nobody any further keeps no program waiting: real copies, ended by `timeout` where they would wait on.
    @Suite struct NoProgress {
        /// It takes every byte, and says 500.
        private static let refusing =
            #"[{"on": "put", "answer": {"status": 500}, "drain": true, "count": null}]"#

        @Test(.shows("close-stall", "status-pace")) func aStoreThatRefusesWhatItTookIsAStall() async throws {
            try await withMount(["--stall-timeout", "3s"], sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 60 << 20)
                try await stage.sandbox.inject(json: Self.refusing)
                let copy = try await run("timeout", "60", "cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.errors.contains("Input/output error"), "\(copy)")
                let stalled = try await stage.mount.status(of: "video.mp4")
                #expect(stalled.state == "finishing")
                #expect(stalled.etaSeconds == nil)
                #expect(stalled.error?.httpStatus == 500)
                try await stage.sandbox.clearFaults()
                try await stage.mount.await("completed", of: "video.mp4")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test(.shows("status-pace")) func anOutageHasNoPace() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB", "--bandwidth", "5MB/s"]) { stage in
                let source = try await stage.source(size: 60 << 20)
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                let moving = try await eventually("there is a pace") {
                    let status = try? await stage.mount.status(of: "video.mp4")
                    return status?.etaSeconds == nil ? nil : status
                }
                #expect(moving.bytesPerSecond ?? 0 > 0)
                #expect(try await self.metrics(stage).contains("twelvefs_upload_bytes_per_second "))
                try await stage.sandbox.stop()
                try await eventually("there is none") {
                    try await stage.mount.status(of: "video.mp4").bytesPerSecond == nil
                }
                #expect(try await stage.mount.status(of: "video.mp4").etaSeconds == nil)
                #expect(try await !self.metrics(stage).contains("twelvefs_upload_bytes_per_second"))
                let table = try await run(Tool(BuildProducts.twelvefs, ["status", stage.mount.path]))
                #expect(table.output.contains("video.mp4") && !table.output.contains("/s"), "\(table)")
                try await stage.sandbox.startAgain()
                #expect(try await copy.finished().succeeded)
            }
        }

        private func metrics(_ stage: Stage) async throws -> String {
            String(decoding: try await stage.mount.read(".status/metrics"), as: UTF8.self)
        }

        /// The kernel holds the file's lock while the WRITE waits, so that a removal waits with the lock of the directory.
        @Test(.shows("space-wait"))
        func inAnOutageAWriteThatFindsNoSpaceFailsAndItsDirectoryIsFree() async throws {
            try await withMount(["--spool-limit", "40MiB"]) { stage in
                let source = try await stage.source(size: 120 << 20)
                try await stage.sandbox.inject(json: Self.refusing)
                let copy = try await start(
                    Tool("timeout", ["90", "cp", source, stage.mount.appending("video.mp4")]))
                try await eventually("a write waits for space") {
                    try await stage.mount.status(of: "video.mp4").waitingFor == "room"
                }
                let beside = try await stage.shellInMount("timeout 60 rm video.mp4 && timeout 60 touch other.mp4")
                #expect(beside.succeeded, "\(beside)")
                let outcome = try await copy.finished()
                #expect(!outcome.succeeded)
                #expect(outcome.errors.contains("No space left on device"), "\(outcome)")
                try await stage.sandbox.clearFaults()
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await expectThatTheMountLivesOn(stage)
            }
        }
    }
}
