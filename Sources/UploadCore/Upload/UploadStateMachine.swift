/// The upload of one version of a file, as a value: events in, actions out.
///
/// It holds no clock, no socket, no file and no lock; time and randomness come in with the events. Whoever runs it
/// applies an event under a lock, takes the actions, and carries them out after the lock is released. Chunks are not
/// pushed but taken (``takeChunk(at:)``), so that a scheduler can share a few PUTs fairly between many uploads.
///
/// A version goes from `open` to `finishing` when it is committed, and to `completed` when the platform has confirmed
/// it. The session may be opened long before, when the size can be guessed; a guess is checked at commit, and a session
/// of another size is abandoned for a new one.
public struct UploadStateMachine: Sendable {
    /// What does not change during an upload.
    public struct Configuration: Sendable {
        /// The largest file that is uploaded, in bytes; a hint beyond it is not believed.
        public var sizeLimit: Int64
        /// How much must be written before a session is opened on a hint, in bytes: the smallest part that an S3
        /// store takes, so that small files cost one session of the right size and nothing else.
        public var writtenBeforeSession: Int64
        /// How long nothing may move before whoever waits in close is answered.
        public var stallTimeout: Duration
        /// Retry or not.
        public var retryPolicy: RetryPolicy
        /// Chunks in one report. The platform documents no maximum; its own SDK sends 10.
        public var reportBatch: Int
        /// URLs in one request: at most 50, says the platform.
        public var urlBatch: Int
        /// How many URLs to keep at hand: the PUTs that can be under way, and as many again.
        public var urlReserve: Int
        /// How many sessions one version may use up before it is given up.
        public var sessionLimit: Int

        /// The defaults of the design.
        public init(
            sizeLimit: Int64 = 4 << 30, writtenBeforeSession: Int64 = 5 << 20, stallTimeout: Duration = .seconds(300),
            retryPolicy: RetryPolicy = RetryPolicy(), reportBatch: Int = 100, urlBatch: Int = 50, urlReserve: Int = 8,
            sessionLimit: Int = 8
        ) {
            self.sizeLimit = sizeLimit
            self.writtenBeforeSession = writtenBeforeSession
            self.stallTimeout = stallTimeout
            self.retryPolicy = retryPolicy
            self.reportBatch = reportBatch
            self.urlBatch = urlBatch
            self.urlReserve = urlReserve
            self.sessionLimit = sessionLimit
        }
    }

    /// The call under way, and how its kind has fared.
    private struct PendingCall: Sendable {
        var id: CallID
        var call: PlatformCall
    }

    // What people see.

    /// Where the upload stands.
    public private(set) var state: UploadState = .open
    /// The file's size so far, in bytes.
    public private(set) var size: Int64 = 0
    /// What is believed of the final size.
    public private(set) var hint: SizeHint?
    /// What last went wrong and has not been cured; the reason of the end where it ended badly.
    public private(set) var failure: UploadFailure?
    /// The platform's asset, once its session is completed.
    public private(set) var asset: Asset?
    /// Where the platform serves the asset, where it said so.
    public private(set) var assetURL: String?
    /// Sessions that were opened for this version and given up.
    public private(set) var abandonedUploadIDs: [String] = []
    /// Attempts beyond the first, of calls and PUTs.
    public private(set) var retries = 0
    /// Bytes a second, lately.
    public private(set) var rate = TransferRate()
    /// The session's books, while there is one.
    private(set) var session: OpenSession?

    /// What the session's size was believed on; nil when it was known, at commit.
    private(set) var sessionSource: SizeHint.Source?

    // What decides.

    private let configuration: Configuration
    private var written = SegmentMap()
    private var scope: CommitScope?
    private var pendingCall: PendingCall?
    private var callRetry = RetryState()
    private var lastSerial = 0
    private var sessionsOpened = 0
    /// A session could not be opened, or was lost for good, while the writer was at work: try again at commit.
    private var waitsForCommit = false
    private var lastMovement: Instant
    private var hasAnsweredStall = false
    private var isConfirmed = false
    /// A refusal that may only mean that the session is over: the session is asked before anything is given up.
    private var refusal: UploadFailure?

