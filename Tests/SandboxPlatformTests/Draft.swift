import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import SandboxPlatform

/// A request that keeps to every constraint of its call, for a test to spoil in one place.
struct Draft: Sendable {
    var method: HTTPMethod
    /// Below `/v1.3/assets`.
    var path: String
    var query: [String] = []
    var headers: [String: String] = ["x-api-key": "sandbox-key"]
    var body: SandboxJSON?

    /// A field of the body, or of an object in it: `completed_chunks.0.proof`. Setting nil removes it.
    subscript(_ path: String) -> SandboxJSON? {
        get {
            path.split(separator: ".").reduce(body) { parent, name in
                if let index = Int(name) { parent?.array?[index] } else { parent?[String(name)] }
            }
        }
        set { body = Self.set(newValue, at: path.split(separator: ".")[...], in: body) }
    }

    private static func set(_ value: SandboxJSON?, at path: ArraySlice<Substring>, in parent: SandboxJSON?)
        -> SandboxJSON?
    {
        guard let name = path.first else { return value }
        if let index = Int(name), case .array(var items)? = parent {
            items[index] = set(value, at: path.dropFirst(), in: items[index]) ?? .null
            return .array(items)
        }
        guard case .object(var members)? = parent else { return parent }
        members[String(name)] = set(value, at: path.dropFirst(), in: members[String(name)])
        return .object(members)
    }
}

/// What drafts speak of: a session of two chunks, the first of which is stored.
struct Ground: Sendable {
    let uploadID: String
    let assetID: String
    let etag: String

    init(_ client: SandboxClient) async throws {
        let session = try await client.create(1500)
        uploadID = session.uploadID
        assetID = session.assetID
        etag = try await client.put(session.url(1), pattern(1000)).etag ?? ""
    }

    /// A request that the call accepts, with every parameter that it takes under a specification.
    func draft(_ call: RequestKind, _ specification: Specification) -> Draft {
        let july = specification == .july2026
        var draft: Draft
        switch call {
        case .create:
            draft = Draft(method: .POST, path: "/multipart-uploads")
            draft.body = .object(["filename": "a.mp4", "type": "video", "total_size": 1500])
            if july {
                draft["enable_hls"] = true
                draft["enable_thumbnail"] = false
                draft["user_metadata"] = .object(["take": 3, "rating": .number(9.5), "final": true, "by": "me"])
            }
        case .list: draft = Draft(method: .GET, path: "/multipart-uploads", query: ["page=1", "page_limit=50"])
        case .status:
            draft = Draft(method: .GET, path: "/multipart-uploads/\(uploadID)", query: ["page=1", "page_limit=50"])
        case .report:
            draft = Draft(method: .POST, path: "/multipart-uploads/\(uploadID)")
            draft.body = .object([
                "completed_chunks": .array([
                    .object([
                        "chunk_index": 1, "proof": .string(etag), "proof_type": "etag", "chunk_size": 1000,
                    ])
                ])
            ])
        case .urls:
            draft = Draft(method: .POST, path: "/multipart-uploads/\(uploadID)/presigned-urls")
            draft.body = .object(["start": 1, "count": 50])
        case .assets:
            draft = Draft(method: .GET, path: "", query: ["page=1", "page_limit=50", "asset_ids=\(assetID)"])
            draft.query += ["asset_ids=x", "asset_types=video", "asset_types=audio"] + (july ? ["filename=VID"] : [])
        case .asset: draft = Draft(method: .GET, path: "/\(assetID)")
        case .delete: draft = Draft(method: .DELETE, path: "/\(assetID)", query: july ? ["force=true"] : [])
        case .metadata:
            draft = Draft(method: .PATCH, path: "/\(assetID)/user-metadata")
            draft.body = .object(["user_metadata": .object(["take": 4, "by": .null])])
        case .put, .content, .unknown: draft = Draft(method: .GET, path: "/no-call-of-the-platform")
        }
        if draft.body != nil { draft.headers["content-type"] = "application/json; charset=utf-8" }
        return draft
    }
}

extension SandboxClient {
    func send(_ draft: Draft) async throws -> Reply {
        let query = draft.query.isEmpty ? "" : "?" + draft.query.joined(separator: "&")
        return try await send(
            draft.method, base + "/v1.3/assets" + draft.path + query,
            headers: draft.headers.map { ($0.key, $0.value) },
            body: try draft.body.map { .bytes(ByteBuffer(bytes: try $0.encoded())) })
    }
}
