import Formats
import Synchronization
import UploadCore
import UploadEngine

/// A clock that stands still until a test moves it.
final class ManualTime: Sendable {
    private struct Sleeper {
        var deadline: Instant
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = ContinuousClock.now
        var sleepers: [Int: Sleeper] = [:]
        var lastSleeper = 0
        var cancelled: Set<Int> = []
    }

    /// The time of day at first.
    static let dawn = Timestamp(millisecondsSince1970: 1_767_323_045_000)

    private let begin: Instant
    private let state: Mutex<State>

    init() {
        let state = State()
        begin = state.now
        self.state = Mutex(state)
    }

    var now: Instant { state.withLock { $0.now } }

    /// When those who sleep want to be woken.
    var deadlines: [Instant] { state.withLock { $0.sleepers.values.map(\.deadline).sorted() } }

    /// Lets time pass, and wakes those whose time it is.
    func advance(by duration: Duration) {
        let due = state.withLock { state -> [Sleeper] in
            state.now += duration
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for number in due.keys { state.sleepers[number] = nil }
            return Array(due.values)
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    var clock: EngineClock {
        EngineClock(
            now: { self.now }, wallTime: { Self.dawn.advanced(by: self.now - self.begin) },
            sleep: { try await self.sleep(until: $0) })
    }

    private func sleep(until deadline: Instant) async throws {
        let number = state.withLock { state in
            state.lastSleeper += 1
            return state.lastSleeper
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelled.remove(number) != nil { return .failure(CancellationError()) }
                    if deadline <= state.now { return .success(()) }
                    state.sleepers[number] = Sleeper(deadline: deadline, continuation: continuation)
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: number)
                if sleeper == nil { state.cancelled.insert(number) }
                return sleeper
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }
}
