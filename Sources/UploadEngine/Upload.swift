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

    private struct Moments: Sendable {
        var created: Timestamp
        var closed: Timestamp?
        var completed: Timestamp?
    }

    private struct State: Sendable {
        var machine: UploadStateMachine
        var identity: UploadIdentity
        var moments: Moments
        /// Rises when the content changes.
        var contentMark = 0
        /// The content that is on disk.
        var durableMark: Int?
        var waiters: [Int: @Sendable (Result<Void, UploadFailure>) -> Void] = [:]
        var lastWaiter = 0
        var endHandlers: [@Sendable (UploadState) -> Void] = []
        var transfers: [Int: Task<Void, Never>] = [:]
        /// When the timer that is set goes off.
        var timer: Instant?
        /// When the last one did.
        var lastTimer: Instant?
    }

    /// Counts the uploads of a mount, from 1; its status document is called after it until a session gives a better name.
    public let number: Int
    /// The bytes.
    public let spool: SpoolFile
    private let services: EngineServices
    private let state: Mutex<State>

    init(number: Int, spool: SpoolFile, identity: UploadIdentity, services: EngineServices) {
        self.number = number
        self.spool = spool
        self.services = services
        let machine = UploadStateMachine(configuration: services.configuration.upload, at: services.clock.now())
        state = Mutex(
            State(machine: machine, identity: identity, moments: Moments(created: services.clock.wallTime())))
    }

    private static let endedWithoutReason = UploadFailure(.interrupted, message: "the upload ended before this")

    // MARK: The file system's side

    /// Tells what happened to the file.
    public func apply(_ event: UploadEvent) {
        let now = services.clock.now()
        let (actions, hasChunks, deadline) = state.withLock { state in
            let actions = state.machine.apply(event, at: now)
            if case .committed = event { state.moments.closed = services.clock.wallTime() }
            if event.changesContent { state.contentMark += 1 }
            return (actions, state.machine.hasChunksToSend, Self.newTimer(&state))
        }
        for action in actions { perform(action) }
        if hasChunks { services.scheduler.offer(self) }
        if let deadline { setTimer(deadline) }
    }

    /// Calls `answer` once: when the upload is completed (or staged), fails, or stalls; at once where that is decided.
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
            case .open, .staged, .finishing:
                state.lastWaiter += 1
                state.waiters[state.lastWaiter] = answer
                return (Waiter(number: state.lastWaiter), nil)
            }
        }
        if let known { answer(known) }
        return waiter
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

    /// What the upload is called, and whose it is.
    public var identity: UploadIdentity { state.withLock { $0.identity } }

    /// Changes what the upload is called: a rename, a writer that became known.
    public func updateIdentity(_ change: (inout UploadIdentity) -> Void) {
        state.withLock { change(&$0.identity) }
    }

    /// Names the content as it is now. Taken before the bytes are put on disk, and told after it.
    public var contentMark: Int { state.withLock { $0.contentMark } }

    /// The content that bore that mark is on disk; what was written since is not known to be.
    public func contentIsDurable(asOf mark: Int) {
        state.withLock { $0.durableMark = max($0.durableMark ?? mark, mark) }
    }

    /// Where the upload stands.
    public var currentState: UploadState { state.withLock { $0.machine.state } }

    /// A look at the machine, for what only the file system asks.
    public func inspect<Answer: Sendable>(_ question: @Sendable (UploadStateMachine) -> Answer) -> Answer {
        state.withLock { question($0.machine) }
    }

    /// The status document, as of now.
    public func status() -> StatusDocument {
        let now = services.clock.now()
        let (machine, identity, moments, isDurable) = state.withLock {
            ($0.machine, $0.identity, $0.moments, $0.durableMark == $0.contentMark)
        }
        var document = machine.statusDocument(at: now)
        document.filename = identity.filename
        document.path = "/" + identity.path.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
        document.writer = identity.writer
        document.supersededUploadIDs = identity.supersededUploadIDs
        document.createdAt = moments.created
        document.closedAt = moments.closed
        document.completedAt = moments.completed
        document.durable = isDurable
        return document
    }

    // MARK: The scheduler's side

    /// The next chunk to send; nil when none can be sent now.
    func takeChunk() -> PutOrder? {
        let now = services.clock.now()
        return state.withLock { $0.machine.takeChunk(at: now) }
    }

    /// Sends a chunk and tells the machine how it went.
    func send(_ order: PutOrder) async {
        let chunk = SpoolChunk(spool: spool, range: order.range, threads: services.threads)
        let transfer = Task {
            do throws(UploadFailure) {
                let stored = try await services.client.put(
                    chunk, to: order.url, headers: order.headers,
                    onBytesSent: { self.apply(.bytesSent(Int64($0))) })
                self.apply(.chunkStored(order, stored))
            } catch {
                self.log(.debug, "a chunk was not stored", error, ["chunk": "\(order.chunkIndex)"])
                self.apply(.chunkFailed(order, error, random: .random(in: 0..<1)))
            }
        }
        // A chunk is under way once at a time, so its index names the transfer; a session given up in between is
        // noticed here, since its machine has forgotten the order.
        let isWanted = state.withLock { state in
            state.transfers[order.chunkIndex] = transfer
            return state.machine.isUnderWay(order)
        }
        if !isWanted { transfer.cancel() }
        await transfer.value
        state.withLock { if $0.transfers[order.chunkIndex] == transfer { $0.transfers[order.chunkIndex] = nil } }
    }

    // MARK: Acting

    private func perform(_ action: UploadAction) {
        switch action {
        case .call(let id, let call):
            Task { await self.make(call, id) }
        case .stopTransfers:
            for transfer in state.withLock({ Array($0.transfers.values) }) { transfer.cancel() }
        case .abandon(let assetID):
            services.housekeeping.delete(assetID: assetID)
        case .answer(let result):
            answerWaiters(result)
        case .stateChanged(let new):
            stateChanged(new)
        }
    }

    private func answerWaiters(_ result: Result<Void, UploadFailure>) {
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            return state.waiters.values.map { $0 }
        }
        for answer in waiters { answer(result) }
    }

    private func stateChanged(_ new: UploadState) {
        let (wallTime, failure) = (services.clock.wallTime(), state.withLock { $0.machine.failure })
        switch new {
        case .completed:
            state.withLock { $0.moments.completed = wallTime }
            log(.info, "upload completed", nil)
        case .failed: log(.error, "upload failed", failure)
        case .interrupted: log(.warning, "upload interrupted", failure)
        case .cancelled: log(.info, "upload cancelled", failure)
        case .open, .staged, .finishing: log(.debug, "upload changed state", nil, ["state": "\(new.rawValue)"])
        }
        services.activity.changed(self, to: new)
        guard !new.isUnderWay else { return }
        let handlers = state.withLock { state in
            defer { state.endHandlers = [] }
            return state.endHandlers
        }
        for handler in handlers { handler(new) }
    }

    private func make(_ call: PlatformCall, _ id: CallID) async {
        do throws(UploadFailure) {
            apply(try await services.answer(to: call, as: id, identity: identity))
        } catch {
            log(.debug, "a call failed", error)
            apply(.callFailed(id, error, random: .random(in: 0..<1)))
        }
    }

    private func log(
        _ level: Logger.Level, _ message: Logger.Message, _ failure: UploadFailure?,
        _ more: Logger.Metadata = [:]
    ) {
        var metadata = more
        let identity = identity
        metadata["path"] = "/\(identity.path.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/"))"
        if let failure {
            metadata["code"] = "\(failure.code)"
            metadata["reason"] = "\(failure.message)"
            if let hint = failure.hint { metadata["hint"] = "\(hint)" }
        }
        services.logger.log(level: level, message, metadata: metadata)
    }

    // MARK: Time

    /// The moment to set a timer for, when the one that is set goes off too late or there is none.
    private static func newTimer(_ state: inout State) -> Instant? {
        guard let deadline = state.machine.nextDeadline else { return nil }
        // What did not follow from a deadline that has passed will not follow from it a second time.
        if let last = state.lastTimer, deadline <= last { return nil }
        if let timer = state.timer, timer <= deadline { return nil }
        state.timer = deadline
        return deadline
    }

    private func setTimer(_ deadline: Instant) {
        Task {
            try? await services.clock.sleep(deadline)
            state.withLock { state in
                if state.timer == deadline { state.timer = nil }
                state.lastTimer = max(state.lastTimer ?? deadline, deadline)
            }
            apply(.tick)
        }
    }
}

extension UploadEvent {
    /// Whether bytes of the file are others afterwards.
    fileprivate var changesContent: Bool {
        switch self {
        case .wrote, .truncated: true
        case .hinted, .committed, .interrupted, .cancelled, .sessionOpened, .urlsReceived, .reported, .sessionChecked,
            .assetChecked, .callFailed, .bytesSent, .chunkStored, .chunkFailed, .tick:
            false
        }
    }
}
