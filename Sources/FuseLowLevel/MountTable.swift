internal import CFuse3
import Glibc

/// What is mounted where, as `/proc/self/mountinfo` tells it (proc(5)).
///
/// Reading it touches no mount, so it cannot hang. ``condition(of:within:)`` is the only thing here that asks a mounted file
/// system anything: only FUSE ones, on a thread that is left behind when no answer comes.
public struct MountTable: Sendable {
    /// One mount.
    public struct Entry: Sendable, Hashable {
        /// Unique among the mounts of the moment; the `mnt_id` of `/proc/<pid>/fdinfo`.
        public var id: Int
        /// The mount that this one's mount point lies in.
        public var parentID: Int
        /// `major:minor` of the files' `st_dev`.
        public var device: String
        /// Absolute; bytes as they are on disk.
        public var mountPoint: [UInt8]
        /// Options of this mount, such as `rw,nosuid`.
        public var options: String
        /// Such as `ext4` or `fuse.twelvefs`.
        public var fileSystemType: String
        /// Such as `/dev/sda1`; for FUSE the `fsname`.
        public var source: String
        /// Options of the file system, such as `user_id=1000` for FUSE.
        public var superOptions: String

        /// Whether a process serves it.
        public var isFuse: Bool {
            fileSystemType == "fuse" || fileSystemType == "fuseblk" || fileSystemType.hasPrefix("fuse.")
                || fileSystemType.hasPrefix("fuseblk.")
        }
    }

    /// In the order in which they were mounted: a later one on the same mount point hides the earlier.
    public let entries: [Entry]

    /// Reads the mounts as this process sees them.
    ///
    /// - Throws: `system` when `/proc` cannot be read.
    public init() throws(FuseError) {
        self.init(parsing: try Self.contents(of: "/proc/self/mountinfo"))
    }

    /// - Parameter mountinfo: lines of `mountinfo`. Those that cannot be made sense of are left out.
    public init(parsing mountinfo: [UInt8]) {
        entries = mountinfo.split(separator: UInt8(ascii: "\n")).compactMap { Entry(line: $0) }
    }

    /// What is seen at a path.
    ///
    /// - Parameter path: a mount point, with links in it or not. The links are resolved, which asks the file
    ///   systems on the way but not the one mounted there.
    public func topmostEntry(at path: String) -> Entry? {
        let bytes = Self.resolved(path)
        return entries.last { $0.mountPoint == bytes }
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

extension MountTable.Entry {
    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`, with any number of fields
    /// before the dash.
    fileprivate init?(line: ArraySlice<UInt8>) {
        let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard fields.count >= 10, let dash = fields[6...].firstIndex(of: [UInt8(ascii: "-")]),
            fields.count >= dash + 4,
            let id = Int(String(decoding: fields[0], as: UTF8.self)),
            let parentID = Int(String(decoding: fields[1], as: UTF8.self))
        else { return nil }
        func text(_ index: Int) -> String {
            String(decoding: Self.unescaped(fields[index]), as: UTF8.self)
        }
        self.init(
            id: id, parentID: parentID, device: text(2), mountPoint: Self.unescaped(fields[4]), options: text(5),
            fileSystemType: text(dash + 1), source: text(dash + 2), superOptions: text(dash + 3))
    }

    /// Space, tab, newline and backslash (and `#` in a source) are written as a backslash and three octal digits.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                result.append(value)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return result
    }
}
