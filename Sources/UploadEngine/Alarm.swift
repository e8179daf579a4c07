import Synchronization
import UploadCore

/// Wakes its owner at an instant: once, however often it is set to that.
final class Alarm: Sendable {
    private let next = Mutex<Instant?>(nil)
    private let clock: EngineClock

    init(clock: EngineClock) {
        self.clock = clock
    }

    /// Has `ring` called at `deadline`, unless that is what it is set to already.
    func set(to deadline: Instant, _ ring: @escaping @Sendable () -> Void) {
        let isNew = next.withLock { next in
            defer { next = deadline }
            return next != deadline
        }
        guard isNew else { return }
        Task { [weak self, clock] in
            do { try await clock.sleep(deadline) } catch { return }
            self?.next.withLock { if $0 == deadline { $0 = nil } }
            ring()
        }
    }
}
