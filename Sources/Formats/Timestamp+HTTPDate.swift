extension Timestamp {
    /// Reads an HTTP date (RFC 9110, 5.6.7) in each of its three forms:
    ///
    ///     Sun, 06 Nov 1994 08:49:37 GMT
    ///     Sunday, 06-Nov-94 08:49:37 GMT
    ///     Sun Nov  6 08:49:37 1994
    ///
    /// Two digits of a year are 1970 to 2069. The day of the week must be one, but need not fit the date. Nil for
    /// anything else and for dates that do not exist.
    public init?(httpDate text: String) {
        var scanner = TextScanner(text)
        let weekday = scanner.letters()
        let isAbbreviated = Self.weekdays.contains { $0.prefix(3) == weekday }
        guard isAbbreviated || Self.weekdays.contains(String(weekday)) else { return nil }

        let time: CivilTime?
        if scanner.take(", ") {
            time = Self.dated(&scanner, separator: isAbbreviated ? " " : "-")
        } else {
            time = isAbbreviated ? Self.asctime(&scanner) : nil
        }
        guard let time, scanner.isAtEnd else { return nil }
        self.init(time)
    }

    /// `06 Nov 1994 08:49:37 GMT` or `06-Nov-94 08:49:37 GMT`.
    private static func dated(_ scanner: inout TextScanner, separator: String) -> CivilTime? {
        guard let day = scanner.number(digits: 2), scanner.take(separator),
            let month = month(&scanner), scanner.take(separator),
            let year = separator == " " ? scanner.number(digits: 4) : shortYear(&scanner), scanner.take(" "),
            let (hour, minute, second) = clock(&scanner), scanner.take(" GMT")
        else { return nil }
        return CivilTime(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    }

    /// ` Nov  6 08:49:37 1994`: a day of one digit has a second space before it.
    private static func asctime(_ scanner: inout TextScanner) -> CivilTime? {
        guard scanner.take(" "), let month = month(&scanner), scanner.take(" "),
            let day = scanner.take(" ") ? scanner.number(digits: 1) : scanner.number(digits: 2), scanner.take(" "),
            let (hour, minute, second) = clock(&scanner), scanner.take(" "),
            let year = scanner.number(digits: 4)
        else { return nil }
        return CivilTime(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    }

    private static func clock(_ scanner: inout TextScanner) -> (Int64, Int64, Int64)? {
        guard let hour = scanner.number(digits: 2), scanner.take(":"),
            let minute = scanner.number(digits: 2), scanner.take(":"),
            let second = scanner.number(digits: 2)
        else { return nil }
        return (hour, minute, second)
    }

    private static func month(_ scanner: inout TextScanner) -> Int64? {
        let name = String(scanner.letters())
        return months.firstIndex(of: name).map { Int64($0) + 1 }
    }

    private static func shortYear(_ scanner: inout TextScanner) -> Int64? {
        scanner.number(digits: 2).map { $0 < 70 ? 2000 + $0 : 1900 + $0 }
    }

    private static let weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}
