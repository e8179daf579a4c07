import Logging
import PlatformClient
import Synchronization
import UploadCore

/// Asks the platform what becomes of the assets of all completed uploads of a mount: makes the calls that an
/// ``UploadCore/AssetWatcher`` wants made, one at a time, through the gate that all calls of the API share.
final class AssetPoller: Sendable {
    typealias Listener = @Sendable (AssetStanding) -> Void

    private struct State: Sendable {
        var watcher: AssetWatcher
        var listeners: [String: Listener] = [:]
        /// The call under way, or about to be.
        var asking: Task<Void, Never>?
        /// When the next one is due.
        var timer: (deadline: Instant, task: Task<Void, Never>)?
        var isStopped = false
    }

    private let state: Mutex<State>
    private let client: any UploadPlatform
    private let clock: EngineClock
    private let gate: CallGate
    private let logger: Logger

    init(policy: RetryPolicy, client: any UploadPlatform, clock: EngineClock, gate: CallGate, logger: Logger) {
        state = Mutex(State(watcher: AssetWatcher(policy: policy, at: clock.now())))
        self.client = client
        self.clock = clock
        self.gate = gate
        self.logger = logger
    }

    /// Asks for the asset of a file of `size` bytes until nothing new can be learned of it, and tells `listener` each time
    /// that something is. Must not be called by the listener.
    func watch(_ assetID: String, size: Int64, _ listener: @escaping Listener) {
        let now = clock.now()
        state.withLock { state in
            guard !state.isStopped else { return }
            state.watcher.watch(assetID, size: size, at: now)
            state.listeners[assetID] = listener
        }
        advance()
    }

    /// Nobody wants to know of the asset any more.
    func unwatch(_ assetID: String) {
        state.withLock { state in
            state.watcher.unwatch(assetID)
            state.listeners[assetID] = nil
        }
        advance()
    }

    /// Ends what is under way, and asks for nothing any more.
    func stop() async {
        let (asking, timer) = state.withLock { state in
            defer { state.timer = nil }
            state.isStopped = true
            return (state.asking, state.timer?.task)
        }
        timer?.cancel()
        asking?.cancel()
        await asking?.value
    }

    deinit {
        state.withLock { $0.timer?.task }?.cancel()
    }

    /// Makes the next call, or sets the timer to when it is due.
    private func advance() {
        let now = clock.now()
        let obsolete = state.withLock { state -> Task<Void, Never>? in
            guard !state.isStopped, state.asking == nil else { return nil }
            guard let deadline = state.watcher.nextDeadline(at: now) else {
                defer { state.timer = nil }
                return state.timer?.task
            }
            if deadline <= now {
                defer { state.timer = nil }
                state.asking = Task { await self.ask() }
                return state.timer?.task
            }
            // One that goes off early does no harm.
            if let timer = state.timer, timer.deadline <= deadline { return nil }
            let before = state.timer?.task
            state.timer = (deadline, timer(until: deadline))
            return before
        }
        obsolete?.cancel()
    }

    private func timer(until deadline: Instant) -> Task<Void, Never> {
        Task { [weak self, clock] in
            do { try await clock.sleep(deadline) } catch { return }
            self?.timerWentOff(deadline)
        }
    }

    private func timerWentOff(_ deadline: Instant) {
        state.withLock { state in
            if state.timer?.deadline == deadline { state.timer = nil }
        }
        advance()
    }

    private func ask() async {
        // Only then is it decided what to ask for: that may take a day.
        guard let permit = await gate.pass() else {
            // No calls are made any more.
            return state.withLock { $0.asking = nil }
        }
        let now = clock.now()
        if let call = state.withLock({ $0.watcher.takeCall(at: now) }) {
            tell(of: await make(call, permit), to: call)
        } else {
            gate.giveBack(permit)
        }
        state.withLock { $0.asking = nil }
        advance()
    }

    private func make(_ call: AssetWatcher.Call, _ permit: CallGate.Permit) async -> AssetWatcher.Answer {
        do throws(UploadFailure) {
            let answer: AssetWatcher.Answer
            switch call {
            case .list(let ids): answer = .listed(try await client.assets(ids))
            case .retrieve(let id): answer = .retrieved(try await client.asset(id))
            }
            gate.succeeded(permit)
            return answer
        } catch {
            gate.failed(permit, error)
            logger.debug(
                "the platform could not be asked for assets",
                metadata: ["code": "\(error.code)", "reason": "\(error.message)"])
            return .failed(error)
        }
    }

    private func tell(of answer: AssetWatcher.Answer, to call: AssetWatcher.Call) {
        let now = clock.now()
        let told = state.withLock { state in
            state.watcher.answered(call, answer, at: now).map { news in
                let listener = state.listeners[news.assetID]
                if news.standing.isDecided { state.listeners[news.assetID] = nil }
                return (news.standing, listener)
            }
        }
        for (standing, listener) in told { listener?(standing) }
    }
}
