import Foundation
import TestSupport
import Testing

extension Mounted {
    /// The platform's name cannot be looked up for a while.
    @Suite struct NameLookups {
        /// The mount is in a namespace of its own, where `/etc/hosts` is the test's, and nobody else is asked for names.
        @Test func aNameThatIsNotFoundIsWaitedFor() async throws {
            try await withScratch { scratch in
                try await withSandbox(["--host", "localhost"], scratch: scratch) { sandbox in
                    let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 12_000_000)
                    let hosts = scratch.appending("hosts")
                    func know(_ names: String) throws { try Data(names.utf8).write(to: URL(fileURLWithPath: hosts)) }
                    try know("127.0.0.1 localhost\n")
                    let sources = scratch.appending("nsswitch.conf")
                    try Data("hosts: files\n".utf8).write(to: URL(fileURLWithPath: sources))

                    var options = try mountOptions(in: scratch, sandbox: sandbox, arguments: ["--foreground"])
                    options.apiURL = sandbox.apiURL.replacingOccurrences(of: "127.0.0.1", with: "localhost")
                    var tool = options.tool
                    let script = #"""
                        mount --bind "$1" /etc/hosts
                        mount --bind "$2" /etc/nsswitch.conf
                        shift 2
                        exec "$@"
                        """#
                    tool.arguments =
                        ["-m", "bash", "-ec", script, "bash", hosts, sources, tool.program] + tool.arguments
                    tool.program = "unshare"
                    let server = try await start(tool)
                    defer { if server.isRunning { server.killGroup() } }
                    func inside(_ line: String...) -> Tool {
                        Tool("nsenter", ["--mount=/proc/\(server.pid)/ns/mnt", "--"] + line)
                    }
                    let video = "\(options.mountPoint)/video.mp4"
                    let document = "\(options.mountPoint)/.status/by-name/video.mp4.json"
                    try await eventually("it is mounted") {
                        try await run(inside("mountpoint", "-q", options.mountPoint)).succeeded
                    }
                    // No connection is left from before.
                    await sandbox.kill()
                    try await sandbox.startAgain()

                    try know("")
                    let copy = try await start(inside("cp", source, video))
                    let status = try await eventually("it is known what is wrong") {
                        let read = try await run(inside("cat", document))
                        guard read.succeeded else { return UploadStatus?.none }
                        let status = try UploadStatus.decode(Data(read.output.utf8))
                        return status.waitingFor == "network" ? status : nil
                    }
                    #expect(status.error?.code == "dns_failed")
                    #expect(copy.isRunning)
                    #expect(try await sandbox.journal().sessions.isEmpty)

                    try know("127.0.0.1 localhost\n")
                    let outcome = try await copy.finished()
                    #expect(outcome.succeeded, "\(outcome)")
                    let sums = try await sandbox.completeAssets().map(\.sha256)
                    #expect(sums == [try await TestFile.sha256(of: source)])
                    server.signal(SIGTERM)
                    #expect(try await server.finished().succeeded)
                }
            }
        }
    }
}
