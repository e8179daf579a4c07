/// Writes the OpenMetrics 1.0 text format. Metric and label names are the caller's own, and valid; label values are anyone's.
public struct OpenMetricsWriter {
    /// What a family of samples is of.
    public enum Kind: String {
        /// A fact, told by labels.
        case info
        /// A value that rises and falls.
        case gauge
        /// A value that only rises.
        case counter
    }

    private var text = ""
    private var name = ""

    /// A writer with nothing written.
    public init() {}

    /// What was written, with the mark of its end.
    public var exposition: String { text + "# EOF\n" }

    /// Writes a metric family: its head, and what `samples` writes.
    public mutating func family(
        _ name: String, _ kind: Kind, unit: String? = nil, help: String, samples: (inout OpenMetricsWriter) -> Void
    ) {
        self.name = name
        text += "# TYPE \(name) \(kind.rawValue)\n"
        if let unit { text += "# UNIT \(name) \(unit)\n" }
        text += "# HELP \(name) \(help)\n"
        samples(&self)
    }

    /// Writes a sample of the family.
    public mutating func sample(_ value: Int64, suffix: String = "", labels: [(name: String, value: String)] = []) {
        text += name + suffix
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    private static func escaped(_ value: String) -> String {
        var escaped = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
