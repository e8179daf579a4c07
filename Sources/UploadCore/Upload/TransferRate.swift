/// How fast bytes are sent, averaged over the last seconds: the pace that the status tells, and nothing else.
///
/// Bytes that are sent and lost again count. Whether an upload gets on is asked of ``NetProgress``, and whether there is space for
/// a write of the engine's `SpaceQueue`.
///
/// An exponentially weighted mean with a time constant of five seconds: long enough to be read, short enough to follow.
public struct TransferRate: Sendable {
    private var bytesPerSecond: Double = 0
    private var collected: Int64 = 0
    private var since: Instant?
    private static let interval: Duration = .milliseconds(250)
    private static let timeConstant: Double = 5
    /// After so long without a byte nothing moves. Four PUTs that share a line of 100 kB/s are silent for up to ten seconds, since the
    /// network takes a piece at a time.
    private static let silence: Duration = .seconds(10)

    /// Counts bytes that were sent.
    mutating func add(_ bytes: Int64, at now: Instant) {
        if let start = since, now - start > Self.silence { self = TransferRate() }
        guard let start = since else {
            since = now
            collected = bytes
            return
        }
        collected += bytes
        let elapsed = now - start
        guard elapsed >= Self.interval else { return }
        let seconds = elapsed / .seconds(1)
        let current = Double(collected) / seconds
        let weight = bytesPerSecond == 0 ? 1 : min(1, seconds / Self.timeConstant)
        bytesPerSecond += (current - bytesPerSecond) * weight
        since = now
        collected = 0
    }

    /// Bytes a second at `now`, which fade while nothing is sent; nil when nothing moves, or nothing is known yet.
    public func value(at now: Instant) -> Int64? {
        guard let since, now - since <= Self.silence else { return nil }
        let idle = (now - since) / .seconds(1)
        let pace = Int64(idle > 1 ? bytesPerSecond / (1 + idle / Self.timeConstant) : bytesPerSecond)
        return pace > 0 ? pace : nil
    }
}
