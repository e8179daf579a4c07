import Glibc

/// A moment since boot in clock ticks (`_SC_CLK_TCK`, a hundredth of a second on Linux), as `/proc` counts when processes were started.
public struct ClockTicks: RawRepresentable, Sendable, Hashable, Comparable {
    /// Ticks since boot, suspended time included.
    public let rawValue: UInt64

    /// A moment that many ticks after boot.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Now.
    public static func now() -> ClockTicks {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        let nanosecondsPerTick = 1_000_000_000 / perSecond
        return ClockTicks(
            rawValue: UInt64(max(0, time.tv_sec)) * perSecond + UInt64(max(0, time.tv_nsec)) / nanosecondsPerTick)
    }

    /// One second before this moment, or boot.
    public var oneSecondEarlier: ClockTicks {
        ClockTicks(rawValue: rawValue < Self.perSecond ? 0 : rawValue - Self.perSecond)
    }

    /// Which of two moments is earlier.
    public static func < (first: ClockTicks, second: ClockTicks) -> Bool {
        first.rawValue < second.rawValue
    }

    private static let perSecond = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
}
