import FuseLowLevel
import Synchronization
import UploadCore

/// One close that waits for the platform. Answered once: by the upload, by an interrupt, or when the mount ends.
final class CloseWait: Sendable {
    private let reply: DeferredReply<Void>
    private let isAnswered = Atomic(false)

    init(_ reply: DeferredReply<Void>) { self.reply = reply }

    /// Whether somebody has answered.
    var isOver: Bool { isAnswered.load(ordering: .acquiring) }

    /// Answers, unless somebody has; tells whether this was the answer.
    @discardableResult
    func answer(_ result: Result<Void, FuseErrno>) -> Bool {
        guard isAnswered.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        else { return false }
        switch result {
        case .success: reply.succeed()
        case .failure(let errno): reply.fail(errno)
        }
        return true
    }

    /// Calls `handler` when the kernel says that the caller has a signal.
    func onInterrupt(_ handler: @escaping @Sendable () -> Void) { reply.onInterrupt(handler) }
}

/// All closes that wait, so that the end of the mount can answer them.
final class CloseWaits: Sendable {
    private let waits = Mutex<[ObjectIdentifier: CloseWait]>([:])

    func add(_ wait: CloseWait) { waits.withLock { $0[ObjectIdentifier(wait)] = wait } }

    func remove(_ wait: CloseWait) { waits.withLock { $0[ObjectIdentifier(wait)] = nil } }

    /// Answers whoever waits.
    func answerAll(_ result: Result<Void, UploadFailure>) {
        let all = waits.withLock { waits in
            defer { waits = [:] }
            return Array(waits.values)
        }
        for wait in all { wait.answer(result.mapError { FuseErrno($0) }) }
    }
}
