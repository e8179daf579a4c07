import Formats

/// Identifies a node of a ``FileTree`` for as long as the tree lives: identifiers are never used again.
public struct NodeID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The root directory; the kernel calls it 1 as well (`FUSE_ROOT_ID`).
    public static let root = NodeID(1)

    /// The inode number.
    public let rawValue: UInt64

    /// The node with this inode number, whether or not there is one.
    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Orders by inode number.
    public static func < (left: NodeID, right: NodeID) -> Bool { left.rawValue < right.rawValue }

    /// The inode number in decimal.
    public var description: String { String(rawValue) }
}

/// What `stat` tells about a node beyond what the tree itself knows.
public struct NodeAttributes: Sendable, Hashable {
    /// Permission bits with set-uid, set-gid and sticky: `07777`, without the file's type.
    public var mode: UInt32
    /// The owner.
    public var userID: UInt32
    /// The owning group.
    public var groupID: UInt32
    /// `atime`.
    public var accessTime: FileTime
    /// `mtime`.
    public var modificationTime: FileTime
    /// `ctime`.
    public var changeTime: FileTime

    /// Attributes of a node that came to be at `time`.
    public init(mode: UInt32, userID: UInt32, groupID: UInt32, time: FileTime) {
        self.mode = mode & 0o7777
        self.userID = userID
        self.groupID = groupID
        self.accessTime = time
        self.modificationTime = time
        self.changeTime = time
    }
}

/// A directory or a file of a ``FileTree``, as it was when it was asked for.
public struct TreeNode<File: Sendable>: Sendable {
    /// What the node is.
    public enum Content: Sendable {
        case directory
        case file(File)
    }

    /// Its identifier.
    public let id: NodeID
    /// What it is.
    public internal(set) var content: Content
    /// Mode, owner and times.
    public internal(set) var attributes: NodeAttributes
    /// `st_nlink`: 2 and one more for each subdirectory; 1 for a file; 0 for what was removed.
    public internal(set) var linkCount: UInt32
    /// Where it is listed: nil for the root and for what was removed.
    public internal(set) var location: NodeLocation?

    /// Whether it is a directory.
    public var isDirectory: Bool {
        switch content {
        case .directory: true
        case .file: false
        }
    }

    /// The file's payload, nil for a directory.
    public var file: File? {
        switch content {
        case .directory: nil
        case .file(let file): file
        }
    }

    /// Whether it was removed, and is kept only because it may still be open.
    public var isUnlinked: Bool { linkCount == 0 }
}

/// Where a node is listed.
public struct NodeLocation: Sendable, Hashable {
    /// The directory.
    public let parent: NodeID
    /// The name in it.
    public let name: FileName
}
