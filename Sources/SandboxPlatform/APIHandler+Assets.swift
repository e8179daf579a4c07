/// The calls on assets.
extension APIHandler {
    // MARK: list and retrieve

    /// Newest first, those of sessions that are not complete included.
    func assets() -> SandboxAnswer {
        let (settings, now) = (platform.currentSettings, platform.now)
        let ids = request.list("asset_ids")
        let types = request.list("asset_types")
        let part = request.list("filename").first?.lowercased() ?? ""
        let found = platform.sessions.all.reversed().filter { record in
            record.isVisible(at: now) && (ids.isEmpty || ids.contains(record.assetID))
                && (types.isEmpty || types.contains(record.type))
                && (part.isEmpty || record.filename.lowercased().contains(part))
        }
        amend { if !ids.isEmpty { $0.assetIDs = ids } }
        let page = PageRequest(request)
        return .json(
            .object([
                "data": .array(page.items(of: found).map { .object(description(of: $0, at: now, settings)) }),
                "page_info": page.info(total: found.count),
            ]))
    }

    func asset(_ assetID: String) throws(Refusal) -> SandboxAnswer {
        let now = platform.now
        let record = try found(assetID, at: now)
        let settings = platform.currentSettings
        let members = description(of: record, at: now, settings)
        return .json(.object(members.merging(details(of: record, at: now, settings)) { $1 }))
    }

    /// What *list assets* and *retrieve asset* say of an asset: the schema `Asset`.
    private func description(
        of record: SandboxUpload, at now: WallTime, _ settings: SandboxSettings
    ) -> [String: SandboxJSON] {
        let status = platform.assetStatus(of: record, at: now)
        let type = mediaType(ofFile: record.filename, assetType: record.type)
        var members: [String: SandboxJSON] = [
            "_id": .string(record.assetID), "status": .string(status), "filename": .string(record.filename),
            "file_type": .string(type), "created_at": .string(record.createdAt.rfc3339),
        ]
        switch settings.specification {
        case .february2026:
            // February's assets have no other way than these two, and none of what follows.
            members["method"] = "direct"
            return members
        case .july2026: members["method"] = "multipart"
        }
        if let metadata = record.options["user_metadata"], metadata != .object([:]) {
            members["user_metadata"] = metadata
        }
        return members
    }

    /// What *retrieve asset* alone says, besides: what July's schema `AssetDetail` has more than `Asset`.
    private func details(
        of record: SandboxUpload, at now: WallTime, _ settings: SandboxSettings
    ) -> [String: SandboxJSON] {
        guard settings.specification == .july2026 else { return [:] }
        let status = platform.assetStatus(of: record, at: now)
        var members: [String: SandboxJSON] = [:]
        if record.options["enable_hls"] == true, record.type != "image" {
            members["hls"] = .object(["status": status == "ready" ? "ready" : "pending"])
        }
        if record.options["enable_thumbnail"] == true {
            members["thumbnail"] = .object(["status": status == "ready" ? "ready" : "pending"])
        }
        if status == "ready" {
            let size = SandboxJSON.integer(record.reportedSize ?? record.totalSize)
            members["size"] = size
            let type = mediaType(ofFile: record.filename, assetType: record.type)
            members["technical_metadata"] = .object(["file_size_bytes": size, "file_mime_type": .string(type)])
        }
        if status == "failed" {
            let reason = record.assetFailure ?? "The upload was not completed."
            members["error"] = .object(["message": .string(reason)])
        }
        return members
    }

    // MARK: delete and change

    func delete(_ assetID: String) async throws -> SandboxAnswer {
        let force = request.list("force").first == "true"
        let record = try found(assetID, at: platform.now)
        let missing = unknown("asset_id", assetID)
        let (_, snapshot) = try platform.sessions.change(record.uploadID, orThrow: missing) {
            record throws(Refusal) in
            guard !record.deleted else { throw missing }
            guard force || !record.isReferredTo else {
                throw Refusal(
                    style: .api, status: 409, code: "resource_in_use",
                    message: "The asset is referred to by other resources. Use force to delete it anyway.")
            }
            record.deleted = true
        }
        amend { $0.uploadID = record.uploadID }
        try await platform.directory.write(snapshot)
        try await platform.directory.removeParts(snapshot.record)
        return SandboxAnswer(status: platform.currentSettings.specification.deletedStatus)
    }

    /// Adds to an asset's metadata and replaces what is there; null removes a key, an empty string is ignored.
    func changeMetadata(_ assetID: String) async throws -> SandboxAnswer {
        guard case .object(let changes) = try Fields(request.body).required("user_metadata") else {
            throw Refusal.parameterInvalid("user_metadata", "an object is expected")
        }
        let record = try found(assetID, at: platform.now)
        let (_, snapshot) = try platform.sessions.change(record.uploadID, orThrow: unknown("asset_id", assetID)) {
            record throws(Refusal) in
            guard case .object(var options) = record.options else { return }
            var metadata: [String: SandboxJSON] = [:]
            if case .object(let members)? = options["user_metadata"] { metadata = members }
            for (name, value) in changes where value != "" { metadata[name] = value == .null ? nil : value }
            options["user_metadata"] = .object(metadata)
            record.options = .object(options)
        }
        amend { $0.uploadID = record.uploadID }
        try await platform.directory.write(snapshot)
        return SandboxAnswer(status: 200)
    }

    private func found(_ assetID: String, at now: WallTime) throws(Refusal) -> SandboxUpload {
        guard let record = platform.sessions.record(ofAsset: assetID), record.isVisible(at: now) else {
            throw unknown("asset_id", assetID)
        }
        return record
    }
}
