/// How calls of the platform turned out.
extension UploadStateMachine {
    /// The call under way that this answers, now over and successful; nil when the answer comes too late to matter.
    @discardableResult
    mutating func finishCall(_ id: CallID) -> PendingCall? {
        guard let pending = pendingCall, pending.id == id else { return nil }
        pendingCall = nil
        callRetry.succeeded()
        // Something worked: what was wrong is cured, except that a fresh URL does not cure why a chunk has to wait.
        if state.isUnderWay, session?.delayed.isEmpty ?? true { failure = nil }
        return pending
    }

    /// URLs alone bring nothing on: that they keep coming, each already expired, must not hide a stall.
    mutating func urlsReceived(
        _ id: CallID, _ urls: [Int: PresignedURL], at now: Instant, _ reaction: inout UploadReaction
    ) {
        guard let pending = pendingCall, pending.id == id else { return }
        if case .requestURLs(_, let start, let count) = pending.call,
            !urls.keys.contains(where: { $0 >= start && $0 < start + count })
        {
            let reason = UploadFailure(
                .unreadableAnswer, code: "no_urls", message: "the platform answered without any of the URLs asked for")
            // Nobody waits beside us for this: the full wait will do.
            return callFailed(id, reason, 1, at: now, &reaction)
        }
        finishCall(id)
        session?.add(urls: urls, at: now)
    }

    mutating func callFailed(
        _ id: CallID, _ reason: UploadFailure, _ random: Double, at now: Instant, _ reaction: inout UploadReaction
    ) {
        if let report = takeReport(id) { return reportFailed(report, reason, random, at: now, &reaction) }
        guard let pending = pendingCall, pending.id == id else { return }
        pendingCall = nil
        failure = reason
        recordRefusedSize(of: pending.call, reason)
        if reason.kind == .sizeRefused, case .openSession = pending.call, scope != nil,
            sizeObjection(toSize: size) == nil
        {
            // The file has got another size since it was asked for: with that it is asked for again.
            failure = nil
            return callRetry.succeeded()
        }
        let decision = callRetry.failed(reason, policy: configuration.retryPolicy, random: random, at: now)
        if withdrawalCallFailed(pending.call, decision, reason, at: now, &reaction) { return }
        switch pending.call {
        case .checkSession: if sessionDoesNotTell(decision, reason, at: now) { return }
        case .checkAsset: if assetCheckFailed(decision, reason, at: now, &reaction) { return }
        case .openSession, .requestURLs, .report, .deleteAsset: break
        }
        if let wait = follow(decision, after: reason, needsSession: pending.call.needsSession, &reaction) {
            callRetry.wait(until: now + wait, because: reason)
        } else if refusal != nil {
            // What is asked now is another call.
            callRetry.succeeded()
        }
    }

    /// Does what is to be done about a failed call, but for the wait before it is made again, which it returns.
    mutating func follow(
        _ decision: RetryPolicy.Decision, after reason: UploadFailure, needsSession: Bool,
        _ reaction: inout UploadReaction
    ) -> Duration? {
        let mayBeComplete = session?.mayBeComplete ?? false
        switch decision {
        case .again(let wait):
            retries += 1
            return wait
        case .awaitNetwork, .awaitKey:
            callsHeldBack = Hold(reason: reason)
        case .newSession where needsSession && (mayBeComplete || refusal != nil):
            // A session that is complete may be gone for those who still want to report something to it.
            lookInto(reason)
        case .newSession:
            replaceSession(reason, &reaction)
        case .fail where reason.kind == .typeRefused && typeRefusal == nil:
            askAsVideo(because: reason)
        case .fail
        where needsSession && (mayBeComplete || refusal != nil || Self.mayTellThatSessionIsOver(reason)):
            lookInto(reason)
        case .fail:
            fail(reason, &reaction)
        }
        return nil
    }

    /// Has the session asked about a refusal, before anything is abandoned.
    mutating func lookInto(_ reason: UploadFailure, isFinal: Bool = true) {
        guard !(refusal?.isFinal ?? false) else { return }
        refusal = Refusal(reason: reason, isFinal: isFinal)
    }

    mutating func callHeldBack(_ id: CallID?, _ hold: Hold) {
        if let id {
            if let report = takeReport(id) {
                reportHeldBack(report)
            } else {
                guard let pending = pendingCall, pending.id == id else { return }
                pendingCall = nil
            }
        } else if callsHeldBack == nil {
            return
        }
        callsHeldBack = hold
    }

    /// What became of the asset is asked for beside the upload, which ends with its completion.
    mutating func assetLearned(_ standing: AssetStanding) {
        guard state == .completed, asset != standing else { return }
        asset = standing
        deltas.append(.changed)
    }

    private static func mayTellThatSessionIsOver(_ reason: UploadFailure) -> Bool {
        reason.kind == .requestRefused || reason.kind == .conflict
    }
}
