/// Durations as options give them and people read them: `5m`, `1h30m`, `500ms`.
public enum DurationText {
    private static let units: [(name: String, milliseconds: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]

    /// Reads `300s`, `5m`, `24h`, `2d`, `500ms`, `1.5s`, or several of them from the largest unit down (`1h30m`).
    ///
    /// Precise to the millisecond; a smaller fraction is cut off. `0` needs no unit, every other number does. Nil for
    /// what is negative, does not fit, or is anything else.
    public static func parse(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var scanner = TextScanner(text)
        var total: Int64 = 0
        var allowed = units[...]
        repeat {
            guard let whole = Int64(scanner.digits()) else { return nil }
            var decimals: Substring = ""
            if scanner.take(".") {
                decimals = scanner.digits()
                if decimals.isEmpty { return nil }
            }
            let name = scanner.letters()
            guard let index = allowed.firstIndex(where: { $0.name == name }) else { return nil }
            let unit = allowed[index].milliseconds
            allowed = allowed[(index + 1)...]
            // A fraction ends the text, and there is none of a millisecond.
            if !decimals.isEmpty, unit == 1 || !scanner.isAtEnd { return nil }

            let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
            let (sum, sumOverflow) = total.addingReportingOverflow(product)
            let (next, nextOverflow) = sum.addingReportingOverflow(share(of: unit, decimals: decimals))
            if overflow || sumOverflow || nextOverflow { return nil }
            total = next
        } while !scanner.isAtEnd
        return .milliseconds(total)
    }

    /// `unit` × 0.`decimals`, cut to whole milliseconds. Nine digits are exact for every unit, and cannot overflow.
    private static func share(of unit: Int64, decimals: Substring) -> Int64 {
        let decimals = decimals.prefix(9)
        guard let numerator = Int64(decimals) else { return 0 }
        return numerator * unit / decimals.reduce(Int64(1)) { value, _ in value * 10 }
    }

    /// A duration may have more seconds than are told of it.
    private static let longest = Duration.seconds(Int64.max)

    /// The duration in its one or two largest units, rounded down: `2d3h`, `1h30m`, `5m`, `42s`, `1.5s`, `500ms`, `0s`.
    ///
    /// ``parse(_:)`` reads it back, unless it is negative.
    public static func format(_ duration: Duration) -> String {
        if duration < .zero { return "-" + format(.zero - max(duration, .zero - longest)) }
        let (seconds, attoseconds) = min(duration, longest).components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if seconds == 0 { return milliseconds == 0 ? "0s" : "\(milliseconds)ms" }
        if seconds < 10, milliseconds >= 100 { return "\(seconds).\(milliseconds / 100)s" }

        var parts: [String] = []
        var rest = seconds
        for (name, length) in units where length >= 1000 {
            let (count, remainder) = rest.quotientAndRemainder(dividingBy: length / 1000)
            rest = remainder
            if count > 0 { parts.append("\(count)\(name)") } else if !parts.isEmpty { break }
            if parts.count == 2 { break }
        }
        return parts.joined()
    }
}
