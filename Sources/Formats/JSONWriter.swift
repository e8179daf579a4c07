/// Writes JSON as people like to read it: fields in the order given, two spaces a level, a newline at the end.
///
///     var json = JSONWriter()
///     json.object {
///         $0.field("schema", 1)
///         $0.array("chunks", chunks) { json, chunk in json.line { $0.field("chunk_index", chunk.index) } }
///     }
///     json.document
public struct JSONWriter {
    private var text = ""
    private var depth = 0
    /// Whether the next value is the first of its object or array.
    private var isFirst = true
    /// Whether everything is written on one line.
    private var isInline = false

    /// A writer with nothing written.
    public init() {}

    /// What was written, with a newline at the end.
    public var document: String { text + "\n" }

    /// Writes an object, one field a line.
    public mutating func object(_ fields: (inout JSONWriter) -> Void) {
        enclosed(by: "{", "}", fields)
    }

    /// Writes an object on one line.
    public mutating func line(_ fields: (inout JSONWriter) -> Void) {
        let outer = isInline
        isInline = true
        enclosed(by: "{", "}", fields)
        isInline = outer
    }

    /// Writes a field that is an object, one field a line.
    public mutating func object(_ name: String, _ fields: (inout JSONWriter) -> Void) {
        key(name)
        enclosed(by: "{", "}", fields)
    }

    /// Writes a field that is an array, one element a line; `element` writes each.
    public mutating func array<Element>(
        _ name: String, _ elements: some Sequence<Element>, element: (inout JSONWriter, Element) -> Void
    ) {
        key(name)
        enclosed(by: "[", "]") { json in
            for value in elements {
                json.separate()
                element(&json, value)
            }
        }
    }

    /// Writes a field that is an array of texts, on one line.
    public mutating func field(_ name: String, _ values: [String]) {
        let outer = isInline
        key(name)
        isInline = true
        enclosed(by: "[", "]") { json in
            for value in values {
                json.separate()
                json.text += Self.quoted(value)
            }
        }
        isInline = outer
    }

    /// Writes a text, or null.
    public mutating func field(_ name: String, _ value: String?) {
        key(name)
        text += value.map(Self.quoted) ?? "null"
    }

    /// Writes a whole number, or null.
    public mutating func field(_ name: String, _ value: (some BinaryInteger)?) {
        key(name)
        text += value.map { String($0) } ?? "null"
    }

    /// Writes true or false.
    public mutating func field(_ name: String, _ value: Bool) {
        key(name)
        text += value ? "true" : "false"
    }

    /// Writes a moment as RFC 3339, or null.
    public mutating func field(_ name: String, _ value: Timestamp?) {
        field(name, value?.rfc3339)
    }

    /// Writes null.
    public mutating func null(_ name: String) {
        key(name)
        text += "null"
    }

    private mutating func key(_ name: String) {
        separate()
        text += Self.quoted(name) + ": "
    }

    private mutating func separate() {
        if !isFirst { text += isInline ? ", " : "," }
        isFirst = false
        if !isInline { breakLine() }
    }

    private mutating func enclosed(by open: String, _ close: String, _ body: (inout JSONWriter) -> Void) {
        text += open
        depth += 1
        isFirst = true
        body(&self)
        depth -= 1
        if !isFirst, !isInline { breakLine() }
        text += close
        isFirst = false
    }

    private mutating func breakLine() {
        text += "\n" + String(repeating: "  ", count: depth)
    }
}

extension JSONWriter {
    /// A JSON string. Besides what JSON asks for, DEL, the C1 controls and the two line separators are escaped: a name
    /// with them in it neither steers the terminal that shows the document nor breaks a line.
    static func quoted(_ string: String) -> String {
        var quoted = "\""
        for scalar in string.unicodeScalars {
            switch scalar.value {
            case 0x22: quoted += "\\\""
            case 0x5C: quoted += "\\\\"
            case 0x08: quoted += "\\b"
            case 0x09: quoted += "\\t"
            case 0x0A: quoted += "\\n"
            case 0x0C: quoted += "\\f"
            case 0x0D: quoted += "\\r"
            case 0x00...0x1F, 0x7F...0x9F, 0x2028, 0x2029:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
