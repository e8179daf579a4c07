import FileTree
import FuseLowLevel
import Synchronization
import UploadCore
import UploadEngine

/// Holds writers back: until there is space in the spool, or until the network has caught up.
///
/// The kernel holds the file's lock while a WRITE waits, so that no wait is long; nothing waits on a thread.
final class WriteThrottle: Sendable {
    private let configuration: FilesystemConfiguration
    private let content: ContentStore
    private let space: SpaceManager
    private let engine: UploadEngine

    init(configuration: FilesystemConfiguration, content: ContentStore, space: SpaceManager, engine: UploadEngine) {
        self.configuration = configuration
        self.content = content
        self.space = space
        self.engine = engine
    }

    /// Whether a write that finds no space may find some soon.
    var isSpaceComing: Bool { space.isComing }

    /// How long a WRITE is held at most for the network's pace.
    private static let longestHold: Duration = .milliseconds(500)
    /// How long a writer waits for space while nothing moves.
    private static let patienceForSpace: Duration = .seconds(10)

    /// One WRITE as it came.
    struct PendingWrite: Sendable {
        var data: [UInt8]
        var node: NodeID
        var handle: UInt64
        var offset: Int64
        var context: FuseRequestContext
    }

    /// What ends a wait, once: the interrupt, or the next try.
    private final class Turn: Sendable {
        private let isTaken = Atomic(false)

        func take() -> Bool { !isTaken.exchange(true, ordering: .relaxed) }
    }

    /// Tries a write that found no space again whenever something moves, until nothing has for too long.
    func waitForSpace(_ write: PendingWrite, _ reply: DeferredReply<FuseWritten>) {
        // One that comes during a try hears what the try has done: nothing may be written that counts as not done. Where the
        // try finds no space either, the next wait is told of it at once.
        let turn = Turn()
        reply.onInterrupt { [weak reply] in
            if turn.take() { reply?.fail(.interrupted) }
        }
        let upload = try? content.handles.get(write.handle).file.upload
        upload?.writeWaitsForSpace()
        engine.atNextProgress(within: Self.patienceForSpace) { moved in
            upload?.writeWaitedForSpace()
            guard turn.take() else { return }
            BackgroundWork.useDisk { self.tryAgain(write, reply, isLast: !moved) }
        }
    }

    private func tryAgain(_ pending: PendingWrite, _ reply: DeferredReply<FuseWritten>, isLast: Bool) {
        do throws(FuseErrno) {
            let count = try pending.data.withBytes { data throws(FuseErrno) in
                try content.write(
                    data, to: pending.node, handle: pending.handle, at: pending.offset, context: pending.context)
            }
            if reply.succeed(count) { return }
            content.writeWasNotAnswered(pending.offset..<pending.offset + Int64(count), of: pending.handle)
        } catch {
            if error == .noSpace, !isLast, space.isComing { return waitForSpace(pending, reply) }
            reply.fail(error)
        }
    }

    // MARK: Pace

    /// The upload whose writer is to be held back, if the one who wrote through this handle is.
    func uploadToKeepUpWith(_ handle: UInt64) -> Upload? {
        guard configuration.runAhead != nil, let file = try? content.handles.get(handle).file else { return nil }
        guard let upload = file.upload else { return nil }
        return isAhead(upload) ? upload : nil
    }

    private func isAhead(_ upload: Upload) -> Bool {
        guard let window = configuration.runAhead else { return false }
        return upload.isAhead(of: window.bytes, chunks: engine.configuration.uploadConcurrency + 1)
    }

    /// Answers a write that was done once its writer is not too far ahead of the network any more.
    func hold(_ reply: DeferredReply<FuseWritten>, written count: Int, for upload: Upload) {
        reply.onInterrupt { [weak reply] in reply?.succeed(count) }
        hold(reply, written: count, for: upload, until: engine.now + Self.longestHold)
    }

    private func hold(_ reply: DeferredReply<FuseWritten>, written count: Int, for upload: Upload, until end: Instant) {
        let rest = end - engine.now
        guard rest > .zero, !reply.isAnswered, isAhead(upload) else {
            reply.succeed(count)
            return
        }
        engine.atNextProgress(within: rest) { _ in self.hold(reply, written: count, for: upload, until: end) }
    }
}
