import FileTree
import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// What is known when a descriptor is closed, and what follows for the version.

extension Committer {
    // MARK: Committing

    /// A file that got a name under which it is uploaded only after it was begun gets its upload when nobody writes any more.
    func startUploadIfLacking(_ file: MountedFile, node: NodeID) {
        guard let version = file.version, version.upload == nil, version.size > 0, version.isToBeUploaded,
            version.hasUncommittedContent, let path = namespace.path(of: node)
        else { return }
        let upload = engine.begin(namespace.identity(for: path), spool: version.spool)
        upload.apply(.wrote(0..<version.size))
        guard file.attach(upload, to: version).upload === upload else { return reclaimer.drop(upload) }
        namespace.contentWasSet(in: file, node: node)
    }

    /// What was emptied and closed so is an empty file, and what has got a name of those that stay here stays here: nothing
    /// of it is uploaded.
    func endNeedlessUploads(_ file: MountedFile) {
        let (own, predecessors) = file.detachNeedlessUploads()
        for upload in predecessors + [own].compactMap({ $0 }) {
            // The path may lead to another file's upload soon.
            upload.updateIdentity { $0.isListed = false }
            upload.apply(.cancelled(file.size == 0 ? Self.emptied : Self.keptHere))
        }
        // Its spool file is the file's own still: the next mount is not to give that back for it.
        if let own { reclaimer.dismiss(own) }
    }

    private static let emptied = UploadFailure(
        .cancelled, code: "emptied", message: "the file was emptied: there is nothing to upload")
    private static let keptHere = UploadFailure(
        .cancelled, code: "kept_here", message: "the file was renamed to a name of those that are not uploaded")

    /// Ends the version that was looked at, unless somebody changes it; tells whether it has come to its end so.
    func interrupt(
        _ file: MountedFile, _ looked: FileVersion?, reason: String, _ closing: CommitRule.CloseContext
    ) -> Bool {
        let ended = file.end(looked, .interrupted)
        if let ended, let upload = ended.upload {
            upload.apply(
                .interrupted(
                    .unfinished(
                        reason, isOnDisk: upload.isDurable, lacksBytes: CommitRule.lacksBytes(closing),
                        cause: ended.refused.isEmpty ? nil : ended.refusal)))
        }
        return ended != nil
    }

    // MARK: Facts

    /// A close of a handle that can write, while it is decided what it means.
    struct PendingClose: Sendable {
        let open: OpenFile
        /// The thread that closes.
        let pid: Int32
        /// How its process fares. Looked at once: later it may have gone on, or be gone.
        let closer: CommitRule.CloseContext.Closer
        /// The process that it belongs to, where that is to be seen.
        let process: Int32?
        /// Until when a look that fails is repeated.
        let deadline: ContinuousClock.Instant
    }

    /// What is known when a descriptor is closed, or the last handle is released (nil), and of which version.
    func closeContext(
        of file: MountedFile, node: NodeID, _ close: PendingClose?
    ) -> (CommitRule.CloseContext, FileVersion?) {
        var closing = CommitRule.CloseContext()
        let version = file.version
        if let close {
            closing.closer = close.closer
            closing.closerWrote = close.process.map { version?.writers.contains($0) ?? false } ?? false
        }
        // What waits for a rename may have got its final name while somebody had it open again: the rename left it to this
        // close.
        guard let version,
            version.hasUncommittedContent || version.phase.awaitsRename && closingName(of: node, version) == .final
        else {
            closing.hasUncommittedContent = false
            return (closing, version)
        }
        closing.size = version.size
        if let close {
            switch holder(of: file, version, node: node, besides: close) {
            case .nobody: closing.held = version.changesUnderWay > 0 ? .yes : .no
            case .process: closing.held = .yes
            case .hidden: closing.held = .unseen
            case .failed where close.deadline > .now: closing.hasFailedLooks = true
            // The last release tells.
            case .failed: closing.held = .unseen
            }
        }
        look(atWritersOf: version, in: file, node: node, besides: close?.process, &closing)
        if !version.refused.isEmpty { closing.refusal = version.refusal?.message ?? "it found no space" }
        closing.isCutOffInPlace = version.awaitsFinalTruncation
        closing.lacksDeclaredBytes = version.upload?.inspect { $0.lacksDeclaredBytes } ?? false
        closing.isOnlyPresized = version.upload?.inspect { $0.isOnlyPresized } ?? false
        closing.shortOf = missingBytes(of: version)
        closing.name = closingName(of: node, version)
        return (closing, version)
    }

