import Synchronization
import UploadCore

/// Who wants to know when an upload next gets on: writers that are held back until there is space, or until the network
/// has caught up.
final class ProgressSignal: Sendable {
    private struct State: Sendable {
        var handlers: [Int: @Sendable (_ moved: Bool) -> Void] = [:]
        var last = 0
    }

    private let state = Mutex(State())
    private let clock: EngineClock

    init(clock: EngineClock) { self.clock = clock }

    /// Calls `handler` once: with true when the next chunk is stored or an upload ends, with false when `deadline` comes
    /// first. It runs in Swift's cooperative pool, and must not block.
    func next(orAt deadline: Instant, _ handler: @escaping @Sendable (_ moved: Bool) -> Void) {
        let number = state.withLock { state in
            state.last += 1
            state.handlers[state.last] = handler
            return state.last
        }
        Task {
            do { try await clock.sleep(deadline) } catch {}
            state.withLock { $0.handlers.removeValue(forKey: number) }?(false)
        }
    }

    /// Something moved.
    func tell() {
        let handlers = state.withLock { state in
            defer { state.handlers = [:] }
            return Array(state.handlers.values)
        }
        for handler in handlers { handler(true) }
    }
}
