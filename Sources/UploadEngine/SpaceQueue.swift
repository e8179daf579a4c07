import Synchronization
import UploadCore

/// Writes that found no space in the spool, first come first served, each until a deadline that counts from the moment at which it
/// was first refused.
///
/// They wait for space and for nothing else: bytes that the spool gave back, chunks stored that it may release, uploads whose
/// content need not be kept any more. That something fails, or is sent, or that other files get on, holds no write any longer: the
/// kernel holds the file's lock meanwhile, and whoever removes or replaces that file holds its directory's.
public final class SpaceQueue: Sendable {
    /// A write's place.
    public struct Place: Sendable, Hashable {
        fileprivate let number: Int
    }

    private struct Write: Sendable {
        var place: Place
        var deadline: Instant
        /// Tries again; nil while it is tried.
        var tryAgain: (@Sendable (_ isLast: Bool) -> Void)?
        /// Whether space came during the try.
        var hasSpaceCome = false
        var timer: Task<Void, Never>?
    }

    private struct State: Sendable {
        /// In the order in which they came.
        var writes: [Write] = []
        var last = 0
    }

    private let state = Mutex(State())
    private let clock: EngineClock

    package init(clock: EngineClock) { self.clock = clock }

    /// Whether no write waits.
    public var isEmpty: Bool { state.withLock { $0.writes.isEmpty } }

    /// A place for a write that was refused a moment ago. It is to be left, whatever becomes of the write.
    public func enter(for patience: Duration) -> Place {
        let deadline = clock.now() + patience
        let place = state.withLock { state in
            state.last += 1
            let place = Place(number: state.last)
            // Space may have come since it was refused.
            state.writes.append(Write(place: place, deadline: deadline, hasSpaceCome: state.writes.isEmpty))
            return place
        }
        let timer = Task { [weak self, clock] in
            do { try await clock.sleep(deadline) } catch { return }
            self?.takeHandler(of: place)?(true)
        }
        state.withLock { state in
            guard let index = state.writes.firstIndex(where: { $0.place == place }) else { return }
            state.writes[index].timer = timer
        }
        return place
    }

    /// Calls `tryAgain` once: when space may have come and no other write waits before this one, or at the deadline, for the last
    /// time. It must not block.
    public func wait(_ place: Place, _ tryAgain: @escaping @Sendable (_ isLast: Bool) -> Void) {
        let now = clock.now()
        let isLast: Bool? = state.withLock { state in
            guard let index = state.writes.firstIndex(where: { $0.place == place }) else { return nil }
            if state.writes[index].deadline <= now { return true }
            if index == 0, state.writes[index].hasSpaceCome {
                state.writes[index].hasSpaceCome = false
                return false
            }
            state.writes[index].tryAgain = tryAgain
            return nil
        }
        if let isLast { tryAgain(isLast) }
    }

    /// The write is answered: what space there may be is the next one's.
    public func leave(_ place: Place) {
        // Taken out of the lock: with it may go the last reference to a spool file, which tells of its space.
        let (write, isFirst): (Write?, Bool) = state.withLock { state in
            guard let index = state.writes.firstIndex(where: { $0.place == place }) else { return (nil, false) }
            return (state.writes.remove(at: index), index == 0)
        }
        write?.timer?.cancel()
        if isFirst { spaceMayHaveCome() }
    }

    /// Has the first write tried again.
    public func spaceMayHaveCome() {
        let tryAgain: (@Sendable (Bool) -> Void)? = state.withLock { state in
            guard let tryAgain = state.writes.first?.tryAgain else {
                if !state.writes.isEmpty { state.writes[0].hasSpaceCome = true }
                return nil
            }
            state.writes[0].tryAgain = nil
            return tryAgain
        }
        tryAgain?(false)
    }

    private func takeHandler(of place: Place) -> (@Sendable (Bool) -> Void)? {
        state.withLock { state in
            guard let index = state.writes.firstIndex(where: { $0.place == place }) else { return nil }
            return state.writes[index].tryAgain.take()
        }
    }
}
