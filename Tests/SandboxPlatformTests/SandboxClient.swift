import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import SandboxPlatform

/// Runs a test against a stand-in of its own.
func withSandbox(
    _ configure: (inout SandboxConfiguration) -> Void = { _ in }, _ body: (Sandbox, SandboxClient) async throws -> Void
) async throws {
    var configuration = SandboxConfiguration()
    configuration.chunkSize = 1000
    configure(&configuration)
    let sandbox = try await Sandbox.start(configuration)
    do {
        try await body(sandbox, SandboxClient(sandbox))
    } catch {
        await sandbox.stop()
        throw error
    }
    await sandbox.stop()
}

/// An HTTP client that knows the API's paths and nothing of its rules.
struct SandboxClient: Sendable {
    struct Reply: Sendable {
        var status: Int
        var headers: HTTPHeaders
        var body: ByteBuffer

        var text: String { String(buffer: body) }
        var json: SandboxJSON { (try? SandboxJSON(parsing: body)) ?? .null }
        /// The API's `code`.
        var code: String? { json["code"]?.string }
        var etag: String? { headers.first(name: "etag")?.replacing("\"", with: "") }
    }

    /// A session as *create* answered it.
    struct Session: Sendable {
        var json: SandboxJSON
        var uploadID: String { json["upload_id"]?.string ?? "" }
        var assetID: String { json["asset_id"]?.string ?? "" }

        func url(_ chunkIndex: Int) -> String {
            let urls = json["upload_urls"]?.array ?? []
            return urls.first { $0["chunk_index"]?.integer == Int64(chunkIndex) }?["url"]?.string ?? ""
        }
    }

    let sandbox: Sandbox
    var key: String? = "sandbox-key"
    var http = HTTPClient.shared
    /// Scheme, host and port that calls go to.
    var base: String

    init(_ sandbox: Sandbox) {
        self.sandbox = sandbox
        base = sandbox.origin
    }

    func send(
        _ method: HTTPMethod, _ url: String, headers: [(String, String)] = [], body: HTTPClientRequest.Body? = nil
    ) async throws -> Reply {
        var request = HTTPClientRequest(url: url)
        request.method = method
        request.headers = HTTPHeaders(headers)
        request.body = body
        let response = try await http.execute(request, timeout: .seconds(60))
        let bytes = try await response.body.collect(upTo: 64 << 20)
        return Reply(status: Int(response.status.code), headers: response.headers, body: bytes)
    }

    func call(_ method: HTTPMethod, _ path: String, _ json: SandboxJSON? = nil) async throws -> Reply {
        let body = try json.map { HTTPClientRequest.Body.bytes(ByteBuffer(bytes: try $0.encoded())) }
        var headers = key.map { [("x-api-key", $0)] } ?? []
        if json != nil { headers.append(("Content-Type", "application/json")) }
        return try await send(method, base + "/v1.3/assets" + path, headers: headers, body: body)
    }

    func control(_ method: HTTPMethod, _ path: String, _ text: String? = nil) async throws -> Reply {
        let body = text.map { HTTPClientRequest.Body.bytes(ByteBuffer(string: $0)) }
        let headers = text == nil ? [] : [("Content-Type", "application/json")]
        return try await send(method, sandbox.controlOrigin + "/_sandbox/" + path, headers: headers, body: body)
    }

    func create(_ size: Int64, filename: String = "video.mp4") async throws -> Session {
        let reply = try await call(
            .POST, "/multipart-uploads",
            .object(["filename": .string(filename), "type": "video", "total_size": .integer(size)]))
        guard reply.status == 201 else { throw UnexpectedReply(reply: reply) }
        return Session(json: reply.json)
    }

    func put(_ url: String, _ bytes: [UInt8], headers: [(String, String)] = []) async throws -> Reply {
        try await send(.PUT, url, headers: headers, body: .bytes(ByteBuffer(bytes: bytes)))
    }

    func status(_ session: Session) async throws -> Reply {
        try await call(.GET, "/multipart-uploads/\(session.uploadID)")
    }

    func urls(_ session: Session, start: Int64, count: Int64) async throws -> Reply {
        try await call(
            .POST, "/multipart-uploads/\(session.uploadID)/presigned-urls",
            .object(["start": .integer(start), "count": .integer(count)]))
    }

    func freshURL(_ session: Session, _ chunkIndex: Int) async throws -> String {
        let reply = try await urls(session, start: Int64(chunkIndex), count: 1)
        return reply.json["upload_urls"]?.array?.first?["url"]?.string ?? ""
    }

    func report(_ session: Session, _ chunks: [(index: Int, etag: String?, size: Int)]) async throws -> Reply {
        let list = chunks.map { chunk -> SandboxJSON in
            .object([
                "chunk_index": .integer(Int64(chunk.index)), "proof": .string(chunk.etag ?? ""),
                "proof_type": "etag", "chunk_size": .integer(Int64(chunk.size)),
            ])
        }
        return try await call(
            .POST, "/multipart-uploads/\(session.uploadID)", .object(["completed_chunks": .array(list)]))
    }

    /// Uploads everything in chunks of 1000 bytes and answers the last report's reply.
    @discardableResult
    func upload(_ bytes: [UInt8], to session: Session) async throws -> Reply {
        var chunks: [(index: Int, etag: String?, size: Int)] = []
        for (number, start) in stride(from: 0, to: bytes.count, by: 1000).enumerated() {
            let piece = Array(bytes[start..<min(start + 1000, bytes.count)])
            let url = try await freshURL(session, number + 1)
            chunks.append((number + 1, try await put(url, piece).etag, piece.count))
        }
        return try await report(session, chunks)
    }
}

struct UnexpectedReply: Error {
    var reply: SandboxClient.Reply
}

/// Bytes that differ from place to place.
func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 251) }
}
