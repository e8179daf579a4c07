import PlatformClient
import TestSupport
import Testing

@Suite struct JSONTests {
    private static func parse(_ text: String) throws(JSONParser.Problem) -> JSONValue {
        try JSONParser.parse(Array(text.utf8))
    }

    @Test(arguments: [
        ("null", JSONValue.null), (" true ", .bool(true)), ("false", .bool(false)), ("0", .number("0")),
        ("-0.5e+7", .number("-0.5e+7")), (#""""#, .string("")),
        (#""a\"\\\/\b\f\n\r\t\u0041""#, .string("a\"\\/\u{8}\u{C}\n\r\tA")),
        (#""\ud83d\ude00é""#, .string("😀é")), (#""\ud83dx""#, .string("\u{FFFD}x")),
        (#""\ude00""#, .string("\u{FFFD}")),
        (#""\ud83d\u0041""#, .string("\u{FFFD}A")), ("[]", .array([])),
        ("[ 1 ,\n[2]]", .array([.number("1"), .array([.number("2")])])),
        ("{}", .object([:])), (#"{"a":1,"a":2}"#, .object(["a": .number("2")])),
    ])
    func validTextIsRead(_ text: String, _ value: JSONValue) throws {
        #expect(try Self.parse(text) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "tru", "True", "01", "-", "+1", "1.", ".5", "1e", "1e+", "NaN", "Infinity", "0x1", "\"", "\"a",
        "\"\n\"",
        #""\x""#, #""\u12g4""#, #""\u12"#, "[", "[1", "[1,", "[1,]", "[,]", "{", "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}", "{a:1}", "{1:1}", "1 2", "[]]", "'a'", "/* */1",
    ])
    func anythingElseIsRefused(_ text: String) {
        #expect(throws: JSONParser.Problem.self) { try Self.parse(text) }
    }

    @Test func nestingIsBounded() throws {
        let fine = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
        #expect(throws: Never.self) { try Self.parse(fine) }
        #expect(throws: JSONParser.Problem.tooDeep) { try Self.parse("[" + fine + "]") }
    }

    @Test(arguments: [
        ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min), ("9223372036854775808", nil),
        ("5.0", 5),
        ("5e2", 500), ("5.5", nil), ("1e400", nil), ("-1e400", nil), ("9007199254740993.0", nil), ("-0", 0),
        ("1e-400", 0),
    ])
    func wholeNumbersAreExactOrNone(_ text: String, _ expected: Int64?) throws {
        #expect(try Self.parse(text).integer == expected)
    }

    @Test func whatIsWrittenReadsBackTheSame() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var generator = SplitMix64(seed: seed)
        for _ in 0..<2000 {
            let value = Self.randomValue(&generator, depth: 0)
            #expect(try Self.parse(value.text) == value, "seed \(seed)")
        }
    }

    @Test func damagedTextNeverCrashesTheReader() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var generator = SplitMix64(seed: seed)
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = Array(Self.randomValue(&generator, depth: 0).text.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: index)
                default: bytes.removeSubrange(index...)
                }
            }
            if (try? JSONParser.parse(bytes)) == nil { refused += 1 }
        }
        #expect(refused > 0)
    }

    private static func randomValue(_ generator: inout SplitMix64, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth < 4 ? 6 : 4), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .number(Int64.random(in: .min ... .max, using: &generator))
        case 3: return .string(randomString(&generator))
        case 4:
            return .array(
                (0..<Int.random(in: 0..<5, using: &generator)).map { _ in randomValue(&generator, depth: depth + 1) })
        default:
            let fields = (0..<Int.random(in: 0..<5, using: &generator)).map { _ in
                (randomString(&generator), randomValue(&generator, depth: depth + 1))
            }
            return .object(Dictionary(fields, uniquingKeysWith: { $1 }))
        }
    }

    private static func randomString(_ generator: inout SplitMix64) -> String {
        let scalars = Array("ab\"\\/\u{0}\u{1F}\n é😀\u{7F}\u{2028}".unicodeScalars)
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0..<8, using: &generator) {
            text.append(scalars[Int.random(in: 0..<scalars.count, using: &generator)])
        }
        return String(text)
    }
}
