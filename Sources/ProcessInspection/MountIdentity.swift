import Glibc

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

    /// From `st_dev`, which Glibc packs into 64 bits: makedev(3).
    public init(_ device: dev_t) {
        major = UInt32(truncatingIfNeeded: (device >> 8 & 0xfff) | (device >> 32 & 0xffff_f000))
        minor = UInt32(truncatingIfNeeded: (device & 0xff) | (device >> 12 & 0xffff_ff00))
    }
}

/// How the kernel names a mount: by a number that `fdinfo` bears as well, and by its file system's device number.
public struct MountIdentity: Sendable, Hashable {
    /// `mnt_id`.
    public var id: Int32
    /// The same for every place at which this file system is mounted, bind mounts and other mount namespaces included.
    public var device: DeviceNumber

    /// A mount with that id and device number.
    public init(id: Int32, device: DeviceNumber) {
        self.id = id
        self.device = device
    }

    /// What is mounted at a path; nil when nothing is.
    ///
    /// Read from `/proc/self/mountinfo`, hence without a call to the mounted file system, which may be one's own.
    ///
    /// - Parameter mountPoint: an absolute path without symbolic links.
    public init?(mountPoint: String, root: String = "/proc") {
        guard
            let entry = MountTable.current(root: root).entries.last(where: { $0.mountPoint == Array(mountPoint.utf8) })
        else { return nil }
        self = entry.identity
    }
}

/// The mounts that this process can see.
package struct MountTable: Sendable {
    /// One mount.
    package struct Entry: Sendable, Equatable {
        package var identity: MountIdentity
        package var mountPoint: [UInt8]
        package var fileSystem: [UInt8]

        /// Its files are on a local disk or in memory: asking for their size needs neither a network nor a program.
        package var answersAtOnce: Bool {
            Self.local.contains(String(decoding: fileSystem, as: UTF8.self))
        }

        /// It shows the kernel's own state: its files are no sources of a copy.
        package var isKernelState: Bool {
            Self.kernelState.contains(String(decoding: fileSystem, as: UTF8.self))
        }

        private static let local: Set<String> = [
            "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "iso9660", "jfs", "msdos",
            "nilfs2", "ntfs", "ntfs3", "ramfs", "reiserfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs",
        ]
        private static let kernelState: Set<String> = [
            "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
            "fusectl",
            "hugetlbfs", "mqueue", "nsfs", "pipefs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs",
            "sockfs",
            "sysfs", "tracefs",
        ]
    }

    /// In the kernel's order: of two mounts at one place the later one covers the other.
    package var entries: [Entry]

    /// The table of this process, empty when it cannot be read.
    package static func current(root: String = "/proc") -> MountTable {
        MountTable(parsing: RawFile.contents(of: "\(root)/self/mountinfo", limit: 64 << 20) ?? [])
    }

    /// From the contents of `mountinfo`; lines that make no sense are left out.
    package init(parsing bytes: [UInt8]) {
        entries = bytes.split(separator: UInt8(ascii: "\n")).compactMap { Entry(parsing: $0) }
    }

    /// The mount with that id.
    package subscript(id: Int32) -> Entry? {
        entries.last { $0.identity.id == id }
    }
}

extension MountTable.Entry {
    /// From a line such as `36 35 98:0 / /mnt rw,noatime shared:1 - ext3 /dev/root rw`: proc(5).
    fileprivate init?(parsing line: ArraySlice<UInt8>) {
        let fields = line.split(separator: UInt8(ascii: " "))
        // Optional fields stand between the options and a lone dash.
        guard fields.count > 6, let dash = fields[6...].firstIndex(where: { $0.elementsEqual([UInt8(ascii: "-")]) }),
            fields.indices.contains(dash + 1), let id = Int32(decimal: fields[0])
        else { return nil }
        let device = fields[2].split(separator: UInt8(ascii: ":"))
        guard device.count == 2, let major = UInt32(decimal: device[0]), let minor = UInt32(decimal: device[1])
        else { return nil }
        identity = MountIdentity(id: id, device: DeviceNumber(major: major, minor: minor))
        mountPoint = Self.unescaped(fields[4])
        fileSystem = Self.unescaped(fields[dash + 1])
    }

    /// Blanks, newlines and backslashes stand as a backslash and three octal digits.
    private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3, let value = UInt8(octal: rest.prefix(3)) {
                result.append(value)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return result
    }
}
