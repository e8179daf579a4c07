import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Another user of the machine is at work: root's commands believe nothing that he has prepared.
    @Suite(.enabled("there is no second user to be", { geteuid() == 0 }), .timeLimit(.minutes(3))) struct OtherUsers {
        private static func asOther(_ script: String, _ arguments: String...) -> Tool {
            var tool = Tool.shell(script, arguments)
            tool.asOrdinaryUser = true
            return tool
        }

        /// A mount of his whose state directory he has prepared by `script`, which gets the directory and the victim's number and
        /// start time; then root unmounts it.
        private func unmountByRoot(
            preparedBy script: String, expecting words: String
        ) async throws {
            try await withMount(asOrdinaryUser: true) { stage in
                let victim = try await start(Tool("sleep", ["600"]))
                let started = try #require(RunningProcesses.startTime(of: victim.pid))
                let state = stage.mount.stateDirectory
                let record =
                    #"{"mountPoint":"\#(stage.mount.path)","pid":\#(victim.pid),"startTime":\#(started),"version":"0"}"#
                let holder = try await start(Self.asOther(script, state, record))
                try await eventually("it is prepared") { FileManager.default.fileExists(atPath: "\(state).ready") }
                let before = try await Self.listing(of: state)

                let unmount = try await run(BuildProducts.twelvefs, "unmount", stage.mount.path)
                #expect(unmount.ending == .exited(1), "\(unmount)")
                #expect(unmount.errors.contains(words), "\(unmount)")
                #expect(RunningProcesses.isRunning(victim.pid), "it was signalled")
                #expect(stage.mount.isServed && MountedPaths.contains(stage.mount.path))
                #expect(try await Self.listing(of: state) == before, "something was written there")
                for tool in [victim, holder] { tool.killGroup() }
            }
        }

        private static func listing(of directory: String) async throws -> String {
            try await run("find", directory, "-printf", "%p %s %i\n").output
        }

        /// He may well hold a lock that names another's process.
        @Test(.shows("unmount-server")) func aLockThatNamesAnothersProcessEndsNothing() async throws {
            try await unmountByRoot(
                preparedBy: """
                    mv "$1/lock" "$1/lock.own"
                    printf %s "$2" > "$1/lock"
                    exec flock "$1/lock" sh -c ': > "$1.ready"; exec sleep 600' sh "$1"
                    """,
                expecting: "is not the process that its state directory names")
        }

        @Test(.shows("unmount-server")) func aPipeInTheLocksPlaceKeepsNobodyWaiting() async throws {
            try await unmountByRoot(
                preparedBy: #"mv "$1/lock" "$1/lock.own"; mkfifo "$1/lock"; : > "$1.ready"; exec sleep 600"#,
                expecting: "cannot be found")
        }

        @Test(.shows("unmount-server")) func aLinkInTheDirectorysPlaceIsNotFollowed() async throws {
            try await unmountByRoot(
                preparedBy: #"mv "$1" "$1.own"; ln -s "$1.own" "$1"; : > "$1.ready"; exec sleep 600"#,
                expecting: "cannot be trusted")
        }

        /// What root mounted with a slow platform once landed where the path led by then.
        @Test(.shows("mount-exchanged")) func aMountPointThatIsExchangedMeanwhileIsRefused() async throws {
            try await withScratch { scratch in
                try await withSandbox(["--latency", "1s"], scratch: scratch) { sandbox in
                    var options = try mountOptions(in: scratch, sandbox: sandbox, asOrdinaryUser: true)
                    options.mountPoint = try scratch.folder("his/mnt", mode: 0o777)
                    let target = try scratch.folder("his/target", mode: 0o777)
                    let given = try await run("chown", "-R", "\(Tool.ordinaryUser)", scratch.appending("his"))
                    #expect(given.succeeded, "\(given)")
                    let mounting = try await start(options.tool)
                    try await eventually("the platform is asked") { !(try await sandbox.journal().requests.isEmpty) }
                    let swap = try await run(
                        Self.asOther(#"mv "$1" "$1.own" && ln -s "$2" "$1""#, options.mountPoint, target))
                    #expect(swap.succeeded, "\(swap)")
                    let outcome = try await mounting.finished()
                    #expect(outcome.ending == .exited(1), "\(outcome)")
                    #expect(
                        outcome.errors.contains("is not a directory") || outcome.errors.contains("was exchanged"),
                        "\(outcome)")
                    #expect(![target, options.mountPoint].contains(where: MountedPaths.contains))
                }
            }
        }

        @Test(.shows("status-own")) func aMountThatDoesNotAnswerIsALineAmongTheOthers() async throws {
            try await withMount { own in
                try await withMount { stopped in
                    try await withMount(asOrdinaryUser: true) { his in
                        kill(stopped.mount.server, SIGSTOP)
                        defer { kill(stopped.mount.server, SIGCONT) }
                        let mine = try await run(BuildProducts.twelvefs, "status")
                        #expect(mine.ending == .exited(1), "\(mine)")
                        #expect(mine.output.contains("\(own.mount.path): no uploads"), "\(mine)")
                        #expect(mine.output.contains("\(stopped.mount.path) does not answer"), "\(mine)")
                        #expect(!mine.output.contains(his.mount.path), "\(mine)")
                        // FUSE lets nobody else in, root neither.
                        let all = try await run(BuildProducts.twelvefs, "status", "--all", "--json")
                        let document = try JSONSerialization.jsonObject(with: Data(all.output.utf8)) as? [String: Any]
                        let mounts = try #require(document?["mounts"] as? [[String: Any]])
                        for (path, key) in [(own, "summary"), (stopped, "error"), (his, "error")] {
                            let mount = mounts.first { $0["mountpoint"] as? String == path.mount.path }
                            #expect(mount?[key] != nil, "\(all)")
                        }
                    }
                }
            }
        }
    }
}
