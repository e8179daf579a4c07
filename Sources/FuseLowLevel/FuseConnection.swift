/// What the kernel and this module agreed upon when the mount started.
public struct FuseConnection: Sendable, Hashable {
    /// The kernel's protocol version, such as 7.45.
    public var protocolVersion: (major: UInt32, minor: UInt32) { (major, minor) }
    private let major: UInt32
    private let minor: UInt32
    /// What the kernel offers.
    public let offered: FuseCapabilities
    /// What this session uses of it.
    public let used: FuseCapabilities
    /// The largest WRITE, in bytes.
    public let maximumWrite: Int
    /// How many background requests (readahead, asynchronous reads, RELEASE) the kernel lets wait before it holds others
    /// back.
    public let maximumBackground: Int

    init(
        major: UInt32, minor: UInt32, offered: FuseCapabilities, used: FuseCapabilities, maximumWrite: Int,
        maximumBackground: Int
    ) {
        self.major = major
        self.minor = minor
        self.offered = offered
        self.used = used
        self.maximumWrite = maximumWrite
        self.maximumBackground = maximumBackground
    }
}

/// The `FUSE_CAP_*` bits of libfuse 3.
public struct FuseCapabilities: OptionSet, Sendable, Hashable {
    /// The bits as libfuse has them.
    public let rawValue: UInt32

    /// Bits as libfuse has them.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Several reads of one file at once.
    public static let asyncRead = FuseCapabilities(rawValue: 1 << 0)
    /// O_TRUNC comes with OPEN rather than as a SETATTR before it.
    public static let atomicTruncation = FuseCapabilities(rawValue: 1 << 3)
    /// Lookups of "." and "..", for NFS.
    public static let exportSupport = FuseCapabilities(rawValue: 1 << 4)
    /// Answers may be spliced from a pipe.
    public static let spliceWrite = FuseCapabilities(rawValue: 1 << 7)
    /// Spliced pages may be moved rather than copied.
    public static let spliceMove = FuseCapabilities(rawValue: 1 << 8)
    /// Requests may be spliced to a pipe.
    public static let spliceRead = FuseCapabilities(rawValue: 1 << 9)
    /// The page cache of a file is dropped when its size or mtime changed.
    public static let automaticInvalidation = FuseCapabilities(rawValue: 1 << 12)
    /// Listings may bring the attributes of what they list.
    public static let readdirplus = FuseCapabilities(rawValue: 1 << 13)
    /// READDIRPLUS only when the entries are looked at, READDIR otherwise.
    public static let automaticReaddirplus = FuseCapabilities(rawValue: 1 << 14)
    /// Direct I/O is split and sent in parallel.
    public static let asyncDirectIO = FuseCapabilities(rawValue: 1 << 15)
    /// Writes are collected in the page cache and sent late.
    public static let writebackCache = FuseCapabilities(rawValue: 1 << 16)
    /// Several lookups and listings of one directory at once.
    public static let parallelDirectoryOperations = FuseCapabilities(rawValue: 1 << 18)
    /// The kernel checks POSIX access control lists kept as extended attributes.
    public static let posixACL = FuseCapabilities(rawValue: 1 << 19)
    /// The file system, not the kernel, clears set-user-id bits upon a write.
    public static let handlesKillPrivileges = FuseCapabilities(rawValue: 1 << 20)
}
