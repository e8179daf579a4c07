import FileTree
import Formats
import FuseLowLevel
import Glibc
import Logging
import UploadCore
import UploadEngine
import UploadStore

// The mount as an earlier process left it: its tree, its files, and the uploads that are still to be recovered.

extension Namespace {
    /// Takes in what the journal knew when it was opened. To be called once, before anything is asked of the file
    /// system; nothing is sent nor deleted before ``settleUnlisted()`` and ``UploadEngine/resume()``. Blocks on the disk.
    func recover(into engine: UploadEngine, from spool: SpoolDirectory) {
        guard let journal else { return }
        var left = RecoveredUploads(journal, spool: spool, engine: engine, logger: logger) { path in
            self.verdict(on: path) == .upload
        }
        restoreTree(journal.contents.nodes, &left)
        for (_, file, path) in files { file.renamed(to: verdict(on: path)) }
        let used = Set(allFiles.compactMap { $0.version?.spool.name })
        for (record, upload) in left.unlisted {
            // One that was cancelled when its file was emptied, by an earlier version of twelvefs: the spool file is that
            // file's, whatever it holds by now.
            if used.contains(record.spool) {
                upload.forgetInJournal()
            } else {
                settle(record, upload, wasDamaged: journal.damage != nil)
            }
        }
    }

    // MARK: The tree

    private func restoreTree(_ records: [NodeRecord], _ left: inout RecoveredUploads) {
        var children: [UInt64: [NodeRecord]] = [:]
        for record in records { children[record.parent, default: []].append(record) }
        if let root = records.first(where: { $0.id == NodeID.root.rawValue }) {
            tree.withLock { tree in
                _ = try? tree.updateAttributes(of: .root) { attributes in
                    attributes.accessTime = root.accessTime
                    attributes.modificationTime = root.modificationTime
                    attributes.changeTime = root.changeTime
                }
            }
        }
        var restored: Set<UInt64> = [NodeID.root.rawValue]
        var directories = [NodeID.root.rawValue]
        while let parent = directories.popLast() {
            for record in (children[parent] ?? []).sorted(by: { $0.id < $1.id }) where !restored.contains(record.id) {
                guard restore(record, &left) else { continue }
                restored.insert(record.id)
                if record.content == nil { directories.append(record.id) }
            }
        }
        // What could not be looked at this time may be there the next time.
        let lost = records.filter { record in
            !restored.contains(record.id) && !left.unopened.contains(record.content?.spool ?? "")
        }.map(\.id)
        journal?.enqueue { lost.map { .removeNode($0) } }
        let first = Self.firstNewNumber(at: .now())
        tree.withLock { tree in
            tree.number(from: first)
            _ = tree.takeChanged()
        }
    }

    /// Numbers that no earlier mount gave to a file which the journal never knew: a process that it left behind may
    /// still have such a file open, and would be taken for one that holds the new file.
    ///
    /// By the time of day, in milliseconds, with space for 128 files made in each; below 2^47.
    private static func firstNewNumber(at now: FileTime) -> UInt64 {
        let milliseconds = UInt64(max(0, now.seconds)) &* 1000 &+ UInt64(now.nanoseconds / 1_000_000)
        return (milliseconds & ((1 << 40) - 1)) << 7
    }

    private func restore(_ record: NodeRecord, _ left: inout RecoveredUploads) -> Bool {
        var file: MountedFile?
        if let content = record.content {
            guard let listed = left.file(content) else { return false }
            file = listed
        }
        var attributes = NodeAttributes(
            mode: record.mode, userID: record.userID, groupID: record.groupID, time: record.changeTime)
        attributes.accessTime = record.accessTime
        attributes.modificationTime = record.modificationTime
        let (payload, final) = (file, attributes)
        return tree.withLock { tree in
            do throws(TreeError) {
                try tree.restore(
                    NodeID(record.id), FileName(record.name), in: NodeID(record.parent), file: payload,
                    attributes: final)
                return true
            } catch {
                return false
            }
        }
    }

    // MARK: Uploads without a file

    private func settle(_ record: UploadRecord, _ upload: Upload, wasDamaged: Bool) {
        switch upload.stateToKeep {
        case .completed, .finishing, .staged, .failed:
            // The tree was lost with the damage: what an upload knows of its place is all there is.
            if wasDamaged { return relist(MountedFile(closed: FileVersion(restoring: record, upload)), of: upload) }
            if upload.currentState != .failed { leaveUnlisted(upload) }
        case .interrupted, .cancelled, .open: leaveUnlisted(upload)
        }
    }

    private func leaveUnlisted(_ upload: Upload) { unlisted.withLock { $0.append(upload) } }

    /// Does what follows for the uploads that no file was found for. To be called when the mount has succeeded: an attempt that
    /// fails deletes nothing.
    func settleUnlisted() {
        let uploads = unlisted.withLock { unlisted in
            defer { unlisted = [] }
            return unlisted
        }
        for upload in uploads {
            if upload.currentState == .interrupted {
                reclaimer.keep(upload, since: try? upload.spool.lastWritten())
                continue
            }
            reclaimer.retire(upload)
            // It waits for another name, and has none that could be changed.
            let isNamed = upload.inspect { $0.commitScope == .whole }
            if upload.currentState.isUnderWay, !isNamed { upload.apply(.cancelled(Self.nameless)) }
        }
    }

