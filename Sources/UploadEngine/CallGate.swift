import Synchronization
import UploadCore

/// Holds back the API's calls of all uploads while the platform wants fewer of them, cannot be reached, or refuses the
/// key. While it refuses the key, another one is looked for.
final class CallGate: Sendable {
    typealias Permit = CircuitBreaker.Permit

    private struct Waiter {
        var number: Int
        var continuation: CheckedContinuation<Permit?, Never>
        var heldBack: @Sendable (UploadFailure, _ until: Instant?) -> Void
    }

    private struct State {
        var breaker: CircuitBreaker
        /// In the order in which they came.
        var waiters: [Waiter] = []
        var lastWaiter = 0
        var isLookingForKey = false
        var isClosed = false
    }

    private let state: Mutex<State>
    private let clock: EngineClock
    private let alarm: Alarm
    private let keyRenewal: KeyRenewal?

    init(policy: RetryPolicy, clock: EngineClock, keyRenewal: KeyRenewal?) {
        state = Mutex(State(breaker: CircuitBreaker(policy: policy)))
        self.clock = clock
        alarm = Alarm(clock: clock)
        self.keyRenewal = keyRenewal
    }

    /// Leave for a call, or why it has to wait, and until when where that is known.
    enum Leave: Sendable {
        case granted(Permit)
        case refused(UploadFailure, until: Instant?)
    }

    /// Leave for one call, to be handed back; or why it has to wait.
    func take() -> Leave {
        let now = clock.now()
        return state.withLock { state in
            if let permit = state.breaker.take(at: now) { return .granted(permit) }
            let hold = state.breaker.hold(at: now)
            return .refused(hold?.reason ?? Self.closed, until: hold?.until)
        }
    }

    private static let closed = UploadFailure(.unreachable, message: "the platform cannot be called now")

    /// Returns when a call may be made, with a permit to hand back; nil when the task was cancelled before that.
    ///
    /// - Parameter heldBack: told when the reason for which it has to wait becomes another, or the moment until which it has to.
    func pass(
        heldBack: @escaping @Sendable (UploadFailure, _ until: Instant?) -> Void = { _, _ in }
    ) async -> Permit? {
        let number = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.isClosed { return true }
                    state.waiters.append(Waiter(number: number, continuation: continuation, heldBack: heldBack))
                    return false
                }
                guard !isOver else { return continuation.resume(returning: nil) }
                letThrough()
                // Whoever failed itself knows why it waits, but not until when.
                let now = clock.now()
                let hold = state.withLock { state in
                    state.waiters.contains { $0.number == number } ? state.breaker.hold(at: now) : nil
                }
                if let hold { heldBack(hold.reason, hold.until) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: nil)
        }
    }

    /// Whether calls have to wait, other than the one that this is the leave for.
    func holdsBack(beside permit: Permit) -> Bool {
        let now = clock.now()
        return state.withLock { !permit.isProbe && $0.breaker.reason(at: now) != nil }
    }

    /// The call was not made after all.
    func giveBack(_ permit: Permit) {
        state.withLock { $0.breaker.giveBack(permit) }
        letThrough()
    }

    /// The call was answered.
    func succeeded(_ permit: Permit) {
        state.withLock { $0.breaker.succeeded(permit) }
        letThrough()
    }

    /// The call failed.
    func failed(_ permit: Permit, _ failure: UploadFailure) {
        let now = clock.now()
        let (hold, told) = state.withLock { state in
            let before = state.breaker.hold(at: now)
            state.breaker.failed(permit, failure, at: now)
            let hold = state.breaker.hold(at: now)
            let isSame = hold?.reason.kind == before?.reason.kind && hold?.until == before?.until
            return (hold, isSame ? [] : state.waiters.map(\.heldBack))
        }
        if let hold { for heldBack in told { heldBack(hold.reason, hold.until) } }
        letThrough()
        lookForKey()
    }

    /// Nobody waits any more, nor will.
    func close() {
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            state.isClosed = true
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: nil) }
    }

    /// Lets those go who may, and comes back when the next one may.
    private func letThrough() {
        let now = clock.now()
        let (passed, opens) = state.withLock { state in
            var passed: [(CheckedContinuation<Permit?, Never>, Permit)] = []
            for waiter in state.waiters {
                guard let permit = state.breaker.take(at: now) else { break }
                passed.append((waiter.continuation, permit))
            }
            state.waiters.removeFirst(passed.count)
            return (passed, state.waiters.isEmpty ? nil : state.breaker.opens)
        }
        for (waiter, permit) in passed { waiter.resume(returning: permit) }
        if let opens { alarm.set(to: opens) { [weak self] in self?.letThrough() } }
    }

    // MARK: Another key

    private var isKeyRefused: Bool {
        let now = clock.now()
        return state.withLock { !$0.isClosed && $0.breaker.reason(at: now)?.kind == .keyRefused }
    }

    /// Looks for another key again and again for as long as the one that there is is refused.
    private func lookForKey() {
        guard let keyRenewal, isKeyRefused else { return }
        let isFirst = state.withLock { state in
            defer { state.isLookingForKey = true }
            return !state.isLookingForKey
        }
        guard isFirst else { return }
        Task { [weak self, clock] in
            while self?.isKeyRefused ?? false {
                if await keyRenewal.renew() { self?.keyWasRenewed() }
                do { try await clock.sleep(clock.now() + keyRenewal.interval) } catch { break }
            }
            self?.state.withLock { $0.isLookingForKey = false }
            // It may have been refused again in between.
            self?.lookForKey()
        }
    }

    private func keyWasRenewed() {
        let now = clock.now()
        state.withLock { $0.breaker.expectsSuccess(at: now) }
        letThrough()
    }
}

/// Where another API key may come from while the one in use is refused.
public struct KeyRenewal: Sendable {
    /// How often it is looked for.
    public var interval: Duration
    /// Looks for it; true when all calls from now on carry another key than before.
    public var renew: @Sendable () async -> Bool

    /// Looks for another key every `interval`.
    public init(every interval: Duration = .seconds(1), _ renew: @escaping @Sendable () async -> Bool) {
        self.interval = interval
        self.renew = renew
    }
}
