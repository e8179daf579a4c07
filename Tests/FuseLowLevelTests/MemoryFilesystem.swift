import Formats
import FuseLowLevel
import Glibc
import Synchronization

/// A small file system in memory: what the tests mount.
///
/// Behaviours that a test wants to see are chosen by ``Hooks``; without them it is an ordinary file system.
final class MemoryFilesystem: FuseOperations {
    struct Hooks: Sendable {
        /// Takes over FLUSH.
        var flush: (@Sendable (consuming FuseReply<Void>) -> Void)?
        /// Takes over OPEN.
        var open: (@Sendable (InodeNumber, consuming FuseReply<FuseOpen>) -> Void)?
        /// Takes over GETATTR for other inodes than the root.
        var getattr: (@Sendable (InodeNumber, consuming FuseReply<FileAttributes>) -> Void)?
        /// For how long the kernel may remember attributes.
        var attributeTimeout = Duration.zero
    }

    /// What happened, for tests to wait for.
    struct Journal: Sendable {
        var connection: FuseConnection?
        var stops = 0
        var forgotten: [InodeNumber] = []
        var released: [UInt64] = []
        var flushes = 0
        var openFlags: [FileOpenFlags] = []
        var changes: [FileAttributeChanges] = []
        var renameFlags: [FileRenameFlags] = []
        var writeSizes: [Int] = []
        var callers: [FuseRequestContext] = []
    }

    struct Node: Sendable {
        var attributes: FileAttributes
        var content: [UInt8] = []
        var children: [[UInt8]: InodeNumber] = [:]
        var extendedAttributes: [[UInt8]: [UInt8]] = [:]
    }

    struct Tree: Sendable {
        var nodes: [InodeNumber: Node]
        var lastInode: UInt64 = 1
        var lastHandle: UInt64 = 0
        var listings: [UInt64: [(name: [UInt8], inode: InodeNumber)]] = [:]

        func child(_ name: [UInt8], of parent: InodeNumber) -> (InodeNumber, Node)? {
            guard let inode = nodes[parent]?.children[name], let node = nodes[inode] else { return nil }
            return (inode, node)
        }

        mutating func add(_ name: [UInt8], in parent: InodeNumber, kind: FileKind, permissions: UInt16) -> FuseEntry {
            lastInode += 1
            let inode = InodeNumber(rawValue: lastInode)
            let attributes = MemoryFilesystem.attributes(of: inode, kind: kind, permissions: permissions)
            nodes[inode] = Node(attributes: attributes)
            nodes[parent]?.children[name] = inode
            return FuseEntry(inode: inode, attributes: attributes)
        }

        mutating func nextHandle() -> UInt64 {
            lastHandle += 1
            return lastHandle
        }
    }

    let hooks: Hooks
    let tree: Mutex<Tree>
    let journal = Monitor(Journal())

    init(hooks: Hooks = Hooks()) {
        self.hooks = hooks
        let root = Node(attributes: Self.attributes(of: .root, kind: .directory, permissions: 0o755))
        tree = Mutex(Tree(nodes: [.root: root]))
    }

    static func attributes(of inode: InodeNumber, kind: FileKind, permissions: UInt16) -> FileAttributes {
        let time = FileTime(seconds: 1_700_000_000, nanoseconds: 123_456_789)
        return FileAttributes(
            inode: inode, kind: kind, permissions: permissions, linkCount: kind == .directory ? 2 : 1, uid: getuid(),
            gid: getgid(), accessTime: time, modificationTime: time, changeTime: time)
    }

    // MARK: The mount

    func started(_ connection: FuseConnection) {
        journal.update { $0.connection = connection }
    }

    func stopped() {
        journal.update { $0.stops += 1 }
    }

    func forgotten(_ inode: InodeNumber) {
        journal.update { $0.forgotten.append(inode) }
    }

    func statfs(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FileSystemStatistics>
    ) {
        reply.succeed(
            FileSystemStatistics(
                blockSize: 1 << 20, fragmentSize: 4096, blocks: 1000, freeBlocks: 600, availableBlocks: 500, files: 77,
                freeFiles: 33))
    }

    // MARK: Names

    func lookup(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseEntry>
    ) {
        guard let (inode, node) = tree.withLock({ $0.child(name, of: parent) }) else {
            reply.fail(.noSuchFileOrDirectory)
            return
        }
        reply.succeed(FuseEntry(inode: inode, attributes: node.attributes))
    }

