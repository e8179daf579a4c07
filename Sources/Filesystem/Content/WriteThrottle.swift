import FileTree
import FuseLowLevel
import Synchronization
import UploadCore
import UploadEngine

/// Holds writers back: until there is space in the spool, or until the network has caught up.
///
/// The kernel holds the file's lock while a WRITE waits: nobody else can write into it, and who removes or replaces it waits with the
/// directory's lock, so that all else in there waits as well. Hence no wait is long, whatever goes on meanwhile; nothing waits on
/// a thread.
package final class WriteThrottle: Sendable {
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
    package var isSpaceComing: Bool { space.isComing }

    /// Whether others wait for space: what may be given back is theirs.
    package var hasQueue: Bool { !engine.spaceQueue.isEmpty }

    /// How long a WRITE is held at most for the network's pace.
    private static let longestHold: Duration = .milliseconds(500)
    /// How long a WRITE waits for space, from the moment at which it was refused.
    private static let patienceForSpace: Duration = .seconds(10)

    /// One WRITE as it came.
    package struct PendingWrite: Sendable {
        var data: [UInt8]
        var node: NodeID
        var handle: UInt64
        var offset: Int64
        var context: FuseRequestContext

        package init(data: [UInt8], node: NodeID, handle: UInt64, offset: Int64, context: FuseRequestContext) {
            self.data = data
            self.node = node
            self.handle = handle
            self.offset = offset
            self.context = context
        }
    }

    /// How whoever wrote gets the answer, and ends the wait for it: who is asked to end it tells whether it did, and is to be
    /// kept without the answer.
    package struct Answer: Sendable {
        /// Tells whether it reached anybody.
        let give: @Sendable (Result<Int, FuseErrno>) -> Bool
        let whenInterrupted: @Sendable (_ ends: @escaping @Sendable () -> Bool) -> Void

        package init(
            give: @escaping @Sendable (Result<Int, FuseErrno>) -> Bool,
            whenInterrupted: @escaping @Sendable (_ ends: @escaping @Sendable () -> Bool) -> Void
        ) {
            self.give = give
            self.whenInterrupted = whenInterrupted
        }

        init(_ reply: DeferredReply<FuseWritten>) {
            self.init(
                give: { result in
                    switch result {
                    case .success(let count): reply.succeed(count)
                    case .failure(let error): reply.fail(error)
                    }
                },
                whenInterrupted: { ends in
                    reply.onInterrupt { [weak reply] in
                        if ends() { reply?.fail(.interrupted) }
                    }
                })
        }
    }

    /// What ends a wait, once: the interrupt, or the next try.
    private final class Turn: Sendable {
        private let isTaken = Atomic(false)

        func take() -> Bool { !isTaken.exchange(true, ordering: .relaxed) }
    }

    /// A WRITE that waits for space: what it is, whose it is, and its place in the queue.
    private struct SpaceWait: Sendable {
        var write: PendingWrite
        var upload: Upload?
        var place: SpaceQueue.Place
        var answer: Answer
    }

    /// Tries a write that found no space again, at once where nobody else waits, and when space comes, until it has waited for
    /// too long. That other uploads get on, or that this one tries and fails, keeps it no longer.
    package func waitForSpace(_ write: PendingWrite, _ answer: Answer) {
        let upload = try? content.handles.get(write.handle).file.upload
        upload?.writeWaitsForSpace()
        let place = engine.spaceQueue.enter(for: Self.patienceForSpace)
        wait(SpaceWait(write: write, upload: upload, place: place, answer: answer))
    }

    private func wait(_ wait: SpaceWait) {
        // One that comes during a try hears what the try has done: nothing may be written that counts as not done. Where the
        // try finds no space either, the next wait is told of it at once.
        let turn = Turn()
        wait.answer.whenInterrupted { [upload = wait.upload, place = wait.place] in
            guard turn.take() else { return false }
            self.end(place, upload)
            return true
        }
        engine.spaceQueue.wait(wait.place) { isLast in
            guard turn.take() else { return }
            BackgroundWork.useDisk { self.tryAgain(wait, isLast: isLast) }
        }
    }

    private func end(_ place: SpaceQueue.Place, _ upload: Upload?) {
        upload?.writeWaitedForSpace()
        engine.spaceQueue.leave(place)
    }

    private func tryAgain(_ wait: SpaceWait, isLast: Bool) {
        let pending = wait.write
        // Asked before: what comes after that, the queue tells of.
        let wasComing = space.isComing
        do throws(FuseErrno) {
            let count = try pending.data.withBytes { data throws(FuseErrno) in
                try content.write(
                    data, to: pending.node, handle: pending.handle, at: pending.offset, context: pending.context)
            }
            end(wait.place, wait.upload)
            if wait.answer.give(.success(count)) { return }
            content.writeWasNotAnswered(pending.offset..<pending.offset + Int64(count), of: pending.handle)
        } catch {
            if error == .noSpace, !isLast, wasComing { return self.wait(wait) }
            end(wait.place, wait.upload)
            _ = wait.answer.give(.failure(error))
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
        engine.whenBacklogChanges(within: rest) { self.hold(reply, written: count, for: upload, until: end) }
    }
}
