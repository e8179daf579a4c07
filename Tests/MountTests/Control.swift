import Foundation
import TestSupport
import Testing

extension Mounted {
    /// `twelvefs retry` and `twelvefs cancel`.
    @Suite struct Control {
        /// Writes all of `$1` into `$2`, puts it on disk, writes a little more, and stays as it is until it is killed.
        private static let fsyncingWriter = """
            import os, signal, sys
            target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
            os.write(target, open(sys.argv[1], "rb").read())
            if sys.argv[3] == "fsync": os.fsync(target)
            os.write(target, b"and more")
            print("written", flush=True)
            signal.pause()
            """

        private func tell(_ order: String, _ path: String) async throws -> Outcome {
            try await run(Tool(BuildProducts.twelvefs, [order, path]))
        }

        private func wait(_ path: String) async throws -> Outcome {
            try await run(Tool(BuildProducts.twelvefs, ["wait", path, "--timeout", "60s"]))
        }

        /// Runs `body` with a sandbox and the options of mounts that follow one another on one state directory.
        private func withPlace(
            _ body: (Scratch, SandboxProcess, MountOptions) async throws -> Void
        ) async throws {
            try await withScratch { scratch in
                try await withSandbox(["--chunk-size", "1MiB"], scratch: scratch) { sandbox in
                    try await body(scratch, sandbox, try mountOptions(in: scratch, sandbox: sandbox))
                }
            }
        }

        private func cutOff(_ writer: String, of source: String, into mount: Mount) async throws {
            let tool = try await start(
                Tool("python3", ["-c", Self.fsyncingWriter, source, mount.appending("video.mp4"), writer]))
            try await eventually("all of it is written") { tool.outputSoFar.contains("written") }
            tool.signal(SIGKILL)
            _ = try await tool.finished()
            try await mount.await("interrupted", of: "video.mp4")
            try await eventually("it has left the listing") { try await mount.list().isEmpty }
        }

        // MARK: retry

