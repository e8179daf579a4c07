/// Reads one JSON text (RFC 8259), with bounds on what a hostile answer can make it do: how deep it nests, and how many
/// values it holds (a byte of input can cost dozens of memory). Foundation's reader goes 512 deep and bounds no count.
package struct JSONParser {
    package enum Problem: Error, Equatable {
        case malformed(offset: Int)
        case cutOff
        case tooDeep
        case tooManyValues

        var words: String {
            switch self {
            case .malformed(let offset): "it is not JSON (at byte \(offset))"
            case .cutOff: "its JSON is cut off"
            case .tooDeep: "its JSON nests more than \(JSONParser.maximumDepth) levels deep"
            case .tooManyValues: "its JSON holds more than \(JSONParser.maximumValues) values"
            }
        }
    }

    package static let maximumDepth = 32
    package static let maximumValues = 100_000

    private let bytes: UnsafeBufferPointer<UInt8>
    private var index = 0
    private var values = 0

    package static func parse(_ bytes: [UInt8]) throws(Problem) -> JSONValue {
        let result: Result<JSONValue, Problem> = bytes.withUnsafeBufferPointer { bytes in
            var parser = JSONParser(bytes: bytes)
            do throws(Problem) {
                let value = try parser.value(depth: 0)
                parser.skipSpace()
                guard parser.index == bytes.count else { return .failure(.malformed(offset: parser.index)) }
                return .success(value)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    // MARK: Values

    private mutating func value(depth: Int) throws(Problem) -> JSONValue {
        values += 1
        guard values <= Self.maximumValues else { throw .tooManyValues }
        skipSpace()
        switch try peek() {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws(Problem) -> JSONValue {
        guard depth <= Self.maximumDepth else { throw .tooDeep }
        index += 1
        var fields: [String: JSONValue] = [:]
        skipSpace()
        if try peek() == UInt8(ascii: "}") {
            index += 1
            return .object(fields)
        }
        while true {
            skipSpace()
            guard try peek() == UInt8(ascii: "\"") else { throw .malformed(offset: index) }
            let name = try string()
            skipSpace()
            try expect(UInt8(ascii: ":"))
            fields[name] = try value(depth: depth)
            skipSpace()
            switch try peek() {
            case UInt8(ascii: ","): index += 1
            case UInt8(ascii: "}"):
                index += 1
                return .object(fields)
            default: throw .malformed(offset: index)
            }
        }
    }

    private mutating func array(depth: Int) throws(Problem) -> JSONValue {
        guard depth <= Self.maximumDepth else { throw .tooDeep }
        index += 1
        var elements: [JSONValue] = []
        skipSpace()
        if try peek() == UInt8(ascii: "]") {
            index += 1
            return .array(elements)
        }
        while true {
            elements.append(try value(depth: depth))
            skipSpace()
            switch try peek() {
            case UInt8(ascii: ","): index += 1
            case UInt8(ascii: "]"):
                index += 1
                return .array(elements)
            default: throw .malformed(offset: index)
            }
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(Problem) -> JSONValue {
        for offset in 0..<word.utf8CodeUnitCount {
            try expect(word.utf8Start[offset])
        }
        return value
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    private mutating func number() throws(Problem) -> JSONValue {
        let start = index
        if try peek() == UInt8(ascii: "-") { index += 1 }
        if try peek() == UInt8(ascii: "0") { index += 1 } else { try digits() }
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index += 1
            try digits()
        }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            let sign = try peek()
            if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { index += 1 }
            try digits()
        }
        return .number(String(decoding: bytes[start..<index], as: UTF8.self))
    }

    private mutating func digits() throws(Problem) {
        guard Self.isDigit(try peek()) else { throw .malformed(offset: index) }
        while index < bytes.count, Self.isDigit(bytes[index]) { index += 1 }
    }

    // MARK: Strings

    private mutating func string() throws(Problem) -> String {
        index += 1
        let start = index
        while index < bytes.count, bytes[index] != UInt8(ascii: "\""), bytes[index] != UInt8(ascii: "\\") {
            guard bytes[index] >= 0x20 else { throw .malformed(offset: index) }
            index += 1
        }
        var text = String(decoding: bytes[start..<index], as: UTF8.self)
        while true {
            switch try peek() {
            case UInt8(ascii: "\""):
                index += 1
                return text
            case UInt8(ascii: "\\"):
                index += 1
                text.unicodeScalars.append(try escape())
            default:
                let start = index
                while index < bytes.count, bytes[index] != UInt8(ascii: "\""), bytes[index] != UInt8(ascii: "\\") {
                    guard bytes[index] >= 0x20 else { throw .malformed(offset: index) }
                    index += 1
                }
                text += String(decoding: bytes[start..<index], as: UTF8.self)
            }
        }
    }

    private mutating func escape() throws(Problem) -> Unicode.Scalar {
        let mark = try peek()
        index += 1
        switch mark {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw .malformed(offset: index - 1)
        }
    }

    /// `\uXXXX`, or the two of a surrogate pair; half a pair reads as U+FFFD.
    private mutating func unicodeEscape() throws(Problem) -> Unicode.Scalar {
        let first = try hexQuad()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800..<0xDC00).contains(first), index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"),
            bytes[index + 1] == UInt8(ascii: "u")
        else { return "\u{FFFD}" }
        let rewind = index
        index += 2
        let second = try hexQuad()
        guard (0xDC00..<0xE000).contains(second) else {
            index = rewind
            return "\u{FFFD}"
        }
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)) ?? "\u{FFFD}"
    }

    private mutating func hexQuad() throws(Problem) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = try peek()
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw .malformed(offset: index)
            }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }

    // MARK: Bytes

    private func peek() throws(Problem) -> UInt8 {
        guard index < bytes.count else { throw .cutOff }
        return bytes[index]
    }

    private mutating func expect(_ byte: UInt8) throws(Problem) {
        guard try peek() == byte else { throw .malformed(offset: index) }
        index += 1
    }

    private mutating func skipSpace() {
        while index < bytes.count, bytes[index] == 0x20 || (0x09...0x0A).contains(bytes[index]) || bytes[index] == 0x0D
        {
            index += 1
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
