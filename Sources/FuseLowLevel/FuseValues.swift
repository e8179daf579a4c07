import Glibc

/// Who made a request.
public struct FuseRequestContext: Sendable, Hashable {
    /// The id of the calling *thread* in the mount's pid namespace; 0 for a caller outside it, and for requests that the
    /// kernel makes on its own (RELEASE, writeback, most of readahead).
    public var pid: Int32
    /// Of the calling process, for file access (`fsuid`).
    public var uid: UInt32
    /// Of the calling process, for file access (`fsgid`).
    public var gid: UInt32
    /// The kernel has applied it to the mode already (FUSE_CAP_DONT_MASK is off). Only told with create, mkdir and mknod.
    public var umask: UInt16

    /// See the properties.
    public init(pid: Int32, uid: UInt32, gid: UInt32, umask: UInt16) {
        self.pid = pid
        self.uid = uid
        self.gid = gid
        self.umask = umask
    }
}

/// The answer to LOOKUP and whatever else makes an inode known to the kernel.
///
/// Sending one raises the inode's lookup count; see ``FuseOperations/forgotten(_:)``.
public struct FuseEntry: Sendable, Hashable {
    /// What the name stands for; never 0.
    public var inode: InodeNumber
    /// Tells an inode number's uses apart when it is used again; 0 serves where none is.
    public var generation: UInt64
    /// What `stat` of it tells.
    public var attributes: FileAttributes
    /// For how long the kernel may answer `stat` from its own copy.
    public var attributeTimeout: Duration
    /// For how long the kernel may take the name for this inode without asking.
    public var entryTimeout: Duration

    /// See the properties.
    public init(
        inode: InodeNumber, generation: UInt64 = 0, attributes: FileAttributes, attributeTimeout: Duration = .zero,
        entryTimeout: Duration = .zero
    ) {
        self.inode = inode
        self.generation = generation
        self.attributes = attributes
        self.attributeTimeout = attributeTimeout
        self.entryTimeout = entryTimeout
    }
}

/// The answer to OPEN and OPENDIR.
///
/// `parallelDirectWrites` is not among these: libfuse 3.14 cannot tell the kernel.
public struct FuseOpen: Sendable, Hashable {
    /// The file system's own number for this open file; handed back with every request on it, and last with `release`.
    public var handle: UInt64
    /// Reads and writes bypass the page cache: each write is one request with nothing asked before it, and
    /// `mmap(MAP_SHARED)` is refused.
    public var directIO: Bool
    /// What the page cache holds from an earlier open stays valid.
    public var keepCache: Bool
    /// `close` sends no FLUSH.
    public var noFlush: Bool
    /// `lseek` fails.
    public var nonSeekable: Bool
    /// For OPENDIR: the kernel may cache the listing.
    public var cacheReaddir: Bool

    /// See the properties.
    public init(
        handle: UInt64, directIO: Bool = false, keepCache: Bool = false, noFlush: Bool = false,
        nonSeekable: Bool = false, cacheReaddir: Bool = false
    ) {
        self.handle = handle
        self.directIO = directIO
        self.keepCache = keepCache
        self.noFlush = noFlush
        self.nonSeekable = nonSeekable
        self.cacheReaddir = cacheReaddir
    }
}

/// How a file is opened: the flags of `open(2)`, without O_CREAT, O_EXCL and O_NOCTTY, which the kernel deals with.
public struct FileOpenFlags: RawRepresentable, Sendable, Hashable {
    /// The bits as the kernel has them.
    public let rawValue: Int32

