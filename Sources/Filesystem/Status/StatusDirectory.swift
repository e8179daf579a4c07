import Formats
import FuseLowLevel
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// `.status/`: documents made when they are read, from what is so at that moment. Nothing of it can be written, and the
/// root does not list it, so that `rsync --delete` and `cp -r` do not meet it.
///
/// Nothing is kept of what was looked at: an inode's number says what it stands for, and names are found by the engine's index.
package final class StatusDirectory: Sendable {
    /// What there is in it.
    package enum Node: Sendable, Hashable {
        /// `.status` itself.
        case root
        /// `by-name`, and the directories below it.
        case byName(UploadIndex.Directory)
        case summary
        case metrics
        /// The document of the upload of that number.
        case document(Int)
        /// The other names of a document, in `.status` itself: a link to the name that counts.
        case alias(Int)
        /// The link below `by-name` to an upload's document.
        case link(Int)
    }

    /// One open document: what it said when it was opened.
    private struct Snapshot: Sendable {
        var inode: InodeNumber
        var text: [UInt8]
    }

    let engine: UploadEngine
    private let spool: SpoolDirectory
    private let admission: WriterAdmission
    private let configuration: FilesystemConfiguration
    /// What the open documents say: `stat` tells their length, so that who looked before reading gets all of it.
    private let lengths = Mutex<[InodeNumber: (count: Int, length: Int)]>([:])
    private let snapshots = HandleTable<Snapshot>()
    /// How many uploads were looked at so far, for whoever asks what a look costs.
    package let looks = Atomic<Int>(0)

    init(
        engine: UploadEngine, spool: SpoolDirectory, admission: WriterAdmission, configuration: FilesystemConfiguration
    ) {
        self.engine = engine
        self.spool = spool
        self.admission = admission
        self.configuration = configuration
    }

    // MARK: Uploads

    /// The upload of that number, while it is remembered.
    func upload(_ number: Int) throws(FuseErrno) -> Upload {
        looks.add(1, ordering: .relaxed)
        return try engine.upload(numbered: number).orThrow(.noSuchFileOrDirectory)
    }

    /// The same for one who has to be allowed to see it.
    func upload(_ number: Int, seenBy visitor: StatusVisitor) throws(FuseErrno) -> Upload {
        let upload = try upload(number)
        guard visitor.maySee(upload) else { throw .noSuchFileOrDirectory }
        return upload
    }

    /// The first of these that the visitor may see.
    func first(of numbers: some Sequence<Int>, seenBy visitor: StatusVisitor) -> Upload? {
        for number in numbers {
            if let upload = try? upload(number, seenBy: visitor) { return upload }
        }
        return nil
    }

    /// The name that counts: after its session, or, without one, after its number.
    func documentName(of upload: Upload) -> [UInt8] {
        if let id = upload.inspect({ $0.uploadID }) { return StatusNames.document(uploadID: id) }
        return StatusNames.pending(UInt64(upload.number))
    }

    /// The upload that a document is about; nil for everything that is about none.
    func upload(behind inode: InodeNumber) throws(FuseErrno) -> Upload? {
        switch try Node(inode) {
        case .document(let number), .alias(let number), .link(let number): try upload(number)
        case .root, .byName, .summary, .metrics: nil
        }
    }

    // MARK: Attributes

    package func attributes(of inode: InodeNumber, for visitor: StatusVisitor) throws(FuseErrno) -> FileAttributes {
        let node = try Node(inode)
        let size: Int
        let (kind, permissions): (FileKind, UInt16)
        switch node {
        case .root: (kind, permissions, size) = (.directory, 0o555, 0)
        case .byName(let directory):
            guard engine.index.has(directory) else { throw .noSuchFileOrDirectory }
            (kind, permissions, size) = (.directory, 0o555, 0)
        case .alias, .link: (kind, permissions, size) = (.symbolicLink, 0o777, try target(of: node, for: visitor).count)
        case .summary, .metrics, .document:
            if case .document(let number) = node { _ = try upload(number, seenBy: visitor) }
            (kind, permissions) = (.regular, 0o444)
            let opened = lengths.withLock { $0[inode]?.length }
            if let opened { size = opened } else { size = try text(of: node, for: visitor).count }
        }
        let now = FileTime.now()
        return FileAttributes(
            inode: inode, kind: kind, permissions: permissions, linkCount: kind == .directory ? 2 : 1,
            uid: configuration.uid, gid: configuration.gid, size: Int64(size), accessTime: now,
            modificationTime: now, changeTime: now)
    }

    // MARK: Contents

    /// Opens a document: what it says now is what this handle reads.
    package func open(_ inode: InodeNumber, flags: FileOpenFlags, for visitor: StatusVisitor) throws(FuseErrno)
        -> FuseOpen
    {
        if flags.canWrite { throw .permissionDenied }
        let text = try text(of: try Node(inode), for: visitor)
        lengths.withLock { $0[inode] = (count: ($0[inode]?.count ?? 0) + 1, length: text.count) }
        return FuseOpen(handle: snapshots.add(Snapshot(inode: inode, text: text)), directIO: true, noFlush: true)
    }

    package func read(_ handle: UInt64, at offset: Int64, count: Int) throws(FuseErrno) -> [UInt8] {
        let text = try snapshots.get(handle).text
        guard offset >= 0, offset < text.count else { return [] }
        return Array(text[Int(offset)..<min(text.count, Int(offset) + count)])
    }

    package func release(_ handle: UInt64) {
        guard let snapshot = snapshots.remove(handle) else { return }
        lengths.withLock { lengths in
            guard let open = lengths[snapshot.inode] else { return }
            lengths[snapshot.inode] = open.count > 1 ? (count: open.count - 1, length: open.length) : nil
        }
    }

    private func text(of node: Node, for visitor: StatusVisitor) throws(FuseErrno) -> [UInt8] {
        switch node {
        case .document(let number):
            let upload = try upload(number)
            while true {
                let document = upload.status()
                let identity = upload.identity
                // It was renamed meanwhile: the path that is told is the one that is judged.
                guard document.path == identity.pathText else { continue }
                guard visitor.maySee(upload, called: identity) else { throw .noSuchFileOrDirectory }
                return Array(document.json().utf8)
            }
        case .summary: return Array(summary().json().utf8)
        case .metrics: return Array(summary().openMetrics().utf8)
        case .root, .byName: throw .isDirectory
        case .alias, .link: throw .invalidArgument
        }
    }

    /// Counts and totals of all uploads, and those that are under way. It holds no names: everybody may read it.
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
        looks.add(uploads.count, ordering: .relaxed)
        for upload in uploads {
            let (state, asset) = upload.inspect { ($0.state, $0.asset) }
            summary.counts[state, default: 0] += 1
            if state == .completed { summary.assets.count(asset) }
            guard state.isUnderWay else { continue }
            let status = upload.status()
            if let pace = status.bytesPerSecond { summary.bytesPerSecond = (summary.bytesPerSecond ?? 0) + pace }
            summary.uploads.append(
                SummaryDocument.Upload(
                    id: String(decoding: documentName(of: upload).dropLast(".json".utf8.count), as: UTF8.self),
                    uploadID: status.uploadID, state: state, totalSize: status.totalSize,
                    bytesUploaded: status.bytesUploaded, bytesPerSecond: status.bytesPerSecond,
                    waitingFor: status.waitingFor))
        }
        return summary
    }
}

