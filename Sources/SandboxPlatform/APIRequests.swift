import NIOCore

/// A request body's fields, each checked by name.
struct Fields {
    private let members: [String: JSONValue]

    /// Throws for a body that is no JSON object, and for a field that is not known.
    init(_ body: ByteBuffer, known: Set<String>) throws(Refusal) {
        guard let json = try? JSONValue(parsing: body), case .object(let members) = json else {
            throw .parameterInvalid("body", "a JSON object is expected")
        }
        try self.init(members, known: known)
    }

    init(_ members: [String: JSONValue], known: Set<String>) throws(Refusal) {
        for name in members.keys.sorted() where !known.contains(name) {
            throw .parameterInvalid(name, "there is no such parameter")
        }
        self.members = members
    }

    subscript(_ name: String) -> JSONValue? { members[name] }

    func required(_ name: String) throws(Refusal) -> JSONValue {
        guard let value = members[name], value != .null else { throw .parameterMissing(name) }
        return value
    }

    func string(_ name: String) throws(Refusal) -> String {
        guard let text = try required(name).string else { throw .parameterInvalid(name, "a string is expected") }
        return text
    }

    func integer(_ name: String, _ range: ClosedRange<Int64>) throws(Refusal) -> Int64 {
        guard let number = try required(name).integer else { throw .parameterInvalid(name, "an integer is expected") }
        guard range ~= number else {
            throw .parameterInvalid(name, "it must be between \(range.lowerBound) and \(range.upperBound)")
        }
        return number
    }
}

/// *create*, checked.
struct CreateRequest {
    /// An image's largest size, bytes, whatever the limit for videos is (the SDK's documentation: 32 MB).
    static let largestImage: Int64 = 32 << 20

    let filename: String
    let type: String
    let totalSize: Int64
    /// `enable_hls`, `enable_thumbnail`, `user_metadata`, where given.
    let options: JSONValue

    init(_ body: ByteBuffer, settings: SandboxSettings) throws(Refusal) {
        let optional = ["enable_hls", "enable_thumbnail", "user_metadata"]
        let fields = try Fields(body, known: Set(["filename", "type", "total_size"] + optional))
        filename = try fields.string("filename")
        guard (1...255) ~= filename.unicodeScalars.count else {
            throw .parameterInvalid("filename", "it must have between 1 and 255 characters")
        }
        type = try fields.string("type")
        guard ["video", "audio", "image"].contains(type) else {
            throw .parameterInvalid("type", "it must be one of video, audio, image")
        }
        let largest = type == "image" ? min(Self.largestImage, settings.maxFileSize) : settings.maxFileSize
        totalSize = try fields.integer("total_size", 1...largest)
        var given: [String: JSONValue] = [:]
        for name in optional {
            guard let value = fields[name], value != .null else { continue }
            if name == "user_metadata" {
                try Self.checkMetadata(value)
            } else if value.bool == nil {
                throw .parameterInvalid(name, "a boolean is expected")
            }
            given[name] = value
        }
        options = .object(given)
    }

    /// Values are strings, numbers, booleans or arrays of strings.
    private static func checkMetadata(_ metadata: JSONValue) throws(Refusal) {
        guard case .object(let members) = metadata else {
            throw .parameterInvalid("user_metadata", "an object is expected")
        }
        for (name, value) in members {
            switch value {
            case .null, .bool, .integer, .number, .string: break
            case .array(let items) where items.allSatisfy({ $0.string != nil }): break
            case .array, .object:
                throw .parameterInvalid("user_metadata.\(name)", "not a kind of value that metadata can have")
            }
        }
    }
}

/// A report, each chunk checked by itself.
struct ReportRequest {
    /// How many chunks one report may name (the specification: `minItems: 1`, `maxItems: 50`).
    static let chunkCount = 1...50

    struct Chunk: Sendable {
        var index: Int
        /// Without quotes.
        var proof: String
        var size: Int64
    }

    let chunks: [Chunk]

    init(_ body: ByteBuffer) throws(Refusal) {
        let fields = try Fields(body, known: ["completed_chunks"])
        guard let items = try fields.required("completed_chunks").array, Self.chunkCount ~= items.count else {
            let (least, most) = (Self.chunkCount.lowerBound, Self.chunkCount.upperBound)
            throw .parameterInvalid("completed_chunks", "an array of \(least) to \(most) chunks is expected")
        }
        var chunks: [Chunk] = []
        for item in items {
            guard case .object(let members) = item else {
                throw .parameterInvalid("completed_chunks", "a chunk is an object")
            }
            let fields = try Fields(members, known: ["chunk_index", "proof", "proof_type", "chunk_size"])
            guard try fields.string("proof_type") == "etag" else {
                throw .parameterInvalid("proof_type", "it must be etag")
            }
            chunks.append(
                Chunk(
                    index: Int(try fields.integer("chunk_index", 1...Int64(Int32.max))),
                    proof: try fields.string("proof"),
                    size: try fields.integer("chunk_size", 1...Int64.max)))
        }
        self.chunks = chunks
    }
}

