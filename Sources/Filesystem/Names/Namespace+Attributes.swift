import FileTree
import Formats
import FuseLowLevel
import Synchronization
import UploadCore
import UploadStore

// Attributes: sizes are the files' own, the rest is the tree's.

extension Namespace {
    /// What `stat` shows as the best size of a write: with it, cp and cat write 1 MiB at a time.
    private static let preferredBlockSize: UInt32 = 1 << 20

    /// So many blocks of 512 bytes, as `stat` counts them.
    package static func blocks(of size: Int64) -> Int64 { size / 512 + (size % 512).signum() }

    package func attributes(of node: NodeID) throws(FuseErrno) -> FileAttributes {
        // What was forgotten here and is still known to the kernel is stale: it looks the name up anew.
        guard let entry = tree.withLock({ try? $0.node(node) }) else { throw .staleFileHandle }
        var attributes = FileAttributes(
            inode: InodeNumber(rawValue: node.rawValue), kind: entry.isDirectory ? .directory : .regular,
            permissions: UInt16(truncatingIfNeeded: entry.attributes.mode & 0o7777), linkCount: entry.linkCount,
            uid: entry.attributes.userID, gid: entry.attributes.groupID, size: 0,
            accessTime: entry.attributes.accessTime,
            modificationTime: entry.attributes.modificationTime,
            changeTime: entry.attributes.changeTime)
        attributes.preferredBlockSize = Self.preferredBlockSize
        if let file = entry.file {
            let look = file.look
            let (size, modified) = (look.version?.size ?? 0, look.modified)
            attributes.size = size
            attributes.blocks = Self.blocks(of: size)
            if let modified {
                attributes.modificationTime = modified
                attributes.changeTime = max(attributes.changeTime, modified)
            }
        }
        return attributes
    }

    /// Keeps mode, owner and times; a size is the content's, and is set elsewhere.
    func setAttributes(
        of node: NodeID, _ changes: FileAttributeChanges
    ) throws(FuseErrno) -> FileAttributes {
        let setsTimes = changes.accessTime != nil || changes.modificationTime != nil
        if setsTimes, changes.size == nil, let file = anyFile(node) {
            file.timesWereSet()
        }
        let now = FileTime.now()
        _ = try withTree { tree throws(TreeError) in
            try tree.updateAttributes(of: node) { attributes in
                if let permissions = changes.permissions { attributes.mode = UInt32(permissions) }
                if let uid = changes.uid { attributes.userID = uid }
                if let gid = changes.gid { attributes.groupID = gid }
                if let time = changes.accessTime { attributes.accessTime = FileTime(time, now: now) }
                if let time = changes.modificationTime { attributes.modificationTime = FileTime(time, now: now) }
                attributes.changeTime = changes.changeTime ?? now
            }
        }
        return try attributes(of: node)
    }

}

extension FileTime {
    init(_ change: FileAttributeChanges.Time, now: FileTime) {
        switch change {
        case .now: self = now
        case .at(let time): self = time
        }
    }
}
