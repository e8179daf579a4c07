import Dispatch
import FuseLowLevel
import Logging
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
        if open.file.state.withLock({ $0.isGivenUp }) { return .now(.ioError) }
        let (facts, version) = facts(of: open.file, node: open.node, closedBy: context.pid)
        let verdict = CommitRule.onFlush(facts)
        if case .dying(let how) = facts.closer, facts.closerWrote { taint(open.file, version, how) }
        switch verdict {
        case .notYet:
            return .now(nil)
        case .taint(let reason):
            taint(open.file, version, reason)
            return .now(nil)
        case .nothing:
            // What was written last found no place at all, and nothing else is to be told of it.
            if open.file.state.withLock({ !$0.refused.isEmpty }) { return .now(.ioError) }
            if isLeft(open, version, closedBy: context.pid, facts) { return .whenKept(open) }
            return joinedAnswer(open.file, facts)
        case .commit(let scope):
            guard let upload = freeze(open.file, version, scope: scope) else { return joinedAnswer(open.file, facts) }
            note([open.node])
            return .when(upload, scope)
        case .commitInBackground(let scope):
            freeze(open.file, version, scope: scope)?.apply(.committed(scope))
            note([open.node])
            return .now(nil)
        case .interrupt(let reason):
            return interrupt(open.file, version, reason: reason, facts)
                ? .now(.ioError) : joinedAnswer(open.file, facts)
        }
    }

    /// Remembers, whatever becomes of this close, that a writer was killed: a later name may ask for these bytes.
    private func taint(_ file: MountedFile, _ version: FileVersion?, _ reason: String) {
        file.state.withLock { state in
            guard let version, let current = state.version, current.spool === version.spool else { return }
            if !current.isFrozen, current.taint == nil { state.version?.taint = reason }
        }
    }

    /// A close that decides nothing shares the fate of a version that is on its way, if its caller can hear of it.
    private func joinedAnswer(_ file: MountedFile, _ facts: CommitRule.Facts) -> FlushAnswer {
        let upload = file.state.withLock { state in
            // Whoever waited when the name was taken away has been told; a file without a name is nobody's upload.
            state.version?.isFrozen == true && !state.isRemoved ? state.version?.upload : nil
        }
        guard let upload, writersHear(facts) else { return .now(nil) }
        return .when(upload, nil)
    }

    /// Whether its last writer lets go of a file of which nothing is uploaded, and hears how that goes.
    private func isLeft(
        _ open: OpenFile, _ version: FileVersion?, closedBy pid: Int32, _ facts: CommitRule.Facts
    ) -> Bool {
        guard version?.upload == nil, facts.closer == .running else { return false }
        if open.file.state.withLock({ $0.isRemoved }) { return false }
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
        let isLastWriter = file.state.withLock { state in
            state.handles -= 1
            guard open.canWrite else { return false }
            state.writeHandles -= 1
            state.wasClosed = true
            return state.writeHandles == 0
        }
        if isLastWriter {
            lastWriterReleased(file, node: open.node)
            note([open.node])
        }
        let (isUnused, isRemoved, upload) = file.state.withLock {
            ($0.handles == 0, $0.isRemoved, $0.version?.upload)
        }
        guard isUnused else { return }
        if isRemoved {
            discard(file, node: open.node)
        } else if let upload, upload.currentState == .interrupted {
            unlist(file, node: open.node, upload)
        }
    }

    /// Nobody can write into the file any more: what no close has decided is decided now.
    func lastWriterReleased(_ file: MountedFile, node: NodeID) {
        startUploadIfLacking(file, node: node)
        let (facts, version) = facts(of: file, node: node, closedBy: nil)
        switch CommitRule.onLastRelease(facts) {
        case .nothing, .notYet, .taint: break
        case .commit(let scope), .commitInBackground(let scope):
            freeze(file, version, scope: scope, unlessOpen: true)?.apply(.committed(scope))
            note([node])
        case .interrupt(let reason): _ = interrupt(file, version, reason: reason, facts)
        }
    }

    /// Takes an interrupted file out of the listing, unless somebody has opened it again or it is to stay there: rsync's
    /// `--partial` wants to find it again. Its bytes are kept for a while.
    private func unlist(_ file: MountedFile, node: NodeID, _ upload: Upload) {
        let isTaken = file.state.withLock { state in
            guard state.handles == 0, let version = state.version, version.upload === upload, !version.isPlain
            else { return false }
            // Under one lock: who opens it from now on is told to look again, and finds nothing.
            state.isRemoved = true
            state.version = nil
            return true
        }
        guard isTaken else { return }
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

    /// Freezes the version that was looked at and gives its upload; nil when there is nothing to commit, or when it
    /// changes: whoever changes it has yet to let go of it.
    private func freeze(
        _ file: MountedFile, _ looked: FileVersion?, scope: CommitScope, unlessOpen: Bool = false
    ) -> Upload? {
        file.state.withLock { state in
            guard let looked, let version = state.version, version.spool === looked.spool else { return nil }
            guard !version.isFrozen || version.isStaged, version.changesUnderWay == 0, let upload = version.upload
            else { return nil }
            if unlessOpen, state.writeHandles > 0 { return nil }
            state.version?.isFrozen = true
            state.version?.isStaged = scope == .allButLast
            state.declaredSize = nil
            return upload
        }
    }

    /// A file that got a name under which it is uploaded only after it was begun gets its upload when nobody writes any more.
    private func startUploadIfLacking(_ file: MountedFile, node: NodeID) {
        guard let path = path(of: node), verdict(on: path).isUploaded else { return }
        guard let version = file.state.withLock({ $0.version }), version.upload == nil, version.size > 0,
            version.hasUncommittedContent, !version.isPlain
        else { return }
        let upload = engine.begin(identity(for: path), spool: version.spool)
        upload.apply(.wrote(0..<version.size))
        let isUsed = file.state.withLock { state in
            guard state.version?.spool === version.spool, state.version?.upload == nil, state.writeHandles == 0
            else { return false }
            state.version?.upload = upload
            return true
        }
        if !isUsed {
            upload.forgetInJournal()
            engine.forget(upload)
        }
    }

    /// Ends the version that was looked at, unless somebody is at it; tells whether it has come to its end so.
    private func interrupt(
        _ file: MountedFile, _ looked: FileVersion?, reason: String, _ facts: CommitRule.Facts
    ) -> Bool {
        let ended = file.state.withLock { state -> FileVersion? in
            guard let looked, let version = state.version, version.spool === looked.spool else { return nil }
            guard !version.isFrozen, version.changesUnderWay == 0 else { return nil }
            state.version?.isFrozen = true
            return version
        }
        if let ended, let upload = ended.upload {
            upload.apply(
                .interrupted(
                    .unfinished(
                        reason, isOnDisk: upload.isDurable, lacksBytes: CommitRule.lacksBytes(facts),
                        cause: ended.refused.isEmpty ? nil : ended.refusal)))
        }
        return ended != nil
    }

    // MARK: Facts

    /// What is known when a descriptor is closed by `pid`, or the last handle is released (nil), and of which version.
    private func facts(
        of file: MountedFile, node: NodeID, closedBy pid: Int32?
    ) -> (CommitRule.Facts, FileVersion?) {
        var facts = CommitRule.Facts()
        let version = file.state.withLock { $0.version }
        if let pid { facts.closer = writers.closer(pid) }
        // What was staged may have got its final name while somebody had it open again: the rename left it to this close.
        guard let version,
            version.hasUncommittedContent || version.isStaged && closingName(of: node, version) == .final
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
        if !version.refused.isEmpty { facts.refusal = version.refusal?.message ?? "it found no room" }
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
        let (openers, before) = file.state.withLock { ($0.openers, $0.processesBefore) }
        let involved = openers.union(version?.writers ?? []).union([writers.threadGroup(of: pid) ?? pid])
        let earlier = before ?? ProcessSnapshot(taken: .now, processes: [])
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
        return file.state.withLock { state in
            state.version?.spool === version.spool ? state.version?.taint : version.taint
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

    private func closingName(of node: NodeID, _ version: FileVersion) -> CommitRule.Facts.Name {
        guard version.upload != nil, !version.isPlain, let path = path(of: node) else { return .local }
        switch verdict(on: path) {
        case .upload: return .final
        case .temporary(.some): return .temporary
        case .temporary(nil): return .temporaryWithoutFinal
        case .keepLocally, .refuse: return .local
        }
    }

    // MARK: Size hints

    /// Looks for the size that the file will have, in what its writer reads: at the first write, and once more when there
    /// is enough for a session. Asked while the writer waits for its write, so that it cannot open or close anything.
    func findSize(_ file: MountedFile, node: NodeID, pid: Int32, upTo end: Int64) {
        guard configuration.usesSizeHints else { return }
        let upload: Upload? = file.state.withLock { state in
            guard let version = state.version, let upload = version.upload else { return nil }
            switch version.hintSearch {
            case .notTried: state.version?.hintSearch = .missed
            case .missed where end >= Self.enoughForSession: state.version?.hintSearch = .done
            case .missed, .done: return nil
            }
            return upload
        }
        guard let upload, upload.inspect({ $0.hint?.source ?? .preallocated }) == .preallocated else { return }
        nameWriter(of: upload, pid: pid)
        // Nothing is sent under a name that does not tell the final one, so that no size is wanted before the rename.
        guard let path = path(of: node), verdict(on: path) != .temporary(final: nil) else { return }
        let target = SourceTarget(name: finalName(for: path), inode: node.rawValue, written: end)
        guard let source = writers.source(of: pid, for: target) else { return }
        let size: Int64
        switch source.location {
        case .elsewhere(_, _, let found): size = found
        case .ownFile(let inode):
            guard let own = tree.withLock({ try? $0.file(NodeID(inode)) }) else { return }
            size = own.size
        }
        file.state.withLock { state in
            state.version?.hintSearch = .done
            state.version?.source = source
        }
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
