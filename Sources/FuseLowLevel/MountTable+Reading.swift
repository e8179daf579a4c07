import Formats
import Glibc

// Reading the table touches no mount, so it cannot hang. ``MountTable/condition(of:within:)`` is the only thing here that asks
// a mounted file system anything: only FUSE ones, on a thread that is left behind when no answer comes.
extension MountTable {
    /// Reads the mounts as this process sees them.
    ///
    /// - Throws: `system` when `/proc` cannot be read.
    public init() throws(FuseError) {
        self.init(parsing: try Self.contents(of: "/proc/self/mountinfo"))
    }

    /// What is seen at a path.
    ///
    /// - Parameter path: a mount point, with links in it or not. The links are resolved, which asks the file
    ///   systems on the way but not the one mounted there.
    public func topmostEntry(at path: String) -> Entry? {
        topmostEntry(atMountPoint: Self.resolved(path))
    }

    /// `realpath` only reads links, and a mount's root is none; a slash at the end would have it ask for the root itself.
    private static func resolved(_ path: String) -> [UInt8] {
        var trimmed = path[...]
        while trimmed.count > 1 && trimmed.hasSuffix("/") {
            trimmed.removeLast()
        }
        guard let resolved = realpath(String(trimmed), nil) else { return Array(trimmed.utf8) }
        defer { free(resolved) }
        return [UInt8](cString: resolved)
    }

    /// The id of the mount that an open file is in, one of `O_PATH` too; nil where `/proc` does not tell.
    public static func mountID(of descriptor: Int32) -> Int32? {
        guard let text = try? contents(of: "/proc/self/fdinfo/\(descriptor)") else { return nil }
        let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("mnt_id:") }
        return line.flatMap { $0.split(whereSeparator: \.isWhitespace).last }.flatMap { Int32($0) }
    }

    private static func contents(of path: String) throws(FuseError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw FuseError(.system, "cannot read \(path): \(FuseErrno.text(of: errno))")
        }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        var failure: Int32 = 0
        withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) { buffer in
            while true {
                let count = read(descriptor, buffer.baseAddress, buffer.count)
                if count < 0 && errno == EINTR { continue }
                if count < 0 { failure = errno }
                guard count > 0 else { break }
                contents += buffer.prefix(count)
            }
        }
        guard failure == 0 else {
            throw FuseError(.system, "cannot read \(path): \(FuseErrno.text(of: failure))")
        }
        return contents
    }
}
