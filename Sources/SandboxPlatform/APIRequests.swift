import NIOCore

/// An object's fields, each asked for by its name.
struct Fields {
    private let members: [String: SandboxJSON]

    /// Throws for what is no object.
    init(_ json: SandboxJSON?) throws(Refusal) {
        guard case .object(let members)? = json else { throw .parameterInvalid("body", "an object is expected") }
        self.members = members
    }

    /// Throws for a field that is not known.
    init(_ json: SandboxJSON?, known: Set<String>) throws(Refusal) {
        try self.init(json)
        for name in members.keys.sorted() where !known.contains(name) { throw .parameterUnknown(name) }
    }

    subscript(_ name: String) -> SandboxJSON? { members[name] }

    func required(_ name: String) throws(Refusal) -> SandboxJSON {
        guard let value = members[name], value != .null else { throw .parameterMissing(name) }
        return value
    }

    func string(_ name: String) throws(Refusal) -> String {
        guard let text = try required(name).string else { throw .parameterInvalid(name, "a string is expected") }
        return text
    }

    func integer(_ name: String) throws(Refusal) -> Int64 {
        guard let number = try required(name).integer else { throw .parameterInvalid(name, "an integer is expected") }
        return number
    }
}

/// What *create* asks for.
struct CreateRequest {
    let filename: String
    let type: String
    let totalSize: Int64
    /// `enable_hls`, `enable_thumbnail`, `user_metadata`, where given.
    let options: SandboxJSON

    init(_ request: APIRequest) throws(Refusal) {
        let fields = try Fields(request.body)
        filename = try fields.string("filename")
        type = try fields.string("type")
        totalSize = try fields.integer("total_size")
        var given: [String: SandboxJSON] = [:]
        for name in ["enable_hls", "enable_thumbnail", "user_metadata"] {
            if let value = fields[name] { given[name] = value }
        }
        options = .object(given)
    }
}

/// The chunks of a report.
struct ReportRequest {
    struct Chunk: Sendable {
        var index: Int
        /// Without quotes.
        var proof: String
        var size: Int64
    }

    let chunks: [Chunk]

    init(_ request: APIRequest) throws(Refusal) {
        var chunks: [Chunk] = []
        for item in try Fields(request.body).required("completed_chunks").array ?? [] {
            let fields = try Fields(item)
            chunks.append(
                Chunk(
                    index: Int(try fields.integer("chunk_index")), proof: try fields.string("proof"),
                    size: try fields.integer("chunk_size")))
        }
        self.chunks = chunks
    }
}

extension SandboxUpload {
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
            confirmedAt = now.advanced(by: settings.completionDelay)
            if settings.assetDelay > .zero { visibleAt = now.advanced(by: settings.assetDelay) }
            processedAt = now.advanced(by: settings.processingTime)
            assetFailure = settings.assetFailure
        }
        return counts
    }
}

/// `page` and `page_limit`.
struct PageRequest {
    let number: Int
    let limit: Int

    init(_ request: APIRequest) {
        func parameter(_ name: String) -> Int? { request.list(name).first.flatMap { Int($0) } }
        number = max(1, parameter("page") ?? 1)
        limit = max(1, parameter("page_limit") ?? 10)
    }

    /// Empty for a page past the end.
    func items<Item>(of all: [Item]) -> ArraySlice<Item> {
        let (before, overflow) = (number - 1).multipliedReportingOverflow(by: limit)
        let start = overflow ? all.count : min(before, all.count)
        return all[start..<start + min(limit, all.count - start)]
    }

    func info(total: Int) -> SandboxJSON {
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
