import Synchronization

/// Tells how long to wait so that a rate is kept. A value: time comes in with the call.
///
/// Going into debt is allowed: what has arrived has arrived, and whoever brought it waits until the debt is paid.
struct TokenBucket: Sendable {
    /// Bytes a second.
    let rate: Double
    /// Bytes that may come at once after a pause.
    let burst: Double
    private var level: Double
    private var updated: Duration

    init(bytesPerSecond: Int64, now: Duration) {
        rate = Double(bytesPerSecond)
        burst = rate / 20
        level = burst
        updated = now
    }

    /// Takes `bytes` and answers how long the taker has to wait.
    mutating func take(_ bytes: Int, now: Duration) -> Duration {
        level = min(burst, level + max(0, (now - updated).inSeconds) * rate) - Double(bytes)
        updated = now
        return level >= 0 ? .zero : .milliseconds(Int64((-level / rate * 1000).rounded(.up)))
    }
}

/// One bucket for all PUT bodies together.
final class Throttle: Sendable {
    private let bucket = Mutex<TokenBucket?>(nil)
    private let clock: any SandboxClock

    init(clock: any SandboxClock) {
        self.clock = clock
    }

    /// Nil lifts the limit.
    func limit(to bytesPerSecond: Int64?) {
        let now = clock.uptime
        bucket.withLock { $0 = bytesPerSecond.map { TokenBucket(bytesPerSecond: $0, now: now) } }
    }

    /// Returns when that many bytes may have passed.
    func pass(_ bytes: Int) async throws {
        let now = clock.uptime
        let wait = bucket.withLock { $0?.take(bytes, now: now) ?? .zero }
        if wait > .zero { try await clock.sleep(for: wait) }
    }
}
