import NIOCore

/// The platform's calls: everything below `/v1.3/assets`. Requests come here when they keep to the constraints.
struct APIHandler: Sendable {
    let platform: Platform
    let request: APIRequest
    /// Scheme, host and port of the URLs that are given out.
    let storeOrigin: String
    /// Chunks of a report that come out as failed although they are accepted.
    var failing: Set<Int> = []
    /// Adds to the request's journal entry.
    let amend: @Sendable ((inout JournalEntry) -> Void) -> Void

    init(
        platform: Platform, request: APIRequest, storeOrigin: String,
        amend: @escaping @Sendable ((inout JournalEntry) -> Void) -> Void
    ) {
        self.platform = platform
        self.request = request
        self.storeOrigin = storeOrigin
        self.amend = amend
    }

    /// Throws `Refusal` for what the platform refuses; file errors.
    func answer(_ route: Route) async throws -> SandboxAnswer {
        switch route {
        case .create: try await create()
        case .list: try list()
        case .status(let uploadID): try status(uploadID)
        case .report(let uploadID): try await report(uploadID)
        case .urls(let uploadID): try urls(uploadID)
        case .assets: assets()
        case .asset(let assetID): try asset(assetID)
        case .deleteAsset(let assetID): try await delete(assetID)
        case .metadata(let assetID): try await changeMetadata(assetID)
        case .put, .content, .control, .unknown: throw Refusal.notFound("resource")
        }
    }

    // MARK: create

    private func create() async throws -> SandboxAnswer {
        let settings = platform.currentSettings
        let request = try CreateRequest(request)
        amend {
            $0.filename = request.filename
            $0.totalSize = request.totalSize
        }
        let now = platform.now
        let record = SandboxUpload(
            uploadID: platform.ids.next(at: now), assetID: platform.ids.next(at: now), filename: request.filename,
            type: request.type, totalSize: request.totalSize, chunkSize: settings.chunkSize,
            totalChunks: Int((request.totalSize + settings.chunkSize - 1) / settings.chunkSize), createdAt: now,
            expiresAt: now.advanced(by: settings.sessionLifetime), updatedAt: now, options: request.options)
        try await platform.directory.create(platform.sessions.insert(record))
        amend {
            $0.uploadID = record.uploadID
            $0.assetID = record.assetID
        }
        let chunks = 1..<min(record.totalChunks, settings.initialURLs) + 1
        return .json(
            .object([
                "upload_id": .string(record.uploadID), "asset_id": .string(record.assetID),
                "upload_urls": presignedURLs(record, chunks, at: now, settings: settings),
                "upload_headers": .object(settings.uploadHeaders(store: storeAuthority).mapValues { .string($0) }),
                "chunk_size": .integer(record.chunkSize), "total_chunks": .integer(Int64(record.totalChunks)),
                "expires_at": .string(record.expiresAt.rfc3339),
            ]), status: 201)
    }

    /// Host and port of the URLs that are given out.
    var storeAuthority: String { storeOrigin.afterScheme }

    // MARK: list and status

