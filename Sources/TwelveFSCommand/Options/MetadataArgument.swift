import ArgumentParser
import PlatformClient
import UploadCore

/// One `--metadata`: `KEY=VALUE` for a text, whatever it looks like, or `KEY:=JSON` for a number or a boolean, as HTTPie
/// writes them.
enum MetadataArgument {
    /// The entry that an argument stands for.
    ///
    /// - Throws: `ValidationError` that says what is wrong with it.
    static func entry(_ argument: String) throws -> MountConfiguration.MetadataEntry {
        guard let equals = argument.firstIndex(of: "=") else {
            throw ValidationError("it is neither KEY=TEXT nor KEY:=JSON")
        }
        let value = argument[argument.index(after: equals)...]
        let isTyped = argument[..<equals].last == ":"
        let key = String(argument[..<equals].dropLast(isTyped ? 1 : 0))
        guard !key.isEmpty else { throw ValidationError("it has no key") }
        guard !MetadataValue.systemKeys.contains(key) else {
            throw ValidationError("\(key) is one of the system-generated metadata fields, which you cannot override")
        }
        return .init(key: key, value: isTyped ? try typed(String(value), key: key) : .string(String(value)))
    }

    private static func typed(_ json: String, key: String) throws -> MetadataValue {
        let value: JSONValue
        do {
            value = try JSONParser.parse(Array(json.utf8))
        } catch {
            throw ValidationError("what follows := is not JSON; a text is given as \(key)=TEXT")
        }
        switch value {
        case .string(let text): return .string(text)
        case .bool(let value): return .boolean(value)
        case .number(let text): return try number(text)
        case .null, .array, .object: throw ValidationError(MetadataValue.otherTypes)
        }
    }

    /// Integers are kept digit by digit; what would become another number, or none, is refused.
    private static func number(_ text: String) throws -> MetadataValue {
        let isWhole = text.utf8.allSatisfy { $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) }
        if isWhole {
            guard let exact = Int64(text), MetadataValue.integers.contains(exact) else { throw tooWide }
            return .integer(exact)
        }
        let isZero = text.prefix { $0 != "e" && $0 != "E" }.allSatisfy { "-.0".contains($0) }
        guard let float = Double(text), float.isFinite, isZero || !float.isZero else {
            throw ValidationError("it is beyond what a float can be: give such a number as text")
        }
        // Without a fraction it is an integer to JSON, however it is written.
        let isInteger = float.rounded() == float
        guard !isInteger || float.magnitude <= Double(MetadataValue.integers.upperBound) else { throw tooWide }
        return .float(float)
    }

    private static let tooWide = ValidationError(
        "an integer wider than 53 bits (\(MetadataValue.integers.lowerBound) to \(MetadataValue.integers.upperBound)) is sent as text: KEY=TEXT"
    )
}
