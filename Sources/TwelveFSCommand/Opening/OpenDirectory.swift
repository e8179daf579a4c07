import Descriptors
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// A directory that is held open: what is in it is opened from it, whatever its path leads to by then.
package final class OpenDirectory: Sendable {
    /// Its path when it was opened, without links; for messages.
    package let path: String
    let descriptor: FileDescriptor

    /// Takes a descriptor of a directory over, one of `O_PATH` too.
    init(_ descriptor: FileDescriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    /// The directory at `path`, which nobody else can exchange or is trusted not to.
    package convenience init(at path: String) throws(Errno) {
        let descriptor = open(path, OpenFlags.path | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        self.init(FileDescriptor(rawValue: descriptor), path: path)
    }

    deinit {
        try? descriptor.close()
    }

    /// A path that leads here for as long as this is open, for those who open by path.
    package var handle: String { "/proc/self/fd/\(descriptor.rawValue)" }

    /// The file `name` in it, which may be missing.
    package func file(_ name: String) -> FileLocation { FileLocation(directory: self, name: name) }

    func status() throws(Errno) -> PathStatus { try PathStatus(of: descriptor) }

    /// Whether nothing is in it.
    var isEmpty: Bool {
        get throws(Errno) {
            let listing = try file(".").open(O_RDONLY | O_DIRECTORY)
            guard let entries = fdopendir(listing.rawValue) else {
                let error = Errno(rawValue: errno)
                try? listing.close()
                throw error
            }
            defer { closedir(entries) }
            while let entry = readdir(entries) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { $0.prefix { $0 != 0 }.map { $0 } }
                if name != Array(".".utf8), name != Array("..".utf8) { return false }
            }
            return true
        }
    }
}

/// A file by the directory that it is in: neither a link in its place nor one in its path is followed.
package struct FileLocation: Sendable {
    let directory: OpenDirectory
    let name: String

    /// For messages.
    package var path: String { directory.path == "/" ? "/\(name)" : "\(directory.path)/\(name)" }

    /// Opens it. What is no file (a pipe that nobody writes) keeps nobody waiting.
    func open(_ flags: Int32, mode: mode_t = 0) throws(Errno) -> FileDescriptor {
        let flags = flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
        let descriptor = openat(directory.descriptor.rawValue, name, flags, mode)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        return FileDescriptor(rawValue: descriptor)
    }

    /// Opens it as a step of a path (`O_PATH`), whatever it is.
    ///
    /// - Parameter making: whether a directory is made, with mode 0700, where there is nothing.
    func openStep(making: Bool) throws(Errno) -> FileDescriptor {
        do throws(Errno) {
            // As a directory, which makes an automount mount what belongs there.
            return try open(OpenFlags.path | O_DIRECTORY)
        } catch .notDirectory {
            return try open(OpenFlags.path)
        } catch .noSuchFileOrDirectory where making {
            guard mkdirat(directory.descriptor.rawValue, name, 0o700) == 0 || errno == EEXIST else {
                throw Errno(rawValue: errno)
            }
            return try open(OpenFlags.path)
        }
    }

    /// What is there, a link itself included.
    func status() throws(Errno) -> PathStatus { try PathStatus(of: name, in: directory.descriptor) }

    /// Whether we may write to it.
    var isWritable: Bool { faccessat(directory.descriptor.rawValue, name, W_OK, 0) == 0 }

    /// Gives it another name in its directory; what has that is gone.
    func rename(to other: String) throws(Errno) {
        let directory = directory.descriptor.rawValue
        guard renameat(directory, name, directory, other) == 0 else { throw Errno(rawValue: errno) }
    }

    func remove() {
        unlinkat(directory.descriptor.rawValue, name, 0)
    }
}
