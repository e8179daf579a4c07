import Formats
import Logging
import PlatformClient
import Synchronization
import UploadCore
import UploadStore

/// One version's upload at work: runs its state machine, and whoever waits in close waits here.
///
/// Every event takes the same way: lock, apply, take the actions, unlock, act. The lock is held for arithmetic only, so
/// a FUSE thread that tells of a write never waits for the network.
public final class Upload: Sendable {
    /// Who waits, to be able to stop waiting.
    public struct Waiter: Sendable, Hashable {
        let number: Int
    }

    struct Moments: Sendable {
        var created: Timestamp
        var closed: Timestamp?
        var completed: Timestamp?
    }

    struct State: Sendable {
        var machine: UploadStateMachine
        var identity: UploadIdentity
        var moments: Moments
        /// Why the content could not be read back from the platform, when last tried.
        var readFailure: UploadFailure?
        /// Why the URL to read it from is good for nothing any more.
        var urlFailure: UploadFailure?
        /// Why the content could not be put on disk, when last tried.
        var diskFailure: UploadFailure?
        /// Writes that are held until there is space in the spool.
        var writesWaitingForSpace = 0
        /// Rises when the content changes.
        var contentVersion = 0
        /// Promises of the disk that are being made good: nothing is released meanwhile.
        var promisesUnderWay = 0
        /// The content that is on disk.
        var syncedMark: Int?
        /// The content that is on disk, all of it, and that the journal, on disk as well, says is there.
        var durableMark: Int?
        var waiters: [Int: (answer: Answer, stagedIsEnough: Bool)] = [:]
        var lastWaiter = 0
        var endHandlers: [@Sendable (UploadState) -> Void] = []
        var withdrawalHandlers: [@Sendable () -> Void] = []
        var transfers: [Int: Task<Void, Never>] = [:]
        /// Calls under way; of each, whether its outcome matters though the session is abandoned.
        var calls: [CallID: (task: Task<Void, Never>, outlivesSession: Bool)] = [:]
        /// Whether somebody waits for calls to be released, and the leave for one that it came back with.
        var isAwaitingRelease = false
        var permit: CircuitBreaker.Permit?
        /// When the timer that is set goes off, and what waits for it.
        var timer: (deadline: Instant, task: Task<Void, Never>?)?
        /// When the last one did.
        var lastTimer: Instant?
        var isStopped = false
        /// Whether the journal is about to ask what is new.
        var isEnqueued = false
        /// Whether the journal is to know nothing of it any more.
        var isForgotten = false
        /// Earlier versions that were promised to be safe, and go on until this one is.
        var predecessors: [(upload: Upload, reason: UploadFailure)] = []
    }

    typealias Answer = @Sendable (Result<Void, UploadFailure>) -> Void

    /// What is to be done, once the lock is released, about something that happened.
    struct Work {
        var actions: [UploadAction] = []
        /// Those who waited when the answer was decided: whoever comes to wait later waits for another one.
        var answers: [(answer: Answer, result: Result<Void, UploadFailure>)] = []
        var hasChunks = false
        /// Whether a chunk was stored that the spool may release.
        var bringsSpace = false
        var awaitsRelease = false
        var timer: Instant?
        /// The timer that this one replaces, and what was under way for a session that is abandoned.
        var obsolete: [Task<Void, Never>] = []
        /// What the journal is to be told of it: whether anything, and whether that can wait for more.
        var isNew = false
        var canWait = true
    }

    /// Counts the uploads of a mount, from 1; its status document is called after it until a session gives a better name.
    public let number: Int
    /// The bytes.
    public let spool: SpoolFile
    /// The id of its session, for those who want to know no more of it.
    public let sessionLabel = SessionLabel()
    let services: EngineServices
    let state: Mutex<State>

    init(number: Int, spool: SpoolFile, identity: UploadIdentity, services: EngineServices) {
        self.number = number
        self.spool = spool
        self.services = services
        let machine = UploadStateMachine(configuration: services.configuration.upload, at: services.clock.now())
        state = Mutex(
            State(machine: machine, identity: identity, moments: Moments(created: services.clock.wallTime())))
    }

