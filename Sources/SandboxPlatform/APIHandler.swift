import NIOCore

/// The platform's calls: everything below `/v1.3/assets`.
struct APIHandler: Sendable {
    let platform: Platform

    /// What the journal wants to know of a call besides its answer.
    typealias Note = @Sendable ((inout JournalEntry) -> Void) -> Void

    /// - Parameters:
    ///   - origin: scheme, host and port of the URLs that are given out.
    ///   - failing: chunks of a report that come out as failed although they are accepted.
    ///   - note: adds to the request's journal entry.
    /// - Throws: `Refusal` for what the platform refuses; file errors.
    func answer(
        _ route: Route, query: [String: String], body: ByteBuffer, origin: String, failing: Set<Int>, note: Note
    ) async throws -> Answer {
        switch route {
        case .create: try await create(body, origin: origin, note: note)
        case .list: try list(query)
        case .status(let uploadID): try status(uploadID, query)
        case .report(let uploadID): try await report(uploadID, body, origin: origin, failing: failing, note: note)
        case .urls(let uploadID): try urls(uploadID, body, origin: origin)
        case .asset(let assetID): try asset(assetID)
        case .deleteAsset(let assetID): try await delete(assetID, force: query["force"] == "true", note: note)
        case .put, .content, .control, .unknown: throw Refusal.notFound("resource")
        }
    }

    // MARK: create

    private func create(_ body: ByteBuffer, origin: String, note: Note) async throws -> Answer {
        let settings = platform.currentSettings
        let request = try CreateRequest(body, settings: settings)
        note {
            $0.filename = request.filename
            $0.totalSize = request.totalSize
        }
        let now = platform.now
        let record = UploadRecord(
            uploadID: platform.ids.next(at: now), assetID: platform.ids.next(at: now), filename: request.filename,
            type: request.type, totalSize: request.totalSize, chunkSize: settings.chunkSize,
            totalChunks: Int((request.totalSize + settings.chunkSize - 1) / settings.chunkSize), createdAt: now,
            expiresAt: now.advanced(by: settings.sessionLifetime), updatedAt: now, options: request.options)
        try await platform.directory.create(platform.sessions.insert(record))
        note {
            $0.uploadID = record.uploadID
            $0.assetID = record.assetID
        }
        let chunks = 1..<min(record.totalChunks, settings.initialURLs) + 1
        return .json(
            .object([
                "upload_id": .string(record.uploadID), "asset_id": .string(record.assetID),
                "upload_urls": presignedURLs(record, chunks, at: now, origin: origin, settings: settings),
                "upload_headers": .object(settings.uploadHeaders.mapValues { .string($0) }),
                "chunk_size": .integer(record.chunkSize), "total_chunks": .integer(Int64(record.totalChunks)),
                "expires_at": .string(record.expiresAt.rfc3339),
            ]), status: 201)
    }

    // MARK: list and status

    private func list(_ query: [String: String]) throws -> Answer {
        let now = platform.now
        let incomplete = platform.sessions.all.filter { !$0.deleted && $0.status(at: now) == .active }
        let page = try Page(query)
        return .json(
            .object([
                "data": .array(
                    page.items(of: incomplete).map { record in
                        .object([
                            "upload_id": .string(record.uploadID),
                            "status": .string(record.status(at: now).rawValue),
                            "total_size": .integer(record.totalSize), "chunk_size": .integer(record.chunkSize),
                            "total_chunks": .integer(Int64(record.totalChunks)),
                            "created_at": .string(record.createdAt.rfc3339),
                            "expires_at": .string(record.expiresAt.rfc3339),
                        ])
                    }),
                "page_info": page.info(total: incomplete.count),
            ]))
    }

    private func status(_ uploadID: String, _ query: [String: String]) throws -> Answer {
        let page = try Page(query)
        let record = try session(uploadID)
        let uploadedSize = record.reported.values.reduce(0) { $0 + $1.size }
        return .json(
            .object([
                "upload_id": .string(record.uploadID), "status": .string(record.status(at: platform.now).rawValue),
                "uploaded_chunks": .array(page.items(of: Array(1...record.totalChunks)).map { chunk($0, of: record) }),
                "chunks_completed": .integer(Int64(record.reported.count)),
                "chunks_failed": .integer(Int64(record.failed.count)),
                "chunks_pending": .integer(
                    Int64(record.totalChunks - record.reported.count - record.failed.count)),
                "page_info": page.info(total: record.totalChunks),
                "total_size": .integer(record.totalSize), "uploaded_size": .integer(uploadedSize),
                "created_at": .string(record.createdAt.rfc3339), "updated_at": .string(record.updatedAt.rfc3339),
            ]))
    }

    private func chunk(_ index: Int, of record: UploadRecord) -> JSONValue {
        var members: [String: JSONValue] = [
            "index": .integer(Int64(index)), "status": "pending", "uploaded_at": .null,
            "updated_at": .string(record.createdAt.rfc3339),
        ]
        if let reported = record.reported[index] {
            members["status"] = "completed"
            members["uploaded_at"] = .string(reported.at.rfc3339)
            members["updated_at"] = .string(reported.at.rfc3339)
        } else if let reason = record.failed[index] {
            members["status"] = "failed"
            members["error"] = .string(reason)
            members["updated_at"] = .string(record.updatedAt.rfc3339)
        }
        return .object(members)
    }

    // MARK: report

