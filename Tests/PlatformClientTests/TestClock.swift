import Synchronization

/// A clock that goes only when told to.
final class TestClock: Clock, Sendable {
    struct Instant: InstantProtocol {
        var offset: Duration
        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private struct Sleeper {
        let id: Int
        let due: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var nextID = 0
        var sleepers: [Sleeper] = []
        var cancelled: Set<Int> = []
        var isFree = false
        var watchers: [(due: Instant, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    var now: Instant { state.withLock { $0.now } }
    var minimumResolution: Duration { .nanoseconds(1) }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let id = state.withLock { state in
            defer { state.nextID += 1 }
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>?
                let seen: [CheckedContinuation<Void, Never>]
                (outcome, seen) = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return (.failure(CancellationError()), []) }
                    if state.isFree { state.now = max(state.now, deadline) }
                    if deadline <= state.now { return (.success(()), []) }
                    state.sleepers.append(Sleeper(id: id, due: deadline, continuation: continuation))
                    let seen = state.watchers.filter { $0.due == deadline }
                    state.watchers.removeAll { $0.due == deadline }
                    return (nil, seen.map(\.continuation))
                }
                for continuation in seen { continuation.resume() }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Returns once somebody sleeps until exactly that time after the clock's start.
    func waitForSleeper(until offset: Duration) async {
        let due = Instant(offset: offset)
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.sleepers.contains(where: { $0.due == due }) { return true }
                state.watchers.append((due, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    func advance(by duration: Duration) {
        wake { $0.now = $0.now.advanced(by: duration) }
    }

    /// From now on nobody sleeps: time jumps to whatever is slept for.
    func runFreely() {
        wake { state in
            state.isFree = true
            state.now = state.sleepers.reduce(state.now) { max($0, $1.due) }
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let woken = state.withLock { state in
            change(&state)
            let woken = state.sleepers.filter { $0.due <= state.now }
            state.sleepers.removeAll { $0.due <= state.now }
            return woken
        }
        for sleeper in woken { sleeper.continuation.resume() }
    }
}