    /// Who of the file's writers, and the processes that they have started, has it open still when one closes it.
    func holder(
        of file: MountedFile, _ version: FileVersion?, node: NodeID, besides close: PendingClose
    ) -> ProcessTable.Holder {
        let look = file.look
        var involved = look.openers.union(version?.writers ?? [])
        if close.closer != .unseen { involved.insert(close.process ?? close.pid) }
        let earlier = look.processesBefore ?? .none
        return writers.holder(ofInode: node.rawValue, openers: involved, notIn: earlier)
    }

    /// Why the version can't become an asset any more, if a writer of it was killed, and whether that is known of all.
    ///
    /// A writer that dies beside others that hold the file closes at the same moment as they do. Its own FLUSH may not
    /// have been decided, or not even have come; but until that is answered it is on its way out, for everyone to see.
    /// Hence the writers are looked at first, and what was remembered of those that are gone is read after it.
    private func look(
        atWritersOf version: FileVersion, in file: MountedFile, node: NodeID, besides closer: Int32?,
        _ closing: inout CommitRule.CloseContext
    ) {
        var death: String?
        // One whose end is known has told of it, and its number may be another process's by now.
        for writer in version.writers where writer != closer && version.watched[writer]?.end == nil {
            switch writers.closer(writer) {
            case .dying(let how): death = death ?? how
            case .ending: awaitEnd(of: writer, in: file, version, node: node)
            // One that is gone has told of its end by then.
            case .running, .exiting, .unseen: break
            case nil: closing.hasFailedLooks = true
            }
        }
        let (taint, awaitsEnds) = file.standing(of: version)
        closing.taint = death ?? taint
        closing.awaitsEnds = awaitsEnds
    }

    /// A writer exited with the file open: nothing is committed before it is known how it ended.
    func awaitEnd(of writer: Int32, in file: MountedFile, _ version: FileVersion?, node: NodeID) {
        guard let version,
            let watched = file.awaitEnd(of: writer, in: version, acceptingUnknown: configuration.takesUnseenWriters)
        else { return }
        watched.whenEnded { end in
            let reason = end == .exited(status: 0) ? nil : ProcessInspector.words(for: end)
            guard file.endIsKnown(of: writer, in: version, spoiltBy: reason) else { return }
            self.decideAgain(file, node: node)
        }
    }

    /// How many bytes a whole copy has, if this one has fewer: as many as its source had at the beginning or has now,
    /// whichever are fewer, since one that grows is read to an end that it no longer has.
    private func missingBytes(of version: FileVersion) -> Int64? {
        guard let hint = version.upload?.inspect({ $0.hint }), hint.source == .copiedSource else { return nil }
        guard let source = version.source, version.size < hint.size else { return nil }
        let whole = min(hint.size, writers.currentSize(of: source) ?? hint.size)
        return version.size < whole ? whole : nil
    }

    private func closingName(of node: NodeID, _ version: FileVersion) -> CommitRule.CloseContext.Name {
        guard version.upload != nil, version.isToBeUploaded else { return .local }
        switch version.name {
        // aria2 writes under the final name, and removes its own file beside it when it is done.
        case .upload: return version.isWrittenByAria2 && hasControlFile(node) ? .temporary : .final
        case .temporary(.some): return .temporary
        case .temporary(nil): return .temporaryWithoutFinal
        case .keepLocally, .refuse: return .local
        }
    }

    /// Whether `NAME.aria2` is beside a file.
    private func hasControlFile(_ node: NodeID) -> Bool {
        guard let path = namespace.path(of: node), let name = path.last else { return false }
        let control = path.dropLast() + [name + Array(".aria2".utf8)]
        return namespace.tree.withLock { (try? $0.lookup(path: Array(control))) != nil }
    }
}
