import Dispatch
import FileTree
import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// Closing: what a FLUSH decides, who waits for what, and what the last RELEASE sees to.

extension MountedFilesystem {
    // MARK: FLUSH

    /// What a FLUSH is answered with.
    enum FlushAnswer {
        /// At once.
        case now(FuseErrno?)
        /// When this upload is completed, or staged. The scope is that of a commit to be made.
        case when(Upload, CommitScope?)
        /// When the journal knows the file, of which there is nothing to upload.
        case whenKept(OpenFile)
    }

    /// Decides what the close of a descriptor means.
    func flush(_ handle: UInt64, context: FuseRequestContext) throws(FuseErrno) -> FlushAnswer {
        let open = try handles.get(handle)
        guard open.canWrite else { return .now(nil) }
        if open.file.look.isCancelled { return .now(.ioError) }
        let (facts, version) = facts(of: open.file, node: open.node, closedBy: context.pid)
        let verdict = CommitRule.onFlush(facts)
        if case .dying(let how) = facts.closer, facts.closerWrote { open.file.taint(version, how) }
        switch verdict {
        case .notYet:
            return .now(nil)
        case .taint(let reason):
            open.file.taint(version, reason)
            return .now(nil)
        case .nothing:
            // What was written last found no place at all, and nothing else is to be told of it.
            if open.file.lacksWhatWasRefused { return .now(.ioError) }
            if isLeft(open, version, closedBy: context.pid, facts) { return .whenKept(open) }
            return joinedAnswer(open.file, facts)
        case .commit(let scope):
            guard let upload = open.file.seal(version, scope, unlessOpen: false) else {
                return joinedAnswer(open.file, facts)
            }
            note([open.node])
            return .when(upload, scope)
        case .commitInBackground(let scope):
            open.file.seal(version, scope, unlessOpen: false)?.apply(.committed(scope))
            note([open.node])
            return .now(nil)
        case .interrupt(let reason):
            return interrupt(open.file, version, reason: reason, facts)
                ? .now(.ioError) : joinedAnswer(open.file, facts)
        }
    }

    /// A close that decides nothing shares the fate of a version that is on its way, if its caller can hear of it.
    private func joinedAnswer(_ file: MountedFile, _ facts: CommitRule.Facts) -> FlushAnswer {
        let look = file.look
        // Whoever waited when the name was taken away has been told; a file without a name is nobody's upload.
        guard let version = look.version, version.phase != .writing, !look.isRemoved, let upload = version.upload,
            writersHear(facts)
        else { return .now(nil) }
        return .when(upload, nil)
    }

    /// Whether its last writer lets go of a file of which nothing is uploaded, and hears how that goes.
    private func isLeft(
        _ open: OpenFile, _ version: FileVersion?, closedBy pid: Int32, _ facts: CommitRule.Facts
    ) -> Bool {
        guard version?.upload == nil, facts.closer == .running else { return false }
        if open.file.look.isRemoved { return false }
        // Of content it has been looked up already.
        if facts.hasUncommittedContent { return !facts.isHeld }
        return holder(of: open.file, version, node: open.node, besides: pid) == .nobody
    }

    private func writersHear(_ facts: CommitRule.Facts) -> Bool {
        switch facts.closer {
        case .running: true
        case .exiting, .dying, .unknown: false
        }
    }

    /// Lets a close wait for an upload, until that is decided or stalls, the caller is told to end, or the mount ends.
    package func wait(for upload: Upload, committing scope: CommitScope?, pid: Int32, _ wait: CloseWait) {
        if configuration.closeMode == .spool, upload.currentState.isUnderWay {
            return waitForDisk(for: upload, committing: scope, pid: pid, wait)
        }
        closeWaits.add(wait)
        let waiter = upload.whenAnswered(stagedIsEnough: scope != .whole) { result in
            self.closeWaits.remove(wait)
            let isAnswer = wait.answer(result.mapError { FuseErrno($0) })
            if case .failure = result, isAnswer { self.makeDurable(upload) }
        }
        wait.onInterrupt {
            self.interrupts.watch(isOver: { wait.isOver }, isAskedToEnd: { self.writers.isAskedToEnd(pid) }) {
                guard wait.answer(.failure(.interrupted)) else { return }
                self.closeWaits.remove(wait)
                if let waiter { upload.stopWaiting(waiter) }
                self.makeDurable(upload)
            }
        }
        if let scope { upload.apply(.committed(scope)) }
    }

