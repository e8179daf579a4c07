import Synchronization

/// The machine's clock that counts suspend, whose sleeps leave nothing behind when they are cancelled.
///
/// `Task.sleep` keeps a timer and a task until its deadline, though it was cancelled long before. Most sleeps here are cancelled:
/// they are deadlines, minutes or hours away, of exchanges that end well. So all that sleep share a few alarms, each set only
/// where none goes off as early.
public final class CancellingClock: Clock, Sendable {
    /// Moments of the machine's clock.
    public typealias Instant = ContinuousClock.Instant

    /// One for the whole process.
    public static let shared = CancellingClock()

    private struct Sleeper: Sendable {
        let number: Int
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State: Sendable {
        /// The one that is due first is the last.
        var sleepers: [Sleeper] = []
        /// When the alarms go off that are set, the first one last.
        var alarms: [Instant] = []
        var lastNumber = 0

        mutating func insert(_ sleeper: Sleeper) {
            var (low, high) = (0, sleepers.count)
            while low < high {
                let middle = (low + high) / 2
                if sleepers[middle].deadline > sleeper.deadline { low = middle + 1 } else { high = middle }
            }
            sleepers.insert(sleeper, at: low)
        }

        /// The alarm that is to be set for whoever is due first, where none goes off by then.
        mutating func takeNeededAlarm() -> Instant? {
            guard let first = sleepers.last?.deadline else { return nil }
            if let alarm = alarms.last, alarm <= first { return nil }
            alarms.append(first)
            return first
        }
    }

    private let state = Mutex(State())

    /// A clock with which nobody sleeps yet.
    public init() {}

    /// The moment.
    public var now: Instant { ContinuousClock.now }

    /// The machine's clock's.
    public var minimumResolution: Duration { ContinuousClock().minimumResolution }

    /// How many sleep, and for how many moments an alarm is set.
    package var load: (sleepers: Int, alarms: Int) { state.withLock { ($0.sleepers.count, $0.alarms.count) } }

    /// Returns at the deadline; throws `CancellationError` when the task is cancelled before.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (outcome, alarm) = state.withLock { state -> (Result<Void, any Error>?, Instant?) in
                    // Under the lock: who is cancelled after this is found among those that sleep.
                    if Task.isCancelled { return (.failure(CancellationError()), nil) }
                    if deadline <= now { return (.success(()), nil) }
                    state.insert(Sleeper(number: number, deadline: deadline, continuation: continuation))
                    return (nil, state.takeNeededAlarm())
                }
                if let outcome { continuation.resume(with: outcome) }
                if let alarm { set(alarm) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                state.sleepers.firstIndex { $0.number == number }.map { state.sleepers.remove(at: $0) }
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    private func set(_ alarm: Instant) {
        // Never cancelled.
        Task {
            try? await Task.sleep(until: alarm, clock: .continuous)
            ring(alarm)
        }
    }

    private func ring(_ alarm: Instant) {
        let (due, next) = state.withLock { state in
            if let index = state.alarms.lastIndex(of: alarm) { state.alarms.remove(at: index) }
            let now = now
            let first = state.sleepers.lastIndex { $0.deadline > now }.map { $0 + 1 } ?? 0
            let due = state.sleepers[first...]
            state.sleepers.removeSubrange(first...)
            return (due, state.takeNeededAlarm())
        }
        for sleeper in due.reversed() { sleeper.continuation.resume() }
        if let next { set(next) }
    }
}