    /// An upload that another process began, as the journal knows it.
    init(
        restoring left: RecoveredUpload, record: UploadRecord, spool: SpoolFile, identity: UploadIdentity,
        services: EngineServices
    ) {
        number = Int(record.number)
        self.spool = spool
        self.services = services
        let machine = UploadStateMachine(
            configuration: services.configuration.upload, restoring: left, at: services.clock.now())
        let moments = Moments(created: record.created, closed: record.closed, completed: record.completed)
        var state = State(machine: machine, identity: identity, moments: moments)
        if record.synced != .nothing {
            state.syncedMark = state.contentVersion
            if !machine.lacksBytes { state.durableMark = state.contentVersion }
        }
        if record.synced == .part { state.contentVersion += 1 }
        sessionLabel.set(machine.uploadID)
        self.state = Mutex(state)
    }

    private static let endedWithoutReason = UploadFailure(.interrupted, message: "the upload ended before this")

    // MARK: The file system's side

    /// Tells what happened to the file.
    public func apply(_ event: UploadEvent) {
        let now = services.clock.now()
        let work = state.withLock { state in
            var work = Work()
            guard !state.isStopped else { return work }
            if case .committed = event { state.moments.closed = services.clock.wallTime() }
            if event.changesContent { state.contentVersion += 1 }
            let retries = state.machine.retries
            let wasCompleted = state.machine.state == .completed
            let sessions = (state.machine.uploadID, state.machine.abandonedUploadIDs.count)
            let reaction = state.machine.apply(event, at: now)
            if !wasCompleted, state.machine.state == .completed {
                state.moments.completed = services.clock.wallTime()
            }
            if let result = reaction.answer { work.answers = Self.takeAnswered(&state, result) }
            if reaction.stopsTransfers {
                // Those of this moment: another session's may begin before they are stopped.
                work.obsolete += state.transfers.values
                work.obsolete += state.calls.values.filter { !$0.outlivesSession }.map(\.task)
            }
            work.actions = reaction.actions
            services.totals.count(event, retries: state.machine.retries - retries)
            // Under the lock: whoever sees the id finds the document that is called after it.
            if sessions != (state.machine.uploadID, state.machine.abandonedUploadIDs.count) {
                services.index.update(number, state.names)
            }
            sessionLabel.set(state.machine.uploadID)
            if case .chunkStored = event { work.bringsSpace = state.mayReleaseChunks }
            work.hasChunks = state.machine.hasChunksToSend
            work.awaitsRelease = state.machine.areCallsHeldBack && !state.isAwaitingRelease
            if work.awaitsRelease { state.isAwaitingRelease = true }
            Self.updateTimer(&state, &work)
            Self.enqueueDeltas(&state, &work)
            return work
        }
        if work.isNew { tellJournal(canWait: work.canWait) }
        for (answer, result) in work.answers { give(result, to: answer) }
        if event.changesBacklog { services.backlog.tell() }
        if work.bringsSpace { services.space.spaceMayHaveCome() }
        for action in work.actions { perform(action) }
        if work.awaitsRelease { awaitRelease() }
        if work.hasChunks { services.scheduler.offer(self) }
        for task in work.obsolete { task.cancel() }
        if let deadline = work.timer { setTimer(deadline) }
    }

    /// Calls `answer` once: when the upload is completed (or staged), fails, or stalls; at once where that is decided,
    /// and while nothing moves.
    ///
    /// - Parameter stagedIsEnough: false for one who is about to commit what is staged already.
    public func whenAnswered(
        stagedIsEnough: Bool = true, _ answer: @escaping @Sendable (Result<Void, UploadFailure>) -> Void
    ) -> Waiter? {
        let (waiter, known): (Waiter?, Result<Void, UploadFailure>?) = state.withLock { state in
            switch state.machine.state {
            case .completed:
                return (nil, .success(()))
            case .staged where stagedIsEnough:
                return (nil, .success(()))
            case .failed, .interrupted, .cancelled:
                return (nil, .failure(state.machine.failure ?? Self.endedWithoutReason))
            case .finishing where state.machine.stall != nil:
                return (nil, state.machine.stall.map { .failure($0) })
            case .open, .staged, .finishing:
                state.lastWaiter += 1
                state.waiters[state.lastWaiter] = (answer, stagedIsEnough)
                return (Waiter(number: state.lastWaiter), nil)
            }
        }
        if let known { give(known, to: answer) }
        return waiter
    }

