import ArgumentParser
import Formats
import FuseLowLevel
import SystemPackage
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// `twelvefs unmount`.
struct UnmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount",
        abstract: "Let uploads under way finish, then unmount.",
        discussion: """
            Waits for programs that have files open or stand in a directory, and for uploads; only programs that write may \
            open more files meanwhile. When somebody is still there in the end, it says who, exits with \
            \(ExitStatus.failure.rawValue), and the mount goes on, as it does after Ctrl-C; --force ends it all the same. \
            Otherwise it returns when the serving process has ended. What cannot be finished in time is kept in the state \
            directory, and the next mount with it goes on; the exit status is \(ExitStatus.resumable.rawValue) then. A mount \
            whose process died is cleared away.
            """,
        aliases: ["umount"])

    @Argument(help: ArgumentHelp("Where twelvefs is mounted.", valueName: "mountpoint"), completion: .directory)
    var mountPoint: String

    @Option(
        name: .customLong("drain-timeout"),
        help: ArgumentHelp(
            "How long to wait for programs and uploads (default: what mount was given; 0 for not at all).",
            valueName: "time"))
    var drainTimeout: TimeSpan?

    @Flag(help: "End the mount after that time even if it is in use; what is being written then is not uploaded.")
    var force = false

    func run() throws {
        let (path, mount) = try located()
        let directory = try Self.directory(of: mount, at: path)
        guard let server = try Server(of: mount, at: path, in: directory) else {
            let isCleared = try StateLock.whileNobodyServes(
                path, in: directory?.directory, of: directory?.owner ?? geteuid()
            ) { try MountPoint.clear(mount) }
            guard isCleared else {
                throw CommandFailure("another mount is being made on \(path)", hint: "Try again in a moment")
            }
            Terminal.complain("the process that served \(path) was gone; the dead mount is cleared")
            return
        }
        let left = try server.ask(.unmount(timeout: drainTimeout?.duration, isForced: force)).flatMap { line in
            try DrainProgress(server: server).waitForEnd(line)
        }
        let status = try server.end(left)
        if status != .success { throw status }
    }

    /// The mount's state directory; nil where it is gone.
    private static func directory(of mount: MountTable.Entry, at path: String) throws -> ServedDirectory? {
        do {
            return try ServedDirectory(of: mount)
        } catch {
            if try MountPoint.isDead(mount) { return nil }
            if let error = error as? UntrustedPath {
                throw CommandFailure(
                    "what serves \(path) cannot be trusted: \(error.words)",
                    hint: "Nothing was asked of it. Use 'fusermount3 -u \(path)'")
            }
            throw CommandFailure(
                "the state directory of the mount on \(path) cannot be reached: \(CommandFailure(wrapping: error))",
                hint: "Unmount it as the user who mounted it")
        }
    }

    /// The real path of the mount point, once it is sure that twelvefs is mounted there.
    private func located() throws -> (path: String, mount: MountTable.Entry) {
        let path: String
        do {
            path = try MountPoint.resolved(mountPoint)
        } catch {
            throw CommandFailure("\(mountPoint) cannot be reached: \(error.words)")
        }
        guard let mount = try MountPoint.mount(at: path) else {
            throw CommandFailure("nothing is mounted on \(path)", hint: "'twelvefs status' lists what is")
        }
        guard mount.isOurs else {
            throw CommandFailure(
                "what is mounted on \(path) is not twelvefs (type \(mount.fileSystemType))", hint: "Use umount")
        }
        return (path, mount)
    }
}
