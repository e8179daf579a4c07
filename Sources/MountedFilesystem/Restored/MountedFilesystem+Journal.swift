import FileTree
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine
import UploadStore

// What the journal is told of the tree: which nodes changed. What they are it asks when it writes them down, so that
// the order in which threads tell of them does not matter.

extension MountedFilesystem {
    /// Has the journal look at these nodes again.
    func note(_ nodes: Set<NodeID>) {
        guard let journal, !nodes.isEmpty else { return }
        // Under one lock: whoever finds others noted already may ask at once when they are written down.
        notedNodes.withLock { noted in
            defer { noted.formUnion(nodes) }
            guard noted.isEmpty else { return }
            journal.note { [weak self] in
                guard let self else { return [] }
                let noted = notedNodes.withLock { noted in
                    defer { noted = [] }
                    return noted
                }
                return noted.compactMap { self.change(of: $0) }
            }
        }
    }

    /// What the journal is to know of a node as it is now; nil for a file that is being written, since nothing is known
    /// of it before its writer lets go.
    private func change(of id: NodeID) -> JournalChange? {
        guard let node = tree.withLock({ try? $0.node(id) }), !node.isUnlinked else { return .removeNode(id.rawValue) }
        var attributes = node.attributes
        var content: NodeRecord.Content?
        if let file = node.file {
            let look = file.look
            let isBeingMade = look.writeHandles > 0 || !look.wasClosed
            // What has an upload by now is known by that, as all that is being written.
            let isPromised = look.isPromised && look.version?.upload == nil
            if isBeingMade, !isPromised, look.version.map({ $0.phase == .writing }) ?? true { return nil }
            // Of what was emptied and let go of so, nothing is uploaded.
            let version = look.version.flatMap { $0.size > 0 || $0.phase != .writing ? $0 : nil }
            content = NodeRecord.Content(
                size: version?.size ?? 0, spool: version?.spool.name, upload: (version?.upload?.number).map(Int64.init),
                isPlain: version?.phase == .ended(.partial))
            if let modified = look.modified {
                attributes.modificationTime = modified
                attributes.changeTime = max(attributes.changeTime, modified)
            }
        }
        return .putNode(
            NodeRecord(
                id: id.rawValue, parent: node.location?.parent.rawValue ?? 0, name: node.location?.name.bytes ?? [],
                content: content, mode: attributes.mode, userID: attributes.userID, groupID: attributes.groupID,
                accessTime: .init(attributes.accessTime), modificationTime: .init(attributes.modificationTime),
                changeTime: .init(attributes.changeTime)))
    }

    /// Puts bytes on disk, and then what the journal knows of them; tells how it went. Blocks on the disk.
    func putOnDisk(
        _ spool: SpoolFile, of upload: Upload?, _ answer: @escaping @Sendable (Result<Void, UploadFailure>) -> Void
    ) {
        let mark = upload?.contentMark
        do throws(SpoolError) {
            try spool.synchronize()
        } catch {
            logger.error("the spool could not be put on disk", metadata: ["reason": "\(error)"])
            upload?.cannotBeMadeDurable(error.uploadFailure)
            return answer(.failure(error.uploadFailure))
        }
        if let mark { upload?.contentIsSynced(asOf: mark) }
        whenJournalled(durably: true) { result in
            switch result {
            case .success: if let mark { upload?.contentIsDurable(asOf: mark) }
            case .failure(let failure): upload?.cannotBeMadeDurable(failure)
            }
            answer(result)
        }
    }

    /// Calls `body` with success once the journal knows everything that it was told, or with what kept it from that.
    func whenJournalled(durably: Bool, _ body: @escaping @Sendable (Result<Void, UploadFailure>) -> Void) {
        guard let journal else { return body(.success(())) }
        journal.whenWritten(durably: durably) { [logger] result in
            if case .failure(let failure) = result {
                logger.error(
                    "the journal could not be written", metadata: ["reason": "\(failure.uploadFailure.message)"])
            }
            body(result.mapError { $0.uploadFailure })
        }
    }

    /// A wait whose good answer is given when the journal knows what led to it.
    func journalled(_ wait: CloseWait) -> CloseWait {
        guard journal != nil else { return wait }
        return CloseWait(
            reply: { result in
                guard case .success = result else {
                    wait.answer(result)
                    return
                }
                self.whenJournalled(durably: self.configuration.closeMode == .spool) { outcome in
                    // What was confirmed is confirmed; only what is promised to be on disk has to be there.
                    let isPromise = self.configuration.closeMode == .spool
                    wait.answer(isPromise ? outcome.mapError { FuseErrno($0) } : result)
                }
            }, whenInterrupted: { wait.onInterrupt($0) })
    }

    /// Throws when nothing can be written down: what was accepted now might be lost. Where that was so a moment ago it is
    /// tried again; then it blocks on the disk.
    func checkJournal() throws(UploadFailure) {
        guard let journal, journal.failure != nil else { return }
        do throws(JournalError) {
            try journal.waitUntilWritten(durably: false)
        } catch {
            throw error.uploadFailure
        }
    }
}

extension NodeRecord.Time {
    init(_ time: NodeTime) { self.init(seconds: time.seconds, nanoseconds: time.nanoseconds) }
}

extension NodeTime {
    init(_ time: NodeRecord.Time) { self.init(seconds: time.seconds, nanoseconds: time.nanoseconds) }
}
