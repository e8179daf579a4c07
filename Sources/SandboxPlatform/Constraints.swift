/// The constraints of one call, in their order, and what follows from them.
struct Constraints: Sendable {
    let rows: [Constraint]

    /// Those of a call; none for one that the specification does not have.
    static func of(_ call: RequestKind, _ specification: Specification) -> Constraints {
        tables[specification]?[call] ?? Constraints(rows: [])
    }

    private static let tables = Dictionary(
        uniqueKeysWithValues: Specification.allCases.map { specification in
            let byCall = Dictionary(grouping: Constraint.all(of: specification), by: \.call)
            return (specification, byCall.mapValues { Constraints(rows: $0) })
        })

    /// What violates a request. `parameter` names the place as a message does: `completed_chunks[3].proof`.
    struct Violation: Sendable {
        /// As the table has it.
        var constraint: Constraint
        /// As it was enforced, which may be with the account's own limit.
        var enforced: Constraint
        var parameter: String

        var refusal: Refusal {
            var refusal = enforced.refusal(naming: parameter)
            refusal.constraint = constraint.name
            return refusal
        }
    }

    /// The first constraint that a request violates. That the key and the entities are the account's own is not looked
    /// at: see ``Constraint/refusal(naming:)``.
    /// - Parameters:
    ///   - largest: what is the most that `total_size` may be, instead of what the specification says. An image's
    ///     own maximum is not raised by it.
    ///   - exempt: constraints that are not enforced.
    func violation(of request: APIRequest, largest: Int64?, except exempt: Set<Constraint> = []) -> Violation? {
        for row in rows where !exempt.contains(row) {
            guard row.condition.map({ $0.holds(in: request) }) ?? true else { continue }
            var effective = row
            if let largest, row.parameter == "total_size", case .maximum(let most) = row.rule {
                effective.rule = .maximum(row.condition?.values == ["image"] ? min(most, largest) : largest)
            }
            if let parameter = violator(of: effective, in: request) {
                return Violation(constraint: row, enforced: effective, parameter: parameter)
            }
        }
        return nil
    }

    /// Nil when the constraint holds; otherwise what violates it.
    private func violator(of row: Constraint, in request: APIRequest) -> String? {
        for (path, value) in row.occurrences(in: request) {
            switch (row.rule, value) {
            case (.known, _): break
            case (.required, nil): return path
            case (_, nil):
                // A body is there as a whole; what is in it may be missing unless it is required.
                if row.parameter.isEmpty { return path }
            case (.noOthers(let names), .object(let members)?):
                if let other = members.keys.filter({ !names.contains($0) }).min() {
                    return path.isEmpty ? other : "\(path).\(other)"
                }
            case (_, let value?):
                if !row.rule.holds(for: value) { return path }
            }
        }
        return nil
    }

    /// The types of the parameters in one place, as far as the list has them.
    func types(in place: Constraint.Place) -> [String: Constraint.ValueType] {
        var types: [String: Constraint.ValueType] = [:]
        for row in rows where row.place == place {
            if case .type(let type) = row.rule { types[row.parameter] = type }
            if row.parameter.hasSuffix("[]") { types[String(row.parameter.dropLast(2))] = .array }
        }
        return types
    }
}

extension Constraint {
    /// The answer to a request that violates it.
    /// - Parameter name: the parameter as the message has it; where it is the whole of its place, the place; where the
    ///   value is unknown, the value.
    func refusal(naming name: String) -> Refusal {
        let name = name.isEmpty ? place.rawValue : name
        let message =
            switch (code, rule) {
            case ("unauthorized", _): "Authentication failed. The \(name) header was not provided."
            case ("api_key_invalid", _): "API Key is either invalid or expired."
            case (_, .required): "The \(name) parameter is required but was not provided."
            case (_, .noOthers): "The \(name) parameter is unknown."
            case (_, .known): "Resource with id \(name) does not exist."
            case (_, .type), (_, .minimum), (_, .maximum), (_, .minLength), (_, .maxLength), (_, .minItems),
                (_, .maxItems), (_, .oneOf):
                "The \(name) parameter is invalid: \(rule.complaint)."
            }
        var refusal = Refusal(style: .api, status: status, code: code, message: message)
        refusal.constraint = self.name
        return refusal
    }

    /// Every place in a request where the parameter is, or would be if it were given.
    fileprivate func occurrences(in request: APIRequest) -> [(path: String, value: SandboxJSON?)] {
        var found: [(path: String, value: SandboxJSON?)] = [("", request.value(of: place))]
        guard !parameter.isEmpty else { return found }
        for component in parameter.split(separator: ".") {
            let name = component.prefix { $0 != "[" }
            found = found.flatMap { Self.step(name, from: $0) }
            if component.hasSuffix("[]") { found = found.flatMap { Self.elements(of: $0) } }
        }
        return found
    }

    private static func step(
        _ name: Substring, from parent: (path: String, value: SandboxJSON?)
    ) -> [(path: String, value: SandboxJSON?)] {
        guard case .object(let members)? = parent.value else { return [] }
        let prefix = parent.path.isEmpty ? "" : parent.path + "."
        guard name == "*" else { return [(prefix + name, members[String(name)])] }
        return members.keys.sorted().map { (prefix + $0, members[$0]) }
    }

    private static func elements(
        of list: (path: String, value: SandboxJSON?)
    ) -> [(path: String, value: SandboxJSON?)] {
        (list.value?.array ?? []).enumerated().map { ("\(list.path)[\($0.offset)]", $0.element) }
    }
}

extension Constraint.Condition {
    fileprivate func holds(in request: APIRequest) -> Bool {
        request.body?[field]?.string.map { values.contains($0) } ?? false
    }
}
