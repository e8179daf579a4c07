/// Sizes, rates and times as people write them on a command line or in a configuration request.
public enum Quantity {
    /// Bytes: `1048576`, `5MiB`, `64M` (binary), `1.5GB` (decimal). Nil for anything else, and for what does not fit.
    public static func bytes(_ text: String) -> Int64? {
        guard let (number, unit) = split(text) else { return nil }
        let factors: [String: Double] = [
            "": 1, "b": 1, "k": 1024, "kib": 1024, "kb": 1000, "m": 1_048_576, "mib": 1_048_576, "mb": 1_000_000,
            "g": 1_073_741_824, "gib": 1_073_741_824, "gb": 1_000_000_000,
        ]
        guard let factor = factors[unit] else { return nil }
        return Int64(exactly: (number * factor).rounded())
    }

    /// Bytes a second: a size with `/s`, or `unlimited` (`.some(nil)`). Nil for anything else.
    public static func rate(_ text: String) -> Int64?? {
        if text.lowercased() == "unlimited" { return .some(nil) }
        let size = text.lowercased().hasSuffix("/s") ? String(text.dropLast(2)) : text
        guard let bytes = bytes(size), bytes > 0 else { return nil }
        return .some(bytes)
    }

    /// `500ms`, `3s`, `5m`, `24h`, `1h30m`; a bare number is seconds. Nil for anything else.
    public static func duration(_ text: String) -> Duration? {
        let factors: [String: Double] = ["": 1, "s": 1, "ms": 0.001, "m": 60, "h": 3600, "d": 86400]
        var rest = Substring(text.lowercased())
        guard !rest.isEmpty else { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let number = Double(digits), let factor = factors[String(unit)] else { return nil }
            total += number * factor
        }
        guard total <= 1e9 else { return nil }
        return .milliseconds(Int64((total * 1000).rounded()))
    }

    /// The same, with a minus in front for the other direction.
    public static func signedDuration(_ text: String) -> Duration? {
        guard text.hasPrefix("-") else { return duration(text) }
        return duration(String(text.dropFirst())).map { .zero - $0 }
    }

    private static func split(_ text: String) -> (Double, String)? {
        let digits = text.prefix { $0.isNumber || $0 == "." }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        guard let number = Double(digits), number >= 0 else { return nil }
        return (number, unit)
    }
}
