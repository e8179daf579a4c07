/// Something that goes wrong on purpose.
public struct InjectedFault: Sendable, Equatable {
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
        case replace([String: SandboxJSON])
        /// A report is accepted, but these chunks come out `failed`.
        case failChunks([Int])
        /// The session is `failed` or `expired` from now on; then the right answer to that.
        case session(String)
        /// The right answer, so much later (or when the faults are cleared). Before it, the request has no effect yet;
        /// after it (``InjectedFault/when``), it has had its effect all the while.
        case delay(Duration)
        /// This status with a `Location`, in which `{target}` stands for the request's path and query.
        case redirect(String, status: Int = 307)
        /// 429 as an account gets it that has made all its calls: with the headers that tell how many there are in which
        /// time, and when the next may be made.
        case rateLimited(limit: Int = 100, window: Duration = .seconds(86400), retryAfter: Duration)
        /// Of a PUT: it is stored under an ETag of another form than S3's.
        case opaqueETag
        /// Of *create*: `upload_headers` name `Host` and `Content-Length` besides, and one has no value.
        case signedHeaders
        /// The right answer with null in every field that a client can do without, those included that it lacks.
        case nulls

        /// The API's answer with a code that the platform documents. Codes that it does not document are 403 unless
        /// said otherwise.
        public static func refusal(_ code: String, status: Int? = nil, message: String? = nil) -> Answer {
            let documented = DocumentedError.all[code]
            let body = SandboxJSON.object([
                "code": .string(code), "message": .string(message ?? documented?.message ?? "The request has failed."),
            ])
            return .status(
                status ?? documented?.status ?? 403, body: String(decoding: (try? body.encoded()) ?? [], as: UTF8.self))
        }

        /// 403 for an entity that is gone, or another account's. It says nothing about the key.
        public static let readNotAllowed = refusal("read_not_allowed")
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
    /// Only this asset.
    public var assetID: String?
    /// Only requests on a session or an asset whose last report was no longer ago than this.
    public var within: Duration?
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
        case .cutOff, .cutShort, .omit, .replace, .failChunks, .signedHeaders, .nulls, .opaqueETag: .after
        case .session: .before
        case .status, .html, .endless, .hang, .reset, .delay, .redirect, .rateLimited: when ?? .before
        }
    }

    /// Whether it answers, or ends the connection, without the handler.
    var answersByItself: Bool {
        switch answer {
        case .status, .html, .endless, .reset, .redirect, .rateLimited: true
        case .cutOff, .cutShort, .hang, .omit, .replace, .failChunks, .session, .delay, .opaqueETag, .signedHeaders,
            .nulls:
            false
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
        case .delay(let time): "delay \(time)"
        case .redirect(_, let status): "redirect \(status)"
        case .rateLimited: "rate_limit"
        case .opaqueETag: "opaque-etag"
        case .signedHeaders: "signed-headers"
        case .nulls: "nulls"
        }
    }
}
