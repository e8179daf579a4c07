import Formats

/// Sizes, rates and times as people write them on a command line or in a configuration request.
public enum Quantity {
    /// Bytes: `1048576`, `5MiB`, `64M` (binary), `1.5GB` (decimal). Nil for anything else, and for what does not fit.
    public static func bytes(_ text: String) -> Int64? { ByteCount(parsing: text)?.bytes }

    /// Bytes a second: a size with `/s`, or `unlimited` (`.some(nil)`). Nil for anything else.
    public static func rate(_ text: String) -> Int64?? {
        if text.lowercased() == "unlimited" { return .some(nil) }
        let size = text.lowercased().hasSuffix("/s") ? String(text.dropLast(2)) : text
        guard let bytes = bytes(size), bytes > 0 else { return nil }
        return .some(bytes)
    }

    /// `500ms`, `3s`, `5m`, `24h`, `1h30m`; a number without a unit is seconds. Nil for anything else, and for more than 10⁹
    /// seconds, which no clock here could be set to.
    public static func duration(_ text: String) -> Duration? {
        guard let duration = DurationText.parse(text) ?? DurationText.parse("\(text)s") else { return nil }
        return duration <= .seconds(1_000_000_000) ? duration : nil
    }

    /// The same, with a minus in front for the other direction.
    public static func signedDuration(_ text: String) -> Duration? {
        guard text.hasPrefix("-") else { return duration(text) }
        return duration(String(text.dropFirst())).map { .zero - $0 }
    }
}
