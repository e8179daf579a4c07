/// Something that reads what comes from outside, as random inputs are fed to it: by the tests for some seconds, by
/// `scripts/fuzz.sh` for a minute each.
package struct FuzzedDecoder: Sendable {
    /// Names it on the command line, and its folder of inputs.
    package let name: String
    /// What it makes sense of: mutations begin there.
    package let samples: [[UInt8]]
    /// Reads an input, and does with what it made of it what follows. A mistake is a trap, a hang, or memory that grows.
    package let read: @Sendable ([UInt8]) -> Void

    package init(_ name: String, samples: [[UInt8]], read: @escaping @Sendable ([UInt8]) -> Void) {
        self.name = name
        self.samples = samples
        self.read = read
    }

    /// The same with texts.
    package init(_ name: String, _ samples: [String], read: @escaping @Sendable ([UInt8]) -> Void) {
        self.init(name, samples: samples.map { Array($0.utf8) }, read: read)
    }

    /// Every decoder there is.
    package static let all = platform + journal + files

    /// The one of that name.
    package static func named(_ name: String) -> FuzzedDecoder? { all.first { $0.name == name } }

    /// What is put into inputs besides what is in them: numbers at the edges of what fits, and what changes a text's structure.
    package static let words = [
        "0", "-1", "1", "10000", "10001", "2147483647", "4294967296", "9007199254740993", "4611686018427387904",
        "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615", "1e18", "1e308",
        "1e400", "nan", "inf", "null", "true", "\"\"", "{}", "[]", "[[[[", "{\"a\":", "\\u0000", "\\ud800", "%00",
        "%zz",
        "\r\n", "\n", ",", "=", "\\", "9999-12-31T23:59:59.999Z", "0000-01-01T00:00:00-23:59",
        "Fri, 31 Dec 9999 23:59:59 GMT", "\u{202E}", "a\u{301}\u{301}\u{301}\u{301}",
    ]

    /// Numbers at the edges, as eight bytes.
    package static let numbers: [Int64] = [
        0, -1, 1, .max, .min, .max - 1, 1 << 62, 1 << 53, 1 << 48, 10_001, Int64(Int32.max), Int64(UInt32.max),
    ]
}

/// Takes an input apart into the values that a decoder wants beside its text; where it ends there are zeros.
package struct InputReader {
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: [UInt8]) {
        rest = bytes[...]
    }

    package var isAtEnd: Bool { rest.isEmpty }

    package mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    package mutating func integer() -> Int64 {
        Int64(bitPattern: (0..<8).reduce(UInt64(0)) { $0 | UInt64(byte()) << UInt64($1 * 8) })
    }

    /// As many bytes as the next two say.
    package mutating func bytes() -> [UInt8] {
        let count = Int(byte()) | Int(byte()) << 8
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    package mutating func text() -> String { String(decoding: bytes(), as: UTF8.self) }
}

/// Puts together what ``InputReader`` takes apart.
package struct InputWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func byte(_ byte: UInt8) { bytes.append(byte) }

    package mutating func integer(_ number: Int64) {
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    package mutating func bytes(_ more: [UInt8]) {
        let more = more.prefix(Int(UInt16.max))
        bytes += [UInt8(truncatingIfNeeded: more.count), UInt8(truncatingIfNeeded: more.count >> 8)] + more
    }
}
