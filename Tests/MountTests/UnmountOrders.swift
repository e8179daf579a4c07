import Foundation
import TestSupport
import Testing

extension Mounted {
    /// What several ask of one server, and what is asked of one that is hard to reach.
    @Suite struct UnmountOrders {
        /// Runs `body` with a mount that a program writes into.
        private func withWriter(
            _ arguments: [String] = [], _ body: (Stage, StepwiseWriter) async throws -> Void
        ) async throws {
            try await withMount(arguments) { stage in
                // Of another name: the part that is written of it is meant.
                let source = try await stage.source("camera.mp4", size: 3_000_000)
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(1_000_000) == "ok")
                try await body(stage, writer)
            }
        }

        private func unmount(_ path: String, _ options: String...) -> Tool {
            Tool(BuildProducts.twelvefs, ["unmount", path] + options)
        }

        /// Waits until the server has heard of so many orders.
        private func awaitOrders(_ count: Int, on mount: Mount) async throws {
            try await eventually("\(count) ask for the end") {
                let log = try String(contentsOfFile: mount.logFile, encoding: .utf8)
                return log.components(separatedBy: "asked to unmount").count > count
            }
        }

        @Test(.shows("drain-together", "drain-busy")) func twoAtOnceAreBothToldAndTheWriterGoesOn() async throws {
            try await withWriter(["--drain-timeout", "200ms"]) { stage, writer in
                for _ in 0..<8 {
                    async let one = run(unmount(stage.mount.path))
                    async let two = run(unmount(stage.mount.path))
                    for outcome in try await [one, two] {
                        #expect(outcome.ending == .exited(1), "\(outcome)")
                        #expect(outcome.errors.contains("busy: video.mp4"), "\(outcome)")
                    }
                    #expect(try await writer.write(1000) == "ok")
                }
                #expect(try await writer.close() == "ok")
                // It may open the next file for a second.
                let unmounted = try await run(unmount(stage.mount.path, "--drain-timeout", "1m"))
                #expect(unmounted.succeeded, "\(unmounted)")
            }
        }

        /// Without the mount its next file would be one in the directory beneath.
        @Test(.shows("drain-writers")) func aProgramBetweenTwoFilesIsWaitedFor() async throws {
            try await withMount { stage in
                let script = """
                    import sys, time
                    for number in range(3):
                        with open(f"{sys.argv[1]}/{number}.mp4", "wb") as file: file.write(bytes([number]) * 1000)
                        time.sleep(0.6)
                    """
                let program = try await start(Tool("python3", ["-c", script, stage.mount.path]))
                try await stage.mount.await("completed", of: "0.mp4")
                let unmounted = try await run(unmount(stage.mount.path))
                #expect(unmounted.succeeded, "\(unmounted)")
                #expect(try await program.finished().succeeded)
                #expect(try FileManager.default.contentsOfDirectory(atPath: stage.mount.path).isEmpty)
                #expect(try await stage.sandbox.completeAssets().count == 3)
            }
        }

        @Test(.shows("drain-together")) func forceBesideAnotherOrderWaitsForItsOwnTime() async throws {
            try await withWriter { stage, writer in
                let first = try await start(unmount(stage.mount.path, "--drain-timeout", "1h"))
                try await awaitOrders(1, on: stage.mount)
                let forcing = try await start(unmount(stage.mount.path, "--force", "--drain-timeout", "1h"))
                try await awaitOrders(2, on: stage.mount)
                #expect(try await writer.write(2_000_000) == "ok")
                #expect(try await writer.close() == "ok")
                for tool in [first, forcing] {
                    let outcome = try await tool.finished()
                    #expect(outcome.succeeded, "\(outcome)")
                }
                #expect(try await stage.assets(named: "video.mp4").count == 1)
            }
        }

