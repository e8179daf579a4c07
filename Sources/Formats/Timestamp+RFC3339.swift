extension Timestamp: CustomStringConvertible {
    /// Reads RFC 3339: `2026-01-02T03:04:05Z`, with a fraction of any length (cut to milliseconds), with an offset
    /// such as `+02:00`, with `t` and `z`. Nil for anything else and for dates that do not exist.
    public init?(rfc3339 text: String) {
        var scanner = TextScanner(text)
        guard let year = scanner.number(digits: 4), scanner.take("-"),
            let month = scanner.number(digits: 2), scanner.take("-"),
            let day = scanner.number(digits: 2), scanner.take(anyOf: "Tt") != nil,
            let hour = scanner.number(digits: 2), scanner.take(":"),
            let minute = scanner.number(digits: 2), scanner.take(":"),
            let second = scanner.number(digits: 2)
        else { return nil }
        var millisecond: Int64 = 0
        if scanner.take(".") {
            let digits = scanner.digits()
            guard !digits.isEmpty, let value = Int64((digits + "00").prefix(3)) else { return nil }
            millisecond = value
        }
        guard let offset = Self.minutesEast(&scanner), scanner.isAtEnd else { return nil }
        let local = CivilTime(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second, millisecond: millisecond)
        self.init(local, minutesEast: offset)
    }

    private static func minutesEast(_ scanner: inout TextScanner) -> Int64? {
        if scanner.take(anyOf: "Zz") != nil { return 0 }
        guard let sign = scanner.take(anyOf: "+-"),
            let hours = scanner.number(digits: 2), hours <= 23, scanner.take(":"),
            let minutes = scanner.number(digits: 2), minutes <= 59
        else { return nil }
        let offset = hours * 60 + minutes
        return sign == UInt8(ascii: "-") ? -offset : offset
    }

    /// Nil when there is no such date, or its UTC is outside the years 0000 to 9999.
    init?(_ local: CivilTime, minutesEast: Int64 = 0) {
        guard local.exists else { return nil }
        let milliseconds = local.millisecondsSince1970 - minutesEast * 60_000
        self.init(millisecondsSince1970: milliseconds)
        guard millisecondsSince1970 == milliseconds else { return nil }
    }

    /// RFC 3339 in UTC: `2026-01-02T03:04:05Z`, or `2026-01-02T03:04:05.678Z` when it is not a whole second.
    public var rfc3339: String {
        let time = CivilTime(self)
        let fraction = time.millisecond == 0 ? "" : "." + Self.padded(time.millisecond, to: 3)
        return Self.padded(time.year, to: 4) + "-" + Self.padded(time.month) + "-" + Self.padded(time.day) + "T"
            + Self.padded(time.hour) + ":" + Self.padded(time.minute) + ":" + Self.padded(time.second) + fraction + "Z"
    }

    private static func padded(_ number: Int64, to width: Int = 2) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    /// The same as ``rfc3339``.
    public var description: String { rfc3339 }
}
