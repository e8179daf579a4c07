/// A number of bytes, as options give it and people read it.
///
/// Binary units everywhere except where the text says otherwise: `64M` and `64MiB` are 64 × 2²⁰, `64MB` is 64 × 10⁶.
public struct ByteCount: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// How many bytes.
    public var bytes: Int64

    /// A count of so many bytes.
    public init(_ bytes: Int64) {
        self.bytes = bytes
    }

    /// So many KiB (2¹⁰ bytes). For constants: traps on overflow.
    public static func kibibytes(_ count: Int64) -> ByteCount { ByteCount(count << 10, checking: count, shift: 10) }
    /// So many MiB (2²⁰ bytes). For constants: traps on overflow.
    public static func mebibytes(_ count: Int64) -> ByteCount { ByteCount(count << 20, checking: count, shift: 20) }
    /// So many GiB (2³⁰ bytes). For constants: traps on overflow.
    public static func gibibytes(_ count: Int64) -> ByteCount { ByteCount(count << 30, checking: count, shift: 30) }

    private init(_ bytes: Int64, checking count: Int64, shift: Int64) {
        precondition(bytes >> shift == count, "a byte count overflows")
        self.bytes = bytes
    }

    /// Orders by number of bytes.
    public static func < (left: ByteCount, right: ByteCount) -> Bool {
        left.bytes < right.bytes
    }
}

extension ByteCount {
    /// Reads `1048576`, `64MiB`, `64M` (the same), `1.5GB` (1 500 000 000) or `64 mib`.
    ///
    /// Units are B, K, M, G, T, P and E with `iB` or nothing after them for powers of 1024 and `B` for powers of 1000, in
    /// any case. A fraction of a unit is rounded down to whole bytes; a fraction of a byte is refused. Nil for what is
    /// negative, does not fit 63 bits, or is anything else.
    public init?(parsing text: String) {
        var scanner = TextScanner(text)
        guard let whole = Int64(scanner.digits()) else { return nil }
        var fraction: Substring = ""
        if scanner.take(".") {
            fraction = scanner.digits()
            if fraction.isEmpty { return nil }
        }
        _ = scanner.take(" ")
        guard let unit = Self.unit(named: scanner.letters()), scanner.isAtEnd else { return nil }
        if unit == 1, !fraction.isEmpty { return nil }

        let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        let (sum, sumOverflow) = product.addingReportingOverflow(Self.share(of: unit, decimals: fraction))
        guard !sumOverflow else { return nil }
        self.init(sum)
    }

    private static func unit(named name: Substring) -> Int64? {
        let name = name.lowercased()
        if name.isEmpty || name == "b" { return 1 }
        guard let letter = name.first, let index = Array("kmgtpe").firstIndex(of: letter) else { return nil }
        let power = index + 1
        switch name.dropFirst() {
        case "", "ib": return (0..<power).reduce(1) { unit, _ in unit * 1024 }
        case "b": return (0..<power).reduce(1) { unit, _ in unit * 1000 }
        default: return nil
        }
    }

    /// `unit` × 0.`decimals`, rounded down. Decimals past the 18th, two bytes at most, do not count.
    private static func share(of unit: Int64, decimals: Substring) -> Int64 {
        let decimals = decimals.prefix(18)
        guard let numerator = Int64(decimals) else { return 0 }
        let denominator = decimals.reduce(Int64(1)) { value, _ in value * 10 }
        let product = numerator.multipliedFullWidth(by: unit)
        return denominator.dividingFullWidth(product).quotient
    }
}

extension ByteCount {
    /// `64 MiB`, `1.5 GiB`, `17 B`: at most one decimal, rounded down, so that a limit is never shown larger than it is.
    public var description: String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        let magnitude = bytes.magnitude
        let power = magnitude == 0 ? 0 : (63 - magnitude.leadingZeroBitCount) / 10
        let unit = UInt64(1) << UInt64(power * 10)
        let tenths = magnitude % unit * 10 / unit
        return (bytes < 0 ? "-" : "") + "\(magnitude / unit)" + (tenths == 0 ? "" : ".\(tenths)") + " \(units[power])"
    }
}
