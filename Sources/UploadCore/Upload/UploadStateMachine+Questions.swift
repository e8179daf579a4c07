/// What may be asked of an upload.
extension UploadStateMachine {
    /// The platform's id of the session, while there is one.
    public var uploadID: String? { session?.uploadID }

    /// The asset that the session makes, while there is one.
    public var assetID: String? { session?.assetID }

    /// The ranges written so far.
    public var writtenRanges: SegmentMap { written }

    /// Whether there is a chunk that could be sent but for a place and a URL.
    public var hasChunksToSend: Bool { withdrawal == nil && session.map { !$0.ready.isEmpty } ?? false }

    /// Whether `declared` bytes were announced and there are holes below them.
    public var lacksDeclaredBytes: Bool {
        guard let hint, hint.source == .declared else { return false }
        return size < hint.size || !written.covers(0..<hint.size)
    }

    /// Whether a size was declared and nothing was written: it is set for whoever writes the file.
    public var isOnlyPresized: Bool { hint?.source == .declared && written.isEmpty }

    /// When ``UploadEvent/tick`` is due, if nothing else happens before.
    public var nextDeadline: Instant? {
        guard state.isUnderWay else { return nil }
        var earliest: Instant?
        func consider(_ deadline: Instant?) {
            guard let deadline else { return }
            earliest = min(earliest ?? deadline, deadline)
        }
        if pendingCall == nil, callsHeldBack == nil { consider(callRetry.notBefore) }
        if let session {
            consider(session.delayed.values.min())
            consider(sessionExpiry)
        }
        if let due = nextRepetition { consider(due) }
        consider(stallDeadline)
        return earliest
    }

    /// Whether it waits for ``UploadEvent/callsReleased``.
    public var areCallsHeldBack: Bool { callsHeldBack != nil }

    /// What keeps the upload from going on: what happened to it, or to another that tried it for all.
    var currentFailure: UploadFailure? {
        if let failure { return failure }
        if let withdrawal { return callRetry.cause ?? callsHeldBack?.reason ?? withdrawal.reason }
        guard state.isUnderWay else { return nil }
        if let cause = callRetry.cause ?? reports.lazy.compactMap(\.retry.cause).first { return cause }
        return callsHeldBack?.reason ?? (hasChunksToSend ? chunksHeldBack?.reason : nil)
    }

    /// When what the upload waits for is tried again, where that is known: not while it does not wait, nor while it is tried.
    public func nextAttempt(after now: Instant) -> Instant? {
        guard state.isUnderWay, let reason = currentFailure else { return nil }
        let waits = [callRetry] + reports.map(\.retry)
        var calls = waits.lazy.filter { $0.cause != nil }.compactMap(\.notBefore).min()
        if let callsHeldBack { calls = callsHeldBack.until.map { max($0, calls ?? $0) } }
        var chunks = session?.delayed.values.min()
        if let chunksHeldBack, hasChunksToSend { chunks = chunksHeldBack.until }
        // The store knows nothing of the limits of an account.
        let due = reason.kind == .rateLimited ? calls : [calls, chunks].compactMap(\.self).min()
        return due.flatMap { $0 > now ? $0 : nil }
    }

    /// What the upload waits for, if it does not simply go on.
    public var waitingFor: StatusDocument.WaitingFor? {
        guard state.isUnderWay else { return nil }
        switch currentFailure?.kind {
        case .keyRefused: return .key
        case .rateLimited: return .rateLimit
        case .unreachable, .connectionLost, .platformUnavailable, .storeUnavailable, .stalled: return .network
        case .accessRefused, .accessUnclear, .sessionRefused, .sizeRefused, .typeRefused, .requestRefused, .sessionGone,
            .conflict,
            .unreadableAnswer, .urlExpired,
            .storeRefused, .storeRedirected, .checksumMismatch, .tooLarge, .noSpace, .spoolFailed, .interrupted,
            .cancelled, .replaced,
            .invalidConfiguration, nil:
            break
        }
        guard state == .open, pendingCall == nil, reports.isEmpty, !hasChunksToSend, (session?.uploadingCount ?? 0) == 0
        else {
            return nil
        }
        return .writer
    }
}
