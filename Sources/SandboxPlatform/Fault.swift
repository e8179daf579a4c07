/// Something that goes wrong on purpose.
public struct Fault: Sendable, Equatable {
    /// What happens instead of the right answer.
    public enum Answer: Sendable, Equatable {
        /// This status, body and these headers.
        case status(Int, body: String = "", headers: [String: String] = [:])
        /// 200 with a web page, as some proxies answer.
        case html
        /// The right answer's body, cut in the middle, as a valid HTTP message.
        case cutOff
        /// The right answer's head, half of its body, then the connection ends.
        case cutShort
        /// 200, and a body that does not end.
        case endless
        /// Nothing, until the faults are cleared; then the right answer.
        case hang
        /// The TCP connection is reset.
        case reset
        /// The right answer without these fields (of a PUT: without these headers).
        case omit([String])
        /// The right answer with these fields changed (of a PUT: these headers).
        case replace([String: JSONValue])
        /// A report is accepted, but these chunks come out `failed`.
        case failChunks([Int])
        /// The session is `failed` or `expired` from now on; then the right answer to that.
        case session(String)
    }

    /// Whether the request takes effect.
    public enum When: String, Sendable, Equatable {
        /// It does not.
        case before
        /// It does; only its answer is another.
        case after
    }

    /// Which requests; all when empty.
    public var on: Set<RequestKind>
    /// What happens.
    public var answer: Answer
    /// How often; nil is without end.
    public var count: Int? = 1
    /// How many matching requests go through first.
    public var skip = 0
    /// Each so manieth matching request only.
    public var every = 1
    /// Matching requests are hit with this probability.
    public var probability = 1.0
    /// Only this chunk's PUTs.
    public var chunkIndex: Int?
    /// Only this session.
    public var uploadID: String?
    /// Nil: before, except for answers that are made from the right one.
    public var when: When?
    /// Of a PUT that is answered before: whether its body is read first.
    public var drain = false
    /// Of a PUT: so many bytes of its body are read first.
    public var afterBytes: Int?

    /// A fault that happens once.
    public init(on: Set<RequestKind>, _ answer: Answer) {
        self.on = on
        self.answer = answer
    }

    /// Whether the request takes effect.
    var timing: When {
        switch answer {
        case .cutOff, .cutShort, .omit, .replace, .failChunks: .after
        case .session: .before
        case .status, .html, .endless, .hang, .reset: when ?? .before
        }
    }

    /// Whether it answers, or ends the connection, without the handler.
    var answersByItself: Bool {
        switch answer {
        case .status, .html, .endless, .reset: true
        case .cutOff, .cutShort, .hang, .omit, .replace, .failChunks, .session: false
        }
    }

    /// As the journal names it.
    var name: String {
        switch answer {
        case .status(let status, _, _): "\(status)"
        case .html: "html"
        case .cutOff: "cut-off"
        case .cutShort: "cut-short"
        case .endless: "endless"
        case .hang: "hang"
        case .reset: "reset"
        case .omit(let fields): "omit " + fields.joined(separator: ",")
        case .replace(let fields): "replace " + fields.keys.sorted().joined(separator: ",")
        case .failChunks(let chunks): "fail_chunks " + chunks.map(String.init).joined(separator: ",")
        case .session(let status): "session \(status)"
        }
    }
}

extension Fault {
    /// Reads a text as `POST /_sandbox/faults` takes it. Throws for anything that is not understood.
    public static func list(parsing text: String) throws -> [Fault] {
        try list(try JSONValue(parsing: text))
    }

    /// Reads `{"faults": [...]}`. Throws for anything that is not understood, so that no script expects a fault in vain.
    static func list(_ json: JSONValue) throws(Refusal) -> [Fault] {
        guard case .object(let members) = json, members.keys.allSatisfy({ $0 == "faults" }),
            let faults = json["faults"]?.array
        else { throw .parameterInvalid("faults", "an array of faults is expected") }
        var list: [Fault] = []
        for fault in faults { list.append(try Fault(fault)) }
        return list
    }

    init(_ json: JSONValue) throws(Refusal) {
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

    private static func kinds(_ json: JSONValue?) throws(Refusal) -> Set<RequestKind> {
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

    private static func answer(_ json: JSONValue) throws(Refusal) -> Answer {
        switch json.string {
        case "html": return .html
        case "cut-off": return .cutOff
        case "cut-short": return .cutShort
        case "endless": return .endless
        case "hang": return .hang
        case "reset": return .reset
        case nil: break
        default: throw .parameterInvalid("answer", "not an answer that is known")
        }
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
