/// Why an upload is not wanted any more of which all may have become an asset.
struct Withdrawal: Sendable {
    /// Why.
    let reason: UploadFailure
    /// Whether the platform has said anything about the session since, or will not.
    var isDecided = false
    /// Whether the platform calls it complete.
    var isComplete = false
    /// Since when the platform has not found the asset.
    var missingSince: Instant?
    /// How long to wait before it is to delete an asset once more that it does not find.
    var pause: Duration = .seconds(1)
}

/// A file that is removed when its last report may have taken effect already. Whether that came first is for the platform to
/// say: what is under way is waited for, the session is asked, and the asset deleted. Only then is the upload cancelled; where
/// the asset is there and stays, it is completed, so that its document says what the platform has.
extension UploadStateMachine {
    /// How long an asset may not be found just after its completion, before that is believed.
    private static let missingPatience: Duration = .seconds(60)

    /// The file was removed or replaced.
    mutating func cancelled(_ reason: UploadFailure, _ reaction: inout UploadReaction) {
        guard withdrawal == nil else { return }
        guard mayBeAnAsset else { return end(.cancelled, reason, &reaction) }
        withdrawal = Withdrawal(reason: reason)
        state = .finishing
        if pendingCall == nil { callRetry = RetryState() }
        failure = nil
        refusal = nil
        doubt = nil
        deltas.append(.changed)
        dissolveIdleReports()
        reaction.answer(with: .failure(reason))
        reaction.actions.append(.withdrawn)
    }

    /// Whether it is not wanted any more, and only its asset is still to be seen to: none of its bytes is needed.
    public var isWithdrawn: Bool { withdrawal != nil }

    /// Where the upload stands for its file, and for another process: what was withdrawn is not continued, and is no file's
    /// content.
    public var standingToKeep: (state: UploadState, failure: UploadFailure?) {
        withdrawal.map { (.cancelled, $0.reason) } ?? (state, failure)
    }

    /// Whether another process may have called it completed: of such an upload no asset is deleted.
    public var mayBePromised: Bool { isInherited }

    /// Whether the platform may hold all of it though it has not said so.
    public var mayBeAnAsset: Bool {
        guard state == .finishing || state == .failed, scope == .whole, let session, !isConfirmed else { return false }
        return session.mayBeComplete || isInherited
    }

    /// What is asked next of an upload that is withdrawn; nothing before each report has its answer, since the last one may
    /// complete it.
    func callForWithdrawal(_ withdrawal: Withdrawal, _ session: OpenSession) -> PlatformCall? {
        guard reportsUnderWay == 0 else { return nil }
        return withdrawal.isDecided
            ? .deleteAsset(assetID: session.assetID) : .checkSession(uploadID: session.uploadID)
    }

    /// What the platform says of the session. False where the upload is not withdrawn.
    mutating func withdrawalChecked(_ status: SessionState) -> Bool {
        guard withdrawal != nil else { return false }
        switch status {
        // Another process may have told its writer so.
        case .completed where isInherited: staysComplete()
        case .completed: withdrawal?.isComplete = true
        case .active, .failed, .expired, .unknown: break
        }
        withdrawal?.isDecided = true
        return true
    }

    /// Takes the failure of a call about an upload that is withdrawn. False where it is to be taken as any other's.
    mutating func withdrawalCallFailed(
        _ call: PlatformCall, _ decision: RetryPolicy.Decision, _ reason: UploadFailure, at now: Instant,
        _ reaction: inout UploadReaction
    ) -> Bool {
        guard let withdrawal else { return false }
        switch (call, decision) {
        case (.deleteAsset, _) where configuration.retryPolicy.saysThatAssetIsMissing(reason):
            let since = withdrawal.missingSince ?? now
            guard now < since + Self.missingPatience else {
                assetDeleted(&reaction)
                return true
            }
            self.withdrawal?.missingSince = since
            callRetry.succeeded()
            callRetry.wait(until: now + withdrawal.pause, because: reason)
            self.withdrawal?.pause = withdrawal.pause * 2
            return true
        // It is referred to.
        case (.deleteAsset, _) where reason.kind == .conflict: assetStays(reason, &reaction)
        case (_, .again), (_, .awaitNetwork), (_, .awaitKey): return false
        case (.checkSession, .newSession), (.checkSession, .fail):
            callRetry.succeeded()
            self.withdrawal?.isDecided = true
            // What another process was told of it nobody can say any more: an asset that may have been promised stays.
            if isInherited { end(.cancelled, Self.unknownWhetherItStays(withdrawal.reason, session), &reaction) }
        case (.deleteAsset, .newSession), (.deleteAsset, .fail): assetStays(reason, &reaction)
        case (.openSession, _), (.requestURLs, _), (.report, _), (.checkAsset, _): break
        }
        return true
    }

    mutating func assetDeleted(_ id: CallID, _ reaction: inout UploadReaction) {
        guard finishCall(id) != nil else { return }
        assetDeleted(&reaction)
    }

    private mutating func assetDeleted(_ reaction: inout UploadReaction) {
        guard let withdrawal else { return }
        assetURL = nil
        asset = nil
        end(.cancelled, withdrawal.reason, &reaction)
    }

    /// The asset cannot be deleted: where it is complete, that is what became of the upload.
    private mutating func assetStays(_ reason: UploadFailure, _ reaction: inout UploadReaction) {
        guard let withdrawal else { return }
        if withdrawal.isComplete { return staysComplete() }
        var words = Self.unknownWhetherItStays(withdrawal.reason, session)
        words.message += " (\(reason.message))"
        words.traceID = reason.traceID
        end(.cancelled, words, &reaction)
    }

    mutating func staysComplete() {
        withdrawal = nil
        failure = nil
        isUnverified = false
        isInherited = false
        session?.restoreAll()
        isConfirmed = true
    }

    private static func unknownWhetherItStays(_ reason: UploadFailure, _ session: OpenSession?) -> UploadFailure {
        var words = reason
        words.message += "; whether the platform has it all the same could not be told"
        words.hint = session.map { "all of it may have been reported: look for the asset \($0.assetID)" }
        return words
    }
}
