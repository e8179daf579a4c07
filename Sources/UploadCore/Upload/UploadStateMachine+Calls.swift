/// How calls of the platform turned out.
extension UploadStateMachine {
    private static let longestAssetPollInterval: Duration = .seconds(10)

    /// Whether the answer belongs to the call under way; if so, that call is over and has succeeded.
    mutating func finishCall(_ id: CallID, at now: Instant) -> Bool {
        guard pendingCall?.id == id else { return false }
        pendingCall = nil
        callRetry.succeeded()
        succeeded(at: now)
        return true
    }

    mutating func callFailed(
        _ id: CallID, _ reason: UploadFailure, _ random: Double, at now: Instant, _ actions: inout [UploadAction]
    ) {
        guard let pending = pendingCall, pending.id == id else { return }
        pendingCall = nil
        if state == .completed { return assetCheckFailed(reason, at: now) }
        failure = reason
        retries += 1
        switch callRetry.failed(reason, policy: configuration.retryPolicy, random: random, at: now) {
        case .again(let wait), .awaitNetwork(let wait):
            callRetry.notBefore = now + wait
        case .awaitKey:
            callRetry.notBefore = now + Self.keyInterval
        case .newSession:
            replaceSession(reason, deletingAsset: true, &actions)
        case .giveUp where refusal == nil && pending.call.needsSession && reason.kind == .requestRefused:
            callRetry.succeeded()
            refusal = reason
        case .giveUp:
            giveUp(reason, &actions)
        }
    }

    mutating func assetChecked(_ id: CallID, _ answer: Asset, at now: Instant) {
        guard finishCall(id, at: now) else { return }
        asset = answer
        assetURL = answer.url ?? assetURL
        callRetry.notBefore = now + assetPollInterval
        assetPollInterval = min(assetPollInterval * 2, Self.longestAssetPollInterval)
    }

    /// The asset's status is a courtesy: it is asked for until it is known, but never more than that.
    private mutating func assetCheckFailed(_ reason: UploadFailure, at now: Instant) {
        switch reason.kind {
        case .requestRefused, .sessionGone, .conflict: stopsAskingForAsset = true
        default: callRetry.notBefore = now + Self.longestAssetPollInterval
        }
    }

    /// Something worked: what was wrong is cured.
    mutating func succeeded(at now: Instant) {
        moved(at: now)
        if state.isUnderWay { failure = nil }
    }

    mutating func moved(at now: Instant) { lastMovement = max(lastMovement, now) }
}
