/// Numbers as the kernel prints them: digits alone, no sign unless asked for, and nil for anything else or too large.
extension FixedWidthInteger {
    /// A decimal number without sign.
    init?(decimal digits: some Sequence<UInt8>) {
        self.init(digits: digits, radix: 10)
    }

    /// An octal number without sign.
    init?(octal digits: some Sequence<UInt8>) {
        self.init(digits: digits, radix: 8)
    }

    /// A hexadecimal number without prefix.
    init?(hexadecimal digits: some Sequence<UInt8>) {
        self.init(digits: digits, radix: 16)
    }

    private init?(digits: some Sequence<UInt8>, radix: Self) {
        var value: Self = 0
        var isEmpty = true
        for byte in digits {
            guard let digit = Self(digit: byte), digit < radix else { return nil }
            let (shifted, tooLarge) = value.multipliedReportingOverflow(by: radix)
            let (sum, carried) = shifted.addingReportingOverflow(digit)
            if tooLarge || carried { return nil }
            value = sum
            isEmpty = false
        }
        if isEmpty { return nil }
        self = value
    }

    private init?(digit byte: UInt8) {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self = Self(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self = Self(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self = Self(byte - UInt8(ascii: "A") + 10)
        default: return nil
        }
    }
}

/// A file of `Key:<tab>value` lines, as `status` and `fdinfo` are.
///
/// Only lines that a newline ends count: a line that was cut off could hold the first digits of another number.
/// A key that occurs twice has no value: one of the two would be somebody's invention.
struct KeyedLines {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The value of a key without the blanks around it.
    subscript(key: StaticString) -> ArraySlice<UInt8>? {
        key.withUTF8Buffer { key in
            var found: ArraySlice<UInt8>?
            var start = bytes.startIndex
            while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = bytes[start..<end]
                if line.starts(with: key), line.dropFirst(key.count).first == UInt8(ascii: ":") {
                    if found != nil { return nil }
                    found = line.dropFirst(key.count + 1).trimmingBlanks()
                }
                start = end + 1
            }
            return found
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate func trimmingBlanks() -> ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        var slice = drop(while: isBlank)
        while let last = slice.last, isBlank(last) { slice.removeLast() }
        return slice
    }
}

extension Collection<UInt8> {
    /// What follows the last slash.
    var baseName: SubSequence {
        guard let slash = indices.reversed().first(where: { self[$0] == UInt8(ascii: "/") }) else { return self[...] }
        return self[index(after: slash)...]
    }
}