    /// Puts the bytes of an upload on disk, beside everything else: its close was answered before it was confirmed.
    private func makeDurable(_ upload: Upload) {
        guard upload.currentState.isUnderWay else { return }
        // What went wrong is in the log; the upload goes on all the same.
        DispatchQueue.global().async { self.putOnDisk(upload.spool, of: upload) { _ in } }
    }

    // MARK: RELEASE

    /// The last descriptor of a handle is gone.
    package func release(_ handle: UInt64) {
        guard let open = handles.remove(handle) else { return }
        let file = open.file
        if file.closed(canWrite: open.canWrite) {
            lastWriterReleased(file, node: open.node)
            note([open.node])
        }
        let look = file.look
        guard look.handles == 0 else { return }
        if look.isRemoved {
            discard(file, node: open.node)
        } else if let upload = look.version?.upload, upload.currentState == .interrupted {
            unlist(file, node: open.node, upload)
        }
    }

    /// Nobody can write into the file any more: what no close has decided is decided now.
    func lastWriterReleased(_ file: MountedFile, node: NodeID) {
        startUploadIfLacking(file, node: node)
        endUploadsOfNothing(file)
        let (facts, version) = facts(of: file, node: node, closedBy: nil)
        switch CommitRule.onLastRelease(facts) {
        case .nothing, .notYet, .taint: break
        case .commit(let scope), .commitInBackground(let scope):
            file.seal(version, scope, unlessOpen: true)?.apply(.committed(scope))
            note([node])
        case .interrupt(let reason): _ = interrupt(file, version, reason: reason, facts)
        }
    }

    /// Takes an interrupted file out of the listing, unless somebody has opened it again or it is to stay there: rsync's
    /// `--partial` wants to find it again. Its bytes are kept for a while.
    private func unlist(_ file: MountedFile, node: NodeID, _ upload: Upload) {
        guard file.unlisted(upload) else { return }
        upload.updateIdentity { $0.isListed = false }
        let location = tree.withLock { tree -> NodeLocation? in
            guard let location = try? tree.node(node).location else { return nil }
            _ = try? tree.removeFile(location.name, in: location.parent, at: .now())
            tree.discard(node)
            return location
        }
        note([node])
        // aria2 would look for the file that it has written its own about, and give up for good.
        if let location { try? removeFile(location.name.bytes + Array(".aria2".utf8), in: location.parent) }
        keeper.keep(upload)
    }

    // MARK: Committing

    /// A file that got a name under which it is uploaded only after it was begun gets its upload when nobody writes any more.
    private func startUploadIfLacking(_ file: MountedFile, node: NodeID) {
        guard let version = file.version, version.upload == nil, version.size > 0, version.isToBeUploaded,
            version.hasUncommittedContent, let path = path(of: node)
        else { return }
        let upload = engine.begin(identity(for: path), spool: version.spool)
        upload.apply(.wrote(0..<version.size))
        if file.attach(upload, to: version).upload !== upload { forget(upload) }
    }

    /// What was emptied and closed so is an empty file, and nothing of it is uploaded.
    private func endUploadsOfNothing(_ file: MountedFile) {
        let emptied = UploadFailure(
            .cancelled, code: "emptied", message: "the file was emptied: there is nothing to upload")
        for upload in file.detachUploadsOfNothing() { upload.apply(.cancelled(emptied)) }
    }

    /// Ends the version that was looked at, unless somebody changes it; tells whether it has come to its end so.
    private func interrupt(
        _ file: MountedFile, _ looked: FileVersion?, reason: String, _ facts: CommitRule.Facts
    ) -> Bool {
        let (isEnded, upload) = file.end(looked, .interrupted)
        if let upload {
            let lacksBytes = CommitRule.lacksBytes(facts)
            upload.apply(
                .interrupted(.unfinished(reason, isOnDisk: upload.isDurable, lacksBytes: lacksBytes)))
        }
        return isEnded
    }

    // MARK: Facts

    /// What is known when a descriptor is closed by `pid`, or the last handle is released (nil), and of which version.
    private func facts(
        of file: MountedFile, node: NodeID, closedBy pid: Int32?
    ) -> (CommitRule.Facts, FileVersion?) {
        var facts = CommitRule.Facts()
        let version = file.version
        if let pid { facts.closer = writers.closer(pid) }
        // What waits for a rename may have got its final name while somebody had it open again: the rename left it to this
        // close.
        guard let version,
            version.hasUncommittedContent || version.phase.awaitsRename && closingName(of: node, version) == .final
        else {
            facts.hasUncommittedContent = false
            return (facts, version)
        }
        facts.size = version.size
        if let pid, facts.closer != .unknown {
            let closer = writers.threadGroup(of: pid)
            facts.closerWrote = closer.map { version.writers.contains($0) } ?? false
            switch holder(of: file, version, node: node, besides: pid) {
            case .nobody: facts.isHeld = version.changesUnderWay > 0
            case .process: facts.isHeld = true
            // Nothing follows from a look that got stuck: the last RELEASE will decide.
            case .unknown: facts.closer = .unknown
            }
        }
        facts.taint = taint(of: file, version, closedBy: pid)
        if !version.refused.isEmpty { facts.refusal = version.refusal ?? "it found no room" }
        facts.isCutOffInPlace = version.awaitsFinalTruncation
        facts.lacksDeclaredBytes = version.upload?.inspect { $0.lacksDeclaredBytes } ?? false
        facts.shortOf = missingBytes(of: version)
        facts.name = closingName(of: node, version)
        return (facts, version)
    }

