import Formats
import Foundation
import FuseLowLevel
import Synchronization

/// A folder with one file that can be read up to a point: a network drive that goes away, a disc with a scratch.
///
/// The test's own process serves it, so that a tool stands exactly where a test wants it: after so many bytes, with its
/// source still open.
package final class UnreliableSource: FuseOperations {
    /// What becomes of a read beyond the point.
    package enum Beyond: Sendable {
        /// It waits, until its caller has a signal.
        case waits
        /// It fails with `EIO`.
        case fails
    }

    private static let inode = InodeNumber(rawValue: 2)

    private let name: [UInt8]
    private let content: Data
    private let limit: Int
    private let beyond: Beyond
    private let waiting = Mutex<[DeferredReply<FuseData>]>([])

    private init(name: String, content: Data, limit: Int, beyond: Beyond) {
        self.name = Array(name.utf8)
        self.content = content
        self.limit = limit
        self.beyond = beyond
    }

    /// Whether somebody has read everything up to the point, and waits for more.
    package var isWaitedFor: Bool { waiting.withLock { $0.contains { !$0.isAnswered } } }

    /// Mounts a folder with one file for as long as `body` takes.
    ///
    /// - Parameters:
    ///   - name: the file's name.
    ///   - file: whose bytes it has.
    ///   - limit: how many of them can be read; a read of more than what is left of them goes beyond.
    ///   - body: is given the file's path.
    package static func with<Value>(
        _ name: String, like file: String, upTo limit: Int, then beyond: Beyond, in scratch: Scratch,
        _ body: (String, UnreliableSource) async throws -> Value
    ) async throws -> Value {
        let content = try await offload { try Data(contentsOf: URL(fileURLWithPath: file)) }
        let source = UnreliableSource(name: name, content: content, limit: limit, beyond: beyond)
        let folder = try scratch.folder("source-\(UUID().uuidString)")
        let session = try FuseSession(
            mountpoint: folder, options: FuseMountOptions(), operations: source, workerCount: 2,
            log: { level, message in print("libfuse \(level): \(message)") })
        try session.mount()
        RunRegister.mount(folder)
        defer {
            source.letGo()
            session.stop()
            try? session.unmount(lazily: true)
        }
        try session.start()
        return try await body("\(session.mountpoint)/\(name)", source)
    }

    private func letGo() {
        for reply in waiting.withLock({ $0 }) { reply.fail(.ioError) }
    }

    // MARK: FUSE

    package func lookup(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseEntry>
    ) {
        guard name == self.name else { return reply.fail(.noSuchFileOrDirectory) }
        reply.succeed(FuseEntry(inode: Self.inode, attributes: attributes(of: Self.inode)))
    }

    package func getattr(
        _ inode: InodeNumber, handle: UInt64?, context: FuseRequestContext, reply: consuming FuseReply<FileAttributes>
    ) {
        reply.succeed(attributes(of: inode))
    }

    package func setattr(
        _ inode: InodeNumber, changes: FileAttributeChanges, handle: UInt64?, context: FuseRequestContext,
        reply: consuming FuseReply<FileAttributes>
    ) {
        reply.fail(.readOnlyFileSystem)
    }

    private func attributes(of inode: InodeNumber) -> FileAttributes {
        let isFile = inode == Self.inode
        let time = FileTime(seconds: 1_700_000_000)
        return FileAttributes(
            inode: inode, kind: isFile ? .regular : .directory, permissions: isFile ? 0o644 : 0o755,
            linkCount: isFile ? 1 : 2, uid: getuid(), gid: getgid(), size: isFile ? Int64(content.count) : 0,
            accessTime: time, modificationTime: time, changeTime: time)
    }

    package func open(
        _ inode: InodeNumber, flags: FileOpenFlags, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>
    ) {
        // Past the page cache, which would read ahead of the tool.
        reply.succeed(FuseOpen(handle: 0, directIO: true))
    }

    package func read(
        _ inode: InodeNumber, handle: UInt64, at offset: Int64, count: Int, context: FuseRequestContext,
        reply: consuming FuseReply<FuseData>
    ) {
        let start = Int(offset)
        guard start < content.count else { return reply.succeed([]) }
        let end = min(start + count, content.count)
        // All that was asked for or nothing: of a short answer the kernel would learn that the file ends there.
        if end <= limit { return reply.succeed([UInt8](content[start..<end])) }
        switch beyond {
        case .fails: reply.fail(.ioError)
        case .waits:
            let reply = reply.deferred()
            waiting.withLock { $0.append(reply) }
            reply.onInterrupt { [weak reply] in reply?.fail(.interrupted) }
        }
    }

    /// The file has to be known by its name.
    package func readdir(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryListing>
    ) {
        reply.fail(.notPermitted)
    }

    package func readdirplus(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryPlusListing>
    ) {
        reply.fail(.notPermitted)
    }
}
