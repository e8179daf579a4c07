import HTTPTypes
import NIOCore

/// A call's request, taken apart as far as the constraints speak of it.
struct APIRequest: Sendable {
    let call: RequestKind
    let specification: Specification
    /// The parameters of the query in their order, percent-decoded.
    let query: [(name: String, value: String)]
    /// Nil when it is no JSON.
    let body: SandboxJSON?
    private let headers: SandboxJSON
    private let queryFields: SandboxJSON

    init(_ route: Route, _ head: HTTPRequest, body: ByteBuffer, specification: Specification) {
        call = route.kind
        self.specification = specification
        query = queryItems(of: head.path ?? "")
        self.body = try? SandboxJSON(parsing: body)
        var headers: [String: SandboxJSON] = [:]
        if let key = head.headerFields.apiKey { headers["x-api-key"] = .string(key) }
        if let type = head.mediaType { headers["content-type"] = .string(type) }
        self.headers = .object(headers)
        let types = Constraints.of(call, specification).types(in: .query)
        var fields: [String: SandboxJSON] = [:]
        for (name, values) in Dictionary(grouping: query, by: \.name) {
            fields[name] = Self.field(values.map(\.value), type: types[name])
        }
        queryFields = .object(fields)
    }

    /// What a parameter's texts stand for: a list stays one, anything else that is there more than once is none of its type.
    private static func field(_ values: [String], type: Constraint.ValueType?) -> SandboxJSON {
        let list = SandboxJSON.array(values.map { .string($0) })
        guard type != .array, values.count == 1, let text = values.first else { return list }
        switch type {
        case .integer: return integer(text).map { .integer($0) } ?? .string(text)
        case .boolean: return ["true": true, "false": false][text] ?? .string(text)
        case .string, .object, .array, .metadata, .metadataOrNull, nil: return .string(text)
        }
    }

    /// Digits, with or without a minus, and nothing else.
    private static func integer(_ text: String) -> Int64? {
        text.hasPrefix("+") ? nil : Int64(text)
    }

    /// The values of a parameter that may come more than once.
    func list(_ name: String) -> [String] { query.filter { $0.name == name }.map(\.value) }

    /// What a place of the request holds; nil when there is no such thing. Paths are not looked into here.
    func value(of place: Constraint.Place) -> SandboxJSON? {
        switch place {
        case .header: headers
        case .query: queryFields
        case .body: body
        case .path: nil
        }
    }
}

extension HTTPRequest {
    /// What the body is said to be, in lower case and without parameters.
    var mediaType: String? {
        headerFields[.contentType].map { type in
            type.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        }
    }
}

/// The parameters after the question mark in their order, percent-decoded, with `+` as the space that forms make of it.
func queryItems(of path: String) -> [(name: String, value: String)] {
    guard let mark = path.firstIndex(of: "?") else { return [] }
    func text(_ encoded: Substring) -> String {
        let spaced = String(encoded.replacing("+", with: " "))
        return spaced.percentDecoded ?? spaced
    }
    return path[path.index(after: mark)...].split(separator: "&").map { pair in
        let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (text(halves[0]), halves.count == 2 ? text(halves[1]) : "")
    }
}
