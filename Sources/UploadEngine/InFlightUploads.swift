import Synchronization

/// Which uploads are on their way to the platform, for whoever waits until none is.
final class InFlightUploads: Sendable {
    private struct State: Sendable {
        var finishing: Set<Int> = []
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var lastWaiter = 0
    }

    private let state = Mutex(State())

    /// The upload of that number changed its state. Looked up here, since two changes may be told in the wrong order.
    func changed(_ number: Int, isFinishing: () -> Bool) {
        let idle = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            if isFinishing() {
                state.finishing.insert(number)
            } else {
                state.finishing.remove(number)
            }
            guard state.finishing.isEmpty else { return [] }
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in idle { waiter.resume() }
    }

    /// Returns when no committed upload is on its way any more, or the task is cancelled.
    func untilIdle() async {
        let number = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.finishing.isEmpty || Task.isCancelled { return true }
                    state.waiters[number] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
        }
    }
}
