/// Answers that hold nothing that a client can do without.
extension SandboxAnswer {
    /// The answer with null in every field that the documentation does not promise and a client can do without, whether
    /// it was there or not. Of a report, a `url` that is there stays: that is what completion is told by.
    func withNulls(of kind: RequestKind) -> SandboxAnswer {
        guard case .json(let value) = body else { return self }
        var answer = self
        let paths = (200..<300).contains(status) ? Self.dispensable(kind) : ["docs_url"]
        let spoiled = paths.reduce(value) { $0.settingNull(at: $1.split(separator: ".")[...]) }
        answer.body = .json(value["url"] == nil ? spoiled : spoiled.setting("url", value["url"] ?? .null))
        return answer
    }

    private static func dispensable(_ kind: RequestKind) -> [String] {
        let asset = [
            "method", "filename", "file_type", "created_at", "user_metadata", "source", "hls", "thumbnail",
            "technical_metadata", "size", "duration", "error",
        ]
        switch kind {
        case .create: return ["total_chunks", "upload_headers", "expires_at", "upload_urls.[].expires_at"]
        case .list: return ["data.[].created_at", "data.[].expires_at"]
        case .status:
            return [
                "upload_id", "chunks_completed", "chunks_failed", "chunks_pending", "page_info", "total_size",
                "uploaded_size", "created_at", "updated_at",
            ] + ["uploaded_at", "updated_at", "error"].map { "uploaded_chunks.[].\($0)" }
        case .report: return ["url", "asset_id", "processed_chunks", "duplicate_chunks"]
        case .urls:
            return ["upload_id", "start_index", "count", "generated_at", "expires_at", "upload_urls.[].expires_at"]
        case .assets: return ["page_info"] + asset.map { "data.[].\($0)" }
        case .asset: return asset
        case .put, .delete, .metadata, .content, .unknown: return []
        }
    }

    /// *Create*'s answer as of a backend that hands on what its presigner signed: the store's name and the chunk's
    /// length, which are the client's to compute, and a header without a value.
    func namingSignedHeaders() -> SandboxAnswer {
        guard case .json(let value) = body, let url = value["upload_urls"]?.array?.first?["url"]?.string,
            let size = value["chunk_size"]?.integer
        else { return self }
        var headers: [String: SandboxJSON] = [:]
        if case .object(let members)? = value["upload_headers"] { headers = members }
        headers["Host"] = .string(String(url.afterScheme.prefix { $0 != "/" }))
        headers["Content-Length"] = .string(String(size))
        headers["x-amz-acl"] = .null
        return replacing("upload_headers", with: .object(headers))
    }
}

extension SandboxJSON {
    /// The object with another value for a member; anything else stays as it is.
    fileprivate func setting(_ name: String, _ value: SandboxJSON) -> SandboxJSON {
        guard case .object(var members) = self else { return self }
        members[name] = value
        return .object(members)
    }

    /// With null at `list.[].field`.
    fileprivate func settingNull(at path: ArraySlice<Substring>) -> SandboxJSON {
        guard let name = path.first else { return .null }
        if name == "[]" {
            guard case .array(let items) = self else { return self }
            return .array(items.map { $0.settingNull(at: path.dropFirst()) })
        }
        guard case .object(let members) = self else { return self }
        let isLast = path.count == 1
        guard let member = members[String(name)] ?? (isLast ? .null : nil) else { return self }
        return setting(String(name), member.settingNull(at: path.dropFirst()))
    }
}