// MARK: Inodes

extension StatusDirectory {
    /// Numbers from here on are the status directory's; the tree counts from 1 and will not get here.
    fileprivate static let firstInode: UInt64 = 1 << 48

    /// Whether an inode is the status directory's.
    static func owns(_ inode: InodeNumber) -> Bool { inode.rawValue >= firstInode }
}

extension StatusDirectory.Node {
    /// The bits that say which upload or directory; those above say what it is.
    private static let numberBits: UInt64 = 44

    /// What an inode stands for, whether or not it is there still; throws for one that nothing has.
    package init(_ inode: InodeNumber) throws(FuseErrno) {
        let value = inode.rawValue &- StatusDirectory.firstInode
        let number = Int(value & (1 << Self.numberBits - 1))
        switch value >> Self.numberBits {
        case 0: self = .root
        case 1: self = .summary
        case 2: self = .metrics
        case 3: self = .byName(UploadIndex.Directory(number: number))
        case 4: self = .document(number)
        case 5: self = .alias(number)
        case 6: self = .link(number)
        default: throw .noSuchFileOrDirectory
        }
    }

    /// Its number, always the same one.
    package var inode: InodeNumber {
        let (kind, number): (UInt64, Int) =
            switch self {
            case .root: (0, 0)
            case .summary: (1, 0)
            case .metrics: (2, 0)
            case .byName(let directory): (3, directory.number)
            case .document(let number): (4, number)
            case .alias(let number): (5, number)
            case .link(let number): (6, number)
            }
        let bits = UInt64(truncatingIfNeeded: number) & (1 << Self.numberBits - 1)
        return InodeNumber(rawValue: StatusDirectory.firstInode + (kind << Self.numberBits) + bits)
    }

    package var kind: FileKind {
        switch self {
        case .root, .byName: .directory
        case .alias, .link: .symbolicLink
        case .summary, .metrics, .document: .regular
        }
    }
}
