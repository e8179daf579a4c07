import FileTree
import FuseLowLevel
import Synchronization
import UploadCore
import UploadStore

// Attributes: sizes are the files' own, the rest is the tree's.

extension MountedFilesystem {
    /// What `stat` shows as the best size of a write: with it, cp and cat write 1 MiB at a time.
    private static let preferredBlockSize: UInt32 = 1 << 20

    package func attributes(of node: NodeID) throws(FuseErrno) -> FileAttributes {
        // What was forgotten here and is still known to the kernel is stale: it looks the name up anew.
        guard let entry = tree.withLock({ try? $0.node(node) }) else { throw .staleFileHandle }
        var attributes = FileAttributes(
            inode: InodeNumber(rawValue: node.rawValue), kind: entry.isDirectory ? .directory : .regular,
            permissions: UInt16(truncatingIfNeeded: entry.attributes.mode & 0o7777), linkCount: entry.linkCount,
            uid: entry.attributes.userID, gid: entry.attributes.groupID, size: 0,
            accessTime: FileTime(entry.attributes.accessTime),
            modificationTime: FileTime(entry.attributes.modificationTime),
            changeTime: FileTime(entry.attributes.changeTime))
        attributes.preferredBlockSize = Self.preferredBlockSize
        if let file = entry.file {
            let look = file.look
            let (size, modified) = (look.version?.size ?? 0, look.modified)
            attributes.size = size
            attributes.blocks = (size + 511) / 512
            if let modified {
                attributes.modificationTime = FileTime(modified)
                attributes.changeTime = max(attributes.changeTime, FileTime(modified))
            }
        }
        return attributes
    }

    /// Mode, owner and times are kept and shown; a size is cut or extended to.
    package func setAttributes(
        of node: NodeID, _ changes: FileAttributeChanges, handle: UInt64?, context: FuseRequestContext
    ) throws(FuseErrno) -> FileAttributes {
        if let size = changes.size {
            try checkWritable()
            let file = try file(node)
            try truncate(file, node: node, to: size, context: context, hasHandle: handle != nil)
        }
        let setsTimes = changes.accessTime != nil || changes.modificationTime != nil
        if setsTimes, changes.size == nil, let file = tree.withLock({ try? $0.file(node) }) {
            file.timesWereSet()
        }
        let now = NodeTime.now()
        _ = try withTree { tree throws(TreeError) in
            try tree.updateAttributes(of: node) { attributes in
                if let permissions = changes.permissions { attributes.mode = UInt32(permissions) }
                if let uid = changes.uid { attributes.userID = uid }
                if let gid = changes.gid { attributes.groupID = gid }
                if let time = changes.accessTime { attributes.accessTime = NodeTime(time, now: now) }
                if let time = changes.modificationTime { attributes.modificationTime = NodeTime(time, now: now) }
                attributes.changeTime = changes.changeTime.map { NodeTime($0) } ?? now
            }
        }
        return try attributes(of: node)
    }

    /// The room in the spool: what can be written before `ENOSPC`.
    func statistics() throws(FuseErrno) -> FileSystemStatistics {
        let room: SpoolRoom
        do throws(SpoolError) {
            room = try spool.room()
        } catch {
            throw FuseErrno(error.uploadFailure)
        }
        let blockSize: Int64 = 4096
        let freeBlocks = UInt64(min(room.free.bytes + evictableBytes, room.capacity.bytes) / blockSize)
        let files = UInt64(tree.withLock { $0.count })
        return FileSystemStatistics(
            blockSize: UInt32(blockSize), fragmentSize: UInt32(blockSize),
            blocks: UInt64(room.capacity.bytes / blockSize), freeBlocks: freeBlocks,
            availableBlocks: freeBlocks, files: files + Self.freeFiles,
            freeFiles: Self.freeFiles, maximumNameLength: UInt32(FileName.maximumLength))
    }

    /// There is no limit of the number of files but memory; tools want to see room.
    private static let freeFiles: UInt64 = 1_000_000
}

extension FileTime {
    init(_ time: NodeTime) { self.init(seconds: time.seconds, nanoseconds: time.nanoseconds) }
}

extension NodeTime {
    init(_ time: FileTime) { self.init(seconds: time.seconds, nanoseconds: time.nanoseconds) }

    init(_ change: FileAttributeChanges.Time, now: NodeTime) {
        switch change {
        case .now: self = now
        case .at(let time): self.init(time)
        }
    }
}
