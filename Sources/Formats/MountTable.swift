/// What is mounted where, as `/proc/self/mountinfo` tells it (proc(5)).
public struct MountTable: Sendable {
    /// One mount.
    public struct Entry: Sendable, Hashable {
        /// Unique among the mounts of the moment; the `mnt_id` of `/proc/<pid>/fdinfo`.
        public var id: Int32
        /// The mount that this one's mount point lies in.
        public var parentID: Int32
        /// `st_dev` of the file system's files.
        public var device: DeviceNumber
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

    /// - Parameter mountinfo: lines of `mountinfo`. Those that cannot be made sense of are left out.
    public init(parsing mountinfo: [UInt8]) {
        entries = mountinfo.split(separator: UInt8(ascii: "\n")).compactMap { Entry(line: $0) }
    }

    /// The mount with that id.
    public subscript(id: Int32) -> Entry? {
        entries.last { $0.id == id }
    }

    /// What is seen at a mount point that is given as the table has it: an absolute path without links.
    public func topmostEntry(atMountPoint mountPoint: [UInt8]) -> Entry? {
        entries.last { $0.mountPoint == mountPoint }
    }
}

/// The number of a file system, as `stat` (`st_dev`) and `mountinfo` give it.
public struct DeviceNumber: Sendable, Hashable {
    /// The major number; 0 for file systems without a block device.
    public var major: UInt32
    /// The minor number.
    public var minor: UInt32

    /// A device number from its two parts.
    public init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }
}

extension MountTable.Entry {
    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`, with any number of fields
    /// before the dash.
    fileprivate init?(line: ArraySlice<UInt8>) {
        let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard fields.count >= 10, let dash = fields[6...].firstIndex(of: [UInt8(ascii: "-")]),
            fields.count >= dash + 4,
            let id = Int32(String(decoding: fields[0], as: UTF8.self)),
            let parentID = Int32(String(decoding: fields[1], as: UTF8.self)),
            let device = DeviceNumber(field: fields[2])
        else { return nil }
        func text(_ index: Int) -> String {
            String(decoding: Self.unescaped(fields[index]), as: UTF8.self)
        }
        self.init(
            id: id, parentID: parentID, device: device, mountPoint: Self.unescaped(fields[4]), options: text(5),
            fileSystemType: text(dash + 1), source: text(dash + 2), superOptions: text(dash + 3))
    }

    /// Space, tab, newline and backslash (and `#` in a source) are written as a backslash and three octal digits.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }),
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

extension DeviceNumber {
    /// `98:0`.
    fileprivate init?(field: ArraySlice<UInt8>) {
        let parts = field.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, let major = UInt32(String(decoding: parts[0], as: UTF8.self)),
            let minor = UInt32(String(decoding: parts[1], as: UTF8.self))
        else { return nil }
        self.init(major: major, minor: minor)
    }
}
