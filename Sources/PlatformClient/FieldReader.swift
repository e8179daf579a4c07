import Formats
import UploadCore

/// The fields of one JSON object in an answer. Reading a needed one throws `unreadableAnswer` with its path; reading another gives
/// nil when it is missing, null, of another type or out of range.
struct FieldReader {
    let status: Int
    private let fields: [String: JSONValue]
    private let path: String
    private let call: APICall

    init(_ fields: [String: JSONValue], at path: String, call: APICall, status: Int) {
        self.fields = fields
        self.path = path
        self.call = call
        self.status = status
    }

    func below(_ name: String, _ object: [String: JSONValue]) -> FieldReader {
        FieldReader(object, at: path + name + ".", call: call, status: status)
    }

    // MARK: Needed

    func integer(_ name: String) throws(UploadFailure) -> Int64 {
        guard let integer = try needed(name).integer else { throw nonsense(name, "is not a whole number of 64 bits") }
        return integer
    }

    func string(_ name: String) throws(UploadFailure) -> String {
        let value = try needed(name)
        guard case .string(let text) = value else { throw nonsense(name, "is \(value.kind), not a string") }
        return text
    }

    /// An upload's or an asset's identifier, fit for paths.
    func id(_ name: String) throws(UploadFailure) -> String {
        let id = try string(name)
        guard APICall.isPlainID(id) else { throw nonsense(name, "is not an identifier") }
        return id
    }

    /// A word of the API, like a status.
    func requiredWord(_ name: String) throws(UploadFailure) -> String {
        _ = try string(name)
        guard let word = word(name) else { throw nonsense(name, "is not a word") }
        return word
    }

    /// A list of objects; a missing one is empty unless required.
    func objects(_ name: String, required: Bool = false) throws(UploadFailure) -> [FieldReader] {
        guard let value = fields[name], value != .null else {
            if required { throw missing(name) }
            return []
        }
        guard case .array(let elements) = value else { throw nonsense(name, "is \(value.kind), not an array") }
        var readers: [FieldReader] = []
        readers.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard case .object(let object) = element else {
                throw nonsense("\(name)[\(index)]", "is \(element.kind), not an object")
            }
            readers.append(below("\(name)[\(index)]", object))
        }
        return readers
    }

    /// Those elements of a list that are objects. The list itself has to be there.
    func readableObjects(_ name: String) throws(UploadFailure) -> [FieldReader] {
        let value = try needed(name)
        guard case .array(let elements) = value else { throw nonsense(name, "is \(value.kind), not an array") }
        return elements.enumerated().compactMap { index, element in
            if case .object(let object) = element { below("\(name)[\(index)]", object) } else { nil }
        }
    }

    // MARK: Needed when there

    func optionalInteger(_ name: String) throws(UploadFailure) -> Int64? {
        guard let value = fields[name], value != .null else { return nil }
        guard let integer = value.integer else { throw nonsense(name, "is not a whole number of 64 bits") }
        return integer
    }

    func optionalObject(_ name: String) throws(UploadFailure) -> [String: JSONValue]? {
        guard let value = fields[name], value != .null else { return nil }
        guard case .object(let object) = value else { throw nonsense(name, "is \(value.kind), not an object") }
        return object
    }

    // MARK: Good to have

    func readableObject(_ name: String) -> FieldReader? {
        if case .object(let object)? = fields[name] { below(name, object) } else { nil }
    }

    /// A count from 0.
    func count(_ name: String) -> Int? { size(name).flatMap { Int(exactly: $0) } }

    /// A number of bytes from 0.
    func size(_ name: String) -> Int64? {
        guard let integer = fields[name]?.integer, integer >= 0 else { return nil }
        return integer
    }

    func seconds(_ name: String) -> Double? {
        guard let seconds = fields[name]?.double, seconds >= 0 else { return nil }
        return seconds
    }

    func timestamp(_ name: String) -> Timestamp? {
        guard case .string(let text)? = fields[name] else { return nil }
        return Timestamp(rfc3339: text)
    }

    /// Up to 200 printable ASCII characters.
    func word(_ name: String) -> String? {
        guard case .string(let text)? = fields[name], (1...200).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else { return nil }
        return text
    }

    /// Up to 1024 bytes without control characters, like a file's name.
    func text(_ name: String) -> String? {
        guard case .string(let text)? = fields[name], (1...1024).contains(text.utf8.count),
            text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { return nil }
        return text
    }

    /// A URL that is one; whoever uses it decides whether it may be used.
    func url(_ name: String) -> String? {
        guard case .string(let text)? = fields[name], (try? WebAddress(parsing: text)) != nil else { return nil }
        return text
    }

    /// Why something failed: a string, or an object with a `message`; cleaned for people.
    func explanation(_ name: String, key: APIKey) -> String? {
        switch fields[name] {
        case .string(let text)?: Self.nonEmpty(SafeText.clean(text, key: key))
        case .object(let object)?:
            if case .string(let text)? = object["message"] {
                Self.nonEmpty(SafeText.clean(text, key: key))
            } else {
                nil
            }
        case .null?, .bool?, .number?, .array?, nil: nil
        }
    }

    private static func nonEmpty(_ text: String) -> String? { text.isEmpty ? nil : text }

    // MARK: Failures

    private func needed(_ name: String) throws(UploadFailure) -> JSONValue {
        guard let value = fields[name], value != .null else { throw missing(name) }
        return value
    }

    private func missing(_ name: String) -> UploadFailure { nonsense(name, "is missing") }

    func nonsense(_ name: String, _ what: String) -> UploadFailure {
        UploadFailure(
            .unreadableAnswer,
            message: "the platform's answer cannot be used: \(path)\(name) \(what), when asked to \(call.words)",
            hint: "if this persists, the platform's API may have changed: look for a newer version of twelvefs",
            httpStatus: status)
    }
}
