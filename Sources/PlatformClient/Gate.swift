import Synchronization
import UploadCore

/// Knows what is under way, so that the threads it runs on are stopped only after it.
final class Gate: Sendable {
    private struct State {
        var isClosed = false
        var inside = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// Runs `work` unless the gate is closed.
    func pass<Success>(
        _ work: () async throws(UploadFailure) -> Success
    ) async throws(UploadFailure) -> Success {
        let isOpen = state.withLock { state in
            if !state.isClosed { state.inside += 1 }
            return !state.isClosed
        }
        guard isOpen else {
            throw UploadFailure(.cancelled, message: "the request was cancelled: the client has been shut down")
        }
        defer { leave() }
        return try await work()
    }

    /// Lets nobody in any more.
    func close() { state.withLock { $0.isClosed = true } }

    /// Returns once everybody has left; after ``close()``.
    func waitUntilEmpty() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if state.inside > 0 { state.waiting.append(continuation) }
                return state.inside == 0
            }
            if isEmpty { continuation.resume() }
        }
    }

    private func leave() {
        let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.inside -= 1
            guard state.inside == 0 else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}
