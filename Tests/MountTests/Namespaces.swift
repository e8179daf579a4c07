import Foundation
import TestSupport
import Testing

/// Whether root can make mount and pid namespaces here.
private func canMakeNamespaces() async throws -> Bool {
    guard geteuid() == 0 else { return false }
    return try await run("unshare", "--mount", "--pid", "--fork", "mount", "-t", "proc", "proc", "/proc").succeeded
}

extension Mounted {
    /// A mount that is served in namespaces of its own: a service with mounts of its own, a container.
    @Suite(.enabled("needs root, to make namespaces", canMakeNamespaces)) struct Namespaces {
        @Test(.shows("drain-namespaces", "state-one-mount"))
        func aMountThatIsNotSeenFromHereKeepsItsStateDirectory() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    let options = try mountOptions(in: scratch, sandbox: sandbox)
                    var tool = options.tool
                    tool.arguments = ["--mount", "--propagation", "private", tool.program] + tool.arguments
                    tool.program = "unshare"
                    let mounted = try await run(tool)
                    #expect(mounted.succeeded, "\(mounted)")
                    let server = try #require(RunningProcesses.server(of: options.mountPoint))
                    RunRegister.process(server)
                    defer { kill(server, SIGKILL) }
                    #expect(!MountedPaths.contains(options.mountPoint))

                    var other = options
                    other.mountPoint = try scratch.folder("user/other")
                    let refused = try await run(other.tool)
                    #expect(refused.errors.contains("in use by process \(server)"), "\(refused)")
                    let summary = "\(options.mountPoint)/.status/summary.json"
                    let read = try await run("nsenter", "--target", "\(server)", "--mount", "cat", summary)
                    #expect(read.succeeded, "it serves: \(read)")
                    let log = try String(contentsOfFile: options.logFile, encoding: .utf8)
                    #expect(!log.contains("stopping"), "\(log)")
                }
            }
        }

        @Test(.shows("drain-namespaces")) func aServerOfAnotherPidNamespaceIsUnmounted() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    let options = try mountOptions(in: scratch, sandbox: sandbox)
                    let home = try scratch.folder("user")
                    let shared = try await shell(#"mount --bind "$1" "$1" && mount --make-shared "$1""#, home)
                    #expect(shared.succeeded, "\(shared)")
                    RunRegister.mount(home)
                    defer { umount2(home, Int32(MNT_DETACH)) }
                    let script = "mount --make-private /proc || :; mount -t proc proc /proc; \"$@\"; exec sleep 600"
                    var container = options.tool
                    container.arguments =
                        [
                            "--mount", "--propagation", "unchanged", "--pid", "--fork", "--kill-child", "bash", "-c",
                            script, "bash", container.program,
                        ] + container.arguments
                    container.program = "unshare"
                    let inside = try await start(container)
                    try await eventually("it is mounted") { MountedPaths.contains(options.mountPoint) }
                    let made = try await run("mkdir", "\(options.mountPoint)/folder")
                    #expect(made.succeeded, "\(made)")
                    let unmounted = try await run(BuildProducts.twelvefs, "unmount", options.mountPoint)
                    #expect(unmounted.succeeded, "\(unmounted)")
                    #expect(!MountedPaths.contains(options.mountPoint))
                    inside.killGroup()
                    _ = try await inside.finished()
                }
            }
        }
    }
}