    /// An upload of which nothing is written yet.
    public init(configuration: Configuration, at now: Instant) {
        self.configuration = configuration
        lastMovement = now
    }

    // MARK: Questions

    /// The platform's id of the session, while there is one.
    public var uploadID: String? { session?.uploadID }

    /// The ranges written so far.
    public var writtenRanges: SegmentMap { written }

    /// Whether there is a chunk that could be sent but for a place and a URL.
    public var hasChunksToSend: Bool { session.map { !$0.ready.isEmpty } ?? false }

    /// Whether `declared` bytes were announced and there are holes below them.
    public var lacksDeclaredBytes: Bool {
        guard let hint, hint.source == .declared else { return false }
        return size < hint.size || !written.covers(0..<hint.size)
    }

    /// When ``UploadEvent/tick`` is due, if nothing else happens before.
    public var nextDeadline: Instant? {
        guard state.isUnderWay || state == .completed else { return nil }
        var earliest: Instant?
        func consider(_ deadline: Instant?) {
            guard let deadline else { return }
            earliest = min(earliest ?? deadline, deadline)
        }
        if pendingCall == nil { consider(callRetry.notBefore) }
        if let session, state != .completed {
            consider(session.delayed.values.min())
            consider(session.deadline)
        }
        if state == .finishing, !hasAnsweredStall { consider(lastMovement + configuration.stallTimeout) }
        return earliest
    }

    /// What the upload waits for, if it does not simply go on.
    public var waitingFor: StatusDocument.WaitingFor? {
        guard state.isUnderWay else { return nil }
        switch failure?.kind {
        case .keyRefused: return .key
        case .rateLimited: return .rateLimit
        case .unreachable, .connectionLost, .platformUnavailable, .storeUnavailable, .stalled: return .network
        case .sessionRefused, .sizeRefused, .requestRefused, .sessionGone, .conflict, .unreadableAnswer, .urlExpired,
            .storeRefused, .checksumMismatch, .tooLarge, .noSpace, .spoolFailed, .interrupted, .cancelled, .replaced,
            .invalidConfiguration, nil:
            break
        }
        guard state == .open, pendingCall == nil, !hasChunksToSend, (session?.uploadingCount ?? 0) == 0 else { return nil }
        return .writer
    }

    // MARK: Events

    /// Takes in what happened and tells what is to be done about it.
    public mutating func apply(_ event: UploadEvent, at now: Instant) -> [UploadAction] {
        var actions: [UploadAction] = []
        let before = state
        handle(event, at: now, &actions)
        advance(at: now, &actions)
        if state != before { actions.append(.stateChanged(state)) }
        return actions
    }

    private mutating func handle(_ event: UploadEvent, at now: Instant, _ actions: inout [UploadAction]) {
        switch event {
        case .wrote(let range): wrote(range, &actions)
        case .truncated(let newSize): truncated(to: newSize, &actions)
        case .hinted(let newHint): hint = newHint
        case .committed(let newScope): committed(newScope, at: now, &actions)
        case .interrupted(let reason): end(.interrupted, reason, &actions)
        case .cancelled(let reason): end(.cancelled, reason, &actions)
        case .sessionOpened(let id, let opened): sessionOpened(id, opened, at: now, &actions)
        case .urlsReceived(let id, let urls):
            guard finishCall(id, at: now) else { return }
            session?.add(urls: urls, at: now)
        case .reported(let id, let reports, let answer):
            guard finishCall(id, at: now) else { return }
            session?.reported(reports)
            assetURL = answer.url ?? assetURL
        case .sessionChecked(let id, let verdict): sessionChecked(id, verdict, at: now, &actions)
        case .assetChecked(let id, let answer): assetChecked(id, answer, at: now)
        case .callFailed(let id, let failure, let random): callFailed(id, failure, random, at: now, &actions)
        case .bytesSent(let count):
            moved(at: now)
            rate.add(count, at: now)
        case .chunkStored(let order, let stored): chunkStored(order, stored, at: now)
        case .chunkFailed(let order, let failure, let random): chunkFailed(order, failure, random, at: now, &actions)
        case .tick: break
        }
    }

