import FoundationEssentials
import Synchronization

/// What the stand-in takes time from, so that tests can let a day pass without waiting for it.
public protocol SandboxClock: Sendable {
    /// The time of day: lifetimes, `Date` headers and the journal go by it.
    var now: WallTime { get }
    /// Time since some fixed moment, never set back: bandwidth goes by it.
    var uptime: Duration { get }
    /// Waits. Throws `CancellationError` when the task is cancelled.
    func sleep(for duration: Duration) async throws
}

/// The machine's clocks.
public struct SystemClock: SandboxClock {
    private let start = ContinuousClock.now

    /// The machine's clocks.
    public init() {}

    /// The time of day.
    public var now: WallTime { WallTime(seconds: Date().timeIntervalSince1970) }
    /// Time since this value was made.
    public var uptime: Duration { ContinuousClock.now - start }
    /// Waits.
    public func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}

/// A clock that stands still until it is told to go on. Whoever sleeps on it moves it forward and does not wait.
public final class ManualClock: SandboxClock {
    private let start: WallTime
    private let elapsed = Mutex(Duration.zero)

    /// A clock that shows `start`.
    public init(_ start: WallTime = WallTime(seconds: 1_700_000_000)) {
        self.start = start
    }

    /// The time it has been set to.
    public var now: WallTime { start.advanced(by: uptime) }
    /// How far it has been advanced.
    public var uptime: Duration { elapsed.withLock { $0 } }
    /// Lets time pass.
    public func advance(by duration: Duration) { elapsed.withLock { $0 += duration } }
    /// Lets time pass, at once.
    public func sleep(for duration: Duration) async throws {
        try Task.checkCancellation()
        advance(by: duration)
    }
}