    func mkdir(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>
    ) {
        reply.succeed(tree.withLock { $0.add(name, in: parent, kind: .directory, permissions: permissions) })
    }

    func create(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, flags: FileOpenFlags,
        context: FuseRequestContext, reply: consuming FuseReply<FuseCreated>
    ) {
        journal.update { $0.callers.append(context) }
        let (entry, handle) = tree.withLock { tree in
            (tree.add(name, in: parent, kind: .regular, permissions: permissions), tree.nextHandle())
        }
        reply.succeed(entry, FuseOpen(handle: handle))
    }

    func unlink(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        let removed = tree.withLock { $0.nodes[parent]?.children.removeValue(forKey: name) }
        if removed != nil { reply.succeed() } else { reply.fail(.noSuchFileOrDirectory) }
    }

    func rmdir(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        let error = tree.withLock { tree -> FuseErrno? in
            guard let (_, node) = tree.child(name, of: parent) else { return .noSuchFileOrDirectory }
            guard node.children.isEmpty else { return .directoryNotEmpty }
            tree.nodes[parent]?.children[name] = nil
            return nil
        }
        if let error { reply.fail(error) } else { reply.succeed() }
    }

    func rename(
        _ name: [UInt8], in parent: InodeNumber, to newName: [UInt8], in newParent: InodeNumber,
        flags: FileRenameFlags, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        journal.update { $0.renameFlags.append(flags) }
        tree.withLock { tree in
            let moved = tree.nodes[parent]?.children.removeValue(forKey: name)
            tree.nodes[newParent]?.children[newName] = moved
        }
        reply.succeed()
    }

    // MARK: Attributes

    func getattr(
        _ inode: InodeNumber, handle: UInt64?, context: FuseRequestContext, reply: consuming FuseReply<FileAttributes>
    ) {
        if inode != .root, let hook = hooks.getattr {
            hook(inode, reply)
            return
        }
        guard let node = tree.withLock({ $0.nodes[inode] }) else {
            reply.fail(.staleFileHandle)
            return
        }
        reply.succeed(node.attributes, timeout: hooks.attributeTimeout)
    }

    func setattr(
        _ inode: InodeNumber, changes: FileAttributeChanges, handle: UInt64?, context: FuseRequestContext,
        reply: consuming FuseReply<FileAttributes>
    ) {
        journal.update { $0.changes.append(changes) }
        let attributes = tree.withLock { tree -> FileAttributes? in
            tree.nodes[inode]?.apply(changes)
            return tree.nodes[inode]?.attributes
        }
        if let attributes { reply.succeed(attributes) } else { reply.fail(.staleFileHandle) }
    }

    func setxattr(
        _ inode: InodeNumber, name: [UInt8], value: [UInt8], flags: ExtendedAttributeFlags,
        context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        let error = tree.withLock { tree -> FuseErrno? in
            let exists = tree.nodes[inode]?.extendedAttributes[name] != nil
            if flags.contains(.create) && exists { return .fileExists }
            if flags.contains(.replace) && !exists { return .noData }
            tree.nodes[inode]?.extendedAttributes[name] = value
            return nil
        }
        if let error { reply.fail(error) } else { reply.succeed() }
    }

    func getxattr(
        _ inode: InodeNumber, name: [UInt8], context: FuseRequestContext,
        reply: consuming FuseReply<ExtendedAttributeValue>
    ) {
        let value = tree.withLock { $0.nodes[inode]?.extendedAttributes[name] }
        if let value { reply.succeed(value) } else { reply.fail(.noData) }
    }

    func listxattr(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<ExtendedAttributeNames>
    ) {
        let names = tree.withLock { $0.nodes[inode].map { Array($0.extendedAttributes.keys) } }
        reply.succeed((names ?? []).sorted { $0.lexicographicallyPrecedes($1) })
    }

    func removexattr(
        _ inode: InodeNumber, name: [UInt8], context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        let removed = tree.withLock { $0.nodes[inode]?.extendedAttributes.removeValue(forKey: name) }
        if removed != nil { reply.succeed() } else { reply.fail(.noData) }
    }

    // MARK: Files

