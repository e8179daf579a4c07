import CXattr
import Formats
import FuseLowLevel
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Who is taken not to work against us: root, who can do anything, and ourselves.
enum PathTrust {
    static func isTrusted(_ user: uid_t) -> Bool { user == 0 || user == geteuid() }

    /// Makes sure that nobody else can exchange what is in a directory.
    ///
    /// It must be root's or ours, and nobody else may write to it, unless the sticky bit keeps everybody's entries theirs (`/tmp`).
    /// - Throws: ``UntrustedPath``.
    static func check(_ directory: OpenDirectory) throws {
        let (status, path) = (try directory.status(), directory.path)
        guard isTrusted(status.owner) else {
            throw UntrustedPath("\(path) belongs to another user (uid \(status.owner))")
        }
        guard status.mode & mode_t(S_ISVTX) == 0 else { return }
        guard status.mode & S_IWOTH == 0 else {
            throw UntrustedPath("every user can rename what is in \(path)", remedy: "Run 'chmod o-w \(path)'")
        }
        guard status.mode & S_IWGRP == 0 || isOursAlone(status.group) && !hasAccessControlList(directory) else {
            throw UntrustedPath(
                "the group \(name(of: status.group)) can rename what is in \(path)", remedy: "Run 'chmod g-w \(path)'")
        }
    }

    /// Makes sure that a place is in no mount that another user's process serves: that says of its files what it likes, and may keep
    /// whoever asks it waiting for ever. A place that is open by its path alone (`O_PATH`) has not asked it yet.
    ///
    /// - Throws: ``UntrustedPath``; `FuseError` where the mounts cannot be told.
    static func checkServer(of place: OpenDirectory, enteredFrom above: OpenDirectory) throws {
        let id = MountTable.mountID(of: place.descriptor.rawValue)
        guard let id, id != MountTable.mountID(of: above.descriptor.rawValue),
            let mount = try MountTable()[id], mount.isFuse
        else { return }
        guard let user = mount.userID, isTrusted(user) else {
            throw UntrustedPath("\(place.path) is in a mount that another user's process serves")
        }
    }

    /// Whether nobody is in the group but root and ourselves: root's own, or the group of one's own, named as the user, that many systems
    /// give each user, whose files are then writable by it (umask 002). A group that the machine does not know has no members but
    /// those processes that were started with it, as in a container; so it must be one of ours.
    static func isOursAlone(_ group: gid_t) -> Bool {
        userDatabase.withLock { _ in
            if let entry = getgrgid(group) {
                let ownName = getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) }
                guard group == 0 || String(cString: entry.pointee.gr_name) == ownName,
                    hasNoOtherMember(entry.pointee)
                else { return false }
            } else if !isOneOfOurs(group) {
                return false
            }
            return isNobodyElsesPrimary(group)
        }
    }

    private static func hasNoOtherMember(_ group: group) -> Bool {
        guard var member = group.gr_mem else { return true }
        while let name = member.pointee {
            guard let user = getpwnam(name), isTrusted(user.pointee.pw_uid) else { return false }
            member += 1
        }
        return true
    }

    private static func isOneOfOurs(_ group: gid_t) -> Bool {
        let count = getgroups(0, nil)
        guard count >= 0 else { return false }
        var groups = [gid_t](repeating: 0, count: Int(count))
        let filled = getgroups(count, &groups)
        return getegid() == group || groups.prefix(Int(max(0, filled))).contains(group)
    }

    private static func isNobodyElsesPrimary(_ group: gid_t) -> Bool {
        setpwent()
        defer { endpwent() }
        while let user = getpwent() {
            guard user.pointee.pw_gid != group || isTrusted(user.pointee.pw_uid) else { return false }
        }
        return true
    }

    /// With a list the group's bits tell the most that anybody on it may do.
    private static func hasAccessControlList(_ directory: OpenDirectory) -> Bool {
        getxattr(directory.handle, "system.posix_acl_access", nil, 0) > 0
    }

    private static func name(of group: gid_t) -> String {
        userDatabase.withLock { _ in getgrgid(group).map { String(cString: $0.pointee.gr_name) } } ?? "\(group)"
    }

    /// The C library answers from memory that is everybody's.
    private static let userDatabase = Mutex(())
}
