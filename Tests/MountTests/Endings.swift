import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Ways to end that are neither a close nor a violent death of the writer.
    @Suite struct Endings {
        /// Four threads write a quarter each; then the program ends, without a close, with its threads still there.
        private static let threads = """
            import os, sys, threading
            content = open(sys.argv[1], 'rb').read()
            target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
            quarter = (len(content) + 3) // 4
            done = threading.Barrier(5)
            def write(part):
                for start in range(part * quarter, min((part + 1) * quarter, len(content)), 65536):
                    end = min(start + 65536, (part + 1) * quarter, len(content))
                    assert os.pwrite(target, content[start:end], start) == end - start
                done.wait()
                threading.Event().wait()
            for part in range(4):
                threading.Thread(target=write, args=(part,), daemon=True).start()
            done.wait()

            """

        @Test(
            .shows("close-exit"),
            arguments: [
                "sys.exit(0)", "os._exit(0)",
                "threading.Thread(target=lambda: os._exit(0)).start(); threading.Event().wait()",
            ])
        func aProgramOfManyThreadsThatExitsWithoutClosingMakesOneAsset(ending: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 9_000_001)
                let program = try await run(
                    "python3", "-c", Self.threads + ending, source, stage.mount.appending("video.mp4"))
                #expect(program.succeeded, "\(program)")
                try await stage.mount.await("completed", of: "video.mp4")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test func aProgramOfManyThreadsThatIsKilledMakesNone() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 9_000_001)
                let program = try await run(
                    "python3", "-c", Self.threads + "os.kill(os.getpid(), 9)", source,
                    stage.mount.appending("video.mp4"))
                #expect(program.ending == .signalled(SIGKILL), "\(program)")
                try await expectNoAsset(of: "video.mp4", on: stage)
            }
        }

        @Test(.shows("close-last-release", "asset-bystander"), arguments: [SIGTERM, SIGKILL])
        func killingOneThatHadTheFileOpenAndNeverWroteDoesNotMatter(signal: Int32) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 7_000_000)
                let target = stage.mount.appending("video.mp4")
                let bystander = try await start(.shell(#"exec 5>> "$1"; echo open; exec sleep 600"#, [target]))
                try await eventually("it has the file open") { bystander.outputSoFar.contains("open") }
                // Before the end of the one that never wrote, nothing is decided: it might yet.
                let writer = try await shell(#"cat "$1" >> "$2""#, source, target)
                #expect(writer.succeeded, "\(writer)")
                #expect(try await stage.mount.status(of: "video.mp4").state == "open")
                bystander.signal(signal)
                _ = try await bystander.finished()
                try await stage.mount.await("completed", of: "video.mp4")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test(.shows("asset-error-exit")) func oneThatExitsWithAnErrorAndWithoutClosingMakesNone() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 7_000_000)
                let writer = try await run(
                    "python3", "-c",
                    """
                    import os, sys
                    target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
                    os.write(target, open(sys.argv[1], 'rb').read(6000000))
                    raise OSError('the camera is gone')
                    """, source, stage.mount.appending("video.mp4"))
                #expect(writer.ending == .exited(1), "\(writer)")
                try await expectNoAsset(of: "video.mp4", on: stage)
            }
        }
    }
}