    func open(
        _ inode: InodeNumber, flags: FileOpenFlags, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>
    ) {
        journal.update { $0.openFlags.append(flags) }
        if let hook = hooks.open {
            hook(inode, reply)
            return
        }
        let handle = tree.withLock { tree in
            if flags.truncates { tree.nodes[inode]?.resize(0) }
            return tree.nextHandle()
        }
        reply.succeed(FuseOpen(handle: handle, noFlush: !flags.canWrite))
    }

    func read(
        _ inode: InodeNumber, handle: UInt64, at offset: Int64, count: Int, context: FuseRequestContext,
        reply: consuming FuseReply<FuseData>
    ) {
        guard let node = tree.withLock({ $0.nodes[inode] }) else {
            reply.fail(.staleFileHandle)
            return
        }
        reply.answer { buffer in
            let bytes = node.content.dropFirst(Int(offset)).prefix(buffer.count)
            buffer.copyBytes(from: bytes)
            return bytes.count
        }
    }

    func write(
        _ data: UnsafeRawBufferPointer, to inode: InodeNumber, handle: UInt64, at offset: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<FuseWritten>
    ) {
        journal.update { $0.writeSizes.append(data.count) }
        tree.withLock { tree in
            let end = Int(offset) + data.count
            if end > tree.nodes[inode]?.content.count ?? 0 { tree.nodes[inode]?.resize(end) }
            tree.nodes[inode]?.content.replaceSubrange(Int(offset)..<end, with: data)
        }
        reply.succeed(data.count)
    }

    func flush(
        _ inode: InodeNumber, handle: UInt64, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        journal.update { $0.flushes += 1 }
        if let hook = hooks.flush { hook(reply) } else { reply.succeed() }
    }

    func release(_ inode: InodeNumber, handle: UInt64) {
        journal.update { $0.released.append(handle) }
    }

    // MARK: Directories

    func opendir(_ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>) {
        let handle = tree.withLock { tree in
            let handle = tree.nextHandle()
            let children = (tree.nodes[inode]?.children ?? [:]).map { (name: $0.key, inode: $0.value) }
            tree.listings[handle] =
                [([0x2e], inode), ([0x2e, 0x2e], .root)]
                + children.sorted { $0.name.lexicographicallyPrecedes($1.name) }
            return handle
        }
        reply.succeed(FuseOpen(handle: handle))
    }

    func readdir(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryListing>
    ) {
        let entries = tree.withLock { tree in
            (tree.listings[handle] ?? []).map { (name: $0.name, node: tree.nodes[$0.inode]) }
        }
        var listing = reply.emptyListing()
        for (index, entry) in entries.enumerated().dropFirst(Int(offset)) {
            guard let attributes = entry.node?.attributes else { continue }
            let packed = DirectoryEntry(
                name: entry.name, inode: attributes.inode, kind: attributes.kind, nextOffset: Int64(index + 1))
            guard listing.append(packed) else { break }
        }
        reply.succeed(listing)
    }

    func readdirplus(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryPlusListing>
    ) {
        let entries = tree.withLock { tree in
            (tree.listings[handle] ?? []).map { (name: $0.name, node: tree.nodes[$0.inode]) }
        }
        var listing = reply.emptyListing()
        for (index, entry) in entries.enumerated().dropFirst(Int(offset)) {
            guard let attributes = entry.node?.attributes else { continue }
            let packed = FuseEntry(inode: attributes.inode, attributes: attributes)
            guard listing.append(packed, named: entry.name, nextOffset: Int64(index + 1)) else { break }
        }
        reply.succeed(listing)
    }

    func releasedir(_ inode: InodeNumber, handle: UInt64) {
        tree.withLock { $0.listings[handle] = nil }
    }
}

extension MemoryFilesystem.Node {
    mutating func resize(_ size: Int) {
        if size < content.count {
            content.removeLast(content.count - size)
        } else {
            content.append(contentsOf: repeatElement(0, count: size - content.count))
        }
        attributes.size = Int64(size)
    }

    mutating func apply(_ changes: FileAttributeChanges) {
        if let permissions = changes.permissions { attributes.permissions = permissions }
        if let uid = changes.uid { attributes.uid = uid }
        if let gid = changes.gid { attributes.gid = gid }
        if let size = changes.size { resize(Int(size)) }
        if case .at(let time) = changes.modificationTime { attributes.modificationTime = time }
        if case .at(let time) = changes.accessTime { attributes.accessTime = time }
    }
}