    // MARK: The writer

    private mutating func wrote(_ range: Range<Int64>, _ actions: inout [UploadAction]) {
        guard !range.isEmpty, state.isUnderWay else { return }
        reopen(&actions)
        written.insert(range)
        size = max(size, range.upperBound)
        contentChanged(in: range, &actions)
    }

    private mutating func truncated(to newSize: Int64, _ actions: inout [UploadAction]) {
        guard state.isUnderWay, newSize != size else { return }
        reopen(&actions)
        let touched = min(size, newSize)..<max(size, newSize)
        written.remove(newSize..<Int64.max)
        size = newSize
        contentChanged(in: touched, &actions)
    }

    /// A staged version that is written again is open again.
    private mutating func reopen(_ actions: inout [UploadAction]) {
        guard scope == .allButLast else { return }
        if state == .finishing {
            let reason = UploadFailure(.replaced, message: "the file was written again before it was confirmed")
            actions.append(.answer(.failure(reason)))
        }
        scope = nil
        state = .open
    }

    private mutating func contentChanged(in range: Range<Int64>, _ actions: inout [UploadAction]) {
        guard let session else { return }
        var hitReportedChunk = false
        for index in session.plan.chunks(touching: range) {
            if self.session?.contentChanged(index) == true { hitReportedChunk = true }
            if written.covers(session.plan.range(of: index)) {
                if !(self.session?[index].isStale ?? true) { self.session?.offer(index) }
            } else {
                self.session?.withdraw(index)
            }
        }
        if hitReportedChunk { giveUpSession(&actions) }
    }

    private mutating func committed(_ newScope: CommitScope, at now: Instant, _ actions: inout [UploadAction]) {
        guard state.isUnderWay else { return }
        scope = newScope
        state = .finishing
        waitsForCommit = false
        hasAnsweredStall = false
        lastMovement = now
        guard let session else { return }
        if session.plan.totalSize != size { return giveUpSession(&actions) }
        for index in session.indices {
            self.session?.resendIfStale(index)
            self.session?.offer(index)
        }
    }

    private mutating func end(_ final: UploadState, _ reason: UploadFailure, _ actions: inout [UploadAction]) {
        guard state.isUnderWay else { return }
        failure = reason
        state = final
        switch final {
        case .interrupted, .cancelled: giveUpSession(&actions)
        case .failed: actions.append(.stopTransfers)
        case .open, .staged, .finishing, .completed: break
        }
        actions.append(.answer(.failure(reason)))
    }

    // MARK: The session

    /// Lets the session go. Its asset is deleted, unless everything was reported: then it may be complete.
    private mutating func giveUpSession(_ actions: inout [UploadAction], deletingAsset: Bool = true) {
        pendingCall = nil
        refusal = nil
        callRetry.succeeded()
        actions.append(.stopTransfers)
        guard let lost = session else { return }
        abandonedUploadIDs.append(lost.uploadID)
        if deletingAsset, !lost.isFullyReported { actions.append(.abandon(assetID: lost.assetID)) }
        session = nil
    }

