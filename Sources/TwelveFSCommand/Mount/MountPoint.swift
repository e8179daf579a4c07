import Formats
import FuseLowLevel
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// What is at a path that is to be, or is, a mount point.
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

    /// Makes sure that a file system can be attached at `path`. A dead mount of ours stays until ``makeFree(_:)``: it keeps
    /// programs from writing into the directory beneath, which can be looked at only then.
    ///
    /// - Returns: its real path.
    /// - Throws: a ``CommandFailure``.
    package static func checked(_ path: String) throws -> String {
        let real: String
        do {
            real = try resolved(path)
        } catch .noSuchFileOrDirectory {
            throw CommandFailure("the mount point \(path) does not exist", hint: "Make it first: mkdir -p \(path)")
        } catch {
            throw CommandFailure("the mount point \(path) cannot be reached: \(error.words)")
        }
        if try deadMount(at: real) == nil { try checkDirectory(real) }
        return real
    }

    /// Clears a dead mount away from a path that was ``checked(_:)``: the last step before another one takes its place.
    ///
    /// - Returns: the directory, which may be written into until something is mounted on it.
    /// - Throws: a ``CommandFailure``, also for what the dead mount had hidden.
    package static func makeFree(_ path: String) throws -> BareDirectory {
        while let mount = try deadMount(at: path) { try clear(mount) }
        return try checkDirectory(path)
    }

    @discardableResult
    private static func checkDirectory(_ real: String) throws -> BareDirectory {
        let directory: BareDirectory
        do {
            guard try PathStatus(at: real).isDirectory else {
                throw CommandFailure("the mount point \(real) is not a directory", hint: "Name an empty directory")
            }
            directory = try BareDirectory(real)
            guard directory.isEmpty else {
                throw CommandFailure("the mount point \(real) is not empty", hint: "Name an empty directory")
            }
        } catch let error as Errno {
            throw CommandFailure("the mount point \(real) cannot be used: \(error.words)")
        }
        // For root, fusermount3 asks for no permission either: an immutable mount point takes nothing while nothing is mounted.
        guard geteuid() == 0 || access(real, W_OK) == 0 else {
            throw CommandFailure(
                "you may not write to the mount point \(real)", hint: "Name an empty directory of your own")
        }
        return directory
    }

    /// The dead mount at a path; nil when nothing is mounted there.
    ///
    /// - Throws: a ``CommandFailure`` when something that lives is, or what this user may not clear away.
    private static func deadMount(at path: String) throws -> MountTable.Entry? {
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

    /// The twelvefs mounts that this user may look into: his own, or all for root. Dead ones are left out.
    package static func ours() throws -> [MountTable.Entry] {
        let user = geteuid()
        return try table().filter { entry in
            try entry.isOurs && (user == 0 || entry.userID == user) && !isDead(entry)
        }
    }

    /// All twelvefs mounts, those of other users and dead ones included.
    static func everyones() throws -> [MountTable.Entry] {
        try table().filter(\.isOurs)
    }

    private static func table() throws -> [MountTable.Entry] {
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
            try MountTable.unmount(mount.path, lazily: true)
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

/// A directory that something is to be mounted on, and still to be looked into then.
package final class BareDirectory {
    private let path: String
    private let directory: OpaquePointer

    init(_ path: String) throws(Errno) {
        guard let directory = opendir(path) else { throw Errno(rawValue: errno) }
        self.path = path
        self.directory = directory
    }

    deinit {
        closedir(directory)
    }

    /// Makes sure that nothing has come into it until something was mounted on it: nobody would find it there.
    ///
    /// - Throws: a ``CommandFailure``.
    package func checkStillEmpty() throws {
        guard !isEmpty else { return }
        throw CommandFailure(
            "something was written into the mount point \(path) just before it was mounted",
            hint: "Move it away, and mount again")
    }

    var isEmpty: Bool {
        rewinddir(directory)
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { $0.prefix { $0 != 0 }.map { $0 } }
            if name != Array(".".utf8), name != Array("..".utf8) { return false }
        }
        return true
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
