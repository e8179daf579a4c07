import Dispatch
import FileTree
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine
import UploadStore

// What FUSE asks of directories.

extension FilesystemService {
    package func opendir(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>
    ) {
        reply.succeed(FuseOpen(handle: 0))
    }

    package func releasedir(_ inode: InodeNumber, handle: UInt64) {}

    package func readdir(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<FuseLowLevel.DirectoryListing>
    ) {
        do throws(FuseErrno) {
            var listing = reply.emptyListing()
            try list(inode, from: offset, visitor(context)) { entry in listing.append(entry) }
            reply.succeed(listing)
        } catch {
            reply.fail(error)
        }
    }

    package func readdirplus(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryPlusListing>
    ) {
        do throws(FuseErrno) {
            var listing = reply.emptyListing()
            let visitor = visitor(context)
            try list(inode, from: offset, visitor) { listed in
                // Gone since it was listed: left out, as if it had gone a moment earlier.
                guard let entry = try? plusEntry(listed, for: visitor) else { return true }
                return listing.append(entry, named: listed.name, nextOffset: listed.nextOffset)
            }
            reply.succeed(listing)
        } catch {
            reply.fail(error)
        }
    }

    private func plusEntry(
        _ listed: FuseLowLevel.DirectoryEntry, for visitor: StatusVisitor
    ) throws(FuseErrno) -> FuseEntry {
        if StatusDirectory.owns(listed.inode) { return try statusEntry(.init(listed.inode), for: visitor) }
        return entry(try namespace.found(NodeID(listed.inode.rawValue)))
    }

    /// Gives `take` the entries after an offset until it wants no more: "." and ".." first, then a directory's own.
    private func list(
        _ inode: InodeNumber, from offset: Int64, _ visitor: StatusVisitor,
        _ take: (FuseLowLevel.DirectoryEntry) -> Bool
    ) throws(FuseErrno) {
        let dots: [[UInt8]] = [Array(".".utf8), Array("..".utf8)]
        for (index, name) in dots.enumerated() where offset <= index {
            guard take(.init(name: name, inode: inode, kind: .directory, nextOffset: Int64(index) + 1)) else { return }
        }
        if StatusDirectory.owns(inode) {
            try status.list(.init(inode), after: offset, for: visitor) { entry in
                take(
                    .init(
                        name: entry.name, inode: entry.node.inode, kind: entry.node.kind, nextOffset: entry.cookie))
            }
        } else {
            let cookie = UInt64(max(0, offset - 2))
            let found = try namespace.withTree { tree throws(TreeError) in
                try tree.entries(in: NodeID(inode.rawValue), after: cookie).prefix(Self.entriesAtATime).map { $0 }
            }
            for entry in found {
                let listed = FuseLowLevel.DirectoryEntry(
                    name: entry.name.bytes, inode: InodeNumber(rawValue: entry.node.rawValue),
                    kind: entry.isDirectory ? .directory : .regular, nextOffset: Int64(entry.cookie) + 2)
                guard take(listed) else { return }
            }
        }
    }

    /// More than fit into one answer.
    private static let entriesAtATime = 1024
}
