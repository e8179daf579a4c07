import FileTree
import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// Versions: the first of a file, and those that take another's place.

extension ContentStore {
    /// Where a change of a file goes. What waits for a name is changed when the journal knows that it is: otherwise the next
    /// mount might continue an upload of which part of the bytes are others by then.
    func beginChange(of file: MountedFile) throws(UploadFailure) -> MountedFile.ChangePlace {
        if let version = file.version, version.phase.awaitsRename, version.upload?.currentState == .failed {
            file.endFailedWait(of: version)
        }
        let place = file.beginChange()
        guard case .version(let version) = place, version.isReopened else { return place }
        do throws(UploadFailure) {
            version.upload?.apply(.reopened)
            try durability.waitForJournal(durably: version.upload?.isDurable ?? false)
        } catch {
            file.abandonChange(of: version)
            throw error
        }
        file.reopeningIsKnown(of: version)
        return place
    }

    /// Puts the first version into a file that has none.
    func beginFirstVersion(for change: PendingChange) throws(UploadFailure) {
        let (file, node) = (change.open.file, change.open.node)
        var first = try version(after: nil, keeping: 0, in: file, node: node)
        if first.isToBeUploaded { first.upload = beginUpload(of: first, in: file, node: node) }
        guard file.install(first, after: nil) else { return reclaimer.drop(first) }
        namespace.contentWasSet(in: file, node: node, upload: first.upload)
        file.abandonChange(of: first)
    }

    /// The upload of what is written through a handle, begun where there is no version yet; nil where nothing is to be
    /// uploaded, or what is there is committed.
    func uploadToBeWritten(_ open: OpenFile) throws(FuseErrno) -> Upload? {
        if open.file.version == nil {
            do throws(UploadFailure) {
                try beginFirstVersion(for: PendingChange(open: open, pid: 0, range: 0..<0))
            } catch {
                throw noNewContent(error)
            }
        }
        return open.file.version.flatMap { $0.phase == .writing ? $0.upload : nil }
    }

    /// What a change of the size is told for which no version could be begun.
    func noNewContent(_ failure: UploadFailure) -> FuseErrno {
        logger.error("no new content could be begun", metadata: ["reason": "\(failure.message)"])
        return FuseErrno(failure)
    }

    /// A version that is to take another's place: empty, or with the first bytes of that one's content.
    ///
    /// Whoever calls keeps the last one from being evicted meanwhile. One that keeps bytes has an upload already, where it is
    /// to be uploaded.
    func version(
        after last: FileVersion?, keeping count: Int64, in file: MountedFile, node: NodeID
    ) throws(UploadFailure) -> FileVersion {
        try durability.checkJournal()
        let name = namespace.path(of: node).map { namespace.verdict(on: $0) } ?? .keepLocally
        let bytes: SpoolFile
        do throws(SpoolError) { bytes = try spool.create() } catch { throw error.uploadFailure }
        var next = FileVersion(spool: bytes, name: name)
        guard let last, count > 0 else { return next }
        do throws(UploadFailure) {
            try space.reserve(0..<count, in: next.spool)
            do throws(SpoolError) {
                try next.spool.copy(from: last.spool, count: count)
                // Asked afterwards, as when it is read.
                guard holds(0..<count, of: last, in: file) else { throw SpoolError.released }
            } catch {
                throw error.uploadFailure
            }
        } catch {
            reclaimer.drop(next)
            throw error
        }
        next.size = count
        next.hasContent = true
        if next.isToBeUploaded { next.upload = beginUpload(of: next, in: file, node: node) }
        return next
    }

    /// The same beside a version that somebody else may replace meanwhile, and with it its bytes: nil then.
    func version(
        besides last: FileVersion, keeping count: Int64, in file: MountedFile, node: NodeID
    ) throws(UploadFailure) -> FileVersion? {
        do throws(UploadFailure) {
            return try version(after: last, keeping: count, in: file, node: node)
        } catch {
            guard file.version?.isSame(as: last) ?? false else { return nil }
            throw error
        }
    }

    /// Begins the upload of a version with what it holds by now.
    func beginUpload(of version: FileVersion, in file: MountedFile, node: NodeID) -> Upload? {
        guard let path = namespace.path(of: node) else { return nil }
        let upload = engine.begin(namespace.identity(for: path), spool: version.spool)
        if version.size > 0 { upload.apply(.wrote(0..<version.size)) }
        if let declared = file.declaredHint { upload.apply(.hinted(declared)) }
        return upload
    }

    /// The upload of a version that held nothing until now.
    func uploadForContent(of version: FileVersion, in file: MountedFile, node: NodeID) -> Upload? {
        guard let upload = beginUpload(of: version, in: file, node: node) else { return nil }
        let (attached, predecessors) = file.attach(upload, to: version)
        if attached !== upload { reclaimer.drop(upload) }
        for old in predecessors { upload.takePlace(of: old, reason: Self.overwritten) }
        if attached === upload {
            namespace.contentWasSet(in: file, node: node, upload: upload)
            upload.tell(superseded: file.superseded)
        }
        return attached
    }

    /// What follows for a version whose place another one has taken.
    ///
    /// - Parameter isWanted: whether its upload goes on meanwhile.
    func replaced(
        _ last: FileVersion, by next: FileVersion, in file: MountedFile, node: NodeID, isWanted: Bool = true
    ) {
        namespace.contentWasSet(in: file, node: node, upload: next.upload)
        if let upload = next.upload { upload.tell(superseded: file.superseded) }
        namespace.unlist(last.upload, of: node)
        // What its writer did not finish, somebody has made something else of: nobody is to find it again.
        var isOver = !isWanted
        if case .ended = last.phase { isOver = true }
        // Before its bytes may go: the journal is to hear of it.
        if isOver { last.upload?.apply(.cancelled(Self.overwritten)) }
        // Its bytes go as soon as its upload does not need them any more.
        reclaimer.retire(last)
    }
}