    private func list() throws -> SandboxAnswer {
        let now = platform.now
        let incomplete = platform.sessions.all.filter { !$0.deleted && $0.status(at: now) == .active }
        let page = PageRequest(request)
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

    private func status(_ uploadID: String) throws -> SandboxAnswer {
        let page = PageRequest(request)
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

    private func chunk(_ index: Int, of record: SandboxUpload) -> SandboxJSON {
        var members: [String: SandboxJSON] = [
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

    private func report(_ uploadID: String) async throws -> SandboxAnswer {
        let chunks = try ReportRequest(request).chunks
        amend { $0.chunkIndices = chunks.map(\.index) }
        let settings = platform.currentSettings
        let now = platform.now
        let (counts, snapshot) = try platform.sessions.change(uploadID, orThrow: unknown("upload_id", uploadID)) {
            record throws(Refusal) in try record.report(chunks, failing: failing, at: now, settings: settings)
        }
        try await platform.directory.write(snapshot)
        let record = snapshot.record
        amend {
            $0.assetID = record.assetID
            $0.duplicateChunks = counts.duplicates
        }
        var members: [String: SandboxJSON] = [
            "asset_id": .string(record.assetID), "processed_chunks": .integer(Int64(counts.processed)),
            "duplicate_chunks": .integer(Int64(counts.duplicates)),
            "total_completed": .integer(Int64(record.reported.count)),
        ]
        if record.isComplete, settings.assetURLs {
            members["url"] = .string(contentURL(of: record, at: now, lifetime: settings.assetURLLifetime))
        }
        return .json(.object(members))
    }

    private func contentURL(of record: SandboxUpload, at now: WallTime, lifetime: Duration?) -> String {
        let expires = lifetime.map { now.advanced(by: $0) }
        return storeOrigin + platform.signer.target(ofAsset: record.assetID, named: record.filename, until: expires)
    }

    // MARK: more URLs

    private func urls(_ uploadID: String) throws -> SandboxAnswer {
        let settings = platform.currentSettings
        let now = platform.now
        let fields = try Fields(request.body)
        let start = try fields.integer("start")
        let count = try fields.integer("count")
        let record = try session(uploadID)
        try record.requireActive(at: now)
        guard start <= record.totalChunks else {
            throw Refusal.parameterInvalid("start", "the upload has \(record.totalChunks) chunks")
        }
        let end = min(Int(start) + min(Int(count), settings.urlsPerCall), record.totalChunks + 1)
        let chunks = Int(start)..<max(end, Int(start))
        return .json(
            .object([
                "upload_id": .string(uploadID), "start_index": .integer(start),
                "count": .integer(Int64(chunks.count)),
                "upload_urls": presignedURLs(record, chunks, at: now, settings: settings),
                "generated_at": .string(now.rfc3339),
                "expires_at": .string(now.advanced(by: settings.urlLifetime).rfc3339),
            ]))
    }

    private func presignedURLs(
        _ record: SandboxUpload, _ chunks: Range<Int>, at now: WallTime, settings: SandboxSettings
    ) -> SandboxJSON {
        // Whole seconds, as the field `expires_at` can tell them, and never earlier than it tells.
        let expires = now.advanced(by: settings.urlLifetime)
        return .array(
            chunks.map { index in
                let grant = URLSigner.Grant(
                    uploadID: record.uploadID, chunkIndex: index,
                    serial: hex(UInt64.random(in: 0...UInt64.max), digits: 16),
                    expires: Int64(expires.seconds * 1000))
                return .object([
                    "chunk_index": .integer(Int64(index)),
                    "url": .string(storeOrigin + platform.signer.target(for: grant)),
                    "expires_at": .string(expires.rfc3339),
                ])
            })
    }

    // MARK: looking up

    /// A session whose asset was deleted is gone too.
    private func session(_ uploadID: String) throws(Refusal) -> SandboxUpload {
        guard let record = platform.sessions.record(uploadID), !record.deleted else {
            throw unknown("upload_id", uploadID)
        }
        return record
    }

    /// The refusal of an id that names nothing of the account's, in the words of the constraint on it.
    func unknown(_ parameter: String, _ id: String) -> Refusal {
        let rows = Constraints.of(request.call, request.specification).rows
        guard let row = rows.first(where: { $0.parameter == parameter && $0.rule == .known }) else {
            return .notFound("resource")
        }
        guard !platform.unenforced.contains(row) else {
            return Refusal(style: .api, status: 501, code: "not_enforced", message: "\(row.name) is not enforced.")
        }
        var refusal = row.refusal(naming: id)
        if parameter == "asset_id", request.call != .metadata {
            refusal.status = platform.currentSettings.missingAssetStatus
        }
        return refusal
    }
}
