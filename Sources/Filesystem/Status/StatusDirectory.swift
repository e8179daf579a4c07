import Formats
import FuseLowLevel
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// `.status/`: documents made when they are read, from what is so at that moment. Nothing of it can be written, and the
/// root does not list it, so that `rsync --delete` and `cp -r` do not meet it.
final class StatusDirectory: Sendable {
    /// What there is in it.
    enum Node: Sendable, Hashable {
        /// `.status` itself.
        case root
        /// `by-name`, and the directories below it.
        case byName([[UInt8]])
        case summary
        case metrics
        /// The document of the upload of that number.
        case document(Int)
        /// Another name of a document, in `.status` itself: a link to the name that counts.
        case alias([UInt8], Int)
        /// A link below `by-name`, by its names from there, to an upload's document.
        case link([[UInt8]], Int)
    }

    /// An entry of a listing.
    struct Entry: Sendable {
        var name: [UInt8]
        var node: Node
    }

    /// One open document: what it said when it was opened.
    struct Snapshot: Sendable {
        var inode: InodeNumber
        var text: [UInt8]
    }

    /// The name in the root.
    static let name = StatusNames.directory
    /// Inodes from here on are the status directory's; the tree counts from 1 and will not get here.
    private static let firstInode: UInt64 = 1 << 48

    private struct Inodes: Sendable {
        var byNode: [Node: InodeNumber] = [:]
        var byNumber: [InodeNumber: Node] = [:]
        var last = StatusDirectory.firstInode
        /// What the open documents say: `stat` tells their length, so that who looked before reading gets all of it.
        var open: [InodeNumber: (count: Int, length: Int)] = [:]
    }

    private let engine: UploadEngine
    private let spool: SpoolDirectory
    private let admission: WriterAdmission
    private let configuration: FilesystemConfiguration
    private let inodes = Mutex(Inodes())
    private let snapshots = HandleTable<Snapshot>()

    init(
        engine: UploadEngine, spool: SpoolDirectory, admission: WriterAdmission, configuration: FilesystemConfiguration
    ) {
        self.engine = engine
        self.spool = spool
        self.admission = admission
        self.configuration = configuration
    }

    /// Whether an inode is the status directory's.
    static func owns(_ inode: InodeNumber) -> Bool { inode.rawValue >= firstInode }

    // MARK: Inodes

    /// The number of a node; the same one for as long as the kernel remembers it.
    func inode(of node: Node) -> InodeNumber {
        inodes.withLock { inodes in
            if let known = inodes.byNode[node] { return known }
            inodes.last += 1
            let number = InodeNumber(rawValue: inodes.last)
            inodes.byNode[node] = number
            inodes.byNumber[number] = node
            return number
        }
    }

    func node(of inode: InodeNumber) throws(FuseErrno) -> Node {
        try inodes.withLock { $0.byNumber[inode] }.orThrow(.noSuchFileOrDirectory)
    }

    func forgotten(_ inode: InodeNumber) {
        inodes.withLock { inodes in
            guard inodes.open[inode] == nil, let node = inodes.byNumber.removeValue(forKey: inode) else { return }
            inodes.byNode[node] = nil
        }
    }

    // MARK: Names

    func lookup(_ name: [UInt8], in parent: Node) throws(FuseErrno) -> Node {
        switch parent {
        case .root: return try entry(named: name)
        case .byName(let path): return try link(named: name, below: path)
        case .summary, .metrics, .document, .alias, .link: throw .notDirectory
        }
    }

    private func entry(named name: [UInt8]) throws(FuseErrno) -> Node {
        switch StatusNames.entry(named: name) {
        case .summary: return .summary
        case .metrics: return .metrics
        case .byName: return .byName([])
        case .pending, .document:
            for upload in engine.uploads.reversed() where names(of: upload).contains(name) {
                return documentName(of: upload) == name ? .document(upload.number) : .alias(name, upload.number)
            }
            throw .noSuchFileOrDirectory
        case nil: throw .noSuchFileOrDirectory
        }
    }