    /// Takes out those whom an answer is for: who is about to commit what is being staged waits on when that is staged.
    private static func takeAnswered(
        _ state: inout State, _ result: Result<Void, UploadFailure>
    ) -> [(answer: Answer, result: Result<Void, UploadFailure>)] {
        var isStaged = false
        if case .success = result { isStaged = state.machine.state == .staged }
        let answered = state.waiters.filter { !isStaged || $0.value.stagedIsEnough }
        for number in answered.keys { state.waiters[number] = nil }
        return answered.values.map { ($0.answer, result) }
    }

    /// Stops waiting; the upload goes on.
    public func stopWaiting(_ waiter: Waiter) {
        state.withLock { $0.waiters[waiter.number] = nil }
    }

    /// Calls `handler` once, when nothing more happens to the upload's content; at once where that is so already.
    public func whenEnded(_ handler: @escaping @Sendable (UploadState) -> Void) {
        let ended: UploadState? = state.withLock { state in
            guard state.machine.state.isUnderWay else { return state.machine.state }
            state.endHandlers.append(handler)
            return nil
        }
        if let ended { handler(ended) }
    }

    /// Calls `handler` once, when the upload is withdrawn, before it has ended: from then on its bytes are not needed. At once
    /// where that is so already, and never where it ends otherwise.
    public func whenWithdrawn(_ handler: @escaping @Sendable () -> Void) {
        let isWithdrawn = state.withLock { state in
            guard state.machine.state.isUnderWay else { return false }
            if !state.machine.isWithdrawn { state.withdrawalHandlers.append(handler) }
            return state.machine.isWithdrawn
        }
        if isWithdrawn { handler() }
    }

    /// What the platform is asked for: what the file's name says that it is, unless it takes no session of that type.
    var sessionType: AssetKind { state.withLock { $0.machine.sessionType(for: $0.identity.type) } }

    /// Names the content as it is now. Taken before the bytes are put on disk, and told after it.
    public var contentVersion: Int { state.withLock { $0.contentVersion } }

    /// The content that bore that mark is on disk, and the journal says so; what was written since is not known to be.
    public func contentIsDurable(asOf mark: Int) {
        state.withLock { state in
            // What was put on the disk so that the next mount finds it may be a part only.
            if !state.machine.lacksBytes { state.durableMark = max(state.durableMark ?? mark, mark) }
            state.diskFailure = nil
        }
        dropPredecessors()
    }

    /// Its bytes were to be on disk and are not known to be: that is told in the status, until it is completed.
    public func cannotBeMadeDurable(_ failure: UploadFailure) {
        state.withLock { $0.diskFailure = failure }
    }

    /// The content that bore that mark is on disk: the journal is to know.
    public func contentIsSynced(asOf mark: Int) {
        state.withLock { $0.syncedMark = max($0.syncedMark ?? mark, mark) }
        markDirty()
    }

    /// Whether its bytes were promised to be on the disk.
    public var isDurable: Bool { state.withLock { $0.durableMark != nil } }

    /// Where the upload stands.
    public var currentState: UploadState { state.withLock { $0.machine.state } }

    /// Whether the platform has confirmed it so short a time ago.
    public func wasCompleted(within time: Duration) -> Bool {
        let completed = state.withLock { $0.machine.state == .completed ? $0.moments.completed : nil }
        return completed.map { services.clock.wallTime().duration(since: $0) <= time } ?? false
    }

    /// The same for its file, and for another process: one that is withdrawn is cancelled, whatever is left to do.
    public var stateToKeep: UploadState { state.withLock { $0.machine.standingToKeep.state } }

