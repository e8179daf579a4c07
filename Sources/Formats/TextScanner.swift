/// Reads a text from left to right, for the small formats that come from outside. Nothing in it traps.
struct TextScanner {
    private var rest: Substring.UTF8View

    init(_ text: String) {
        rest = Substring(text).utf8
    }

    var isAtEnd: Bool { rest.isEmpty }

    /// Takes the next byte when it is one of the given ASCII characters.
    mutating func take(anyOf characters: String) -> UInt8? {
        guard let byte = rest.first, characters.utf8.contains(byte) else { return nil }
        rest.removeFirst()
        return byte
    }

    /// Takes the given text when it comes next, and says whether it did.
    mutating func take(_ text: String) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest = rest.dropFirst(text.utf8.count)
        return true
    }

    /// Takes ASCII digits, as many as there are up to a number; empty when there are none.
    mutating func digits(atMost count: Int = .max) -> Substring {
        take(atMost: count) { (0x30...0x39).contains($0) }
    }

    /// Takes exactly so many digits (at most 18) and returns their value.
    mutating func number(digits count: Int) -> Int64? {
        let text = digits(atMost: count)
        return text.utf8.count == count ? Int64(text) : nil
    }

    /// Takes ASCII letters, as many as there are; empty when there are none.
    mutating func letters() -> Substring {
        take(atMost: .max) { (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) }
    }

    private mutating func take(atMost count: Int, while condition: (UInt8) -> Bool) -> Substring {
        let run = rest.prefix(while: condition)
        let taken = run.prefix(min(count, run.count))
        rest = rest[taken.endIndex...]
        return Substring(taken)
    }
}
