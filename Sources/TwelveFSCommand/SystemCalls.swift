import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// What `stat` tells of a file, as far as the commands ask.
struct PathStatus: Equatable {
    var mode: mode_t
    var owner: uid_t
    var group: gid_t
    var linkCount: Int
    var device: dev_t
    var inode: ino_t
    /// In bytes.
    var size: Int64
    /// When content or attributes last changed, since 1970.
    var lastChange: Duration

    var isRegular: Bool { mode & S_IFMT == S_IFREG }
    var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
    var isSymbolicLink: Bool { mode & S_IFMT == S_IFLNK }
    var isPipe: Bool { mode & S_IFMT == S_IFIFO }
    var isCharacterDevice: Bool { mode & S_IFMT == S_IFCHR }

    private init(_ status: stat) {
        mode = status.st_mode
        owner = status.st_uid
        group = status.st_gid
        linkCount = Int(status.st_nlink)
        device = status.st_dev
        inode = status.st_ino
        size = Int64(status.st_size)
        lastChange = .seconds(status.st_ctim.tv_sec) + .nanoseconds(status.st_ctim.tv_nsec)
    }

    /// Of the file at `path`; of a symbolic link itself unless `followingLinks`.
    init(at path: String, followingLinks: Bool = true) throws(Errno) {
        var status = stat()
        guard (followingLinks ? stat(path, &status) : lstat(path, &status)) == 0 else { throw Errno(rawValue: errno) }
        self.init(status)
    }

    /// Of what is called `name` in a directory, itself.
    init(of name: String, in directory: FileDescriptor) throws(Errno) {
        var status = stat()
        guard fstatat(directory.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw Errno(rawValue: errno)
        }
        self.init(status)
    }

    /// Of an open file.
    init(of descriptor: FileDescriptor) throws(Errno) {
        var status = stat()
        guard fstat(descriptor.rawValue, &status) == 0 else { throw Errno(rawValue: errno) }
        self.init(status)
    }
}

extension FileDescriptor {
    /// Reads until the end of the file, or until `limit` bytes are there.
    func readAll(atMost limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let piece = try readPiece(atMost: limit - bytes.count)
            guard !piece.isEmpty else { break }
            bytes += piece
        }
        return bytes
    }

    /// What one read gives, of 64 KiB at most; nothing at the end.
    func readPiece(atMost limit: Int = .max) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: min(limit, 64 << 10)) { buffer, count in
            count = try read(into: UnsafeMutableRawBufferPointer(buffer))
        }
    }
}

extension Errno {
    /// The C library's words for it, in lower case as they stand in a sentence.
    var words: String {
        let text = description
        guard let first = text.first, text.dropFirst().first?.isUppercase != true else { return text }
        return first.lowercased() + text.dropFirst()
    }
}

/// The real path of `path`, without symbolic links.
func realPath(_ path: String) throws(Errno) -> String {
    guard let resolved = realpath(path, nil) else { throw Errno(rawValue: errno) }
    defer { free(resolved) }
    return String(cString: resolved)
}

/// `path` made absolute against the working directory, without touching what it names.
func absolutePath(_ path: String) throws(Errno) -> String {
    let path = FilePath(path)
    if path.isAbsolute { return path.lexicallyNormalized().string }
    guard let working = getcwd(nil, 0) else { throw Errno(rawValue: errno) }
    defer { free(working) }
    return FilePath(String(cString: working)).pushing(path).lexicallyNormalized().string
}