    private func report(
        _ uploadID: String, _ body: ByteBuffer, origin: String, failing: Set<Int>, note: Note
    ) async throws -> Answer {
        let chunks = try ReportRequest(body).chunks
        note { $0.chunkIndices = chunks.map(\.index) }
        let settings = platform.currentSettings
        let now = platform.now
        let (counts, snapshot) = try platform.sessions.change(uploadID, orThrow: .notFound("upload session")) {
            record throws(Refusal) in try record.report(chunks, failing: failing, at: now, settings: settings)
        }
        try await platform.directory.write(snapshot)
        let record = snapshot.record
        note {
            $0.assetID = record.assetID
            $0.duplicateChunks = counts.duplicates
        }
        var members: [String: JSONValue] = [
            "asset_id": .string(record.assetID), "processed_chunks": .integer(Int64(counts.processed)),
            "duplicate_chunks": .integer(Int64(counts.duplicates)),
            "total_completed": .integer(Int64(record.reported.count)),
        ]
        if record.isComplete, settings.assetURLs {
            members["url"] = .string(contentURL(of: record, origin: origin))
        }
        return .json(.object(members))
    }

    private func contentURL(of record: UploadRecord, origin: String) -> String {
        "\(origin)/_store/content/\(record.assetID)/\(record.filename.percentEncoded)"
    }

    // MARK: more URLs

    private func urls(_ uploadID: String, _ body: ByteBuffer, origin: String) throws -> Answer {
        let settings = platform.currentSettings
        let now = platform.now
        let fields = try Fields(body, known: ["start", "count"])
        let start = try fields.integer("start", 1...Int64(Int32.max))
        let count = try fields.integer("count", 1...50)
        let record = try session(uploadID)
        try record.requireActive(at: now)
        guard start <= record.totalChunks else {
            throw Refusal.parameterInvalid("start", "the upload has \(record.totalChunks) chunks")
        }
        let end = min(Int(start) + min(Int(count), settings.urlsPerCall), record.totalChunks + 1)
        let chunks = Int(start)..<end
        return .json(
            .object([
                "upload_id": .string(uploadID), "start_index": .integer(start),
                "count": .integer(Int64(chunks.count)),
                "upload_urls": presignedURLs(record, chunks, at: now, origin: origin, settings: settings),
                "generated_at": .string(now.rfc3339),
                "expires_at": .string(now.advanced(by: settings.urlLifetime).rfc3339),
            ]))
    }

    private func presignedURLs(
        _ record: UploadRecord, _ chunks: Range<Int>, at now: WallTime, origin: String, settings: SandboxSettings
    ) -> JSONValue {
        // Whole seconds, as the field `expires_at` can tell them, and never earlier than it tells.
        let expires = now.advanced(by: settings.urlLifetime)
        return .array(
            chunks.map { index in
                let grant = URLSigner.Grant(
                    uploadID: record.uploadID, chunkIndex: index,
                    serial: hex(UInt64.random(in: 0...UInt64.max), digits: 16),
                    expires: Int64(expires.seconds * 1000))
                return .object([
                    "chunk_index": .integer(Int64(index)), "url": .string(origin + platform.signer.target(for: grant)),
                    "expires_at": .string(expires.rfc3339),
                ])
            })
    }

    // MARK: assets

    private func asset(_ assetID: String) throws -> Answer {
        guard let record = platform.sessions.record(ofAsset: assetID), !record.deleted else {
            throw Refusal.notFound("asset")
        }
        let status = platform.assetStatus(of: record, at: platform.now)
        var members: [String: JSONValue] = [
            "_id": .string(assetID), "method": "multipart", "status": .string(status),
            "filename": .string(record.filename),
            "file_type": .string(mediaType(ofFile: record.filename, assetType: record.type)),
            "created_at": .string(record.createdAt.rfc3339),
        ]
        if let metadata = record.options["user_metadata"] { members["user_metadata"] = metadata }
        if record.options["enable_hls"] == true, record.type != "image" {
            members["hls"] = .object(["status": status == "ready" ? "ready" : "pending"])
        }
        if record.options["enable_thumbnail"] == true {
            members["thumbnail"] = .object(["status": status == "ready" ? "ready" : "pending"])
        }
        if status == "ready" { members["size"] = .integer(record.totalSize) }
        if status == "failed" {
            let reason = record.assetFailure ?? "The upload was not completed."
            members["error"] = .object(["message": .string(reason)])
        }
        return .json(.object(members))
    }

    private func delete(_ assetID: String, force: Bool, note: Note) async throws -> Answer {
        guard let record = platform.sessions.record(ofAsset: assetID), !record.deleted else {
            throw Refusal.notFound("asset")
        }
        let (_, snapshot) = try platform.sessions.change(record.uploadID, orThrow: .notFound("asset")) {
            record throws(Refusal) in
            guard !record.deleted else { throw .notFound("asset") }
            guard force || !record.isReferredTo else {
                throw Refusal(
                    style: .api, status: 409, code: "resource_in_use",
                    message: "The asset is referred to by other resources. Use force to delete it anyway.")
            }
            record.deleted = true
        }
        note { $0.uploadID = record.uploadID }
        try await platform.directory.write(snapshot)
        try await platform.directory.removeParts(snapshot.record)
        return Answer(status: 204)
    }

    // MARK: looking up

    /// A session whose asset was deleted is gone too.
    private func session(_ uploadID: String) throws(Refusal) -> UploadRecord {
        guard let record = platform.sessions.record(uploadID), !record.deleted else {
            throw .notFound("upload session")
        }
        return record
    }
}