    private static let nameless = UploadFailure(
        .cancelled, message: "the file was replaced or removed before it got its final name")

    /// Lists a file where its upload says that it was, unless something else is there.
    func relist(_ file: MountedFile, of upload: Upload) {
        let attributes = NodeAttributes(
            mode: UInt32(configuration.fileMode ?? 0o644), userID: configuration.fixedUID ?? configuration.uid,
            groupID: configuration.fixedGID ?? configuration.gid, time: .now())
        var directory = attributes
        directory.mode = UInt32(configuration.directoryMode ?? 0o755)
        let directoryAttributes = directory
        let path = upload.identity.path
        do throws(FuseErrno) {
            try withTree { tree throws(TreeError) in
                guard let name = path.last else { throw .invalidName }
                let last = try FileName(name)
                var parent = NodeID.root
                for component in path.dropLast() {
                    parent = try tree.directory(FileName(component), in: parent, attributes: directoryAttributes)
                }
                _ = try tree.createFile(last, in: parent, attributes: attributes, file: file, at: .now())
            }
            file.renamed(to: verdict(on: path))
            upload.updateIdentity { identity in
                identity.isListed = true
                (identity.lastOwner, identity.creator) = (nil, nil)
            }
        } catch {
            leaveUnlisted(upload)
        }
    }
}

/// The uploads that the journal knows, each taken in by the engine, until the tree has found its file.
private struct RecoveredUploads {
    private var uploads: [Int64: (record: UploadRecord, upload: Upload)] = [:]
    /// Those that have their file.
    private var listed: Set<Int64> = []
    /// Spool files that could not even be looked for.
    private(set) var unopened: Set<String> = []
    private let spool: SpoolDirectory
    private let logger: Logger

    /// - Parameter isFinal: whether a file of that path is uploaded when it is closed.
    init(
        _ journal: Journal, spool: SpoolDirectory, engine: UploadEngine, logger: Logger,
        isFinal: ([[UInt8]]) -> Bool
    ) {
        self.spool = spool
        self.logger = logger
        let contents = journal.contents
        var sessions: [Int64: SessionRecord] = [:]
        for session in contents.sessions { sessions[session.upload] = session }
        var chunks: [String: [ChunkRecord]] = [:]
        for chunk in contents.chunks { chunks[chunk.uploadID, default: []].append(chunk) }
        for known in contents.uploads.sorted(by: { $0.number < $1.number }) {
            let isUndecided = Self.isUndecided(known) && isFinal(known.path)
            let record = isUndecided ? Self.undecided(known) : known
            let (file, isThere) = Self.content(of: record, spool, logger)
            guard let file else {
                unopened.insert(record.spool)
                continue
            }
            let loss = Self.contentLoss(of: record, isThere: isThere, inBoot: journal.bootID)
            let session = sessions[record.number]
            let upload = engine.restore(
                record, session: session, chunks: session.flatMap { chunks[$0.uploadID] } ?? [], spool: file,
                contentLoss: loss)
            if isUndecided {
                logger.warning(
                    "whether a file is whole cannot be told any more",
                    metadata: ["filename": "\(record.filename)", "reason": "\(Self.writersUnknown.message)"])
                upload.markDirty()
            }
            uploads[record.number] = (record, upload)
        }
    }

    /// A close was answered beside a writer who cannot be seen, and the last release was to decide. Under a temporary name
    /// it waits for its rename, which decides as well.
    private static func isUndecided(_ record: UploadRecord) -> Bool {
        record.isUndecided && record.scope == .allButLast && (record.state == .finishing || record.state == .staged)
    }

    /// Nobody can say any more whether its writers were done: whoever knows may try it again.
    private static func undecided(_ record: UploadRecord) -> UploadRecord {
        var record = record
        (record.state, record.scope, record.failure) = (.failed, .whole, writersUnknown)
        record.isUndecided = false
        return record
    }

    private static let writersUnknown = UploadFailure(
        .interrupted, message: "twelvefs ended before it was seen that nobody writes the file any more",
        hint: "if it is whole, 'twelvefs retry' completes it; remove it otherwise")

    /// What an upload's record says, its upload, for those that no file was found for; oldest first.
    var unlisted: [(UploadRecord, Upload)] {
        uploads.values.sorted { $0.record.number < $1.record.number }.map { ($0.record, $0.upload) }
    }

    /// The file that a node stands for; nil when it is not to be listed.
    mutating func file(_ content: NodeRecord.Content) -> MountedFile? {
        guard let number = content.upload else { return localFile(content) }
        guard let (record, upload) = uploads[number] else {
            // Another file's. Or it was forgotten, since nothing is to be uploaded, and a kill came before the file's record
            // said so: the bytes are the file's own, unless another upload was begun with them since.
            let isUnknown = listed.contains(number) || unopened.contains(content.spool ?? "")
            let isWritten = uploads.values.contains { $0.record.spool == content.spool }
            return isUnknown || isWritten ? nil : localFile(content)
        }
        guard record.spool == content.spool else { return nil }
        switch upload.stateToKeep {
        case .completed, .finishing, .staged, .failed: break
        // Listed only where its writer wants to find it again.
        case .interrupted: guard content.isLocalOnly else { return nil }
        case .open, .cancelled: return nil
        }
        uploads[number] = nil
        listed.insert(number)
        var version = FileVersion(restoring: record, upload)
        if content.isLocalOnly { version.phase = .ended(.partial) }
        return MountedFile(closed: version)
    }