    private mutating func sessionOpened(
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

    private mutating func sessionChecked(
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

    private mutating func replaceSession(
        _ reason: UploadFailure, deletingAsset: Bool, _ actions: inout [UploadAction]
    ) {
        failure = reason
        giveUpSession(&actions, deletingAsset: deletingAsset)
        if sessionsOpened >= configuration.sessionLimit { giveUp(reason, &actions) }
    }

    /// Nothing that repeating could help. While the writer is at work only the early session is lost: the commit tries
    /// once more, with the true size.
    private mutating func giveUp(_ reason: UploadFailure, _ actions: inout [UploadAction]) {
        failure = reason
        if scope == nil {
            giveUpSession(&actions)
            waitsForCommit = true
        } else {
            end(.failed, reason, &actions)
        }
    }

    // MARK: The store

    private mutating func chunkStored(_ order: PutOrder, _ stored: StoredChunk, at now: Instant) {
        guard session?.uploadID == order.uploadID else { return }
        succeeded(at: now)
        session?.stored(order, etag: stored.etag)
        guard scope != nil else { return }
        session?.resendIfStale(order.chunkIndex)
        session?.offer(order.chunkIndex)
    }

    private mutating func chunkFailed(
        _ order: PutOrder, _ reason: UploadFailure, _ random: Double, at now: Instant, _ actions: inout [UploadAction]
    ) {
        guard session?.uploadID == order.uploadID, state.isUnderWay else { return }
        failure = reason
        retries += 1
        let policy = configuration.retryPolicy
        let decision = session?.updateRetry(of: order.chunkIndex) {
            $0.failed(reason, policy: policy, random: random, at: now)
        }
        let isUnspent = !policy.needsFreshURL(after: reason)
        switch decision {
        case .again(let wait), .awaitNetwork(let wait):
            session?.failed(order, retryAt: now + wait, urlIsUnspent: isUnspent, at: now)
        case .awaitKey:
            session?.failed(order, retryAt: now + Self.keyInterval, urlIsUnspent: isUnspent, at: now)
        case .newSession:
            replaceSession(reason, deletingAsset: true, &actions)
        case .giveUp where reason.kind == .storeRefused:
            session?.failed(order, retryAt: nil, urlIsUnspent: false, at: now)
            refusal = reason
        case .giveUp, nil:
            giveUp(reason, &actions)
        }
    }

    // MARK: Calls

    /// Whether the answer belongs to the call under way; if so, that call is over and has succeeded.
    private mutating func finishCall(_ id: CallID, at now: Instant) -> Bool {
        guard pendingCall?.id == id else { return false }
        pendingCall = nil
        callRetry.succeeded()
        succeeded(at: now)
        return true
    }

    private mutating func callFailed(
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

    private mutating func assetChecked(_ id: CallID, _ answer: Asset, at now: Instant) {
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

    private var assetPollInterval: Duration = .milliseconds(500)
    private var stopsAskingForAsset = false
    private static let longestAssetPollInterval: Duration = .seconds(10)
    private static let pollInterval: Duration = .milliseconds(200)
    /// How often a refused key is tried again.
    private static let keyInterval: Duration = .seconds(5)

    /// Something worked: what was wrong is cured.
    private mutating func succeeded(at now: Instant) {
        moved(at: now)
        if state.isUnderWay { failure = nil }
    }

    private mutating func moved(at now: Instant) { lastMovement = max(lastMovement, now) }

    // MARK: What comes next

    private mutating func advance(at now: Instant, _ actions: inout [UploadAction]) {
        if state == .completed { return startCall(at: now, &actions) }
        guard state.isUnderWay else { return }
        if let due = session?.takeDue(at: now) {
            for index in due where scope != nil || isWritten(index) { session?.offer(index) }
        }
        if let session, scope == nil, size > session.plan.totalSize {
            hint = nil
            giveUpSession(&actions)
        }
        if let expiry = session?.deadline, expiry <= now, pendingCall == nil, !(session?.isFullyReported ?? false) {
            let reason = UploadFailure(
                .sessionGone, code: "session_expired", message: "the upload session's lifetime is over")
            replaceSession(reason, deletingAsset: true, &actions)
            if !state.isUnderWay { return }
        }
        settle(&actions)
        answerStall(at: now, &actions)
        startCall(at: now, &actions)
    }

    private func isWritten(_ index: Int) -> Bool {
        session.map { written.covers($0.plan.range(of: index)) } ?? false
    }

    /// Moves on to the next state where everything for it is there.
    private mutating func settle(_ actions: inout [UploadAction]) {
        guard state == .finishing, let session, session.plan.totalSize == size else { return }
        switch scope {
        case .whole:
            guard isConfirmed else { return }
            state = .completed
            failure = nil
            actions.append(.answer(.success(())))
        case .allButLast:
            guard session.isFullyStored, session.unreported(most: 1, includingLast: false).isEmpty else { return }
            state = .staged
            actions.append(.answer(.success(())))
        case nil:
            return
        }
    }

    private mutating func answerStall(at now: Instant, _ actions: inout [UploadAction]) {
        guard state == .finishing, !hasAnsweredStall, lastMovement + configuration.stallTimeout <= now else { return }
        hasAnsweredStall = true
        let cause = failure
        var answer = UploadFailure(
            cause?.kind == .keyRefused ? .keyRefused : .stalled,
            message: "nothing moved for \(DurationText.format(configuration.stallTimeout))",
            hint: "the bytes are kept and the upload goes on by itself as soon as it can")
        if let cause {
            answer.message += ": \(cause.message)"
            answer.httpStatus = cause.httpStatus
            if cause.kind == .keyRefused { answer.code = cause.code }
        }
        actions.append(.answer(.failure(answer)))
    }

    private mutating func startCall(at now: Instant, _ actions: inout [UploadAction]) {
        guard pendingCall == nil, (callRetry.notBefore ?? now) <= now, let call = wantedCall(at: now) else { return }
        lastSerial += 1
        let id = CallID(serial: lastSerial)
        if case .openSession = call {
            sessionSource = state == .open ? hint?.source : nil
            sessionsOpened += callRetry.failures == 0 ? 1 : 0
        }
        pendingCall = PendingCall(id: id, call: call)
        callRetry.notBefore = nil
        actions.append(.call(id, call))
    }

    private func wantedCall(at now: Instant) -> PlatformCall? {
        if state == .completed { return wantedAssetCall() }
        guard let session else {
            return sessionSizeWanted.map { .openSession(totalSize: $0) }
        }
        if refusal != nil { return .checkSession(uploadID: session.uploadID) }
        if let wanted = session.urlsWanted(
            reserve: configuration.urlReserve, most: configuration.urlBatch, at: now) {
            return .requestURLs(uploadID: session.uploadID, start: wanted.lowerBound, count: wanted.count)
        }
        guard let scope, state == .finishing else { return nil }
        let reports = session.unreported(most: configuration.reportBatch, includingLast: scope == .whole)
        if reports.count == configuration.reportBatch || (session.isFullyStored && !reports.isEmpty) {
            return .report(uploadID: session.uploadID, reports)
        }
        return session.isFullyReported && !isConfirmed ? .checkSession(uploadID: session.uploadID) : nil
    }

    private func wantedAssetCall() -> PlatformCall? {
        guard let session, !stopsAskingForAsset else { return nil }
        switch asset?.status {
        case .ready, .failed: return nil
        case .processing, .unknown, nil: return .checkAsset(assetID: session.assetID)
        }
    }

    /// The size to open a session for, if one should be opened now.
    private var sessionSizeWanted: Int64? {
        guard size > 0 else { return nil }
        if state == .finishing { return size }
        guard scope == nil, !waitsForCommit, let hint, hint.size >= size, hint.size <= configuration.sizeLimit,
            written.byteCount >= configuration.writtenBeforeSession
        else { return nil }
        return hint.size
    }

    // MARK: The scheduler

    /// Whether a chunk that was taken is still wanted.
    public func isUnderWay(_ order: PutOrder) -> Bool {
        guard let session, session.uploadID == order.uploadID, state.isUnderWay else { return false }
        return session[order.chunkIndex].state == .uploading(generation: order.generation)
    }

    /// The next chunk to send, now under way; nil when none can be sent at this moment.
    public mutating func takeChunk(at now: Instant) -> PutOrder? {
        guard state.isUnderWay, refusal == nil else { return nil }
        return session?.take(at: now)
    }
}
