/// Sessions come and go.
extension UploadStateMachine {
    /// Lets the session go. Its asset is deleted, unless everything was reported: then it may be complete.
    mutating func giveUpSession(_ actions: inout [UploadAction], deletingAsset: Bool = true) {
        pendingCall = nil
        refusal = nil
        callRetry.succeeded()
        actions.append(.stopTransfers)
        guard let lost = session else { return }
        abandonedUploadIDs.append(lost.uploadID)
        if deletingAsset, !lost.isFullyReported { actions.append(.abandon(assetID: lost.assetID)) }
        session = nil
    }

    mutating func sessionOpened(
        _ id: CallID, _ opened: UploadSession, at now: Instant, _ actions: inout [UploadAction]
    ) {
        guard finishCall(id, at: now) else {
            abandonedUploadIDs.append(opened.uploadID)
            actions.append(.abandon(assetID: opened.assetID))
            return
        }
        let fresh = OpenSession(opened, at: now)
        session = fresh
        for index in fresh.indices where scope != nil || written.covers(fresh.plan.range(of: index)) {
            session?.offer(index)
        }
    }

    mutating func sessionChecked(
        _ id: CallID, _ verdict: SessionVerdict, at now: Instant, _ actions: inout [UploadAction]
    ) {
        guard finishCall(id, at: now) else { return }
        switch verdict.status {
        case .completed:
            isConfirmed = true
        case .failed:
            let reason = UploadFailure(
                .sessionGone, code: "session_failed", message: "the platform says that the upload session failed")
            replaceSession(reason, deletingAsset: true, &actions)
        case .expired:
            let reason = UploadFailure(
                .sessionGone, code: "session_expired", message: "the platform says that the upload session expired")
            replaceSession(reason, deletingAsset: true, &actions)
        case .active, .unknown:
            if let refusal { return giveUp(refusal, &actions) }
            for index in verdict.failedChunks where index >= 1 && index <= (session?.plan.totalChunks ?? 0) {
                session?.sendAgain(index)
                session?.offer(index)
            }
            for index in verdict.pendingChunks where index >= 1 && index <= (session?.plan.totalChunks ?? 0) {
                session?.reportAgain(index)
            }
            callRetry.notBefore = now + Self.pollInterval
        }
    }

    mutating func replaceSession(
        _ reason: UploadFailure, deletingAsset: Bool, _ actions: inout [UploadAction]
    ) {
        failure = reason
        giveUpSession(&actions, deletingAsset: deletingAsset)
        if sessionsOpened >= configuration.sessionLimit { giveUp(reason, &actions) }
    }

    /// Nothing that repeating could help. While the writer is at work only the early session is lost: the commit tries
    /// once more, with the true size.
    mutating func giveUp(_ reason: UploadFailure, _ actions: inout [UploadAction]) {
        failure = reason
        if scope == nil {
            giveUpSession(&actions)
            waitsForCommit = true
        } else {
            end(.failed, reason, &actions)
        }
    }
}
