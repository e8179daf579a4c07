import Formats

/// Sessions come and go.
extension UploadStateMachine {
    /// Lets the session go. Its asset is deleted, unless it is complete.
    ///
    /// - Parameter isComplete: whether it is, where the platform has just said so; nil where only what was reported
    ///   can tell.
    mutating func abandonSession(_ reaction: inout UploadReaction, isComplete: Bool? = nil) {
        pendingCall = nil
        reports = []
        refusal = nil
        doubt = nil
        isConfirmed = false
        callRetry.succeeded()
        sessionPollInterval = Self.pollInterval
        reaction.stopsTransfers = true
        guard let lost = session else { return }
        abandonedUploadIDs.append(lost.uploadID)
        deltas.append(.sessionChanged)
        // What became of the last reports of another process is not known before the platform has said so.
        if !(isComplete ?? (lost.mayBeComplete || isInherited)) {
            reaction.actions.append(.abandon(assetID: lost.assetID))
        }
        session = nil
        isUnverified = false
        isInherited = false
        failIfReleasedIsNeeded(failure, &reaction)
    }

    mutating func sessionOpened(
        _ id: CallID, _ opened: UploadSession, at now: Instant, _ reaction: inout UploadReaction
    ) {
        guard finishCall(id) != nil else {
            abandonedUploadIDs.append(opened.uploadID)
            reaction.actions.append(.abandon(assetID: opened.assetID))
            return
        }
        if let limit = configuration.spaceLimit, opened.plan.totalChunks > 1,
            limit < opened.plan.chunkSize.multipliedClamped(by: 2)
        {
            abandonedUploadIDs.append(opened.uploadID)
            reaction.actions.append(.abandon(assetID: opened.assetID))
            return end(.failed, Self.tooLittleSpace(limit, chunkSize: opened.plan.chunkSize), &reaction)
        }
        let fresh = OpenSession(opened, at: now)
        session = fresh
        deltas.append(.sessionChanged)
        for index in fresh.indices where scope != nil || written.covers(fresh.plan.range(of: index)) {
            session?.offer(index)
        }
    }

    mutating func sessionChecked(
        _ id: CallID, _ verdict: SessionVerdict, at now: Instant, _ reaction: inout UploadReaction
    ) {
        // Being told the same again is no movement: a session that never completes is a stall.
        guard finishCall(id) != nil else { return }
        if withdrawalChecked(verdict.status) { return }
        doubt = nil
        isInherited = false
        if isUnverified, verifySession(verdict, at: now, &reaction) { return }
        switch verdict.status {
        case .completed where session?.mayBeComplete ?? false:
            refusal = nil
            isConfirmed = true
        case .completed:
            let reason = UploadFailure(
                .unreadableAnswer, code: "session_completed_early",
                message: "the platform calls the upload session completed, though not all of it was reported")
            replaceSession(reason, isComplete: true, &reaction)
        case .failed:
            let reason = UploadFailure(
                .sessionGone, code: "session_failed", message: "the platform says that the upload session failed")
            replaceSession(reason, isComplete: false, &reaction)
        case .expired:
            let reason = UploadFailure(
                .sessionGone, code: "session_expired", message: "the platform says that the upload session expired")
            replaceSession(reason, isComplete: false, &reaction)
        case .active, .unknown:
            if let refusal { return sessionLives(after: refusal, verdict, at: now, &reaction) }
            for index in verdict.failedChunks where index >= 1 && index <= (session?.plan.totalChunks ?? 0) {
                if let session, released.overlaps(session.plan.range(of: index)) {
                    return failIfReleasedIsNeeded(nil, &reaction)
                }
                session?.sendAgain(index)
                record(JournalDelta.unstored, [index])
                session?.offer(index)
                if let session, session[index].rejections >= configuration.retryPolicy.limits.doubtfulAttempts {
                    let reason = UploadFailure(
                        .requestRefused, code: "chunk_failed",
                        message: "the platform calls chunk \(index) failed however often it is sent")
                    return fail(reason, &reaction)
                }
            }
            for index in verdict.pendingChunks where index >= 1 && index <= (session?.plan.totalChunks ?? 0) {
                session?.reportAgain(index)
            }
            askAgain(at: now)
        }
    }

    /// The session that refused something is not over.
    private mutating func sessionLives(
        after refused: Refusal, _ verdict: SessionVerdict, at now: Instant, _ reaction: inout UploadReaction
    ) {
        if session?.mayBeComplete ?? false, verdict.failedChunks.isEmpty, verdict.pendingChunks.isEmpty {
            // It lacks nothing, and refused only what it has already: it is about to be completed.
            refusal = nil
            session?.everythingIsReported()
            dissolveIdleReports()
            askAgain(at: now)
        } else if !refused.isFinal {
            // What was refused is tried again.
            refusal = nil
        } else if refused.reason.kind == .sessionGone {
            replaceSession(refused.reason, &reaction)
        } else {
            fail(refused.reason, &reaction)
        }
    }

    /// The session is asked again in a while. Platforms take from a moment to many seconds to finalise an upload, and some
    /// accounts have few calls: pauses double up to two seconds, and grow by an eighth from there.
    private mutating func askAgain(at now: Instant) {
        let pause = sessionPollInterval
        callRetry.notBefore = now + pause
        sessionPollInterval = min(pause < .seconds(2) ? pause * 2 : pause + pause / 8, Self.longestPollInterval)
    }

    /// The session ended before its time: another one takes its place, as long as that makes sense.
    mutating func replaceSession(
        _ reason: UploadFailure, isComplete: Bool? = nil, _ reaction: inout UploadReaction
    ) {
        failure = reason
        abandonSession(&reaction, isComplete: isComplete)
        sessionsLost += 1
        if sessionsLost >= configuration.sessionLimit { fail(reason, &reaction) }
    }

    /// Nothing that repeating could help. While the writer is at work only the early session is lost: the commit tries
    /// once more, with the true size. (A writer of whose size it is known meanwhile that the platform refuses it is told
    /// at its next write: ``sizeObjection(toWriting:)``.)
    mutating func fail(_ reason: UploadFailure, _ reaction: inout UploadReaction) {
        failure = reason
        if scope == nil {
            abandonSession(&reaction)
            waitsForCommit = true
        } else {
            end(.failed, reason, &reaction)
        }
    }
}
