/// How fast bytes move, averaged over the last seconds.
///
/// An exponentially weighted mean with a time constant of five seconds: long enough to be read, short enough to follow.
public struct TransferRate: Sendable {
    private var bytesPerSecond: Double = 0
    private var collected: Int64 = 0
    private var since: Instant?
    private static let interval: Duration = .milliseconds(250)
    private static let timeConstant: Double = 5

    /// Counts bytes that moved.
    mutating func add(_ bytes: Int64, at now: Instant) {
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

    /// Bytes a second at `now`; it fades while nothing moves.
    public func value(at now: Instant) -> Int64 {
        guard let since else { return 0 }
        let idle = (now - since) / .seconds(1)
        guard idle > 1 else { return Int64(bytesPerSecond) }
        return Int64(bytesPerSecond / (1 + idle / Self.timeConstant))
    }
}
