import Synchronization

/// Ends an exchange that stands still. Time comes from the clock that it is made with.
package struct ProgressWatch: Sendable {
    /// To be called for everything that moves.
    package let touch: @Sendable () -> Void
    /// Returns never; throws ``ExchangeLimit/stalled(_:)`` once nothing was touched for the limit.
    package let untilStalled: @Sendable () async throws -> Void

    /// A watch that starts now.
    package init(limit: Duration, clock: some Clock<Duration>) {
        let last = LastTouch(clock.now)
        touch = { last.set(clock.now) }
        untilStalled = {
            while true {
                let due = last.get().advanced(by: limit)
                guard clock.now < due else { throw ExchangeLimit.stalled(limit) }
                try await clock.sleep(until: due, tolerance: nil)
            }
        }
    }
}

/// When something moved last.
private final class LastTouch<Instant: Sendable>: Sendable {
    private let instant: Mutex<Instant>

    init(_ instant: Instant) {
        self.instant = Mutex(instant)
    }

    func get() -> Instant { instant.withLock { $0 } }
    func set(_ new: Instant) { instant.withLock { $0 = new } }
}

/// Tells how long something has taken so far.
struct Stopwatch: Sendable {
    let elapsed: @Sendable () -> Duration

    /// Starts now.
    init(clock: some Clock<Duration>) {
        let start = clock.now
        elapsed = { start.duration(to: clock.now) }
    }
}