        @Test(.shows("control-retry"), arguments: [false, true]) func retryCompletesWhatFailed(afterRemount: Bool)
            async throws
        {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("source.mp4"), size: 4_500_000)
                try await withMount(options) { mount in
                    try await sandbox.inject(
                        Fault(on: .create, .status(400, body: #"{"code":"quota","message":"no more space"}"#)))
                    let refused = try await run("cp", source, mount.appending("video.mp4"))
                    #expect(refused.errors.contains("Invalid argument"), "\(refused)")
                    // One whose session lives, and of which the store has something.
                    try await sandbox.inject(
                        Fault(on: .put, skip: 2, .status(403, body: "<Error><Code>AccessDenied</Code></Error>")))
                    let denied = try await run("cp", source, mount.appending("denied.mp4"))
                    #expect(!denied.succeeded, "\(denied)")
                    try await mount.await("failed", of: "denied.mp4")
                    if !afterRemount { try await self.retry(["video.mp4", "denied.mp4"], mount) }
                    try await mount.crash()
                }
                if afterRemount {
                    try await withMount(options) { mount in try await self.retry(["video.mp4", "denied.mp4"], mount) }
                }
                let sum = try await TestFile.sha256(of: source)
                let assets = try await sandbox.completeAssets()
                #expect(Set(assets.map(\.filename)) == ["video.mp4", "denied.mp4"])
                #expect(assets.map(\.sha256) == [sum, sum])
                #expect(try await sandbox.journal().sessions.count == 2, "a session that lives is recovered")
            }
        }

        private func retry(_ names: [String], _ mount: Mount) async throws {
            for name in names {
                #expect(try await mount.status(of: name).state == "failed")
                let told = try await self.tell("retry", mount.appending(name))
                #expect(told.succeeded, "\(told)")
                let waited = try await self.wait(mount.appending(name))
                #expect(waited.succeeded, "\(waited)")
                #expect(try await mount.status(of: name).error == nil)
            }
        }

        @Test(.shows("control-retry-fsynced"), arguments: [false, true])
        func retryCompletesWhatWasInterruptedAfterItWasPutOnDisk(afterRemount: Bool) async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("source.mp4"), size: 4_500_000)
                let expected = scratch.appending("expected")
                #expect(try await shell(#"{ cat "$1"; printf "and more"; } > "$2""#, source, expected).succeeded)
                try await withMount(options) { mount in
                    try await self.cutOff("fsync", of: source, into: mount)
                    #expect(try await mount.status(of: "video.mp4").error?.hint?.contains("twelvefs retry") == true)
                    #expect(try await sandbox.completeAssets().isEmpty)
                    if !afterRemount { try await self.takeUp(like: expected, mount) }
                    try await mount.crash()
                }
                try await withMount(options) { mount in
                    if afterRemount { try await self.takeUp(like: expected, mount) }
                    #expect(try await mount.list() == ["video.mp4"])
                }
                #expect(try await sandbox.completeAssets().map(\.sha256) == [try await TestFile.sha256(of: expected)])
            }
        }

        private func takeUp(like expected: String, _ mount: Mount) async throws {
            let document = mount.appending(".status/by-name/video.mp4.json")
            let told = try await tell("retry", document)
            #expect(told.succeeded, "\(told)")
            let waited = try await wait(mount.appending("video.mp4"))
            #expect(waited.succeeded, "\(waited)")
            #expect(try await mount.list() == ["video.mp4"], "it is a file again")
            #expect(
                try await TestFile.sha256(of: mount.appending("video.mp4")) == TestFile.sha256(of: expected))
        }

        @Test(.shows("control-retry-refused")) func retryIsRefusedWhereItMakesNoSense() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 4_500_000)
                try await self.cutOff("no fsync", of: source, into: stage.mount)
                try await self.expectRefusal("retry", "video.mp4", "had not put all of it on disk", on: stage)
                #expect(try await run("cp", source, stage.mount.appending("done.mp4")).succeeded)
                try await self.expectRefusal("retry", "done.mp4", "the platform has it", on: stage)
                try await self.expectRefusal("cancel", "done.mp4", "the platform has it", on: stage)
                try await self.expectRefusal("retry", "nothing.mp4", "there is no upload", on: stage)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("waits.mp4")]))
                try await stage.mount.await("finishing", of: "waits.mp4")
                try await self.expectRefusal("retry", "waits.mp4", "on its way", on: stage)
                try await stage.sandbox.releaseUploads()
                #expect(try await copy.finished().succeeded)
                let unknown = try await run(
                    "python3", "-c",
                    #"import os, sys; os.setxattr(sys.argv[1], "user.twelvelabs.control", b"explode")"#,
                    stage.mount.appending("done.mp4"))
                #expect(unknown.errors.contains("Invalid argument"), "\(unknown)")
                #expect(try await stage.sandbox.completeAssets().count == 2)
            }
        }

        private func expectRefusal(_ order: String, _ name: String, _ words: String, on stage: Stage) async throws {
            let refused = try await tell(order, stage.mount.appending(name))
            #expect(refused.ending == .exited(1), "\(refused)")
            #expect(refused.errors.contains(words), "\(refused)")
        }

        // MARK: cancel

        @Test func cancelWhileItIsWrittenLeavesNothing() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 40_000_000)
                let copy = try await start(
                    PacedCopy.tool(source, stage.mount.appending("video.mp4"), rate: 20_000_000))
                try await eventually("some of it is stored") {
                    try await stage.mount.status(of: "video.mp4").chunksUploaded > 2
                }
                try await self.expectCancelled(copy, on: stage)
            }
        }

        @Test(.shows("control-cancel")) func cancelWhileCloseWaitsLeavesNothing() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 4_500_000)
                try await stage.sandbox.inject(Fault(on: .put, count: 1_000_000, skip: 2, .hang))
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                try await eventually("two chunks are stored and the file is closed") {
                    let status = try await stage.mount.status(of: "video.mp4")
                    return status.state == "finishing" && status.chunksUploaded == 2
                }
                let outcome = try await self.expectCancelled(copy, on: stage)
                #expect(outcome.errors.contains("Input/output error"), "\(outcome)")
            }
        }

        @discardableResult
        private func expectCancelled(_ copy: RunningTool, on stage: Stage) async throws -> Outcome {
            let told = try await tell("cancel", stage.mount.appending("video.mp4"))
            #expect(told.succeeded, "\(told)")
            let outcome = try await copy.finished()
            #expect(!outcome.succeeded, "\(outcome)")
            #expect(try await stage.mount.list().isEmpty)
            let status = try await stage.mount.status(of: "video.mp4")
            #expect(status.state == "cancelled")
            #expect(status.error?.message.contains("cancelled") == true)
            try await expectThatOnlyCompleteAssetsAreKept(on: stage)
            #expect(try await stage.sandbox.completeAssets().isEmpty)
            try await eventually("the space in the spool is released") {
                let files = try FileManager.default.contentsOfDirectory(atPath: "\(stage.mount.stateDirectory)/spool")
                return files.isEmpty
            }
            return outcome
        }

        @Test(.shows("control-cancel")) func whatWasCancelledIsGoneAfterARemountToo() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("source.mp4"), size: 4_500_000)
                try await withMount(options) { mount in
                    try await self.cutOff("fsync", of: source, into: mount)
                    let told = try await self.tell("cancel", mount.appending("video.mp4"))
                    #expect(told.succeeded, "\(told)")
                    #expect(try await mount.status(of: "video.mp4").state == "cancelled")
                    try await mount.crash()
                }
                try await withMount(options) { mount in
                    #expect(try await mount.list().isEmpty)
                    let told = try await self.tell("retry", mount.appending("video.mp4"))
                    #expect(told.ending == .exited(1), "\(told)")
                }
                #expect(try await sandbox.completeAssets().isEmpty)
            }
        }
    }
}
