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

    /// A file that got a name under which it is uploaded only after it was begun gets its upload when it is closed: what is
    /// written into it later is told to that.
    func startUploadIfLacking(_ file: MountedFile, node: NodeID) {
        guard let version = file.version, version.upload == nil, version.size > 0, version.isToBeUploaded,
            version.changesUnderWay == 0, version.hasUncommittedContent, let path = namespace.path(of: node)
        else { return }
        let upload = engine.begin(namespace.identity(for: path), spool: version.spool)
        upload.apply(.wrote(0..<version.size))
        if let declared = file.declaredHint { upload.apply(.hinted(declared)) }
        let (attached, predecessors) = file.attach(upload, to: version, unlessChanged: true)
        guard attached === upload else { return reclaimer.drop(upload) }
        for old in predecessors { upload.takePlace(of: old, reason: ContentStore.overwritten) }
        namespace.contentWasSet(in: file, node: node, upload: upload)
    }

    /// What was emptied and closed so is an empty file, and what has got a name of those that stay here stays here: nothing
    /// of it is uploaded.
    func endNeedlessUploads(_ file: MountedFile, node: NodeID) {
        let partial = file.upload.flatMap { $0.inspect { $0.lacksBytes } ? $0 : nil }
        let (own, predecessors) = file.detachNeedlessUploads(besides: partial)
        for upload in predecessors + [own].compactMap({ $0 }) {
            // The path may lead to another file's upload soon.
            namespace.unlist(upload, of: node)
            upload.apply(.cancelled(file.size == 0 ? Self.emptied : Self.keptHere))
        }
        // Its spool file is the file's own still: the next mount is not to give that back for it.
        if let own { reclaimer.dismiss(own) }
    }

    private static let emptied = UploadFailure(
        .cancelled, code: "emptied", message: "the file was emptied: there is nothing to upload")
    private static let keptHere = UploadFailure(
        .cancelled, code: "kept_here", message: "the file was renamed to a name of those that are not uploaded")

    /// Ends the version that was looked at, unless somebody changes it. What a file server's client sent in part stays listed: it
    /// may go on from there, as `reput` does. Not where some of what comes before is missing: nobody would send that again.
    func interrupt(
        _ file: MountedFile, _ looked: FileVersion?, reason: String, _ closing: CommitRule.CloseContext
    ) -> MountedFile.Decision<FileVersion> {
        let lacksBytes = CommitRule.lacksBytes(closing)
        let canBeCompleted = reason == FileServer.reason && !lacksBytes && !closing.hasReleasedBytes
        let decision = file.end(looked, canBeCompleted ? .partial : .interrupted)
        if case .made(let ended) = decision, let upload = ended.upload {
            upload.apply(
                .interrupted(
                    .unfinished(
                        reason, isOnDisk: upload.isDurable, lacksBytes: lacksBytes, isListed: canBeCompleted,
                        cause: ended.refused.isEmpty ? nil : ended.refusal,
                        advice: closing.shortOfNamesake == nil ? nil : Self.shortOnPurpose)))
        }
        return decision
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
            closing.closerWrote =
                close.process.map { version?.writers.isWriting($0, through: close.open.handle) ?? false } ?? false
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
            let holder = holder(of: file, version, node: node, besides: close)
            if let process = close.process, let hasAnother = hasAnother(close, holder, node) {
                file.looked(at: process, hasAnother: hasAnother)
            }
            switch holder {
            case .nobody: closing.held = version.changesUnderWay > 0 ? .yes : .no
            case .process: closing.held = .yes
            case .hidden: closing.held = .unseen
            case .failed where close.deadline > .now: closing.hasFailedLooks = true
            // The last release tells.
            case .failed: closing.held = .unseen
            }
        }
        // It dies with what it inherited; a duplicate of what it wrote through its end would close after this.
        if let close, let process = close.process, version.writers.contains(process), !closing.closerWrote,
            closing.held == .no, isDying(close.closer)
        {
            closing.held = .unseen
        }
        look(atWritersOf: version, in: file, node: node, close, &closing)
        if !version.refused.isEmpty { closing.refusal = version.refusal?.message ?? "it found no space" }
        closing.isCutOffInPlace = version.awaitsFinalTruncation
        closing.lacksDeclaredBytes = version.upload?.inspect { $0.lacksDeclaredBytes } ?? false
        closing.isOnlyPresized = version.upload?.inspect { $0.isOnlyPresized } ?? false
        // Of what has no name any more nobody misses any.
        closing.hasReleasedBytes = !file.look.isRemoved && version.upload?.inspect { $0.lacksBytes } ?? false
        closing.shortOf = missingBytes(of: version)
        closing.shortOfNamesake = closing.shortOf == nil ? cutNamesake(version, of: file) : nil
        closing.name = closingName(of: node, version)
        return (closing, version)
    }

    private func isDying(_ closer: CommitRule.CloseContext.Closer) -> Bool {
        switch closer {
        case .dying, .ending: true
        case .running, .exiting, .unseen: false
        }
    }

    /// Who of the file's writers, and the processes that they have started, has it open still when one closes it.
    func holder(
        of file: MountedFile, _ version: FileVersion?, node: NodeID, besides close: PendingClose
    ) -> ProcessTable.Holder {
        let look = file.look
        var involved = look.openers.union(version?.writers.processes ?? [])
        if close.closer != .unseen { involved.insert(close.process ?? close.pid) }
        let earlier = look.processesBefore ?? .none
        return writers.holder(ofInode: node.rawValue, openers: involved, notIn: earlier)
    }

    /// Whether the process that closes a descriptor, and goes on, has another one; nil where that is not to be seen.
    private func hasAnother(_ close: PendingClose, _ holder: ProcessTable.Holder, _ node: NodeID) -> Bool? {
        guard close.closer == .running, let process = close.process else { return nil }
        switch holder {
        case .nobody: return false
        case .process(process): return true
        case .process, .hidden, .failed: return writers.holds(process, inode: node.rawValue)
        }
    }

    /// Why the version can't become an asset any more, if a writer of it was killed, and whether that is known of all.
    ///
    /// A writer that dies beside others that hold the file closes at the same moment as they do. Its own FLUSH may not
    /// have been decided, or not even have come; but until that is answered it is on its way out, for everyone to see.
    /// Hence the writers are looked at first, and what was remembered of those that are gone is read after it.
    ///
    /// Some never tell by a FLUSH: who writes through a table that another process has as well, or through a ring.
    private func look(
        atWritersOf version: FileVersion, in file: MountedFile, node: NodeID, _ close: PendingClose?,
        _ closing: inout CommitRule.CloseContext
    ) {
        var death: String?
        for (writer, record) in version.writers.records where writer != close?.process && record.standing != .closed {
            let fate = fate(of: writer, record)
            // It may have closed the file before that look.
            switch (fate, file.standing(ofWriter: writer, in: version)) {
            case (_, .closed), (.goesOn, _): break
            case (.unknown, _): closing.hasFailedLooks = true
            case (.spoils(let how), .writing): death = death ?? how
            case (.exits, .writing): awaitEnd(of: writer, in: file, version, node: node)
            case (.isGone, .writing):
                awaitEnd(ofGone: writer, record, in: file, version, node: node, close, &closing)
            // If its end closes another descriptor, that has not been decided yet. The last release comes after it.
            case (.spoils, .closedOne), (.exits, .closedOne):
                if close != nil, record.watched?.end == nil, closing.held == .no { closing.held = .unseen }
            case (.isGone, .closedOne): break
            }
        }
        for writer in version.writers.earlier {
            switch writer.watched?.end.map({ reason($0, of: writer) }) {
            case let reason?: death = death ?? reason
            // That is on its way: the number has been given to another one.
            case nil: closing.hasFailedLooks = true
            }
        }
        let (taint, awaitsEnds) = file.standing(of: version)
        closing.taint = death ?? taint
        closing.awaitsEnds = awaitsEnds
    }

    /// What a writer that has not closed the file does to the version.
    private enum Fate {
        /// Nothing: it runs, or has ended well.
        case goesOn
        /// Its end spoils it.
        case spoils(String)
        /// It exits; it is yet to be learnt how.
        case exits
        /// It is not to be seen any more.
        case isGone
        /// The look failed.
        case unknown
    }

    private func fate(of writer: Int32, _ record: VersionWriters.Record) -> Fate {
        // Its number may be another process's by now.
        if let end = record.watched?.end {
            return reason(end, of: record).map { .spoils($0) } ?? .goesOn
        }
        return switch closer(writer) {
        case .running, .exiting: .goesOn
        case .dying(let how): .spoils(how)
        case .ending: .exits
        case .unseen: .isGone
        case nil: .unknown
        }
    }

    private func reason(_ end: ProcessEnd, of writer: VersionWriters.Record) -> String? {
        ProcessInspector.reason(end, of: writer, acceptingUnknown: configuration.takesUnseenWriters)
    }

    /// How a process fares that closes the file, or wrote into it; nil when the look failed.
    func closer(_ pid: Int32) -> CommitRule.CloseContext.Closer? {
        let closer = writers.closer(pid)
        switch closer {
        case .exiting, .ending, .dying:
            guard let command = writers.command(of: pid), FileServer.isOne(command) else { return closer }
            return .dying(FileServer.reason)
        case .running, .unseen, nil: return closer
        }
    }

    /// A writer is gone that had not closed the file: whoever watches it is told in a moment how it ended.
    private func awaitEnd(
        ofGone writer: Int32, _ record: VersionWriters.Record, in file: MountedFile, _ version: FileVersion,
        node: NodeID, _ close: PendingClose?, _ closing: inout CommitRule.CloseContext
    ) {
        guard let close, record.watched != nil, close.deadline > .now else {
            return awaitEnd(of: writer, in: file, version, node: node)
        }
        // Where others have it open, one of their closes decides.
        if closing.held != .yes { closing.hasFailedLooks = true }
    }

    /// A writer exited with the file open: nothing is committed before it is known how it ended.
    func awaitEnd(of writer: Int32, in file: MountedFile, _ version: FileVersion?, node: NodeID) {
        let record = version?.writers.records[writer]
        let acceptsUnknown = configuration.takesUnseenWriters && record?.isFileServer != true
        guard let version, let watched = file.awaitEnd(of: writer, in: version, acceptingUnknown: acceptsUnknown)
        else { return }
        watched.whenEnded { end in
            let reason = ProcessInspector.reason(end, of: record, acceptingUnknown: false)
            guard file.endIsKnown(of: writer, in: version, spoiltBy: reason) else { return }
            self.decideAgain(file, node: node)
        }
    }

    /// What its name means for a close: whether it becomes an asset now, waits for another name, or stays here.
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
