/// One constraint that the published specification puts on the requests of one call.
///
/// ``Constraint/all(of:)`` is the whole list: requests are checked against it and nothing else.
public struct Constraint: Sendable, Hashable {
    /// Where in a request the parameter is.
    public enum Place: String, Sendable, Hashable {
        case header, path, query, body
    }

    /// The types of JSON, and of a parameter in a query.
    public enum ValueType: String, Sendable, Hashable {
        case string, integer, boolean, object, array
        /// What metadata can hold: a string, an integer, a float or a boolean.
        case metadata
        /// The same, or null, which removes a key.
        case metadataOrNull
    }

    /// What has to hold.
    public enum Rule: Sendable, Hashable {
        /// It is there, and not null.
        case required
        /// There is no parameter besides these.
        case noOthers([String])
        /// It has this type.
        case type(ValueType)
        /// A number of at least this.
        case minimum(Int64)
        /// A number of at most this.
        case maximum(Int64)
        /// A string of at least so many characters (Unicode scalars, as JSON Schema counts).
        case minLength(Int)
        /// A string of at most so many characters.
        case maxLength(Int)
        /// An array of at least so many elements.
        case minItems(Int)
        /// An array of at most so many elements.
        case maxItems(Int)
        /// One of these strings.
        case oneOf([String])
        /// It names the account's own: its key, one of its uploads or assets.
        case known
    }

    /// A constraint that holds only where another field of the body has one of these values.
    public struct Condition: Sendable, Hashable {
        /// The field.
        public var field: String
        /// Its values.
        public var values: [String]
    }

    /// The call.
    public var call: RequestKind
    /// Where the parameter is.
    public var place: Place
    /// The parameter, as `field`, `list[].field` (of each element) or `object.*` (each value); empty for the whole of
    /// its place.
    public var parameter: String
    /// What has to hold.
    public var rule: Rule
    /// Where it holds only sometimes: when.
    public var condition: Condition?
    /// The status with which a violation is answered.
    public var status: Int
    /// The `code` with which a violation is answered.
    public var code: String

    /// A text that no other constraint of the list has: `report body completed_chunks maxItems 50`.
    public var name: String {
        var words = [call.rawValue, place.rawValue, parameter, rule.name]
        if let condition { words.append("if \(condition.field) is \(condition.values.joined(separator: ", "))") }
        return words.filter { !$0.isEmpty }.joined(separator: " ")
    }
}

extension Constraint.Rule {
    /// As JSON Schema calls it.
    public var name: String {
        switch self {
        case .required: "required"
        case .noOthers: "additionalProperties false"
        case .type(let type): "type \(type.rawValue)"
        case .minimum(let number): "minimum \(number)"
        case .maximum(let number): "maximum \(number)"
        case .minLength(let count): "minLength \(count)"
        case .maxLength(let count): "maxLength \(count)"
        case .minItems(let count): "minItems \(count)"
        case .maxItems(let count): "maxItems \(count)"
        case .oneOf(let values): "enum \(values.joined(separator: ", "))"
        case .known: "known"
        }
    }

    /// What is wrong with a value that does not follow it; the end of a message.
    var complaint: String {
        switch self {
        case .required: "it is required"
        case .noOthers: "there is no such parameter"
        case .type(.metadata), .type(.metadataOrNull): "its values can be a string, an integer, a float or a boolean"
        case .type(let type): "its type has to be \(type.rawValue)"
        case .minimum(let number): "it must be at least \(number)"
        case .maximum(let number): "it must be at most \(number)"
        case .minLength(let count): "it must have at least \(count) characters"
        case .maxLength(let count): "it must have at most \(count) characters"
        case .minItems(let count): "it must have at least \(count) elements"
        case .maxItems(let count): "it must have at most \(count) elements"
        case .oneOf(let values): "it must be one of \(values.joined(separator: ", "))"
        case .known: "it does not exist"
        }
    }

    /// Whether a value follows it. Values of another type than the rule speaks of are for the rule on types to refuse.
    /// What ``known`` asks for, a value does not tell.
    func holds(for value: SandboxJSON) -> Bool {
        switch (self, value) {
        case (.required, .null): false
        case (.noOthers(let names), .object(let members)): members.keys.allSatisfy { names.contains($0) }
        case (.type(let type), _): type.holds(for: value)
        case (.minimum(let least), .integer(let number)): number >= least
        case (.maximum(let most), .integer(let number)): number <= most
        case (.minLength(let least), .string(let text)): text.unicodeScalars.count >= least
        case (.maxLength(let most), .string(let text)): text.unicodeScalars.count <= most
        case (.minItems(let least), .array(let items)): items.count >= least
        case (.maxItems(let most), .array(let items)): items.count <= most
        case (.oneOf(let values), .string(let text)): values.contains(text)
        case (.required, _), (.noOthers, _), (.minimum, _), (.maximum, _), (.minLength, _), (.maxLength, _),
            (.minItems, _), (.maxItems, _), (.oneOf, _), (.known, _):
            true
        }
    }
}

extension Constraint.ValueType {
    func holds(for value: SandboxJSON) -> Bool {
        switch (self, value) {
        case (.string, .string), (.integer, .integer), (.boolean, .bool), (.object, .object), (.array, .array),
            (.metadata, .string), (.metadata, .integer), (.metadata, .number), (.metadata, .bool),
            (.metadataOrNull, .string), (.metadataOrNull, .integer), (.metadataOrNull, .number),
            (.metadataOrNull, .bool), (.metadataOrNull, .null):
            true
        case (.string, _), (.integer, _), (.boolean, _), (.object, _), (.array, _), (.metadata, _),
            (.metadataOrNull, _):
            false
        }
    }
}
