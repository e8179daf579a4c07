import Formats

/// What comes next.
extension UploadStateMachine {
    mutating func advance(at now: Instant, _ reaction: inout UploadReaction) {
        guard state.isUnderWay else { return }
        if let due = session?.takeDue(at: now) {
            for index in due where scope != nil || isWritten(index) { session?.offer(index) }
        }
        if let session, scope == nil ? size > session.plan.totalSize : size != session.plan.totalSize {
            abandonSession(&reaction)
        }
        if let expiry = sessionExpiry, expiry <= now {
            let reason = UploadFailure(
                .sessionGone, code: "session_expired", message: "the upload session's lifetime is over")
            replaceSession(reason, &reaction)
            if !state.isUnderWay { return }
        }
        endIfContentIsMissed(&reaction)
        settle(&reaction)
        answerStall(at: now, &reaction)
        startCall(at: now, &reaction)
        startReports(at: now, &reaction)
    }

    /// When the session is abandoned for its age: not while an answer is awaited, nor when it may be complete.
    var sessionExpiry: Instant? {
        guard let session, pendingCall == nil, reportsUnderWay == 0, !session.mayBeComplete, withdrawal == nil else {
            return nil
        }
        return session.deadline
    }

    func isWritten(_ index: Int) -> Bool {
        session.map { written.covers($0.plan.range(of: index)) } ?? false
    }

    /// Moves on to the next state where everything for it is there.
    private mutating func settle(_ reaction: inout UploadReaction) {
        guard state == .finishing else { return }
        if scope == .untilNamed {
            state = .staged
            return reaction.answer(with: .success(()))
        }
        guard !isUnverified, let session, session.plan.totalSize == size else { return }
        switch scope {
        case .whole:
            guard isConfirmed else { return }
            state = .completed
            failure = nil
            reaction.answer(with: .success(()))
        case .allButLast:
            guard session.isFullyStored, session.isReportedButLast else { return }
            state = .staged
            reaction.answer(with: .success(()))
        case .untilNamed, nil:
            return
        }
    }

    private mutating func answerStall(at now: Instant, _ reaction: inout UploadReaction) {
        guard let stallDeadline, stallDeadline <= now else { return }
        let cause = currentFailure
        let isReport = stallDeadline > progress.last + configuration.stallTimeout
        let words = DurationText.format(isReport ? reportPatience : configuration.stallTimeout)
        var answer = UploadFailure(
            cause?.kind == .keyRefused ? .keyRefused : .stalled,
            message: isReport
                ? "the platform has not answered a report of stored chunks for \(words)"
                : "the upload got no further for \(words)",
            hint: "the bytes are kept and the upload goes on by itself as soon as it can")
        if let cause {
            answer.message += ": \(cause.message)"
            answer.httpStatus = cause.httpStatus
            if cause.kind == .keyRefused { answer.code = cause.code }
        }
        stall = answer
        reaction.answer(with: .failure(answer))
    }

    private mutating func startCall(at now: Instant, _ reaction: inout UploadReaction) {
        guard pendingCall == nil, callsHeldBack == nil, (callRetry.notBefore ?? now) <= now else { return }
        callRetry.begin()
        guard let call = wantedCall(at: now) else { return }
        let id = nextCallID()
        if case .openSession = call {
            sessionSource = state == .open ? hint?.source : nil
        }
        pendingCall = PendingCall(id: id, call: call)
        reaction.actions.append(.call(id, call))
    }

    mutating func nextCallID() -> CallID {
        lastSerial += 1
        return CallID(serial: lastSerial)
    }

    private func wantedCall(at now: Instant) -> PlatformCall? {
        guard let session else {
            return sessionSizeWanted.map { .openSession(totalSize: $0) }
        }
        if let withdrawal { return callForWithdrawal(withdrawal, session) }
        if doubt != nil { return reportsUnderWay == 0 ? questionInDoubt : nil }
        if refusal != nil || isUnverified {
            // What is under way may complete it: the session's answer would be out of date before it is here.
            return reportsUnderWay == 0 ? .checkSession(uploadID: session.uploadID) : nil
        }
        if let wanted = session.urlsWanted(
            reserve: configuration.urlReserve, most: configuration.urlBatch, at: now)
        {
            return .requestURLs(uploadID: session.uploadID, start: wanted.lowerBound, count: wanted.count)
        }
        // Only when every report is answered, and none of the answers called the upload complete.
        guard state == .finishing, session.isFullyReported, reportsUnderWay == 0, !isConfirmed else { return nil }
        return .checkSession(uploadID: session.uploadID)
    }

    /// The size to open a session for, if one should be opened now.
    private var sessionSizeWanted: Int64? {
        guard size > 0 else { return nil }
        if state == .finishing { return size }
        guard scope == nil, !waitsForCommit, let hint, hint.size >= size, hint.size <= configuration.sizeLimit,
            sizeObjection(toSize: hint.size) == nil, written.byteCount >= configuration.writtenBeforeSession
        else { return nil }
        return hint.size
    }
}