    /// The bits as the kernel has them.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// O_RDONLY or O_RDWR.
    public var canRead: Bool { rawValue & O_ACCMODE != O_WRONLY }
    /// O_WRONLY or O_RDWR.
    public var canWrite: Bool { rawValue & O_ACCMODE != O_RDONLY }
    /// O_TRUNC: this module asks for FUSE_CAP_ATOMIC_O_TRUNC, so it arrives with `open` and no SETATTR(size 0) comes
    /// before. It may come with a read-only open, where POSIX leaves the effect open and Linux truncates.
    public var truncates: Bool { rawValue & O_TRUNC != 0 }
    /// O_APPEND: the kernel has put the offset of each write at what it takes for the end.
    public var appends: Bool { rawValue & O_APPEND != 0 }
    /// O_EXCL: with `create`, the name must not exist yet. The kernel has looked before; a race with another client of
    /// the same file system cannot happen in one mount.
    public var isExclusive: Bool { rawValue & O_EXCL != 0 }
}

/// The flags of `renameat2(2)`.
public struct FileRenameFlags: OptionSet, Sendable, Hashable {
    /// The bits as the kernel has them.
    public let rawValue: UInt32

    /// The bits as the kernel has them.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// RENAME_NOREPLACE: refuse with EEXIST when the new name is taken. The kernel has looked before.
    public static let noReplace = FileRenameFlags(rawValue: 1 << 0)
    /// RENAME_EXCHANGE: both names exist, and swap.
    public static let exchange = FileRenameFlags(rawValue: 1 << 1)
    /// RENAME_WHITEOUT: leave a marker in place of the old name (overlayfs).
    public static let whiteout = FileRenameFlags(rawValue: 1 << 2)
}

/// The mode of `fallocate(2)`; none of these means: allocate, and extend the file if need be.
public struct FileAllocationMode: OptionSet, Sendable, Hashable {
    /// The bits as the kernel has them.
    public let rawValue: Int32

    /// The bits as the kernel has them.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// FALLOC_FL_KEEP_SIZE
    public static let keepSize = FileAllocationMode(rawValue: 0x01)
    /// FALLOC_FL_PUNCH_HOLE
    public static let punchHole = FileAllocationMode(rawValue: 0x02)
    /// FALLOC_FL_ZERO_RANGE
    public static let zeroRange = FileAllocationMode(rawValue: 0x10)
}

/// The flags of `setxattr(2)`; none of these means: create or replace.
public struct ExtendedAttributeFlags: OptionSet, Sendable, Hashable {
    /// The bits as the kernel has them.
    public let rawValue: Int32

    /// The bits as the kernel has them.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// XATTR_CREATE: refuse with EEXIST when there is one.
    public static let create = ExtendedAttributeFlags(rawValue: 1)
    /// XATTR_REPLACE: refuse with ENODATA when there is none.
    public static let replace = ExtendedAttributeFlags(rawValue: 2)
}

/// What `lseek` looks for.
public enum SeekTarget: Sendable, Hashable {
    /// SEEK_DATA
    case data
    /// SEEK_HOLE
    case hole
}

/// What `statfs` (and `df`) tells about the whole file system. Counts of blocks are in units of `fragmentSize`.
public struct FileSystemStatistics: Sendable, Hashable {
    /// In bytes.
    public var blockSize: UInt32
    /// In bytes: the unit of the three counts of blocks.
    public var fragmentSize: UInt32
    /// How many there are in all.
    public var blocks: UInt64
    /// Free for root.
    public var freeBlocks: UInt64
    /// Free for ordinary users.
    public var availableBlocks: UInt64
    /// How many inodes there can be; 0 when that is not limited.
    public var files: UInt64
    /// How many more inodes there can be.
    public var freeFiles: UInt64
    /// The longest name, in bytes.
    public var maximumNameLength: UInt32

    /// See the properties.
    public init(
        blockSize: UInt32, fragmentSize: UInt32, blocks: UInt64, freeBlocks: UInt64, availableBlocks: UInt64,
        files: UInt64 = 0, freeFiles: UInt64 = 0, maximumNameLength: UInt32 = 255
    ) {
        self.blockSize = blockSize
        self.fragmentSize = fragmentSize
        self.blocks = blocks
        self.freeBlocks = freeBlocks
        self.availableBlocks = availableBlocks
        self.files = files
        self.freeFiles = freeFiles
        self.maximumNameLength = maximumNameLength
    }
}
