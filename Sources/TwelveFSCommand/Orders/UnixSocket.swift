import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// Sockets in the file system, which reach into other pid and network namespaces.
enum UnixSocket {
    /// One that listens under `name` in `directory`, for its owner alone; what lay there is gone. It never blocks.
    static func listening(as name: String, in directory: OpenDirectory) throws(Errno) -> Int32 {
        try withAddress(of: name, in: directory) { path, address, length throws(Errno) in
            let descriptor = try make(SOCK_NONBLOCK.rawValue)
            unlink(path)
            // The mode is the owner's to set: the umask leaves more.
            guard bind(descriptor, address, length) == 0, chmod(path, S_IRUSR | S_IWUSR) == 0,
                listen(descriptor, 128) == 0
            else { throw failure(closing: descriptor) }
            return descriptor
        }
    }

    /// How long whoever listens may leave a connection, or what is sent on it, untaken: its queue may be full.
    private static let patience = timeval(tv_sec: 5, tv_usec: 0)

    /// One that is connected to what listens under `name` in `directory`.
    ///
    /// - Throws: `resourceTemporarilyUnavailable` where the process that listens does not get to it.
    static func connected(to name: String, in directory: OpenDirectory) throws(Errno) -> Int32 {
        try withAddress(of: name, in: directory) { _, address, length throws(Errno) in
            let descriptor = try make(0)
            var patience = patience
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            guard connect(descriptor, address, length) == 0 else { throw failure(closing: descriptor) }
            return descriptor
        }
    }

    /// The process at the other end, as the kernel knows it.
    struct Peer {
        /// By its number here; nil for one of a pid namespace that is not seen from here.
        let process: pid_t?
        let user: uid_t
    }

    /// Of the listening side that process which began to listen.
    static func peer(of descriptor: Int32) -> Peer? {
        // `struct ucred`, which Glibc hides: pid, uid, gid.
        var credentials: [Int32] = [0, 0, 0]
        var length = socklen_t(MemoryLayout<Int32>.stride * credentials.count)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return nil }
        return Peer(process: credentials[0] > 0 ? credentials[0] : nil, user: uid_t(bitPattern: credentials[1]))
    }

    /// Whether all of `bytes` went into the socket. No signal is raised where nobody reads any more.
    static func send(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    private static func make(_ flags: UInt32) throws(Errno) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | flags), 0)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        return descriptor
    }

    private static func failure(closing descriptor: Int32) -> Errno {
        let error = Errno(rawValue: errno)
        close(descriptor)
        return error
    }

    /// An address takes 107 bytes at most, and a directory's path may have more: so it goes by way of a descriptor.
    private static func withAddress(
        of name: String, in directory: OpenDirectory,
        _ body: (_ path: String, UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Int32
    ) throws(Errno) -> Int32 {
        let path = "\(directory.handle)/\(name)"
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result: Result<Int32, Errno> = withUnsafeBytes(of: &address) { bytes in
            guard let start = bytes.baseAddress else { return .failure(.invalidArgument) }
            let length = socklen_t(bytes.count)
            return Result { () throws(Errno) in try body(path, start.assumingMemoryBound(to: sockaddr.self), length) }
        }
        return try result.get()
    }
}
