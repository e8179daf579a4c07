import Synchronization
import UploadCore

/// Who wants to know when an upload's backlog may have shrunk: writers that are held back for a moment because they are ahead of the
/// network.
///
/// Also a call that failed may end a backlog, so that this tells of no progress: what that is, ``UploadCore/UploadStateMachine``
/// knows.
final class BacklogSignal: Sendable {
    private struct State: Sendable {
        var handlers: [Int: @Sendable () -> Void] = [:]
        var last = 0
    }

    private let state = Mutex(State())
    private let clock: EngineClock

    init(clock: EngineClock) { self.clock = clock }

    /// Calls `handler` once: when a backlog may have shrunk, or at `deadline`. It runs in Swift's cooperative pool, and must
    /// not block.
    func next(orAt deadline: Instant, _ handler: @escaping @Sendable () -> Void) {
        let number = state.withLock { state in
            state.last += 1
            state.handlers[state.last] = handler
            return state.last
        }
        Task {
            do { try await clock.sleep(deadline) } catch {}
            state.withLock { $0.handlers.removeValue(forKey: number) }?()
        }
    }

    /// One may have.
    func tell() {
        let handlers = state.withLock { state in
            defer { state.handlers = [:] }
            return Array(state.handlers.values)
        }
        for handler in handlers { handler() }
    }
}
