import Dispatch
import FileTree
import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// What a FLUSH, a RELEASE or a rename does: gathers what is known, asks ``UploadCore/CommitRule``, and acts on its verdict.
package final class Committer: Sendable {
    let namespace: Namespace
    let handles: HandleTable<OpenFile>
    let closing: CloseCoordinator
    let engine: UploadEngine
    let reclaimer: SpoolReclaimer
    let writers: any WriterInspector
    private let exits: WriterExits
    let configuration: FilesystemConfiguration
    /// What the last release has left undecided.
    let undecided = UndecidedFiles()

    init(
        configuration: FilesystemConfiguration, namespace: Namespace, handles: HandleTable<OpenFile>,
        closing: CloseCoordinator, engine: UploadEngine, reclaimer: SpoolReclaimer, admission: WriterAdmission
    ) {
        self.configuration = configuration
        self.namespace = namespace
        self.handles = handles
        self.closing = closing
        self.engine = engine
        self.reclaimer = reclaimer
        writers = admission.writers
        exits = admission.exits
    }

    // MARK: FLUSH

    /// Decides what a close means, and answers it at once or when that is done.
    package func close(_ handle: UInt64, context: FuseRequestContext, _ wait: CloseWait) {
        do throws(FuseErrno) {
            let open = try handles.get(handle)
            guard open.canWrite else {
                wait.answer(.success(()))
                return
            }
            look(atCallerOf: open, pid: context.pid, until: .now + Self.patience, wait)
        } catch {
            wait.answer(.failure(error))
        }
    }

    /// How long a look that fails is repeated before it counts for nothing.
    static let patience: Duration = .seconds(30)
    /// How long after it.
    static let pause = DispatchTimeInterval.milliseconds(50)

    /// Begins with the caller. Nothing else tells whether it closes the file or is on its way out, and once its close is
    /// answered it may be gone.
    private func look(
        atCallerOf open: OpenFile, pid: Int32, until deadline: ContinuousClock.Instant, _ wait: CloseWait
    ) {
        guard let closer = closer(pid) else {
            if deadline > .now {
                return again(wait) { self.look(atCallerOf: open, pid: pid, until: deadline, wait) }
            }
            open.file.taint(open.file.version, "its writer could not be looked at when it closed it")
            wait.answer(.failure(.ioError))
            return
        }
        // One that is on its way out can be interrupted by nothing, and is gone with the answer.
        if closer == .running { closing.begin(wait, pid: pid) }
        let process = closer == .unseen ? nil : writers.threadGroup(of: pid)
        switch closer {
        // Before it is decided: an interrupt may end the wait, and it has closed the file all the same.
        case .running, .exiting: if let process { open.file.closes(by: process, open.handle) }
        case .ending, .dying, .unseen: break
        }
        decide(PendingClose(open: open, pid: pid, closer: closer, process: process, deadline: deadline), wait)
    }

    /// Looks again soon, unless the close is answered by then: whoever was interrupted leaves it to the last release.
    private func again(_ wait: CloseWait, _ look: @escaping @Sendable () -> Void) {
        closing.hold(wait)
        BackgroundWork.after(Self.pause) {
            self.closing.letGo(wait)
            if wait.isOver { return }
            BackgroundWork.decide(look)
        }
    }

    private func decide(_ close: PendingClose, _ wait: CloseWait) {
        switch flush(close) {
        case .immediate(nil): wait.answer(.success(()))
        case .immediate(let errno?): wait.answer(.failure(errno))
        case .lookAgain: again(wait) { self.decide(close, wait) }
        case .awaitUpload(let upload, let scope):
            if close.closer == .unseen { closing.begin(wait, pid: close.pid) }
            closing.wait(for: upload, committing: scope, wait)
        case .awaitJournal(let open):
            closing.waitForJournal(of: open, wait)
        }
    }

    /// What a FLUSH is answered with.
    private enum FlushAnswer {
        /// At once.
        case immediate(FuseErrno?)
        /// After another look.
        case lookAgain
        /// When this upload is completed, or staged. The scope is that of a commit to be made.
        case awaitUpload(Upload, CommitScope?)
        /// When the journal knows the file, of which there is nothing to upload.
        case awaitJournal(OpenFile)
    }

    /// Decides what the close of a descriptor means.
    private func flush(_ close: PendingClose) -> FlushAnswer {
        let open = close.open
        if open.file.look.isCancelled { return .immediate(.ioError) }
        startUploadIfLacking(open.file, node: open.node)
        let (closing, version) = closeContext(of: open.file, node: open.node, close)
        let verdict = CommitRule.onFlush(closing)
        rememberEnd(of: close, closing, version)
        switch verdict {
        case .notYet, .awaitEnds:
            return .immediate(nil)
        case .lookAgain:
            return .lookAgain
        case .taint(let reason):
            open.file.taint(version, reason)
            return .immediate(nil)
        case .refuse:
            if let taint = closing.taint { open.file.taint(version, taint) }
            return .immediate(.ioError)
        case .nothing:
            // What was written last found no place at all, and nothing else is to be told of it.
            if open.file.lacksWhatWasRefused { return .immediate(.ioError) }
            if isFinalCloseOfLocalFile(close, version, closing) { return .awaitJournal(open) }
            return joinedAnswer(open.file, closing)
        case .commit(let scope):
            return commit(close, version, scope, isForNow: false, closing)
        case .commitForNow(let scope):
            return commit(close, version, scope, isForNow: true, closing)
        case .commitInBackground(let scope):
            // Where that is outdated, whoever has come decides, or the last release.
            if case .made(let upload) = seal(version, of: open.file, scope, unlessOpen: false) {
                upload.apply(.committed(scope))
            }
            namespace.markDirty([open.node])
            return .immediate(nil)
        case .interrupt(let reason):
            switch interrupt(open.file, version, reason: reason, closing) {
            case .outdated where close.deadline > .now: return .lookAgain
            case .made, .outdated: return .immediate(.ioError)
            case .refused: return joinedAnswer(open.file, closing)
            }
        }
    }

    /// How a process ends that has the file open counts where it wrote into it.
    private func rememberEnd(
        of close: PendingClose, _ closing: CommitRule.CloseContext, _ version: FileVersion?
    ) {
        guard closing.closerWrote else { return }
        switch closing.closer {
        case .dying(let how): close.open.file.taint(version, how)
        case .ending:
            guard let process = close.process, closing.hasUncommittedContent else { return }
            awaitEnd(of: process, in: close.open.file, version, node: close.open.node)
        case .running, .exiting, .unseen: break
        }
    }

    private func commit(
        _ close: PendingClose, _ version: FileVersion?, _ scope: CommitScope, isForNow: Bool,
        _ closing: CommitRule.CloseContext
    ) -> FlushAnswer {
        let open = close.open
        switch seal(version, of: open.file, scope, unlessOpen: false, isForNow: isForNow) {
        case .made(let upload):
            if isForNow { undecided.add(open.file, node: open.node) }
            namespace.markDirty([open.node])
            return .awaitUpload(upload, scope)
        // Somebody has come while it was looked who is there.
        case .outdated where close.deadline > .now: return .lookAgain
        // They come and go all the time: the last release tells.
        case .outdated: return commit(close, version, scope == .whole ? .allButLast : scope, isForNow: true, closing)
        case .refused: return joinedAnswer(open.file, closing)
        }
    }

    /// Commits the version that was looked at, so far. How its writers end is nothing to it any more, but is told.
    func seal(
        _ looked: FileVersion?, of file: MountedFile, _ scope: CommitScope, unlessOpen: Bool, isForNow: Bool = false
    ) -> MountedFile.Decision<Upload> {
        let decision = file.seal(looked, scope, unlessOpen: unlessOpen, isForNow: isForNow)
        guard case .made(let upload) = decision else {
            // It was decided by the close before: that nobody has it open has been seen now.
            if case .refused = decision, !isForNow, !file.isCommittedForNow, let upload = looked?.upload,
                upload.identity.isUndecided
            {
                upload.updateIdentity { $0.isUndecided = false }
            }
            return decision
        }
        if !isForNow, let looked { exits.committed(upload, by: looked.writers) }
        // What is committed as a whole is decided, as soon as the journal knows that.
        if scope != .whole, upload.identity.isUndecided != isForNow {
            upload.updateIdentity { $0.isUndecided = isForNow }
        }
        return decision
    }

    /// A close that decides nothing shares the fate of a version that is on its way, if its caller can hear of it.
    private func joinedAnswer(_ file: MountedFile, _ closing: CommitRule.CloseContext) -> FlushAnswer {
        let look = file.look
        // Whoever waited when the name was taken away has been told; a file without a name is nobody's upload.
        guard let version = look.version, version.phase != .writing, !look.isRemoved, let upload = version.upload,
            writersHear(closing)
        else { return .immediate(nil) }
        return .awaitUpload(upload, nil)
    }

    /// Whether its last writer closes a file of which nothing is uploaded, and hears how that goes.
    private func isFinalCloseOfLocalFile(
        _ close: PendingClose, _ version: FileVersion?, _ closing: CommitRule.CloseContext
    ) -> Bool {
        guard version?.staysHere ?? true, writersHear(closing) else { return false }
        if close.open.file.look.isRemoved { return false }
        // Of content it has been looked up already.
        if closing.hasUncommittedContent { return closing.held != .yes }
        // Where it cannot be told it may be the last: it only waits for this machine's disk.
        if case .process = holder(of: close.open.file, version, node: close.open.node, besides: close) { return false }
        return true
    }

    private func writersHear(_ closing: CommitRule.CloseContext) -> Bool {
        switch closing.closer {
        // One that is not to be seen may.
        case .running, .unseen: true
        case .exiting, .ending, .dying: false
        }
    }

    // MARK: RELEASE

    /// The last descriptor of a handle is gone.
    package func release(_ handle: UInt64) {
        // Before nobody has it open for all to see: it is not decided yet.
        if let open = try? handles.get(handle), open.canWrite { undecided.add(open.file, node: open.node) }
        guard let open = handles.remove(handle) else { return }
        let file = open.file
        if open.canWrite { namespace.closed(by: open.opener) }
        if file.closed(canWrite: open.canWrite) {
            lastWriterReleased(file, node: open.node)
            namespace.markDirty([open.node])
        }
        let look = file.look
        if look.handles == 0, look.isRemoved { return namespace.discard(file, node: open.node) }
        unlistIfInterrupted(file, node: open.node)
    }

    /// The same again, when more is known than at the last release.
    func decideAgain(_ file: MountedFile, node: NodeID) {
        guard file.look.writeHandles == 0 else { return }
        lastWriterReleased(file, node: node)
        namespace.markDirty([node])
        unlistIfInterrupted(file, node: node)
    }

    private func unlistIfInterrupted(_ file: MountedFile, node: NodeID) {
        let look = file.look
        guard look.handles == 0, !look.isRemoved, let upload = look.version?.upload,
            upload.currentState == .interrupted
        else { return }
        unlist(file, node: node, upload)
    }

    /// What the last release comes to.
    private enum ReleaseOutcome {
        case decided
        /// Nothing becomes of the version.
        case interrupted
        /// It is to be looked at again.
        case lookAgain
        /// How its writers ended calls again.
        case awaitEnds
    }

    /// Nobody can write into the file any more: what no close has decided is decided now; tells whether it came to nothing.
    @discardableResult
    func lastWriterReleased(_ file: MountedFile, node: NodeID) -> Bool {
        startUploadIfLacking(file, node: node)
        endNeedlessUploads(file, node: node)
        let outcome = decideOnRelease(of: file, node: node)
        switch outcome {
        case .decided, .interrupted:
            undecided.remove(file)
            file.releaseSource()
        case .awaitEnds:
            undecided.add(file, node: node)
        case .lookAgain:
            undecided.add(file, node: node)
            BackgroundWork.after(Self.pause) { BackgroundWork.decide { self.decideAgain(file, node: node) } }
        }
        return outcome == .interrupted
    }

    private func decideOnRelease(of file: MountedFile, node: NodeID) -> ReleaseOutcome {
        let (closing, version) = closeContext(of: file, node: node, nil)
        switch CommitRule.onLastRelease(closing) {
        case .nothing, .notYet, .taint, .refuse: return .decided
        case .awaitEnds: return .awaitEnds
        case .lookAgain: return .lookAgain
        case .commit(let scope), .commitForNow(let scope), .commitInBackground(let scope):
            switch seal(version, of: file, scope, unlessOpen: true) {
            case .made(let upload): upload.apply(.committed(scope))
            case .outdated: return .lookAgain
            case .refused: break
            }
            namespace.markDirty([node])
            return .decided
        case .interrupt(let reason):
            switch interrupt(file, version, reason: reason, closing) {
            case .made: break
            case .outdated: return .lookAgain
            case .refused: return .decided
            }
            unlistIfInterrupted(file, node: node)
            return .interrupted
        }
    }

    /// Takes an interrupted file out of the listing, unless somebody has opened it again or it is to stay there: rsync's
    /// `--partial` wants to find it again. Its bytes are kept for a while.
    private func unlist(_ file: MountedFile, node: NodeID, _ upload: Upload) {
        guard file.unlisted(upload) else { return }
        namespace.unlist(upload, of: node)
        let location = namespace.tree.withLock { tree -> NodeLocation? in
            guard let location = try? tree.node(node).location else { return nil }
            _ = try? tree.removeFile(location.name, in: location.parent, at: .now())
            tree.discard(node)
            return location
        }
        namespace.markDirty([node])
        // aria2 would look for the file that it has written its own about, and abort for good.
        if let location { try? namespace.removeFile(location.name.bytes + Array(".aria2".utf8), in: location.parent) }
        reclaimer.keep(upload)
    }
}
