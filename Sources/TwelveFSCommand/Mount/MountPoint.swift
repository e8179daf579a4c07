import Formats
import FuseLowLevel
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// What is at a path that is a mount point.
package enum MountPoint {
    /// The path with symbolic links resolved, as the kernel's table of mounts has it. Works for a dead mount too, which
    /// answers nothing.
    package static func resolved(_ path: String) throws(Errno) -> String {
        do {
            return try realPath(path)
        } catch .socketNotConnected {
            // Everything above the mount still answers.
            let path = FilePath(path).lexicallyNormalized()
            guard let name = path.lastComponent else { throw .socketNotConnected }
            return FilePath(try realPath(path.removingLastComponent().string)).appending(name).string
        }
    }

    /// The dead mount at a path; nil when nothing is mounted there.
    ///
    /// - Throws: a ``CommandFailure`` when something that lives is, or what this user may not clear away.
    static func deadMount(at path: String) throws -> MountTable.Entry? {
        guard let mount = try mount(at: path) else { return nil }
        guard mount.isOurs else {
            throw CommandFailure(
                "something else is mounted on \(path) already (type \(mount.fileSystemType))",
                hint: "Name another directory")
        }
        guard try isDead(mount) else {
            throw CommandFailure(
                "twelvefs is mounted on \(path) already",
                hint: "See 'twelvefs status', or 'twelvefs unmount \(path)' first")
        }
        try checkMayClear(mount)
        return mount
    }

    /// The topmost mount at the real path `path`, if any.
    package static func mount(at path: String) throws -> MountTable.Entry? {
        let path = Array(path.utf8)
        return try table().last { $0.mountPoint == path }
    }

    /// All twelvefs mounts, those of other users and dead ones included.
    static func everyones() throws -> [MountTable.Entry] {
        try table().filter(\.isOurs)
    }

    static func table() throws -> [MountTable.Entry] {
        do {
            return try MountTable().entries
        } catch {
            throw CommandFailure(error.message, hint: "Is /proc mounted?")
        }
    }

    /// Whether the process behind a mount is gone.
    package static func isDead(_ mount: MountTable.Entry) throws -> Bool {
        do {
            return try MountTable.condition(of: mount) == .dead
        } catch {
            throw CommandFailure(error.message)
        }
    }

    /// Takes a dead mount away, unless another one has taken its place.
    package static func clear(_ mount: MountTable.Entry) throws {
        try checkMayClear(mount)
        guard let now = try self.mount(at: mount.path), now.id == mount.id else { return }
        do {
            try MountTable.detach(now)
        } catch {
            throw CommandFailure(
                "the dead mount cannot be cleared: \(error.message)", hint: "Try 'fusermount3 -uz \(mount.path)'")
        }
    }

    /// fusermount3 would only say that it does not know the mount.
    private static func checkMayClear(_ mount: MountTable.Entry) throws {
        guard geteuid() != 0, let owner = mount.userID, owner != geteuid() else { return }
        throw CommandFailure(
            "the dead mount on \(mount.path) belongs to another user (uid \(owner))",
            hint: "Clear it as that user, or as root: 'twelvefs unmount \(mount.path)'")
    }
}

extension MountTable.Entry {
    /// Whether it is a twelvefs, whoever mounted it.
    package var isOurs: Bool { fileSystemType == "fuse.\(MountConfiguration.subtype)" }

    /// Where it is mounted, as text.
    package var path: String { String(decoding: mountPoint, as: UTF8.self) }

    /// Who mounted it, as FUSE tells.
    package var userID: UInt32? {
        superOptions.split(separator: ",").first { $0.hasPrefix("user_id=") }.flatMap {
            UInt32($0.dropFirst("user_id=".count))
        }
    }
}
