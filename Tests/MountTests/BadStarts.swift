import Foundation
import TestSupport
import Testing

extension Mounted {
    /// A mount that cannot be is refused in one clear line.
    @Suite struct BadStarts {
        @Test func aMountPointThatIsMissing() async throws {
            try await expectRefusal(mentioning: "no-such-folder") { $0.mountPoint += "/no-such-folder" }
        }

        @Test func aMountPointThatIsNoDirectory() async throws {
            try await expectRefusal(mentioning: "not a directory") { options in
                options.mountPoint += "/file"
                try Data("x".utf8).write(to: URL(fileURLWithPath: options.mountPoint))
            }
        }

        @Test func aMountPointThatIsNotEmpty() async throws {
            try await expectRefusal(mentioning: "not empty") { options in
                try Data("x".utf8).write(to: URL(fileURLWithPath: "\(options.mountPoint)/file"))
            }
        }

        @Test func noKey() async throws {
            try await expectRefusal(mentioning: "TWELVELABS_API_KEY") { $0.apiKey = nil }
        }

        @Test func anEmptyKey() async throws {
            try await expectRefusal(mentioning: "key") { $0.apiKey = "" }
        }

        @Test(.shows("mount-unreachable")) func anAPIThatCannotBeReachedWithNothingToResume() async throws {
            try await withScratch { scratch in
                let sandbox = try await SandboxProcess.start(folder: try scratch.folder("sandbox"))
                let options = try mountOptions(in: scratch, sandbox: sandbox)
                try await sandbox.stop()
                try await expectRefusal(of: options.tool, mentioning: "127.0.0.1", mountPoint: options.mountPoint)
            }
        }

