/// What a user asks for, rather than the writer.
extension UploadStateMachine {
    /// Why an upload cannot be tried once more.
    public enum RetryRefusal: Error, Sendable, Equatable {
        /// It is on its way.
        case isUnderWay
        /// The platform has it.
        case isCompleted
        /// It was removed or replaced.
        case isCancelled
        /// Its writer did not finish, and had not put it on disk either, or is known to have left something out.
        case isPartial
        /// Its bytes are gone, or not to be relied on.
        case contentIsLost
    }

    /// Why it cannot be tried once more; nil when it can.
    ///
    /// - Parameter isDurable: whether its writer had put it on disk (`fsync`): what it holds then is what its writer wanted kept.
    public func retryRefusal(isDurable: Bool) -> RetryRefusal? {
        if withdrawal != nil { return .isCancelled }
        switch state {
        case .open, .staged, .finishing: return .isUnderWay
        case .completed: return .isCompleted
        case .cancelled: return .isCancelled
        case .interrupted where !isDurable || failure?.lacksBytes ?? false: return .isPartial
        case .interrupted, .failed: break
        }
        // What its writer wrote after it had failed was not followed.
        if state == .failed, scope == nil { return .contentIsLost }
        if contentLoss != nil || size == 0 || (session == nil && !released.isEmpty) { return .contentIsLost }
        return nil
    }

    /// It is recovered as if it had just been committed: with the session that it has, if that lives, and only what the
    /// store lacks.
    mutating func retried(at now: Instant) {
        guard retryRefusal(isDurable: true) == nil else { return }
        if state == .interrupted { scope = .whole }
        state = .finishing
        failure = nil
        refusal = nil
        doubt = nil
        stall = nil
        isConfirmed = false
        waitsForCommit = false
        forgetRefusals()
        sessionsLost = 0
        callRetry = RetryState()
        reports = []
        progress.begin(at: now)
        session?.beginAnew()
        isUnverified = session != nil
    }
}
