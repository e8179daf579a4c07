/// All of a file may have been reported, nobody has called the upload complete, and its session cannot be asked any more.
struct CompletionDoubt: Sendable {
    /// Why the session does not tell.
    var reason: UploadFailure
    let since: Instant
    /// How long to wait before both are asked again.
    var pause: Duration = .seconds(1)
    /// Which of the two is asked next.
    var isAssetNext = true
    /// Since when the platform has not known the asset.
    var missingSince: Instant?
}

/// Whether an upload is complete whose session does not tell: a second session would make a second asset of the file, so
/// that one is opened only when it is certain that the first became none.
///
/// Session and asset are asked in turns, with pauses that grow. An asset that is `ready` is complete. One that is
/// `processing` tells nothing, since that of a session that was left alone reads so as well.
extension UploadStateMachine {
    /// How long an asset may be missing before that is believed: just after its completion *retrieve asset* may not find it
    /// for some seconds.
    private static let missingPatience: Duration = .seconds(60)
    /// How long both are asked before the upload ends without an answer.
    private static let doubtPatience: Duration = .seconds(3600)
    private static let longestDoubtPause: Duration = .seconds(300)

    /// The question that is asked next.
    var questionInDoubt: PlatformCall? {
        guard let doubt, let session else { return nil }
        return doubt.isAssetNext ? .checkAsset(assetID: session.assetID) : .checkSession(uploadID: session.uploadID)
    }

    /// Takes a question about the session that the platform will not answer for what it is. False where it is to be taken as
    /// any other failed call.
    mutating func sessionDoesNotTell(
        _ decision: RetryPolicy.Decision, _ reason: UploadFailure, at now: Instant
    ) -> Bool {
        guard let session, scope == .whole else { return sessionNeedNotBeAsked(decision, reason, at: now) }
        switch decision {
        case .newSession where session.mayBeComplete || isUnverified:
            beginDoubt(reason, at: now)
            return true
        case .fail where session.mayBeComplete && !isUnverified && Self.isAboutTheQuestion(reason):
            beginDoubt(reason, at: now)
            return true
        case .again, .awaitNetwork, .awaitKey, .newSession, .fail:
            return sessionNeedNotBeAsked(decision, reason, at: now)
        }
    }

    /// A session that another process opened, or a failed attempt left, may take what it is sent though it does not tell of
    /// itself: if it does not, that says so.
    private mutating func sessionNeedNotBeAsked(
        _ decision: RetryPolicy.Decision, _ reason: UploadFailure, at now: Instant
    ) -> Bool {
        guard isUnverified, refusal == nil, decision == .fail, Self.isAboutTheQuestion(reason) else { return false }
        callRetry.succeeded()
        failure = nil
        doubt = nil
        isUnverified = false
        for index in session?.indices ?? 1...1 { session?.offer(index) }
        return true
    }

    /// Whether it is the question that is refused, rather than all that the account asks.
    private static func isAboutTheQuestion(_ reason: UploadFailure) -> Bool {
        [.requestRefused, .unreadableAnswer, .conflict].contains(reason.kind)
    }

    private mutating func beginDoubt(_ reason: UploadFailure, at now: Instant) {
        var reason = reason
        reason.message = "whether the upload is complete cannot be told: \(reason.message)"
        reason.hint = "the platform is asked again, for the session and for its asset"
        if doubt == nil { doubt = CompletionDoubt(reason: reason, since: now) }
        doubt?.reason = reason
        doubt?.isAssetNext = true
        failure = reason
        callRetry.succeeded()
    }

    /// What the platform says of the asset.
    mutating func assetChecked(_ id: CallID, _ status: AssetState?, at now: Instant, _ reaction: inout UploadReaction) {
        guard finishCall(id) != nil, let doubt else { return }
        switch status {
        case .ready:
            self.doubt = nil
            refusal = nil
            isUnverified = false
            isInherited = false
            session?.restoreAll()
            dissolveIdleReports()
            isConfirmed = true
        case .failed:
            // That of a session which is over reads so, and so does one that came to nothing.
            replaceSession(doubt.reason, isComplete: false, &reaction)
        case .processing, .unknown, nil:
            self.doubt?.missingSince = nil
            assetDoesNotTell(at: now, &reaction)
        }
    }

    /// Takes the failure of a question about the asset. False where it is to be taken as any other failed call.
    mutating func assetCheckFailed(
        _ decision: RetryPolicy.Decision, _ reason: UploadFailure, at now: Instant, _ reaction: inout UploadReaction
    ) -> Bool {
        guard let doubt else { return false }
        if configuration.retryPolicy.saysThatAssetIsMissing(reason) {
            let since = doubt.missingSince ?? now
            self.doubt?.missingSince = since
            if since + Self.missingPatience <= now {
                replaceSession(doubt.reason, isComplete: isInherited ? nil : false, &reaction)
            } else {
                assetDoesNotTell(at: now, &reaction)
            }
            return true
        }
        guard decision == .fail || decision == .newSession, reason.kind != .accessRefused else { return false }
        assetDoesNotTell(at: now, &reaction)
        return true
    }

    private mutating func assetDoesNotTell(at now: Instant, _ reaction: inout UploadReaction) {
        guard let doubt, let session else { return }
        // Not all of it was reported, as far as is known: it is one that is unfinished, then.
        guard session.mayBeComplete else { return replaceSession(doubt.reason, &reaction) }
        guard doubt.since + Self.doubtPatience > now else {
            return end(.failed, Self.completionUnknown(doubt.reason, assetID: session.assetID), &reaction)
        }
        failure = doubt.reason
        callRetry.succeeded()
        callRetry.wait(until: now + doubt.pause, because: doubt.reason)
        self.doubt?.pause = min(doubt.pause * 2, Self.longestDoubtPause)
        self.doubt?.isAssetNext = false
    }

    private static func completionUnknown(_ reason: UploadFailure, assetID: String) -> UploadFailure {
        UploadFailure(
            .requestRefused, code: "completion_unknown", message: reason.message,
            hint:
                "all of the file was reported: look for the asset \(assetID). 'twelvefs retry' asks for it again; where there is none, copy the file again",
            httpStatus: reason.httpStatus, traceID: reason.traceID)
    }
}