    private func link(named name: [UInt8], below path: [[UInt8]]) throws(FuseErrno) -> Node {
        let wanted = path + [name]
        var isDirectory = false
        for (upload, path) in uploadsByPath() {
            let link = StatusNames.link(for: path)
            if link == wanted { return .link(link, upload.number) }
            if link.count > wanted.count, link.starts(with: wanted) { isDirectory = true }
        }
        guard isDirectory else { throw .noSuchFileOrDirectory }
        return .byName(wanted)
    }

    func entries(of directory: Node) throws(FuseErrno) -> [Entry] {
        switch directory {
        case .root:
            let fixed = [
                Entry(name: StatusNames.byName, node: .byName([])), Entry(name: StatusNames.summary, node: .summary),
                Entry(name: StatusNames.metrics, node: .metrics),
            ]
            return fixed
                + engine.uploads.flatMap { upload in
                    let current = documentName(of: upload)
                    return names(of: upload).map { name in
                        Entry(
                            name: name, node: name == current ? .document(upload.number) : .alias(name, upload.number))
                    }
                }
        case .byName(let path):
            var seen: Set<[UInt8]> = []
            return uploadsByPath().compactMap { upload, uploadPath in
                let link = StatusNames.link(for: uploadPath)
                guard link.count > path.count, link.starts(with: path) else { return nil }
                let name = link[path.count]
                guard seen.insert(name).inserted else { return nil }
                let isLink = link.count == path.count + 1
                return Entry(name: name, node: isLink ? .link(link, upload.number) : .byName(path + [name]))
            }
        case .summary, .metrics, .document, .alias, .link: throw .notDirectory
        }
    }

    /// All uploads with their paths, those first that a path leads to: a file that was renamed over another one may have
    /// the older upload. Of the others, and of all that bear one name, the newest first.
    private func uploadsByPath() -> [(Upload, [[UInt8]])] {
        var listed: [(Upload, [[UInt8]])] = []
        var others: [(Upload, [[UInt8]])] = []
        for upload in engine.uploads.reversed() {
            let identity = upload.identity
            if identity.isListed {
                listed.append((upload, identity.path))
            } else {
                others.append((upload, identity.path))
            }
        }
        return listed + others
    }

    /// Where a link leads to.
    func target(of node: Node) throws(FuseErrno) -> [UInt8] {
        switch node {
        case .alias(_, let number): return documentName(of: try upload(number))
        case .link(let path, let number):
            return StatusNames.linkTarget(depth: path.count, document: documentName(of: try upload(number)))
        case .root, .byName, .summary, .metrics, .document: throw .invalidArgument
        }
    }

    /// The name that counts: after its session, or, without one, after its number.
    private func documentName(of upload: Upload) -> [UInt8] {
        if let id = upload.inspect({ $0.uploadID }) { return StatusNames.document(uploadID: id) }
        return StatusNames.pending(UInt64(upload.number))
    }

    /// All names by which an upload's document can be found: sessions that were abandoned still lead to it.
    private func names(of upload: Upload) -> [[UInt8]] {
        let ids = upload.inspect { machine in machine.abandonedUploadIDs + (machine.uploadID.map { [$0] } ?? []) }
        return [StatusNames.pending(UInt64(upload.number))] + ids.map { StatusNames.document(uploadID: $0) }
    }

    private func upload(_ number: Int) throws(FuseErrno) -> Upload {
        try engine.upload(numbered: number).orThrow(.noSuchFileOrDirectory)
    }

    /// The upload that a document is about; nil for everything that is about none.
    func upload(behind inode: InodeNumber) throws(FuseErrno) -> Upload? {
        switch try node(of: inode) {
        case .document(let number), .alias(_, let number), .link(_, let number): try upload(number)
        case .root, .byName, .summary, .metrics: nil
        }
    }

    // MARK: Attributes

