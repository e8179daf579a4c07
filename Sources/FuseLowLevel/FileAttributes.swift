import Formats

/// The number the kernel and the file system call a file by.
///
/// A number must not be used again for another file while the mount lives: requests that name the old file may still
/// be on their way. ``FuseEntry`` with number 0 is a negative entry.
public struct InodeNumber: RawRepresentable, Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt64

    /// The number.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The mount's root directory. It is known to the kernel from the start and never forgotten.
    public static let root = InodeNumber(rawValue: 1)

    /// By number.
    public static func < (left: InodeNumber, right: InodeNumber) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The number, in decimal.
    public var description: String { String(rawValue) }
}

/// What a directory entry is: the file type bits of `st_mode`, see inode(7).
public enum FileKind: UInt32, Sendable, CaseIterable {
    case regular = 0o100000
    case directory = 0o040000
    case symbolicLink = 0o120000
    case namedPipe = 0o010000
    case socket = 0o140000
    case characterDevice = 0o020000
    case blockDevice = 0o060000

    /// All the bits of `st_mode` that tell the kind.
    static let mask: UInt32 = 0o170000
}

/// What `stat` tells about a file.
public struct FileAttributes: Sendable, Hashable {
    /// Shown to programs as `st_ino`.
    public var inode: InodeNumber
    /// The type bits of `st_mode`.
    public var kind: FileKind
    /// The low 12 bits of `st_mode`: rwx for user, group, others, and set-user-id, set-group-id, sticky.
    public var permissions: UInt16
    /// How many names it has.
    public var linkCount: UInt32
    /// Owner.
    public var uid: UInt32
    /// Group.
    public var gid: UInt32
    /// In bytes.
    public var size: Int64
    /// Space taken, in units of 512 bytes whatever the file system's own block is.
    public var blocks: Int64
    /// `st_blksize` in bytes: how much tools read and write at a time.
    public var preferredBlockSize: UInt32
    /// Last read.
    public var accessTime: FileTime
    /// Last change of the content.
    public var modificationTime: FileTime
    /// Last change of anything.
    public var changeTime: FileTime

    /// - Parameters:
    ///   - blocks: in units of 512 bytes; those of `size` when nil.
    ///   - preferredBlockSize: in bytes.
    public init(
        inode: InodeNumber, kind: FileKind, permissions: UInt16, linkCount: UInt32 = 1, uid: UInt32, gid: UInt32,
        size: Int64 = 0, blocks: Int64? = nil, preferredBlockSize: UInt32 = 1 << 20, accessTime: FileTime,
        modificationTime: FileTime, changeTime: FileTime
    ) {
        self.inode = inode
        self.kind = kind
        self.permissions = permissions
        self.linkCount = linkCount
        self.uid = uid
        self.gid = gid
        self.size = size
        self.blocks = blocks ?? (size / 512 + (size % 512 == 0 ? 0 : 1))
        self.preferredBlockSize = preferredBlockSize
        self.accessTime = accessTime
        self.modificationTime = modificationTime
        self.changeTime = changeTime
    }
}

/// What SETATTR asks to change; nil is left as it is.
///
/// `chmod`, `chown`, `truncate` and `utimensat` arrive as this. When nothing at all is set, only the attributes are
/// wanted back.
public struct FileAttributeChanges: Sendable, Hashable {
    /// A time to be set.
    public enum Time: Sendable, Hashable {
        /// The file system's own clock at this moment (`UTIME_NOW`).
        case now
        case at(FileTime)
    }

    /// The low 12 bits of `st_mode`.
    public var permissions: UInt16?
    /// The new owner.
    public var uid: UInt32?
    /// The new group.
    public var gid: UInt32?
    /// In bytes. `ftruncate` comes with a handle, `truncate` without.
    public var size: Int64?
    /// The new time of the last read.
    public var accessTime: Time?
    /// The new time of the last change of the content.
    public var modificationTime: Time?
    /// Only sent with the writeback cache, which this module keeps off.
    public var changeTime: FileTime?

    /// What is nil is left as it is.
    public init(
        permissions: UInt16? = nil, uid: UInt32? = nil, gid: UInt32? = nil, size: Int64? = nil,
        accessTime: Time? = nil, modificationTime: Time? = nil, changeTime: FileTime? = nil
    ) {
        self.permissions = permissions
        self.uid = uid
        self.gid = gid
        self.size = size
        self.accessTime = accessTime
        self.modificationTime = modificationTime
        self.changeTime = changeTime
    }
}