        @Test(.shows("drain-together", "drain-force")) func forceCutsShortWhatAnotherOrderWaitsFor() async throws {
            try await withWriter { stage, writer in
                let first = try await start(unmount(stage.mount.path, "--drain-timeout", "1h"))
                try await awaitOrders(1, on: stage.mount)
                let forced = try await run(unmount(stage.mount.path, "--force", "--drain-timeout", "0"))
                #expect(forced.succeeded, "\(forced)")
                let outcome = try await first.finished()
                #expect(outcome.succeeded, "the mount is gone: \(outcome)")
                #expect(try await writer.write(1000) != "ok")
            }
        }

        @Test(.shows("drain-withdrawn"), arguments: [SIGINT, SIGKILL])
        func aCommandThatIsInterruptedTakesItsOrderBack(by signal: Int32) async throws {
            try await withWriter { stage, writer in
                let unmounting = try await start(unmount(stage.mount.path, "--drain-timeout", "1h", "--force"))
                try await awaitRefusal(of: stage.mount)
                unmounting.signal(signal)
                #expect(try await unmounting.finished().ending == .signalled(signal))
                try await eventually("new files are accepted") {
                    try await run("mktemp", "-p", stage.mount.path, "--suffix=.mp4").succeeded
                }
                #expect(try await writer.close() == "ok")
                #expect(stage.mount.isServed)
            }
        }

        @Test(.shows("drain-stopped")) func aServerThatIsStoppedIsNamedAndServesOnLater() async throws {
            try await withWriter { stage, writer in
                kill(stage.mount.server, SIGSTOP)
                let refused = try await run(unmount(stage.mount.path, "--force", "--drain-timeout", "0"))
                kill(stage.mount.server, SIGCONT)
                #expect(refused.ending == .exited(1), "\(refused)")
                #expect(refused.errors.contains("is stopped (pid \(stage.mount.server))"), "\(refused)")
                #expect(try await writer.write(1000) == "ok")
                #expect(try await writer.close() == "ok")
                #expect(try await stage.mount.unmount().succeeded)
            }
        }

        @Test(.shows("mount-interrupted")) func aMountThatWaitsForAnothersUploadsIsInterrupted() async throws {
            try await withMount(["--close-mode", "spool"]) { stage in
                let source = try await stage.source(size: 3_000_000)
                try await stage.sandbox.holdUploads()
                #expect(try await run("cp", source, stage.mount.path).succeeded)
                #expect(try await run("fusermount3", "-u", stage.mount.path).succeeded)
                kill(stage.mount.server, SIGSTOP)
                var options = try mountOptions(in: stage.scratch, sandbox: stage.sandbox)
                options.mountPoint = try stage.scratch.folder("user/other")
                let mounting = try await start(options.tool)
                try await eventually("its server has begun") {
                    RunningProcesses.server(of: options.mountPoint) != nil
                }
                mounting.signal(SIGINT)
                #expect(try await mounting.finished().ending == .signalled(SIGINT))
                #expect(RunningProcesses.server(of: options.mountPoint) == nil)
                kill(stage.mount.server, SIGCONT)
            }
        }

        @Test(.shows("drain-full-disk"), .enabled(if: geteuid() == 0, "a disk of its own needs root"))
        func aFullDiskKeepsNobodyFromUnmounting() async throws {
            try await withScratch { scratch in
                try await withSmallDisk("64m", in: scratch) { disk in
                    try await withSandbox(scratch: scratch) { sandbox in
                        var options = try mountOptions(in: scratch, sandbox: sandbox)
                        options.stateDirectory = "\(disk.path)/state"
                        options.arguments = ["--spool-limit", "32MiB", "--drain-timeout", "1s"]
                        try await withMount(options) { mount in
                            var inside = Tool("sleep", ["600"])
                            inside.workingDirectory = mount.path
                            let sleeper = try await start(inside)
                            try await disk.fill()
                            let busy = try await mount.unmount()
                            #expect(busy.ending == .exited(1), "\(busy)")
                            #expect(busy.errors.contains("busy: . (sleep, pid \(sleeper.pid))"), "\(busy)")
                            sleeper.killGroup()
                            _ = try await sleeper.finished()
                            let unmounted = try await mount.unmount()
                            #expect(unmounted.succeeded, "\(unmounted)")
                        }
                    }
                }
            }
        }
    }
}
