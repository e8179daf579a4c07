import Formats
import Glibc

extension DeviceNumber {
    /// From `st_dev`, which Glibc packs into 64 bits: makedev(3).
    public init(_ device: dev_t) {
        self.init(
            major: UInt32(truncatingIfNeeded: (device >> 8 & 0xfff) | (device >> 32 & 0xffff_f000)),
            minor: UInt32(truncatingIfNeeded: (device & 0xff) | (device >> 12 & 0xffff_ff00)))
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
            let entry = MountTable.current(root: root).topmostEntry(atMountPoint: Array(mountPoint.utf8))
        else { return nil }
        self = entry.identity
    }
}

extension MountTable {
    /// The mounts that this process can see; none when they cannot be read.
    package static func current(root: String = "/proc") -> MountTable {
        MountTable(parsing: RawFile.contents(of: "\(root)/self/mountinfo", limit: 64 << 20) ?? [])
    }
}

extension MountTable.Entry {
    /// How the kernel names it.
    package var identity: MountIdentity { MountIdentity(id: id, device: device) }

    /// Its files are on a local disk or in memory: asking for their size needs neither a network nor a program.
    package var answersAtOnce: Bool { Self.local.contains(fileSystemType) }

    /// It shows the kernel's own state: its files are no sources of a copy.
    package var isKernelState: Bool { Self.kernelState.contains(fileSystemType) }

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
