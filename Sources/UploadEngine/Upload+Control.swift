import UploadCore

// What a user asks for.

extension Upload {
    /// Tries once more what failed, or what was interrupted after its writer had put it on disk. The attempt goes on by itself.
    ///
    /// - Throws: why there is no other attempt.
    public func retry() throws(UploadStateMachine.RetryRefusal) {
        let refusal = state.withLock { state -> UploadStateMachine.RetryRefusal? in
            // Its spool file is given back, or about to be.
            if state.isForgotten { return .contentIsLost }
            let refusal = state.machine.retryRefusal(isDurable: state.durableMark != nil)
            if refusal == nil, state.moments.closed == nil { state.moments.closed = services.clock.wallTime() }
            return refusal
        }
        if let refusal { throw refusal }
        apply(.retried)
    }
}