extension UploadRecord {
    struct ReportCounts: Sendable {
        var processed = 0
        var duplicates = 0
    }

    /// Throws for a session that takes no more: unknown because deleted (404), failed or expired (400).
    func requireActive(at now: WallTime) throws(Refusal) {
        guard !deleted else { throw .notFound("upload session") }
        let status = status(at: now)
        guard status == .active else {
            throw .parameterInvalid("upload_id", "the upload session is \(status.rawValue)")
        }
    }

    /// Takes a report as a whole, or refuses it as a whole. A chunk that was reported before is a duplicate,
    /// whatever its proof says now. The last chunk completes the session.
    /// - Parameter failing: chunks that are accepted and then come out as failed: their bytes are dropped.
    mutating func report(
        _ chunks: [ReportRequest.Chunk], failing: Set<Int>, at now: WallTime, settings: SandboxSettings
    ) throws(Refusal) -> ReportCounts {
        // The answer to the last report may have been lost: repeating it is fine after completion, too.
        if storedStatus != .completed || deleted { try requireActive(at: now) }
        var counts = ReportCounts()
        var accepted: [Int: ReportedChunk] = [:]
        for chunk in chunks {
            guard let size = size(ofChunk: chunk.index) else {
                throw .parameterInvalid("chunk_index", "\(chunk.index) is not between 1 and \(totalChunks)")
            }
            guard chunk.size == size else {
                throw .parameterInvalid("chunk_size", "chunk \(chunk.index) has \(size) bytes, not \(chunk.size)")
            }
            if reported[chunk.index] != nil || accepted[chunk.index] != nil {
                counts.duplicates += 1
                continue
            }
            guard let part = parts[chunk.index] else {
                throw .parameterInvalid("chunk_index", "chunk \(chunk.index) has not been uploaded")
            }
            guard chunk.proof == part.etag else {
                throw .parameterInvalid("proof", "it is not the ETag of chunk \(chunk.index)")
            }
            counts.processed += 1
            accepted[chunk.index] = ReportedChunk(etag: part.etag, size: size, at: now)
        }
        for (index, chunk) in accepted {
            let fails = failing.contains(index)
            reported[index] = fails ? nil : chunk
            failed[index] = fails ? "The chunk could not be verified." : nil
            if fails { parts[index] = nil }
        }
        updatedAt = now
        if reported.count == totalChunks, storedStatus == .active {
            storedStatus = .completed
            completedAt = now
            processedAt = now.advanced(by: settings.processingTime)
            assetFailure = settings.assetFailure
        }
        return counts
    }
}

/// `page` and `page_limit`.
struct Page {
    let number: Int
    let limit: Int

    /// Throws for a page before 1 and a limit outside 1…50.
    init(_ query: [String: String]) throws(Refusal) {
        func parameter(_ name: String, _ range: ClosedRange<Int>, otherwise value: Int) throws(Refusal) -> Int {
            guard let text = query[name] else { return value }
            guard let number = Int(text), range ~= number else {
                throw .parameterInvalid(name, "it must be between \(range.lowerBound) and \(range.upperBound)")
            }
            return number
        }
        number = try parameter("page", 1...Int(Int32.max), otherwise: 1)
        limit = try parameter("page_limit", 1...50, otherwise: 10)
    }

    /// Empty for a page past the end.
    func items<Item>(of all: [Item]) -> ArraySlice<Item> {
        let start = min((number - 1) * limit, all.count)
        return all[start..<min(start + limit, all.count)]
    }

    func info(total: Int) -> JSONValue {
        .object([
            "limit_per_page": .integer(Int64(limit)), "page": .integer(Int64(number)),
            "total_page": .integer(Int64((total + limit - 1) / limit)), "total_results": .integer(Int64(total)),
        ])
    }
}

/// The MIME type that an asset's `file_type` tells.
func mediaType(ofFile name: String, assetType: String) -> String {
    let types = [
        "mp4": "video/mp4", "m4v": "video/x-m4v", "mov": "video/quicktime", "mkv": "video/x-matroska",
        "webm": "video/webm", "avi": "video/x-msvideo", "mpg": "video/mpeg", "mpeg": "video/mpeg", "ts": "video/mp2t",
        "mp3": "audio/mpeg", "m4a": "audio/mp4", "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg",
        "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png",
    ]
    let ending = name.split(separator: ".").last.map { $0.lowercased() } ?? ""
    return types[ending] ?? "\(assetType)/octet-stream"
}
