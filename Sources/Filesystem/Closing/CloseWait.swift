import FuseLowLevel
import Synchronization
import UploadCore

/// One close that waits for the platform. Answered once: by the upload, by an interrupt, or when the mount ends.
package final class CloseWait: Sendable {
    private let reply: @Sendable (Result<Void, FuseErrno>) -> Void
    private let whenInterrupted: @Sendable (@escaping @Sendable () -> Void) -> Void
    private let isAnswered = Atomic(false)
    private let interruption = Mutex(Interruption())

    private struct Interruption: Sendable {
        /// Whether an interrupt ended the wait.
        var hasEnded = false
        /// Whether anything else did: nothing is cleaned up then.
        var isAnswered = false
        var cleanup: (@Sendable () -> Void)?
    }

    /// - Parameters:
    ///   - reply: is given the answer, once.
    ///   - whenInterrupted: calls what it is given when the caller has a signal.
    package init(
        reply: @escaping @Sendable (Result<Void, FuseErrno>) -> Void,
        whenInterrupted: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.reply = reply
        self.whenInterrupted = whenInterrupted
    }

    convenience init(_ reply: DeferredReply<Void>) {
        self.init(
            reply: { result in
                switch result {
                case .success: reply.succeed()
                case .failure(let errno): reply.fail(errno)
                }
            },
            whenInterrupted: { reply.onInterrupt($0) })
    }

    /// Whether somebody has answered.
    var isOver: Bool { isAnswered.load(ordering: .acquiring) }

    /// Answers, unless somebody has; tells whether this was the answer.
    @discardableResult
    package func answer(_ result: Result<Void, FuseErrno>) -> Bool { answer { result } }

    /// Does what the answer depends on and answers, unless somebody has answered: then it is not done.
    @discardableResult
    func answer(_ outcome: () -> Result<Void, FuseErrno>) -> Bool {
        guard takeAnswer() else { return false }
        reply(outcome())
        // It may hold this wait, and would keep it and its upload for good.
        let needless = interruption.withLock { interruption in
            interruption.isAnswered = true
            return interruption.cleanup.take()
        }
        withExtendedLifetime(needless) {}
        return true
    }

    /// Whether the caller is the one who answers.
    private func takeAnswer() -> Bool {
        isAnswered.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
    }

    /// Calls `handler` when the kernel says that the caller has a signal.
    func onInterrupt(_ handler: @escaping @Sendable () -> Void) { whenInterrupted(handler) }

    /// The caller was told to end: it is answered, unless it has been, and what is to follow from that is done.
    package func interrupt() {
        guard takeAnswer() else { return }
        reply(.failure(.interrupted))
        let cleanup = interruption.withLock { interruption in
            interruption.hasEnded = true
            return interruption.cleanup.take()
        }
        cleanup?()
    }

    /// Does `cleanup` when an interrupt ends the wait; at once where one has.
    package func afterInterrupt(_ cleanup: @escaping @Sendable () -> Void) {
        let isOver = interruption.withLock { interruption in
            if !interruption.hasEnded, !interruption.isAnswered { interruption.cleanup = cleanup }
            return interruption.hasEnded
        }
        if isOver { cleanup() }
    }
}

/// All closes that wait, so that the end of the mount can answer them.
final class CloseWaits: Sendable {
    private struct State: Sendable {
        var waits: [ObjectIdentifier: CloseWait] = [:]
        /// What whoever comes later is answered with.
        var end: Result<Void, UploadFailure>?
    }

    private let state = Mutex(State())

    func add(_ wait: CloseWait) {
        let end = state.withLock { state in
            if state.end == nil { state.waits[ObjectIdentifier(wait)] = wait }
            return state.end
        }
        if let end { wait.answer(end.mapError { FuseErrno($0) }) }
    }

    func remove(_ wait: CloseWait) { state.withLock { $0.waits[ObjectIdentifier(wait)] = nil } }

    /// Answers whoever waits, and whoever comes later.
    func answerAll(_ result: Result<Void, UploadFailure>) {
        let all = state.withLock { state in
            defer { state.waits = [:] }
            state.end = result
            return Array(state.waits.values)
        }
        for wait in all { wait.answer(result.mapError { FuseErrno($0) }) }
    }
}
