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
    let configuration: FilesystemConfiguration

    init(
        configuration: FilesystemConfiguration, namespace: Namespace, handles: HandleTable<OpenFile>,
        closing: CloseCoordinator, engine: UploadEngine, reclaimer: SpoolReclaimer, writers: any WriterInspector
    ) {
        self.configuration = configuration
        self.namespace = namespace
        self.handles = handles
        self.closing = closing
        self.engine = engine
        self.reclaimer = reclaimer
        self.writers = writers
    }

    // MARK: FLUSH

    /// Decides what a close means, and answers it at once or when that is done.
    package func close(_ handle: UInt64, context: FuseRequestContext, _ wait: CloseWait) {
        do throws(FuseErrno) {
            switch try flush(handle, context: context) {
            case .immediate(nil): wait.answer(.success(()))
            case .immediate(let errno?): wait.answer(.failure(errno))
            case .awaitUpload(let upload, let scope):
                closing.begin(wait, pid: context.pid)
                closing.wait(for: upload, committing: scope, wait)
            case .awaitJournal(let open):
                closing.begin(wait, pid: context.pid)
                closing.waitForJournal(of: open, wait)
            }
        } catch {
            wait.answer(.failure(error))
        }
    }

    /// What a FLUSH is answered with.
    private enum FlushAnswer {
        /// At once.
        case immediate(FuseErrno?)
        /// When this upload is completed, or staged. The scope is that of a commit to be made.
        case awaitUpload(Upload, CommitScope?)
        /// When the journal knows the file, of which there is nothing to upload.
        case awaitJournal(OpenFile)
    }

    /// Decides what the close of a descriptor means.
    private func flush(_ handle: UInt64, context: FuseRequestContext) throws(FuseErrno) -> FlushAnswer {
        let open = try handles.get(handle)
        guard open.canWrite else { return .immediate(nil) }
        if open.file.look.isCancelled { return .immediate(.ioError) }
        let (closing, version) = closeContext(of: open.file, node: open.node, closedBy: context.pid)
        let verdict = CommitRule.onFlush(closing)
        if case .dying(let how) = closing.closer, closing.closerWrote { open.file.taint(version, how) }
        switch verdict {
        case .notYet:
            return .immediate(nil)
        case .taint(let reason):
            open.file.taint(version, reason)
            return .immediate(nil)
        case .nothing:
            // What was written last found no place at all, and nothing else is to be told of it.
            if open.file.lacksWhatWasRefused { return .immediate(.ioError) }
            if isFinalCloseOfLocalFile(open, version, closedBy: context.pid, closing) { return .awaitJournal(open) }
            return joinedAnswer(open.file, closing)
        case .commit(let scope):
            guard let upload = open.file.seal(version, scope, unlessOpen: false) else {
                return joinedAnswer(open.file, closing)
            }
            namespace.markDirty([open.node])
            return .awaitUpload(upload, scope)
        case .commitInBackground(let scope):
            open.file.seal(version, scope, unlessOpen: false)?.apply(.committed(scope))
            namespace.markDirty([open.node])
            return .immediate(nil)
        case .interrupt(let reason):
            return interrupt(open.file, version, reason: reason, closing)
                ? .immediate(.ioError) : joinedAnswer(open.file, closing)
        }
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
        _ open: OpenFile, _ version: FileVersion?, closedBy pid: Int32, _ closing: CommitRule.CloseContext
    ) -> Bool {
        guard version?.upload == nil, closing.closer == .running else { return false }
        if open.file.look.isRemoved { return false }
        // Of content it has been looked up already.
        if closing.hasUncommittedContent { return !closing.isHeld }
        return holder(of: open.file, version, node: open.node, besides: pid) == .nobody
    }

    private func writersHear(_ closing: CommitRule.CloseContext) -> Bool {
        switch closing.closer {
        case .running: true
        case .exiting, .dying, .unknown: false
        }
    }

    // MARK: RELEASE

    /// The last descriptor of a handle is gone.
    package func release(_ handle: UInt64) {
        guard let open = handles.remove(handle) else { return }
        let file = open.file
        if file.closed(canWrite: open.canWrite) {
            lastWriterReleased(file, node: open.node)
            namespace.markDirty([open.node])
        }
        let look = file.look
        guard look.handles == 0 else { return }
        if look.isRemoved {
            namespace.discard(file, node: open.node)
        } else {
            unlistIfInterrupted(file, node: open.node)
        }
    }

    private func unlistIfInterrupted(_ file: MountedFile, node: NodeID) {
        guard let upload = file.upload, upload.currentState == .interrupted else { return }
        unlist(file, node: node, upload)
    }

    /// Nobody can write into the file any more: what no close has decided is decided now.
    func lastWriterReleased(_ file: MountedFile, node: NodeID) {
        startUploadIfLacking(file, node: node)
        endNeedlessUploads(file)
        let (closing, version) = closeContext(of: file, node: node, closedBy: nil)
        switch CommitRule.onLastRelease(closing) {
        case .nothing, .notYet, .taint: break
        case .commit(let scope), .commitInBackground(let scope):
            file.seal(version, scope, unlessOpen: true)?.apply(.committed(scope))
            namespace.markDirty([node])
        case .interrupt(let reason):
            if interrupt(file, version, reason: reason, closing) { unlistIfInterrupted(file, node: node) }
        }
    }

    /// Takes an interrupted file out of the listing, unless somebody has opened it again or it is to stay there: rsync's
    /// `--partial` wants to find it again. Its bytes are kept for a while.
    private func unlist(_ file: MountedFile, node: NodeID, _ upload: Upload) {
        guard file.unlisted(upload) else { return }
        upload.updateIdentity { $0.isListed = false }
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
