import UploadCore

/// What the API's POSTs carry.
enum RequestBodies {
    static func session(_ request: SessionRequest) -> JSONValue {
        var fields: [String: JSONValue] = [
            "filename": .string(request.filename),
            "type": .string(request.type.rawValue),
            "total_size": .number(request.totalSize),
        ]
        if let enableHLS = request.enableHLS { fields["enable_hls"] = .bool(enableHLS) }
        if let enableThumbnail = request.enableThumbnail { fields["enable_thumbnail"] = .bool(enableThumbnail) }
        if !request.metadata.isEmpty {
            let pairs = request.metadata.map { ($0.key, JSONValue($0.value)) }
            fields["user_metadata"] = .object(Dictionary(pairs, uniquingKeysWith: { _, last in last }))
        }
        return .object(fields)
    }

    static func report(_ chunks: [ChunkReport]) -> JSONValue {
        let completed = chunks.map { chunk in
            JSONValue.object([
                "chunk_index": .number(chunk.chunkIndex),
                "proof": .string(chunk.etag),
                "proof_type": .string("etag"),
                "chunk_size": .number(chunk.size),
            ])
        }
        return .object(["completed_chunks": .array(completed)])
    }

    static func urls(start: Int, count: Int) -> JSONValue {
        .object(["start": .number(start), "count": .number(count)])
    }
}

extension JSONValue {
    /// A value of the metadata, so that it arrives as what it is: 1.0 as a float, and the largest integer with its last digit.
    init(_ value: MetadataValue) {
        switch value {
        case .string(let text): self = .string(text)
        case .integer(let number): self = .number(number)
        case .float(let number) where number.isFinite: self = .number("\(number)")
        // Other types of data are to be made strings.
        case .float(let number): self = .string("\(number)")
        case .boolean(let value): self = .bool(value)
        }
    }
}
