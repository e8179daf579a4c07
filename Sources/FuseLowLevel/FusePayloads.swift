/// The answer to CREATE: the new file, and its open handle.
public struct FuseCreated: Sendable, Hashable {
    /// The file.
    public var entry: FuseEntry
    /// Its handle.
    public var open: FuseOpen

    /// Both.
    public init(entry: FuseEntry, open: FuseOpen) {
        self.entry = entry
        self.open = open
    }
}

/// Names a reply to READLINK, which is answered with the bytes of the target.
public enum FuseLinkTarget: Sendable {}

/// Names a reply to READ, which is answered with bytes.
public enum FuseData: Sendable {}

/// Names a reply to WRITE, which is answered with the number of bytes taken.
public enum FuseWritten: Sendable {}

/// Names a reply to LSEEK, which is answered with an offset in bytes.
public enum FuseOffset: Sendable {}

/// Names a reply to GETXATTR, which is answered with the value; the size that the caller asked for is seen to.
public enum ExtendedAttributeValue: Sendable {}

/// Names a reply to LISTXATTR, which is answered with the names.
public enum ExtendedAttributeNames: Sendable {}
