/// What the sandbox saw: every request, with its times.
package struct SandboxJournal: Sendable, Decodable {
    /// One request.
    package struct Request: Sendable, Decodable, CustomStringConvertible {
        package enum Kind: String, Sendable, Decodable, CaseIterable {
            case create, list, status, report, urls, put, assets, asset, delete, metadata, content
            /// No call of the platform or the store.
            case unknown
        }

        package let sequence: Int
        package let kind: Kind
        package let method: String
        package let path: String
        /// Seconds since 1970.
        package let started: Double
        /// Seconds since 1970; none while it is under way.
        package let finished: Double?
        /// The HTTP status of the answer; none when there was none, or not yet.
        package let status: Int?
        package let uploadID: String?
        package let assetID: String?
        package let chunkIndex: Int?
        /// The signature of the URL that a PUT was sent to.
        package let signature: String?
        /// The length of the body.
        package let bytes: Int?
        package let duplicateChunks: Int?
        /// The chunks that a report named.
        package let chunkIndices: [Int]?
        /// The assets that a list was asked for.
        package let assetIDs: [String]?
        /// The query of a call.
        package let query: String?
        /// The body of a call.
        package let body: String?
        /// The first constraint of the specification that a call violated.
        package let violation: String?
        /// The `x-trace-id` of the answer.
        package let traceID: String?
        package let carriedAPIKey: Bool
        package let filename: String?
        package let totalSize: Int?
        /// The fault that was played on it.
        package let fault: String?

        enum CodingKeys: String, CodingKey {
            case sequence, kind, method, path, started, finished, status, signature, bytes, filename, fault
            case query, body, violation
            case chunkIndices = "chunk_indices"
            case assetIDs = "asset_ids"
            case traceID = "trace_id"
            case uploadID = "upload_id"
            case assetID = "asset_id"
            case chunkIndex = "chunk_index"
            case duplicateChunks = "duplicate_chunks"
            case carriedAPIKey = "carried_api_key"
            case totalSize = "total_size"
        }

        /// Whether it was answered with success.
        package var succeeded: Bool { status.map { (200..<300).contains($0) } ?? false }

        package var description: String {
            let answer = status.map(String.init) ?? (finished == nil ? "under way" : "no answer")
            return "#\(sequence) \(kind.rawValue) \(method) \(path): \(answer)\(fault.map { " (\($0))" } ?? "")"
        }
    }

    package let requests: [Request]
    /// The most PUTs that were under way at one time.
    package let peakConcurrentPuts: Int
    private let peaks: [String: Int]

    enum CodingKeys: String, CodingKey {
        case requests
        case peakConcurrentPuts = "peak_concurrent_puts"
        case peaks = "peak_concurrent"
    }

    /// The most requests of a kind that were under way at one time.
    package func peakConcurrent(_ kind: Request.Kind) -> Int { peaks[kind.rawValue] ?? 0 }

    /// The calls of the API, those to the store not among them.
    package var calls: [Request] { requests.filter { ![.put, .content, .unknown].contains($0.kind) } }

    /// The requests of a kind, in the order of their arrival.
    package func requests(_ kind: Request.Kind) -> [Request] { requests.filter { $0.kind == kind } }

    /// The PUTs that the store took, in the order of their arrival.
    package var storedPuts: [Request] { requests(.put).filter(\.succeeded) }

    /// Those that were answered with a refusal or a failure.
    package var refused: [Request] { requests.filter { $0.status.map { $0 >= 400 } ?? false } }

    /// The sessions that were opened.
    package var sessions: [Request] { requests(.create).filter(\.succeeded) }

    /// Those of one upload.
    package func requests(_ kind: Request.Kind, of uploadID: String?) -> [Request] {
        requests(kind).filter { $0.uploadID != nil && $0.uploadID == uploadID }
    }
}

/// An asset as the sandbox keeps it.
package struct StoredAsset: Sendable, Decodable {
    package let assetID: String
    package let uploadID: String?
    package let filename: String
    package let type: String
    package let size: Int
    /// Of the whole content, in lower-case hexadecimal digits, once it is complete.
    package let sha256: String?
    package let status: String
    /// Whether all of its chunks were stored and reported.
    package let complete: Bool
    package let deleted: Bool

    enum CodingKeys: String, CodingKey {
        case filename, type, size, sha256, status, complete, deleted
        case assetID = "asset_id"
        case uploadID = "upload_id"
    }
}

/// Something that the sandbox is told to do wrong.
package struct Fault: Sendable, Encodable {
    /// What it answers instead of the right answer.
    package enum Answer: Sendable, Encodable {
        /// This status and body.
        case status(Int, body: String, headers: [String: String] = [:])
        /// A page of a proxy.
        case html
        /// The first half of the right answer.
        case cutOff
        /// Nothing, for as long as the client waits.
        case hang
        /// A reset connection.
        case reset
        /// The right answer without these fields.
        case omit([String])
        /// The right answer with another number in this field.
        case replace(String, Int)
        /// The right answer, so many seconds later.
        case delay(Double)
        /// The answer that the platform documents for a code: `read_not_allowed`.
        case refusal(String)
        /// 429 as for an account that has made all its calls of the day, which may go on after so many seconds.
        case rateLimited(retryAfter: Int)

        private struct Status: Encodable {
            let status: Int
            let body: String
            let headers: [String: String]
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .status(let status, let body, let headers):
                try container.encode(Status(status: status, body: body, headers: headers))
            case .html: try container.encode("html")
            case .cutOff: try container.encode("cut-off")
            case .hang: try container.encode("hang")
            case .reset: try container.encode("reset")
            case .omit(let fields): try container.encode(["omit": fields])
            case .replace(let field, let value): try container.encode(["replace": [field: value]])
            case .delay(let seconds): try container.encode(["delay": seconds])
            case .refusal(let code): try container.encode(code)
            case .rateLimited(let seconds): try container.encode(["rate_limit": 100, "retry_after": seconds])
            }
        }
    }

    /// The kind of request it is played on.
    package var on: SandboxJournal.Request.Kind
    /// How many requests of the kind it is played on.
    package var count: Int
    /// How many of the kind pass before the first.
    package var skip = 0
    package var answer: Answer

    enum CodingKeys: String, CodingKey { case on, count, skip, answer }

    package init(on kind: SandboxJournal.Request.Kind, count: Int = 1, skip: Int = 0, _ answer: Answer) {
        self.on = kind
        self.count = count
        self.skip = skip
        self.answer = answer
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(on.rawValue, forKey: .on)
        try container.encode(count, forKey: .count)
        try container.encode(skip, forKey: .skip)
        try container.encode(answer, forKey: .answer)
    }
}