        @Test(.shows("mount-interrupted"), arguments: [SIGINT, SIGTERM])
        func aCommandThatIsInterruptedEndsItsServer(by signal: Int32) async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    let options = try mountOptions(in: scratch, sandbox: sandbox)
                    try await sandbox.inject(Fault(on: .list, count: 1000, .hang))
                    let mount = try await start(options.tool)
                    try await eventually("the server asks the platform") {
                        try await !sandbox.journal().requests(.list).isEmpty
                    }
                    #expect(RunningProcesses.server(of: options.mountPoint) != nil)
                    mount.signal(signal)
                    let outcome = try await mount.finished()
                    #expect(outcome.ending == .signalled(signal), "\(outcome)")
                    // It is the command that waits for it, so nothing has to be waited for here.
                    #expect(RunningProcesses.server(of: options.mountPoint) == nil)
                    #expect(!MountedPaths.contains(options.mountPoint))
                }
            }
        }

        @Test(arguments: ["not a url", "ftp://127.0.0.1/v1.3", "http://", "https://[::1", "http://example.com/v1.3"])
        func aURLThatIsNoneOfAPlatform(text: String) async throws {
            try await expectRefusal(mentioning: "URL") { $0.apiURL = text }
        }

        @Test func aStateDirectoryThatCannotBeMade() async throws {
            try await expectRefusal(mentioning: "/proc/self/state") { $0.stateDirectory = "/proc/self/state" }
        }

        @Test(arguments: [mode_t(0o755), 0o710, 0o701, 0o777])
        func aStateDirectoryThatIsOpenToOthers(mode: mode_t) async throws {
            try await expectRefusal(mentioning: "open to other users") { options in
                guard mkdir(options.stateDirectory, 0o700) == 0, chmod(options.stateDirectory, mode) == 0 else {
                    throw SystemFailure(call: "mkdir", path: options.stateDirectory, code: errno)
                }
            }
        }

        @Test(.enabled(if: geteuid() == 0, "giving a directory away needs root"))
        func aStateDirectoryOfAnotherUser() async throws {
            try await expectRefusal(mentioning: "belongs to another user (uid 12345)") { options in
                guard mkdir(options.stateDirectory, 0o700) == 0, chown(options.stateDirectory, 12345, 12345) == 0 else {
                    throw SystemFailure(call: "mkdir", path: options.stateDirectory, code: errno)
                }
            }
        }

        @Test func aStateDirectoryThatIsALink() async throws {
            try await expectRefusal(mentioning: "symbolic link") { options in
                let real = "\(options.stateDirectory)-real"
                guard mkdir(real, 0o700) == 0, symlink(real, options.stateDirectory) == 0 else {
                    throw SystemFailure(call: "symlink", path: real, code: errno)
                }
            }
        }

        @Test func aFileOfCertificatesThatHoldsNone() async throws {
            try await expectRefusal(mentioning: "--ca-file") { options in
                let file = "\(options.mountPoint)-ca.pem"
                try Data("no certificate".utf8).write(to: URL(fileURLWithPath: file))
                options.arguments = ["--ca-file", file]
            }
        }

        @Test(.shows("state-one-mount")) func aStateDirectoryThatIsInUse() async throws {
            try await withMount { stage in
                var options = try mountOptions(in: stage.scratch, sandbox: stage.sandbox)
                options.mountPoint = try stage.scratch.folder("second")
                try await expectRefusal(
                    of: options.tool, mentioning: options.stateDirectory, mountPoint: options.mountPoint)
                #expect(try await run("ls", stage.mount.path).succeeded)
            }
        }

        @Test func aMountPointThatIsMountedAlready() async throws {
            try await withMount { stage in
                var options = try mountOptions(in: stage.scratch, sandbox: stage.sandbox)
                options.stateDirectory = stage.scratch.appending("second-state")
                let outcome = try await run(options.tool)
                expectOneLine(of: outcome, mentioning: "mounted")
                // The first one is neither hidden nor taken away.
                let copy = try await run("cp", try await stage.source(size: 6_000_000), stage.mount.path)
                #expect(copy.succeeded, "\(copy)")
                #expect(try await stage.assets(named: "video.mp4").count == 1)
            }
        }

        @Test(.enabled(if: geteuid() == 0, "hiding files needs a mount namespace"))
        func devFuseThatIsMissing() async throws {
            try await expectRefusal(
                mentioning: "/dev/fuse",
                inPlaceWhere: """
                    mkdir "$1/dev"; mount -t tmpfs none "$1/dev"
                    for node in null zero full random urandom tty; do cp -a "/dev/$node" "$1/dev/"; done
                    ln -s /proc/self/fd "$1/dev/fd"
                    mount --move "$1/dev" /dev
                    """)
        }

        @Test(.enabled(if: geteuid() == 0, "hiding files needs a mount namespace"))
        func fusermount3ThatIsMissing() async throws {
            try await expectRefusal(
                mentioning: "fusermount3",
                inPlaceWhere: """
                    mkdir "$1/upper" "$1/work"; folder=$(dirname "$(readlink -f "$(command -v fusermount3)")")
                    mount -t overlay none -o "lowerdir=$folder,upperdir=$1/upper,workdir=$1/work" "$folder"
                    rm "$folder/fusermount3"
                    """)
        }

        // MARK: -

        /// Expects that a mount with these changes to its options is refused.
        private func expectRefusal(
            mentioning word: String, change: (inout MountOptions) throws -> Void
        ) async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    var options = try mountOptions(in: scratch, sandbox: sandbox)
                    try change(&options)
                    try await expectRefusal(of: options.tool, mentioning: word, mountPoint: options.mountPoint)
                }
            }
        }

        /// Expects that a mount is refused in a mount namespace of its own, which a script, given a folder as `$1`, has prepared.
        private func expectRefusal(mentioning word: String, inPlaceWhere script: String) async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    let options = try mountOptions(in: scratch, sandbox: sandbox)
                    var tool = options.tool
                    let folder = try scratch.folder("hidden")
                    tool.arguments =
                        ["-m", "bash", "-ec", "\(script)\nshift\nexec \"$@\"", "bash", folder, tool.program]
                        + tool.arguments
                    tool.program = "unshare"
                    try await expectRefusal(of: tool, mentioning: word, mountPoint: options.mountPoint)
                }
            }
        }

        private func expectRefusal(of tool: Tool, mentioning word: String, mountPoint: String) async throws {
            let outcome = try await run(tool)
            expectOneLine(of: outcome, mentioning: word)
            #expect(!MountedPaths.contains(mountPoint))
            try await eventually("no process is left") { RunningProcesses.server(of: mountPoint) == nil }
        }

        private func expectOneLine(of outcome: Outcome, mentioning word: String) {
            #expect(outcome.ending != .exited(0))
            if case .signalled = outcome.ending { Issue.record("it crashed: \(outcome)") }
            let lines = outcome.errors.split(separator: "\n")
            #expect(lines.count == 1, "\(outcome)")
            #expect(outcome.errors.localizedStandardContains(word), "\(outcome)")
            #expect(outcome.output.isEmpty, "\(outcome)")
        }
    }
}