    /// A file that was never to be uploaded, or into which nothing was ever written.
    private mutating func localFile(_ content: NodeRecord.Content) -> MountedFile? {
        guard let name = content.spool else { return MountedFile(closed: nil) }
        // Gone, or there and not to be opened at present, which is told when it is used.
        let bytes: SpoolFile
        do throws(SpoolError) {
            bytes = try Self.open(name, spool, logger)
        } catch {
            if case .failed(code: ENOENT, _) = error { return nil }
            unopened.insert(name)
            return nil
        }
        var version = FileVersion(spool: bytes, name: .keepLocally)
        // It may be shorter or longer by now: a writer had not closed it when twelvefs ended.
        version.size = (try? bytes.size()) ?? content.size
        version.hasContent = version.size > 0
        if content.isLocalOnly { version.phase = .ended(.partial) }
        // Of what was emptied since, there is nothing that could be cut off.
        if content.isTainted, version.size > 0 { version.taint = "its writer was killed before twelvefs was started" }
        return MountedFile(closed: version)
    }

    /// A spool file that is there, whether or not it can be opened at present; `ENOENT` where it is not.
    private static func open(
        _ name: String, _ spool: SpoolDirectory, _ logger: Logger
    ) throws(SpoolError) -> SpoolFile {
        do throws(SpoolError) {
            return try spool.open(name)
        } catch {
            if case .failed(code: ENOENT, _) = error { throw error }
            logger.error("a spool file cannot be opened", metadata: ["name": "\(name)", "reason": "\(error)"])
            return try spool.openLater(name)
        }
    }

    /// An upload's bytes, or what stands in their place under the same name: by that the next mount knows them again.
    private static func content(
        of record: UploadRecord, _ spool: SpoolDirectory, _ logger: Logger
    ) -> (SpoolFile?, isThere: Bool) {
        do throws(SpoolError) {
            return (try open(record.spool, spool, logger), true)
        } catch {
            guard case .failed(code: ENOENT, _) = error else { return (nil, false) }
            return (spool.missing(record.spool), false)
        }
    }

    private static func contentLoss(
        of record: UploadRecord, isThere: Bool, inBoot boot: String
    ) -> UploadFailure? {
        let hint = "copy the file again"
        if !isThere { return UploadFailure(.interrupted, message: "the spool file is gone", hint: hint) }
        if record.contentCanBeTrusted(inBoot: boot) { return nil }
        return UploadFailure(
            .interrupted, message: "the machine was restarted before the file's bytes were on disk", hint: hint)
    }
}

extension Upload {
    /// What disks allocate, in bytes, or a multiple of it.
    private static var page: Int64 { 4096 }

    /// Whether the spool has all the bytes that the journal knows of, and they can be relied on.
    ///
    /// One that was evicted, when the platform had it, is nothing but a hole, perhaps with zeros in its last page. Its record
    /// says so, unless an earlier version of twelvefs wrote it.
    fileprivate func spoolHolds(_ record: UploadRecord) -> Bool {
        guard inspect({ !$0.contentIsLost }) else { return false }
        // Where it cannot be looked at, what the platform has is read from there; nothing else was ever evicted.
        guard let size = try? spool.size() else { return record.state != .completed }
        guard size >= record.size else { return false }
        guard record.size > 0 else { return true }
        guard !record.released.covers(0..<record.size), let data = try? spool.dataRanges() else { return false }
        // What the platform does not have was not evicted, though it be one hole.
        guard record.state == .completed else { return true }
        if record.size > Self.page {
            let lastPage = (record.size - 1) / Self.page * Self.page
            // Zeros in the last page are all that an eviction may have left.
            return data.ranges.contains { $0.lowerBound < lastPage } || holdsMoreThanZeros(lastPage..<record.size)
        }
        return !data.isEmpty
    }

    private func holdsMoreThanZeros(_ range: Range<Int64>) -> Bool {
        var bytes = [UInt8](repeating: 0, count: Int(clamping: range.count))
        guard (try? bytes.withUnsafeMutableBytes({ try spool.read(at: range.lowerBound, into: $0) })) != nil else {
            return false
        }
        return bytes.contains { $0 != 0 }
    }
}

extension FileVersion {
    /// What another process committed.
    fileprivate init(restoring record: UploadRecord, _ upload: Upload) {
        // A failed one is written anew as another version, until somebody tries it again.
        let scope = record.state == .failed ? .whole : record.scope ?? .whole
        self.init(
            of: upload, size: record.size, phase: VersionPhase(committed: scope), isEvicted: !upload.spoolHolds(record))
    }
}
