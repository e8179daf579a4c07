extension InjectedFault {
    /// Reads a text as `POST /_sandbox/faults` takes it. Throws for anything that is not understood.
    public static func list(parsing text: String) throws -> [InjectedFault] {
        try list(try SandboxJSON(parsing: text))
    }

    /// Reads `{"faults": [...]}`. Throws for anything that is not understood, so that no script expects a fault in vain.
    static func list(_ json: SandboxJSON) throws(Refusal) -> [InjectedFault] {
        guard case .object(let members) = json, members.keys.allSatisfy({ $0 == "faults" }),
            let faults = json["faults"]?.array
        else { throw .parameterInvalid("faults", "an array of faults is expected") }
        var list: [InjectedFault] = []
        for fault in faults { list.append(try InjectedFault(fault)) }
        return list
    }

    init(_ json: SandboxJSON) throws(Refusal) {
        guard case .object(let members) = json else { throw .parameterInvalid("faults", "a fault is an object") }
        guard let answer = members["answer"] else { throw .parameterMissing("answer") }
        self.init(on: try Self.kinds(members["on"]), try Self.answer(answer))
        if members["every"] != nil || members["probability"] != nil { count = nil }
        for (name, value) in members {
            func number(_ range: ClosedRange<Int64>) throws(Refusal) -> Int {
                guard let number = value.integer, range ~= number else {
                    throw .parameterInvalid(
                        name, "a number from \(range.lowerBound) to \(range.upperBound) is expected")
                }
                return Int(number)
            }
            switch name {
            case "on", "answer": break
            case "count": count = value == .null ? nil : try number(1...1_000_000_000)
            case "skip": skip = try number(0...1_000_000_000)
            case "every": every = try number(1...1_000_000_000)
            case "chunk_index": chunkIndex = try number(1...1_000_000_000)
            case "after_bytes": afterBytes = try number(0...1_000_000_000_000)
            case "probability":
                guard let share = value.double, (0...1) ~= share else {
                    throw .parameterInvalid(name, "a number from 0 to 1 is expected")
                }
                probability = share
            case "upload_id": uploadID = value.string
            case "asset_id": assetID = value.string
            case "within": within = try GivenSetting(name: name, value: value).duration()
            case "when":
                guard let when = value.string.flatMap({ When(rawValue: $0) }) else {
                    throw .parameterInvalid(name, "before or after is expected")
                }
                self.when = when
            case "drain":
                guard let drain = value.bool else { throw .parameterInvalid(name, "a boolean is expected") }
                self.drain = drain
            default: throw .parameterInvalid(name, "faults have no such field")
            }
        }
    }

    private static func kinds(_ json: SandboxJSON?) throws(Refusal) -> Set<RequestKind> {
        guard let json else { throw .parameterMissing("on") }
        var kinds: Set<RequestKind> = []
        for name in json.array ?? [json] {
            if name.string == "any" { return [] }
            guard let kind = name.string.flatMap({ RequestKind(rawValue: $0) }) else {
                throw .parameterInvalid("on", "not a kind of request")
            }
            kinds.insert(kind)
        }
        return kinds
    }

    private static func answer(_ json: SandboxJSON) throws(Refusal) -> Answer {
        switch json.string {
        case "html": return .html
        case "cut-off": return .cutOff
        case "cut-short": return .cutShort
        case "endless": return .endless
        case "hang": return .hang
        case "reset": return .reset
        case "opaque-etag": return .opaqueETag
        case "signed-headers": return .signedHeaders
        case "nulls": return .nulls
        case nil: return try answerWithDetails(json)
        case let code?:
            guard DocumentedError.all[code] != nil else {
                throw .parameterInvalid("answer", "not an answer that is known")
            }
            return .refusal(code)
        }
    }

    /// An answer that is an object: the first field that is known tells which.
    private static func answerWithDetails(_ json: SandboxJSON) throws(Refusal) -> Answer {
        func given(_ name: String) -> GivenSetting? { json[name].map { GivenSetting(name: name, value: $0) } }
        if let delay = given("delay") { return .delay(try delay.duration()) }
        if let location = json["redirect"]?.string {
            return .redirect(location, status: Int(json["status"]?.integer ?? 307))
        }
        if let limit = given("rate_limit"), let wait = given("retry_after") {
            return .rateLimited(
                limit: try limit.count(), window: try given("window")?.duration() ?? .seconds(86400),
                retryAfter: try wait.duration())
        }
        if let code = json["code"]?.string {
            return .refusal(
                code, status: json["status"]?.integer.map { Int($0) }, message: json["message"]?.string)
        }
        return try answerOfSpoiledFields(json)
    }

    private static func answerOfSpoiledFields(_ json: SandboxJSON) throws(Refusal) -> Answer {
        if let status = json["status"]?.integer, (200...599) ~= status {
            var headers: [String: String] = [:]
            if case .object(let members)? = json["headers"] {
                for (name, value) in members {
                    headers[name] = value.string ?? value.integer.map { String($0) }
                }
            }
            var body = ""
            if let value = json["body"] {
                // A body that is JSON itself may be given as such.
                body = value.string ?? String(decoding: (try? value.encoded()) ?? [], as: UTF8.self)
            }
            return .status(Int(status), body: body, headers: headers)
        }
        if let fields = json["omit"]?.array { return .omit(fields.compactMap(\.string)) }
        if case .object(let fields)? = json["replace"] { return .replace(fields) }
        if let chunks = json["fail_chunks"]?.array {
            return .failChunks(chunks.compactMap { $0.integer.map { Int($0) } })
        }
        if let status = json["session"]?.string, ["failed", "expired"].contains(status) { return .session(status) }
        throw .parameterInvalid("answer", "not an answer that is known")
    }
}