    func attributes(of inode: InodeNumber) throws(FuseErrno) -> FileAttributes {
        let node = try node(of: inode)
        let size: Int
        let (kind, permissions): (FileKind, UInt16)
        switch node {
        case .root, .byName: (kind, permissions, size) = (.directory, 0o555, 0)
        case .alias, .link: (kind, permissions, size) = (.symbolicLink, 0o777, try target(of: node).count)
        case .summary, .metrics, .document:
            (kind, permissions) = (.regular, 0o444)
            let opened = inodes.withLock { $0.open[inode]?.length }
            if let opened { size = opened } else { size = try text(of: node).count }
        }
        let now = FileTime.now()
        return FileAttributes(
            inode: inode, kind: kind, permissions: permissions, linkCount: kind == .directory ? 2 : 1,
            uid: configuration.uid, gid: configuration.gid, size: Int64(size), accessTime: now,
            modificationTime: now, changeTime: now)
    }

    // MARK: Contents

    /// Opens a document: what it says now is what this handle reads.
    func open(_ inode: InodeNumber, flags: FileOpenFlags) throws(FuseErrno) -> FuseOpen {
        if flags.canWrite { throw .permissionDenied }
        let text = try text(of: try node(of: inode))
        inodes.withLock { inodes in
            inodes.open[inode] = (count: (inodes.open[inode]?.count ?? 0) + 1, length: text.count)
        }
        return FuseOpen(handle: snapshots.add(Snapshot(inode: inode, text: text)), directIO: true, noFlush: true)
    }

    func read(_ handle: UInt64, at offset: Int64, count: Int) throws(FuseErrno) -> [UInt8] {
        let text = try snapshots.get(handle).text
        guard offset >= 0, offset < text.count else { return [] }
        return Array(text[Int(offset)..<min(text.count, Int(offset) + count)])
    }

    func release(_ handle: UInt64) {
        guard let snapshot = snapshots.remove(handle) else { return }
        inodes.withLock { inodes in
            guard let open = inodes.open[snapshot.inode] else { return }
            inodes.open[snapshot.inode] = open.count > 1 ? (count: open.count - 1, length: open.length) : nil
        }
    }

    private func text(of node: Node) throws(FuseErrno) -> [UInt8] {
        switch node {
        case .document(let number): return Array(try upload(number).status().json().utf8)
        case .summary: return Array(summary().json().utf8)
        case .metrics: return Array(summary().openMetrics().utf8)
        case .root, .byName: throw .isDirectory
        case .alias, .link: throw .invalidArgument
        }
    }

    /// Counts and totals of all uploads, and those that are under way.
    func summary() -> SummaryDocument {
        var summary = SummaryDocument(mountpoint: configuration.mountPoint, closeMode: configuration.closeMode.rawValue)
        if let space = try? spool.space() {
            summary.spoolUsed = space.used.bytes
            summary.spoolLimit = space.capacity.bytes
        }
        summary.rateLimit = engine.rateLimit
        summary.refusedWriters = admission.refusals
        summary.bytesWritten = engine.totals.bytesWritten
        summary.bytesUploaded = engine.totals.bytesUploaded
        summary.retries = engine.totals.retries
        let (uploads, forgotten) = engine.census
        (summary.counts, summary.assets) = (forgotten.counts, forgotten.assets)
        for upload in uploads {
            let status = upload.status()
            summary.counts[status.state, default: 0] += 1
            if status.state == .completed { summary.assets.count(upload.inspect { $0.asset }) }
            guard status.state.isUnderWay else { continue }
            if let pace = status.bytesPerSecond { summary.bytesPerSecond = (summary.bytesPerSecond ?? 0) + pace }
            summary.uploads.append(
                SummaryDocument.Upload(
                    id: String(decoding: documentName(of: upload).dropLast(".json".utf8.count), as: UTF8.self),
                    uploadID: status.uploadID, path: status.path, state: status.state, totalSize: status.totalSize,
                    bytesUploaded: status.bytesUploaded, bytesPerSecond: status.bytesPerSecond,
                    waitingFor: status.waitingFor))
        }
        return summary
    }
}
