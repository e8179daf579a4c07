import Synchronization
import UploadCore

/// Lets only so many exchanges begin at a time; the others wait here for their turn, in their order and for as long as it takes.
///
/// A pool's own queue tells whoever waits in it too long that the other side cannot be reached, which is taken for an outage by
/// all uploads. So no request waits for a connection there, and an exchange's deadline begins with its turn.
final class ConnectionQueue: Sendable {
    private struct State {
        var free: Int
        var waiting: [(number: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        var lastNumber = 0
    }

    private let state: Mutex<State>

    /// - Parameter places: exchanges at a time.
    init(places: Int) {
        state = Mutex(State(free: places))
    }

    /// Runs `exchange` when it is its turn.
    ///
    /// - Throws: `cancelled` when the task is, before that; and what `exchange` throws.
    func pass<Success>(
        _ exchange: () async throws(UploadFailure) -> Success
    ) async throws(UploadFailure) -> Success {
        guard await isMyTurn() else {
            throw UploadFailure(.cancelled, message: "the request was cancelled before its turn")
        }
        defer { giveBack() }
        return try await exchange()
    }

    private func isMyTurn() async -> Bool {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let outcome: Bool? = state.withLock { state in
                    if Task.isCancelled { return false }
                    guard state.free == 0 else {
                        state.free -= 1
                        return true
                    }
                    state.waiting.append((number, continuation))
                    return nil
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0).continuation }
            }
            waiter?.resume(returning: false)
        }
    }

    private func giveBack() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst().continuation }
            state.free += 1
            return nil
        }
        next?.resume(returning: true)
    }
}
