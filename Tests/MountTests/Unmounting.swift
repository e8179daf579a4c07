import Foundation
import TestSupport
import Testing

extension Mounted {
    /// What ``EveryEnding`` does not have: however a mount comes to its end, nothing is lost, and what is left is said.
    @Suite struct Unmounting {
        private func withPlace(
            _ arguments: [String] = [], _ body: (Scratch, SandboxProcess, MountOptions) async throws -> Void
        ) async throws {
            try await withScratch { scratch in
                try await withSandbox(["--chunk-size", "1MiB"], scratch: scratch) { sandbox in
                    try await body(
                        scratch, sandbox, try mountOptions(in: scratch, sandbox: sandbox, arguments: arguments))
                }
            }
        }

        private func expectOneAsset(of source: String, on sandbox: SandboxProcess) async throws {
            let sums = try await sandbox.completeAssets().map(\.sha256)
            #expect(sums == [try await TestFile.sha256(of: source)])
        }

        private func unmount(_ mount: Mount, _ options: String...) async throws -> Outcome {
            try await run(Tool(BuildProducts.twelvefs, ["unmount", mount.path] + options))
        }

        @Test(.shows("drain-not-counted")) func whatFailedOrWasInterruptedDoesNotCount() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 40_000_000)
                try await withMount(options) { mount in
                    let copy = try await start(PacedCopy.tool(source, mount.appending("video.mp4"), rate: 20_000_000))
                    try await eventually("some of it is written") {
                        try await mount.status(of: "video.mp4").bytesWritten > 2_000_000
                    }
                    copy.signal(SIGKILL)
                    _ = try await copy.finished()
                    try await mount.await("interrupted", of: "video.mp4")
                    let unmounted = try await self.unmount(mount)
                    #expect(unmounted.ending == .exited(0), "\(unmounted)")
                }
            }
        }

        @Test(.shows("drain-waits", "drain-refuses"))
        func anInterruptRefusesNewFilesAndLetsUploadsFinish() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 3_500_000)
                try await sandbox.holdUploads()
                try await withMount(options) { mount in
                    let copy = try await start(Tool("cp", [source, mount.appending("video.mp4")]))
                    try await mount.await("finishing", of: "video.mp4")
                    kill(mount.server, SIGINT)
                    try await awaitRefusal(of: mount)
                    #expect(mount.isServed)
                    try await sandbox.releaseUploads()
                    let outcome = try await copy.finished()
                    #expect(outcome.succeeded, "\(outcome)")
                    try await eventually("the process has ended") { !mount.isServed }
                    #expect(!MountedPaths.contains(mount.path))
                }
                try await expectOneAsset(of: source, on: sandbox)
            }
        }

        /// `cat` hears of the refusal, and closes what it has written so far as if that were all.
        @Test(.shows("close-refused-write", "drain-force"))
        func aPipeThatIsRefusedByForceLeavesNoPartOfItself() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 3_500_000)
                let signal = scratch.appending("signal")
                _ = try await run("mkfifo", signal)
                try await withMount(options) { mount in
                    let script = "{ cat $0; cat $1; while cat $0; do :; done; } | cat > $2"
                    let pipe = try await start(
                        Tool("bash", ["-c", script, source, signal, mount.appending("pipe.mp4")]))
                    try await eventually("the first part is written") {
                        try await mount.status(of: "pipe.mp4").bytesWritten == 3_500_000
                    }
                    let unmounting = try await start(
                        Tool(BuildProducts.twelvefs, ["unmount", mount.path, "--force", "--drain-timeout", "2s"]))
                    try await awaitRefusal(of: mount)
                    let more = try await run("bash", "-c", ": > \(signal)")
                    #expect(more.succeeded, "\(more)")
                    let outcome = try await pipe.finished()
                    #expect(!outcome.succeeded)
                    #expect(outcome.errors.contains("Input/output error"), "\(outcome)")
                    let unmounted = try await unmounting.finished()
                    #expect(unmounted.succeeded, "\(unmounted)")
                    #expect(!mount.isServed)
                }
                #expect(try await sandbox.completeAssets().isEmpty)
            }
        }

        @Test(.shows("drain-fusermount")) func afterFusermountTheProcessFinishesWithoutAMount() async throws {
            try await withPlace(["--close-mode", "spool"]) { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 3_500_000)
                try await sandbox.holdUploads()
                try await withMount(options) { mount in
                    let copy = try await run("cp", source, mount.appending("video.mp4"))
                    #expect(copy.succeeded, "\(copy)")
                    let unmounted = try await run("fusermount3", "-u", mount.path)
                    #expect(unmounted.succeeded, "\(unmounted)")
                    #expect(!MountedPaths.contains(mount.path))
                    #expect(mount.isServed, "it continues the upload")
                    try await sandbox.releaseUploads()
                    try await eventually("the process has ended", timeout: .seconds(60)) { !mount.isServed }
                }
                try await expectOneAsset(of: source, on: sandbox)
            }
        }

        @Test(.shows("drain-lazy")) func whoStandsInAMountThatWasTakenAwayCanStillCopy() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 2_500_000)
                try await withMount(options) { mount in
                    // Before anybody has written, and hence before anybody was looked at.
                    let script = #"cd "$1" && fusermount3 -uz "$1" && cp "$2" late.mp4"#
                    let copy = try await shell(script, mount.path, source)
                    #expect(copy.succeeded, "\(copy)")
                    try await expectOneAsset(of: source, on: sandbox)
                    try await eventually("the process has ended") { !mount.isServed }
                }
            }
        }

        @Test(.shows("drain-handover")) func aNewMountIsHandedTheUploadsOfOneThatWasTakenAway() async throws {
            try await withPlace(["--close-mode", "spool", "--drain-timeout", "1h"]) { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 3_500_000)
                try await sandbox.holdUploads()
                try await withMount(options) { mount in
                    let copy = try await run("cp", source, mount.appending("video.mp4"))
                    #expect(copy.succeeded, "\(copy)")
                    let unmounted = try await run("fusermount3", "-u", mount.path)
                    #expect(unmounted.succeeded, "\(unmounted)")
                    try await withMount(options) { next in
                        #expect(try await next.list() == ["video.mp4"])
                        // It has released its state before the next one was ready; what is left of it is its end.
                        try await eventually("the one that handed over has ended") { !mount.isServed }
                        try await sandbox.releaseUploads()
                        try await next.await("completed", of: "video.mp4")
                    }
                }
                try await expectOneAsset(of: source, on: sandbox)
                #expect(try await sandbox.journal().sessions.count == 1)
            }
        }

        @Test func aMountThatServesHandsNothingOver() async throws {
            try await withPlace { scratch, _, options in
                try await withMount(options) { mount in
                    var other = options
                    other.mountPoint = try scratch.folder("user/other")
                    await #expect(throws: ToolFailed.self) { try await Mount.start(other) }
                    #expect(mount.isServed)
                    #expect(try await mount.list().isEmpty)
                }
            }
        }
    }
}
