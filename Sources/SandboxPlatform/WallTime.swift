/// A moment as the world's clocks tell it: seconds since 1970 (UTC), with fractions.
public struct WallTime: Sendable, Hashable, Comparable, Codable {
    /// Seconds since 1970.
    public var seconds: Double

    /// A moment `seconds` after the beginning of 1970.
    public init(seconds: Double) {
        self.seconds = seconds
    }

    /// Reads the bare number.
    public init(from decoder: any Decoder) throws {
        seconds = try decoder.singleValueContainer().decode(Double.self)
    }

    /// Writes the bare number.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(seconds)
    }

    /// The moment `duration` later.
    public func advanced(by duration: Duration) -> WallTime {
        WallTime(seconds: seconds + duration.inSeconds)
    }

    /// The earlier of two moments is the smaller one.
    public static func < (left: WallTime, right: WallTime) -> Bool { left.seconds < right.seconds }

    /// `2026-01-02T03:04:05Z`, the platform's format (whole seconds).
    public var rfc3339: String {
        let civil = Civil(self)
        return "\(civil.year.padded(4))-\(civil.month.padded(2))-\(civil.day.padded(2))"
            + "T\(civil.hour.padded(2)):\(civil.minute.padded(2)):\(civil.second.padded(2))Z"
    }

    /// `Fri, 02 Jan 2026 03:04:05 GMT`, as a `Date` header has it (RFC 9110, IMF-fixdate).
    public var httpDate: String {
        let civil = Civil(self)
        return "\(Civil.weekdays[civil.weekday]), \(civil.day.padded(2)) \(Civil.months[civil.month - 1]) "
            + "\(civil.year.padded(4)) \(civil.hour.padded(2)):\(civil.minute.padded(2)):\(civil.second.padded(2)) GMT"
    }
}

/// Year, month, day and time of day (UTC), by the algorithm of Howard Hinnant's `civil_from_days`.
private struct Civil {
    let year: Int
    let month: Int
    let day: Int
    let hour: Int
    let minute: Int
    let second: Int
    /// 0 is Sunday.
    let weekday: Int

    static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    init(_ time: WallTime) {
        let total = Int(time.seconds.rounded(.down))
        let days = total >= 0 ? total / 86400 : (total - 86399) / 86400
        let ofDay = total - days * 86400
        hour = ofDay / 3600
        minute = ofDay / 60 % 60
        second = ofDay % 60
        weekday = ((days + 4) % 7 + 7) % 7
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
}

extension Int {
    /// Decimal digits with leading zeros.
    func padded(_ width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}

extension Duration {
    /// Seconds with fractions.
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
