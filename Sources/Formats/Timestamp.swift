/// A moment by the wall clock, in milliseconds since 1970-01-01T00:00:00Z, between the years 0000 and 9999.
///
/// For what people read and what the platform says. Nothing is measured with it: clocks are set, and differ.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    public let millisecondsSince1970: Int64

    /// 0000-01-01T00:00:00Z, the first that RFC 3339 can write.
    public static let earliest = Timestamp(exact: -62_167_219_200_000)
    /// 9999-12-31T23:59:59.999Z, the last that RFC 3339 can write.
    public static let latest = Timestamp(exact: 253_402_300_799_999)

    /// The given moment; one outside the years 0000 to 9999 becomes the nearest that is inside.
    public init(millisecondsSince1970 milliseconds: Int64) {
        self.init(
            exact: min(
                max(milliseconds, Self.earliest.millisecondsSince1970), Self.latest.millisecondsSince1970))
    }

    private init(exact milliseconds: Int64) {
        millisecondsSince1970 = milliseconds
    }

    /// Earlier is less.
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.millisecondsSince1970 < right.millisecondsSince1970
    }

    /// The time from another moment to this one; negative when the other is later.
    public func duration(since other: Timestamp) -> Duration {
        .milliseconds(millisecondsSince1970 - other.millisecondsSince1970)
    }

    /// The moment that is so much later, in whole milliseconds; at most the latest there is.
    public func advanced(by duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        guard !overflow else { return seconds < 0 ? .earliest : .latest }
        let (added, addOverflow) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
        guard !addOverflow else { return seconds < 0 ? .earliest : .latest }
        let (moment, momentOverflow) = millisecondsSince1970.addingReportingOverflow(added)
        guard !momentOverflow else { return added < 0 ? .earliest : .latest }
        return Timestamp(millisecondsSince1970: moment)
    }
}
