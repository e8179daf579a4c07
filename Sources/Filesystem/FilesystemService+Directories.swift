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
            for entry in try listed(inode, from: offset) where !listing.append(entry) { break }
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
            for listed in try listed(inode, from: offset) {
                // Gone since it was listed: left out, as if it had gone a moment earlier.
                guard let entry = try? plusEntry(listed) else { continue }
                guard listing.append(entry, named: listed.name, nextOffset: listed.nextOffset) else { break }
            }
            reply.succeed(listing)
        } catch {
            reply.fail(error)
        }
    }

    private func plusEntry(_ listed: FuseLowLevel.DirectoryEntry) throws(FuseErrno) -> FuseEntry {
        if StatusDirectory.owns(listed.inode) {
            return try statusEntry(try status.node(of: listed.inode))
        }
        return entry(try namespace.found(NodeID(listed.inode.rawValue)))
    }

    /// The entries after an offset: "." and ".." first, then a directory's own in the order of their making.
    private func listed(
        _ inode: InodeNumber, from offset: Int64
    ) throws(FuseErrno) -> [FuseLowLevel.DirectoryEntry] {
        var entries: [FuseLowLevel.DirectoryEntry] = []
        let dots: [[UInt8]] = [Array(".".utf8), Array("..".utf8)]
        for (index, name) in dots.enumerated() where offset <= index {
            entries.append(.init(name: name, inode: inode, kind: .directory, nextOffset: Int64(index) + 1))
        }
        if StatusDirectory.owns(inode) {
            let all = try status.entries(of: try status.node(of: inode))
            for (index, entry) in all.enumerated().dropFirst(Int(max(0, offset - 2))) {
                let number = status.inode(of: entry.node)
                entries.append(
                    .init(name: entry.name, inode: number, kind: entry.node.kind, nextOffset: Int64(index) + 3))
            }
        } else {
            let cookie = UInt64(max(0, offset - 2))
            let found = try namespace.withTree { tree throws(TreeError) in
                try tree.entries(in: NodeID(inode.rawValue), after: cookie).prefix(Self.entriesAtATime).map { $0 }
            }
            entries += found.map { entry in
                .init(
                    name: entry.name.bytes, inode: InodeNumber(rawValue: entry.node.rawValue),
                    kind: entry.isDirectory ? .directory : .regular, nextOffset: Int64(entry.cookie) + 2)
            }
        }
        return entries
    }

    /// More than fit into one answer.
    private static let entriesAtATime = 1024
}

extension StatusDirectory.Node {
    var kind: FileKind {
        switch self {
        case .root, .byName: .directory
        case .alias, .link: .symbolicLink
        case .summary, .metrics, .document: .regular
        }
    }
}
