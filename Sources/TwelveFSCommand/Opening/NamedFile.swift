import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// A file that an option names: its place may be one where others can write, so that whatever they have put there must not be
/// taken for it, nor keep us waiting.
package enum NamedFile {
    /// Opens it for reading: a plain file of root's or ours, or what the caller has handed us open (`/dev/fd/63`, `/dev/stdin`).
    ///
    /// - Throws: ``UntrustedPath``, `Errno`.
    static func openForReading(_ path: String) throws -> FileDescriptor {
        guard !isHandedOver(path) else {
            return try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
        }
        let file = try PathWalk.file(at: absolutePath(path), steps: .any)
        return try checked(file.open(O_RDONLY)) { status in
            guard !status.isDirectory else { throw Errno.isDirectory }
            try check(status, file.path)
            guard status.mode & S_IWOTH == 0, status.mode & S_IWGRP == 0 || PathTrust.isOursAlone(status.group) else {
                throw UntrustedPath("it can be changed by other users", remedy: "Run 'chmod go-w \(file.path)'")
            }
        }
    }

    /// Opens it for appending, and makes it (mode 0600) where it is missing: a file or a device of root's or ours.
    ///
    /// - Throws: ``UntrustedPath``, `Errno`.
    static func openForAppending(_ file: FileLocation) throws -> FileDescriptor {
        try checked(file.open(O_WRONLY | O_APPEND | O_CREAT, mode: S_IRUSR | S_IWUSR)) { status in
            guard status.isRegular || status.isCharacterDevice else {
                throw UntrustedPath("it is neither a file nor a device")
            }
            guard !status.isCharacterDevice else { return }
            try check(status, file.path)
            // In a directory where others write, another name of some file of ours may have been put.
            guard status.linkCount <= 1 || isSafe(file.directory) else {
                throw UntrustedPath("it has other names, and others can write to \(file.directory.path)")
            }
        }
    }

    /// Whether a path leads to a descriptor that a process has, and not to a place in a directory.
    static func isHandedOver(_ path: String) -> Bool {
        if ["/dev/stdin", "/dev/stdout", "/dev/stderr"].contains(path) { return true }
        let names = path.split(separator: "/")
        guard path.hasPrefix("/"), let number = names.last, Int32(number) != nil else { return false }
        // `/proc/1/fd/1`: what a container's first process writes to.
        return names.dropLast() == ["dev", "fd"]
            || names.count == 4 && names[0] == "proc" && names[2] == "fd"
                && (names[1] == "self" || Int32(names[1]) != nil)
    }

    private static func check(_ status: PathStatus, _ path: String) throws {
        guard status.isRegular else { throw UntrustedPath("it is no plain file") }
        guard PathTrust.isTrusted(status.owner) else {
            throw UntrustedPath(
                "it belongs to another user (uid \(status.owner))", remedy: "Run 'chown \(geteuid()) \(path)'")
        }
    }

    private static func isSafe(_ directory: OpenDirectory) -> Bool {
        (try? PathTrust.check(directory)) != nil
    }

    /// From here on, reads and writes wait as they do for any file.
    private static func checked(
        _ descriptor: FileDescriptor, _ check: (PathStatus) throws -> Void
    ) throws -> FileDescriptor {
        do {
            try check(try PathStatus(of: descriptor))
            let flags = fcntl(descriptor.rawValue, F_GETFL)
            guard flags >= 0, fcntl(descriptor.rawValue, F_SETFL, flags & ~O_NONBLOCK) == 0 else {
                throw Errno(rawValue: errno)
            }
            return descriptor
        } catch {
            try? descriptor.close()
            throw error
        }
    }
}
