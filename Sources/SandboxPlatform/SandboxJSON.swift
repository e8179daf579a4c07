import FoundationEssentials
import NIOCore

/// Any JSON, so that requests can be checked field by field and answers can be told to lack or change a field.
public enum SandboxJSON: Sendable, Equatable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// A number without a fraction that fits 64 bits.
    case integer(Int64)
    /// Any other number.
    case number(Double)
    /// A string.
    case string(String)
    /// An array.
    case array([SandboxJSON])
    /// An object; the order of its members is not kept.
    case object([String: SandboxJSON])

    /// Reads a JSON text. Throws what `JSONDecoder` throws when it is none.
    public init(parsing bytes: ByteBuffer) throws {
        self = try JSONDecoder().decode(SandboxJSON.self, from: Data(bytes.readableBytesView))
    }

    /// Reads a JSON text. Throws what `JSONDecoder` throws when it is none.
    public init(parsing text: String) throws {
        self = try JSONDecoder().decode(SandboxJSON.self, from: Data(text.utf8))
    }

    /// The JSON text, members sorted by name.
    public func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self))
    }

    /// The member of that name; nil when this is no object or has none.
    public subscript(_ name: String) -> SandboxJSON? {
        guard case .object(let members) = self else { return nil }
        return members[name]
    }

    /// The string, when this is one.
    public var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// The number, when this is one without a fraction.
    public var integer: Int64? {
        guard case .integer(let value) = self else { return nil }
        return value
    }

    /// The truth value, when this is one.
    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// The number, when this is one.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        case .null, .bool, .string, .array, .object: nil
        }
    }

    /// The elements, when this is an array.
    public var array: [SandboxJSON]? {
        guard case .array(let value) = self else { return nil }
        return value
    }

    /// `null` for nil.
    static func optional(_ value: String?) -> SandboxJSON { value.map { .string($0) } ?? .null }
    /// `null` for nil.
    static func optional(_ value: Int?) -> SandboxJSON { value.map { .integer(Int64($0)) } ?? .null }
    /// `null` for nil.
    static func optional(_ value: Int64?) -> SandboxJSON { value.map { .integer($0) } ?? .null }
}

extension SandboxJSON: Codable {
    /// Reads any JSON value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([SandboxJSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: SandboxJSON].self))
        }
    }

    /// Writes the value as it is.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension SandboxJSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    /// A string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An integer.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A boolean.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}
