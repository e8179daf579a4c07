import Formats
import Foundation
import FuseLowLevel
import Synchronization

/// A disk of a test's own whose calls fail when they are told to: a cable that comes loose, a sector that is worn out.
///
/// The test's own process serves it, from memory. It is just enough of a file system to keep a state directory.
package final class FailingDisk: FuseOperations {
    /// What fails.
    package enum Call: Sendable {
        case create, write, read, sync
    }

    /// Whose calls fail.
    package enum Part: Sendable {
        /// `journal.sqlite` and what lies beside it.
        case journal
        /// Everything else.
        case spool
    }

    private struct Failure: Hashable {
        var call: Call
        var part: Part
    }

    private struct Node {
        var attributes: FileAttributes
        var part: Part
        var content: [UInt8] = []
        var children: [[UInt8]: InodeNumber] = [:]

        mutating func resize(_ size: Int) {
            if size < content.count {
                content.removeLast(content.count - size)
            } else {
                content.append(contentsOf: repeatElement(0, count: size - content.count))
            }
            attributes.size = Int64(size)
        }
    }

    private struct State {
        var nodes: [InodeNumber: Node]
        var failures: [Failure: FuseErrno] = [:]
        var holdsSyncs = false
        var heldSyncs: [DeferredReply<Void>] = []
    }

    private let state: Mutex<State>

    private init() {
        let root = Self.attributes(of: .root, kind: .directory, permissions: 0o755)
        state = Mutex(State(nodes: [.root: Node(attributes: root, part: .spool)]))
    }

    /// Mounts such a disk for as long as `body` takes, which is given its path.
    package static func with<Value>(
        in scratch: Scratch, _ body: (String, FailingDisk) async throws -> Value
    ) async throws -> Value {
        let disk = FailingDisk()
        var options = FuseMountOptions()
        (options.fsname, options.subtype) = ("failing-disk", "failingdisk")
        let session = try FuseSession(
            mountpoint: try scratch.folder("disk"), options: options, operations: disk, workerCount: 4,
            log: { level, message in print("libfuse \(level): \(message)") })
        try session.mount()
        RunRegister.mount(session.mountpoint)
        defer {
            session.stop()
            try? session.unmount(lazily: true)
        }
        try session.start()
        return try await body(session.mountpoint, disk)
    }

    /// Has these calls fail from now on.
    package func fail(_ calls: Call..., of part: Part, with errno: Int32 = EIO) {
        state.withLock { state in
            for call in calls { state.failures[Failure(call: call, part: part)] = FuseErrno(rawValue: errno) }
        }
    }

    /// Has every `fsync` wait from now on, of both parts, as on a disk that takes its time.
    package func holdSyncs() { state.withLock { $0.holdsSyncs = true } }

    /// How many of them wait.
    package var heldSyncs: Int { state.withLock { $0.heldSyncs.count } }

    /// Has everything succeed again, and what was held.
    package func heal() {
        let held = state.withLock { state in
            defer { state.heldSyncs = [] }
            state.failures = [:]
            state.holdsSyncs = false
            return state.heldSyncs
        }
        for reply in held { reply.succeed() }
    }

    // MARK: -

    private static func attributes(of inode: InodeNumber, kind: FileKind, permissions: UInt16) -> FileAttributes {
        let time = FileTime(seconds: 1_700_000_000)
        return FileAttributes(
            inode: inode, kind: kind, permissions: permissions, linkCount: kind == .directory ? 2 : 1, uid: getuid(),
            gid: getgid(), accessTime: time, modificationTime: time, changeTime: time)
    }

    private func failure(_ call: Call, of inode: InodeNumber) -> FuseErrno? {
        state.withLock { state in
            guard let part = state.nodes[inode]?.part else { return .staleFileHandle }
            return state.failures[Failure(call: call, part: part)]
        }
    }

    private func make(
        _ name: [UInt8], in parent: InodeNumber, kind: FileKind, permissions: UInt16
    ) -> Result<FuseEntry, FuseErrno> {
        let part = name.starts(with: "journal".utf8) ? Part.journal : .spool
        return state.withLock { state in
            if let errno = state.failures[Failure(call: .create, part: part)] { return .failure(errno) }
            if state.nodes[parent]?.children[name] != nil { return .failure(.fileExists) }
            let inode = InodeNumber(rawValue: UInt64(state.nodes.count + 1))
            let attributes = Self.attributes(of: inode, kind: kind, permissions: permissions)
            state.nodes[inode] = Node(attributes: attributes, part: part)
            state.nodes[parent]?.children[name] = inode
            return .success(FuseEntry(inode: inode, attributes: attributes))
        }
    }

    private func opened(_ inode: InodeNumber) -> FuseOpen {
        // SQLite maps its index, which goes through the page cache; nothing else may be answered from there.
        FuseOpen(handle: 0, directIO: state.withLock { $0.nodes[inode]?.part == .spool })
    }

    // MARK: Names

    package func lookup(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseEntry>
    ) {
        let found = state.withLock { state in state.nodes[parent]?.children[name].flatMap { state.nodes[$0] } }
        guard let found else { return reply.fail(.noSuchFileOrDirectory) }
        reply.succeed(FuseEntry(inode: found.attributes.inode, attributes: found.attributes))
    }

    package func mkdir(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>
    ) {
        switch make(name, in: parent, kind: .directory, permissions: permissions) {
        case .success(let entry): reply.succeed(entry)
        case .failure(let errno): reply.fail(errno)
        }
    }

    package func create(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, flags: FileOpenFlags,
        context: FuseRequestContext, reply: consuming FuseReply<FuseCreated>
    ) {
        switch make(name, in: parent, kind: .regular, permissions: permissions) {
        case .success(let entry): reply.succeed(entry, opened(entry.attributes.inode))
        case .failure(let errno): reply.fail(errno)
        }
    }

    package func unlink(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        let isRemoved = state.withLock { state in
            guard let inode = state.nodes[parent]?.children.removeValue(forKey: name) else { return false }
            state.nodes[inode]?.attributes.linkCount = 0
            return true
        }
        if isRemoved { reply.succeed() } else { reply.fail(.noSuchFileOrDirectory) }
    }

    package func rename(
        _ name: [UInt8], in parent: InodeNumber, to newName: [UInt8], in newParent: InodeNumber,
        flags: FileRenameFlags, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        let isMoved = state.withLock { state in
            guard let inode = state.nodes[parent]?.children.removeValue(forKey: name) else { return false }
            state.nodes[newParent]?.children[newName] = inode
            return true
        }
        if isMoved { reply.succeed() } else { reply.fail(.noSuchFileOrDirectory) }
    }

    package func readdir(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryListing>
    ) {
        var listing = reply.emptyListing()
        for (index, entry) in entries(in: inode).enumerated().dropFirst(Int(offset)) {
            let packed = DirectoryEntry(
                name: entry.name, inode: entry.attributes.inode, kind: entry.attributes.kind,
                nextOffset: Int64(index + 1))
            guard listing.append(packed) else { break }
        }
        reply.succeed(listing)
    }

    package func readdirplus(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryPlusListing>
    ) {
        var listing = reply.emptyListing()
        for (index, entry) in entries(in: inode).enumerated().dropFirst(Int(offset)) {
            let packed = FuseEntry(inode: entry.attributes.inode, attributes: entry.attributes)
            guard listing.append(packed, named: entry.name, nextOffset: Int64(index + 1)) else { break }
        }
        reply.succeed(listing)
    }

    private func entries(in folder: InodeNumber) -> [(name: [UInt8], attributes: FileAttributes)] {
        state.withLock { state in
            (state.nodes[folder]?.children ?? [:]).sorted { $0.value.rawValue < $1.value.rawValue }
                .compactMap { name, inode in state.nodes[inode].map { (name, $0.attributes) } }
        }
    }

    // MARK: Attributes

    package func getattr(
        _ inode: InodeNumber, handle: UInt64?, context: FuseRequestContext, reply: consuming FuseReply<FileAttributes>
    ) {
        guard let attributes = state.withLock({ $0.nodes[inode]?.attributes }) else {
            return reply.fail(.staleFileHandle)
        }
        reply.succeed(attributes)
    }

    package func setattr(
        _ inode: InodeNumber, changes: FileAttributeChanges, handle: UInt64?, context: FuseRequestContext,
        reply: consuming FuseReply<FileAttributes>
    ) {
        if changes.size != nil, let errno = failure(.write, of: inode) { return reply.fail(errno) }
        let attributes = state.withLock { state in
            if let permissions = changes.permissions { state.nodes[inode]?.attributes.permissions = permissions }
            if let size = changes.size { state.nodes[inode]?.resize(Int(size)) }
            return state.nodes[inode]?.attributes
        }
        guard let attributes else { return reply.fail(.staleFileHandle) }
        reply.succeed(attributes)
    }

    package func statfs(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FileSystemStatistics>
    ) {
        reply.succeed(
            FileSystemStatistics(
                blockSize: 4096, fragmentSize: 4096, blocks: 1 << 20, freeBlocks: 1 << 20, availableBlocks: 1 << 20,
                files: 1 << 20, freeFiles: 1 << 20))
    }

    // MARK: Contents

    package func open(
        _ inode: InodeNumber, flags: FileOpenFlags, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>
    ) {
        if flags.truncates { state.withLock { $0.nodes[inode]?.resize(0) } }
        reply.succeed(opened(inode))
    }

    package func read(
        _ inode: InodeNumber, handle: UInt64, at offset: Int64, count: Int, context: FuseRequestContext,
        reply: consuming FuseReply<FuseData>
    ) {
        if let errno = failure(.read, of: inode) { return reply.fail(errno) }
        let bytes = state.withLock { Array(($0.nodes[inode]?.content ?? []).dropFirst(Int(offset)).prefix(count)) }
        reply.succeed(bytes)
    }

    package func write(
        _ data: UnsafeRawBufferPointer, to inode: InodeNumber, handle: UInt64, at offset: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<FuseWritten>
    ) {
        if let errno = failure(.write, of: inode) { return reply.fail(errno) }
        let end = Int(offset) + data.count
        // Copied before the lock is taken: what a mutex guards takes nothing that points elsewhere.
        let bytes = [UInt8](data)
        state.withLock { state in
            if end > state.nodes[inode]?.content.count ?? 0 { state.nodes[inode]?.resize(end) }
            state.nodes[inode]?.content.replaceSubrange(Int(offset)..<end, with: bytes)
        }
        reply.succeed(bytes.count)
    }

    package func fallocate(
        _ inode: InodeNumber, handle: UInt64, mode: FileAllocationMode, offset: Int64, length: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        guard mode == [.punchHole, .keepSize] else { return reply.fail(.notSupported) }
        state.withLock { state in
            let end = min(Int(offset + length), state.nodes[inode]?.content.count ?? 0)
            guard end > Int(offset) else { return }
            let zeros = repeatElement(UInt8(0), count: end - Int(offset))
            state.nodes[inode]?.content.replaceSubrange(Int(offset)..<end, with: zeros)
        }
        reply.succeed()
    }

    package func fsync(
        _ inode: InodeNumber, handle: UInt64, dataOnly: Bool, context: FuseRequestContext,
        reply: consuming FuseReply<Void>
    ) {
        sync(inode, reply)
    }

    package func fsyncdir(
        _ inode: InodeNumber, handle: UInt64, dataOnly: Bool, context: FuseRequestContext,
        reply: consuming FuseReply<Void>
    ) {
        sync(inode, reply)
    }

    private func sync(_ inode: InodeNumber, _ reply: consuming FuseReply<Void>) {
        if let errno = failure(.sync, of: inode) { return reply.fail(errno) }
        let reply = reply.deferred()
        let isHeld = state.withLock { state in
            if state.holdsSyncs { state.heldSyncs.append(reply) }
            return state.holdsSyncs
        }
        if !isHeld { reply.succeed() }
    }
}