    /// Who of the file's writers, and the processes that they have started, has it open still when `pid` closes it.
    private func holder(
        of file: MountedFile, _ version: FileVersion?, node: NodeID, besides pid: Int32
    ) -> ProcessTable.Holder {
        let look = file.look
        let involved = look.openers.union(version?.writers ?? []).union([writers.threadGroup(of: pid) ?? pid])
        let earlier = look.processesBefore ?? .none
        return writers.holder(ofInode: node.rawValue, openers: involved, notIn: earlier)
    }

    /// Why the version can't become an asset any more, if a writer of it was killed.
    ///
    /// A writer that dies beside others that hold the file closes at the same moment as they do. Its own FLUSH may not
    /// have been decided, or not even have come; but until that is answered it is on its way out, for everyone to see.
    /// Hence the writers are looked at first, and what was remembered of those that are gone is read after it.
    private func taint(of file: MountedFile, _ version: FileVersion, closedBy pid: Int32?) -> String? {
        for writer in version.writers where writer != pid {
            if case .dying(let how) = writers.closer(writer) { return how }
        }
        return file.taint(of: version)
    }

    /// How many bytes a whole copy has, if this one has fewer: as many as its source had at the beginning or has now,
    /// whichever are fewer, since one that grows is read to an end that it no longer has.
    private func missingBytes(of version: FileVersion) -> Int64? {
        guard let hint = version.upload?.inspect({ $0.hint }), hint.source == .copiedSource else { return nil }
        guard let source = version.source, version.size < hint.size else { return nil }
        let whole = min(hint.size, writers.currentSize(of: source) ?? hint.size)
        return version.size < whole ? whole : nil
    }

    private func closingName(of node: NodeID, _ version: FileVersion) -> CommitRule.Facts.Name {
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
        guard let path = path(of: node), let name = path.last else { return false }
        let control = path.dropLast() + [name + Array(".aria2".utf8)]
        return tree.withLock { (try? $0.lookup(path: Array(control))) != nil }
    }

    // MARK: Size hints

    /// Looks for the size that the file will have, in what its writer reads: at the first write, and once more when there
    /// is enough for a session. Asked while the writer waits for its write, so that it cannot open or close anything.
    func findSize(_ file: MountedFile, node: NodeID, pid: Int32, upTo end: Int64) {
        guard configuration.usesSizeHints else { return }
        guard let version = file.beginHintSearch(isEnough: end >= Self.enoughForSession), let upload = version.upload,
            upload.inspect({ $0.hint?.source ?? .preallocated }) == .preallocated
        else { return }
        nameWriter(of: upload, pid: pid)
        // Nothing is sent under a name that does not tell the final one, so that no size is wanted before the rename.
        guard version.name != .temporary(final: nil), let path = path(of: node) else { return }
        let target = SourceTarget(name: finalName(for: path), inode: node.rawValue, written: end)
        guard let source = writers.source(of: pid, for: target) else { return }
        let size: Int64
        switch source.location {
        case .elsewhere(_, _, let found): size = found
        case .ownFile(let inode):
            guard let own = tree.withLock({ try? $0.file(NodeID(inode)) }) else { return }
            size = own.size
        }
        file.hintWasFound(source)
        upload.apply(.hinted(SizeHint(size: size, source: source.kind == .copied ? .copiedSource : .readSource)))
    }

    /// With fewer bytes no session is opened anyway.
    private static let enoughForSession: Int64 = 5 << 20

    private func nameWriter(of upload: Upload, pid: Int32) {
        guard let group = writers.threadGroup(of: pid), let command = writers.command(of: group) else {
            return upload.updateIdentity { $0.writer = "unknown" }
        }
        upload.updateIdentity { $0.writer = "\(String(decoding: command, as: UTF8.self)) (pid \(group))" }
    }
}
