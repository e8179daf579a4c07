internal import CFuse3
import Descriptors
import Formats
import Glibc

extension MountTable {
    /// How a FUSE mount is.
    public enum Condition: Sendable, Hashable, CaseIterable {
        /// Its process answers.
        case alive
        /// Its process is gone: everything fails with ENOTCONN.
        case dead
        /// No answer within the time given.
        case unresponsive
    }

    /// Asks a FUSE mount for its space, on a thread of its own. One that never answers keeps that thread, until its connection
    /// ends or this process does.
    ///
    /// Not for the attributes of its root: the kernel remembers those, and tells them when the process is gone.
    ///
    /// - Parameters:
    ///   - entry: a mount that is not hidden by another.
    ///   - limit: how long to wait for the answer.
    /// - Returns: nil for what is no FUSE mount: that is never asked.
    /// - Throws: `system` when there is no thread to be had.
    public static func condition(
        of entry: Entry, within limit: Duration = .seconds(2)
    ) throws(FuseError) -> Condition? {
        guard entry.isFuse else { return nil }
        let answer = Monitor<Condition?>(nil)
        let asking = try NativeThread(name: "mount-condition") {
            let error = entry.mountPoint.withCString { path -> Int32 in
                var space = statvfs()
                return statvfs(path, &space) == 0 ? 0 : errno
            }
            // ECONNABORTED: it died while the question was on its way. Any other error (EACCES for another user's mount) is
            // the answer of a kernel that still has a connection.
            answer.update { $0 = error == ENOTCONN || error == ECONNABORTED ? .dead : .alive }
        }
        asking.detach()
        return answer.wait(atMost: limit) { $0 } ?? .unresponsive
    }

    /// Takes a mount out of the tree: `umount2` as root, else `fusermount3`.
    ///
    /// - Throws: `busy`, `notMounted`, `unmountRefused`, `fusermountMissing`, `system`.
    public static func unmount(_ path: String, lazily: Bool) throws(FuseError) {
        guard geteuid() == 0 else {
            try Fusermount.unmount(path, lazily: lazily)
            return
        }
        guard umount2(path, Int32(UMOUNT_NOFOLLOW) | (lazily ? Int32(MNT_DETACH) : 0)) == 0 else {
            let error = FuseErrno(rawValue: errno)
            let kind: FuseError.Kind =
                error == .resourceBusy ? .busy : error == .invalidArgument ? .notMounted : .unmountRefused
            throw FuseError(kind, "cannot unmount \(path): \(error)")
        }
    }

    /// Takes this very mount out of the tree, lazily, whatever its path leads to by now.
    ///
    /// - Throws: as ``unmount(_:lazily:)``.
    public static func detach(_ entry: Entry) throws(FuseError) {
        let path = String(decoding: entry.mountPoint, as: UTF8.self)
        // An ordinary user's helper looks by itself whose it is.
        guard geteuid() == 0 else { return try unmount(path, lazily: true) }
        let descriptor = open(path, OpenFlags.path | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0, mountID(of: descriptor) == entry.id else {
            if descriptor >= 0 { close(descriptor) }
            throw FuseError(.notMounted, "cannot unmount \(path): it leads to something else by now")
        }
        defer { close(descriptor) }
        guard umount2("/proc/self/fd/\(descriptor)", Int32(MNT_DETACH)) == 0 else {
            throw FuseError(.unmountRefused, "cannot unmount \(path): \(FuseErrno(rawValue: errno))")
        }
    }

    /// Clears away a FUSE mount whose process is gone.
    ///
    /// - Returns: whether there was one. What answers, or is no FUSE mount, is left alone.
    /// - Throws: as ``unmount(_:lazily:)``.
    @discardableResult
    public static func clearDeadMount(at path: String) throws(FuseError) -> Bool {
        guard let entry = try MountTable().topmostEntry(at: path), try condition(of: entry) == .dead else {
            return false
        }
        try detach(entry)
        return true
    }
}