    /// Whether it is over, and nothing that was begun for it goes on.
    var isAtRest: Bool {
        state.withLock { !$0.machine.state.isUnderWay && $0.calls.isEmpty && $0.transfers.isEmpty }
    }

    /// A look at the machine, for what only the file system asks.
    public func inspect<Answer: Sendable>(_ question: @Sendable (UploadStateMachine) -> Answer) -> Answer {
        state.withLock { question($0.machine) }
    }

    /// The next chunk that is to be released; never once the content was promised to be on the disk.
    func takeChunkToRelease() -> Range<Int64>? {
        let range = state.withLock { $0.keepsItsBytes ? nil : $0.machine.takeChunkToRelease() }
        if range != nil { markDirty() }
        return range
    }

    /// Its bytes were wanted and can't be had: that is told in the status.
    public func cannotBeRead(_ failure: UploadFailure) {
        state.withLock { $0.readFailure = failure }
    }

    /// Its bytes could be had after all.
    public func wasRead() {
        state.withLock { $0.readFailure = nil }
    }

    /// The status document, as of now.
    public func status() -> StatusDocument {
        let now = services.clock.now()
        let (machine, identity, moments, isDurable, isWaitingForSpace, readFailure, diskFailure) = state.withLock {
            (
                $0.machine, $0.identity, $0.moments, $0.durableMark == $0.contentVersion, $0.writesWaitingForSpace > 0,
                $0.readFailure, $0.diskFailure
            )
        }
        var document = machine.statusDocument(at: now)
        document.filename = identity.filename
        document.type = machine.sessionType(for: identity.type)
        if identity.type != .video, let refusal = machine.typeRefusal {
            document.typeNote =
                "sent as video, since the platform refused the type \(identity.type.rawValue): \(refusal.message)"
        }
        document.path = identity.pathText
        document.writer = identity.writer
        document.writerExit = identity.writerExit
        document.supersededUploadIDs = identity.supersededUploadIDs
        document.createdAt = moments.created
        document.closedAt = moments.closed
        document.completedAt = moments.completed
        document.retryAt = machine.nextAttempt(after: now).map { services.clock.wallTime().advanced(by: $0 - now) }
        document.durable = isDurable
        if isWaitingForSpace, machine.state == .open { document.waitingFor = .space }
        let trouble = readFailure ?? (machine.state == .completed ? nil : diskFailure)
        if document.error == nil, let trouble { document.error = StatusError(trouble) }
        return document
    }

    // MARK: The end of the mount

    /// Ends what is under way; nothing happens to the upload afterwards.
    func stop() {
        let tasks = state.withLock { state in
            defer { (state.transfers, state.calls, state.timer) = ([:], [:], nil) }
            state.isStopped = true
            return Array(state.transfers.values) + state.calls.values.map(\.task)
                + [state.timer?.task].compactMap { $0 }
        }
        for task in tasks { task.cancel() }
    }

    deinit {
        state.withLock { $0.timer?.task }?.cancel()
    }
}

extension UploadEvent {
    /// Whether the backlog may be smaller afterwards, so that writers who are held back may look again.
    fileprivate var changesBacklog: Bool {
        switch self {
        case .chunkStored, .sessionOpened, .callFailed, .chunkFailed: true
        case .wrote, .truncated, .reopened, .hinted, .committed, .interrupted, .cancelled, .retried, .urlsReceived,
            .reported,
            .sessionChecked, .assetChecked, .assetDeleted, .assetLearned, .callHeldBack, .callsReleased, .bytesSent,
            .chunksHeldBack,
            .tick:
            false
        }
    }

    /// Whether bytes of the file are others afterwards.
    fileprivate var changesContent: Bool {
        switch self {
        case .wrote, .truncated: true
        case .reopened, .hinted, .committed, .interrupted, .cancelled, .retried, .sessionOpened, .urlsReceived,
            .reported,
            .sessionChecked, .assetChecked, .assetDeleted, .assetLearned, .callHeldBack, .callsReleased, .callFailed,
            .bytesSent,
            .chunkStored, .chunkFailed, .chunksHeldBack, .tick:
            false
        }
    }
}
