import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct CreateTests {
    @Test func answersASessionWithItsFirstURLs() async throws {
        try await withSandbox {
            $0.initialURLs = 2
            $0.clock = ManualClock()
        } _: { sandbox, client in
            let session = try await client.create(4500)
            #expect(session.uploadID.count == 24)
            #expect(session.assetID.count == 24)
            #expect(session.uploadID != session.assetID)
            #expect(session.json["total_chunks"] == 5)
            #expect(session.json["chunk_size"] == 1000)
            #expect(session.json["upload_headers"] == .object([:]))
            #expect(session.json["expires_at"] == "2023-11-15T22:13:20Z")
            let urls = session.json["upload_urls"]?.array ?? []
            #expect(urls.compactMap { $0["chunk_index"]?.integer } == [1, 2])
            #expect(urls.allSatisfy { $0["expires_at"] == "2023-11-14T23:13:20Z" })
            #expect(urls.allSatisfy { $0["url"]?.string?.hasPrefix(sandbox.origin + "/_store/") == true })
        }
    }

    @Test(arguments: [
        (#"{"type":"video","total_size":1}"#, "parameter_not_provided", "filename"),
        (#"{"filename":"a.mp4","total_size":1}"#, "parameter_not_provided", "type"),
        (#"{"filename":"a.mp4","type":"video"}"#, "parameter_not_provided", "total_size"),
        (#"{"filename":"a.mp4","type":"video","total_size":null}"#, "parameter_not_provided", "total_size"),
        (#"{"filename":"","type":"video","total_size":1}"#, "parameter_invalid", "filename"),
        (#"{"filename":7,"type":"video","total_size":1}"#, "parameter_invalid", "filename"),
        (#"{"filename":"a.txt","type":"text","total_size":1}"#, "parameter_invalid", "type"),
        (#"{"filename":"a.mp4","type":"video","total_size":0}"#, "parameter_invalid", "total_size"),
        (#"{"filename":"a.mp4","type":"video","total_size":-1}"#, "parameter_invalid", "total_size"),
        (#"{"filename":"a.mp4","type":"video","total_size":"1"}"#, "parameter_invalid", "total_size"),
        (#"{"filename":"a.mp4","type":"video","total_size":5001}"#, "parameter_invalid", "total_size"),
        (#"{"filename":"a.mp4","type":"video","total_size":1,"size":1}"#, "parameter_unknown", "size"),
        (#"{"filename":"a.mp4","type":"video","total_size":1,"enable_hls":1}"#, "parameter_invalid", "enable_hls"),
        (
            #"{"filename":"a.mp4","type":"video","total_size":1,"user_metadata":[]}"#, "parameter_invalid",
            "user_metadata"
        ),
        (#"{"filename":"a.mp4","type":"video","total_size":1,"user_metadata":{"a":[1]}}"#, "parameter_invalid", "a"),
        ("[]", "parameter_invalid", "body"), ("{", "parameter_invalid", "body"), ("", "parameter_invalid", "body"),
    ])
    func refusesWhatIsNotInOrder(body: String, code: String, parameter: String) async throws {
        try await withSandbox {
            $0.maxFileSize = 5000
        } _: { sandbox, client in
            let reply = try await client.send(
                .POST, sandbox.baseURL + "/assets/multipart-uploads",
                headers: [("x-api-key", "sandbox-key"), ("Content-Type", "application/json")],
                body: .bytes(.init(string: body)))
            #expect(reply.status == 400)
            #expect(reply.code == code)
            #expect(reply.json["message"]?.string?.contains(parameter) == true)
            #expect(try await sandbox.assets().isEmpty)
        }
    }

    @Test func takesNamesOf255CharactersAndNoLongerOnes() async throws {
        try await withSandbox { _, client in
            _ = try await client.create(1, filename: String(repeating: "ü", count: 251) + ".mp4")
            await #expect(throws: UnexpectedReply.self) {
                try await client.create(1, filename: String(repeating: "ü", count: 252) + ".mp4")
            }
        }
    }

    @Test func keepsOptionsAndMetadata() async throws {
        try await withSandbox { sandbox, client in
            let options: SandboxJSON = .object([
                "enable_hls": true, "enable_thumbnail": false,
                "user_metadata": .object(["take": 3, "rating": .number(9.5), "final": true, "tags": "a, b"]),
            ])
            guard case .object(var request) = options else { return }
            request["filename"] = "a.mp4"
            request["type"] = "audio"
            request["total_size"] = 1
            let reply = try await client.call(.POST, "/multipart-uploads", .object(request))
            #expect(reply.status == 201)
            let asset = try await sandbox.assets().first
            #expect(asset?.options == options)
            #expect(asset?.type == "audio")
        }
    }

    @Test func wantsTheRightKeyForEveryCall() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(1)
            for path in ["/multipart-uploads", "/multipart-uploads/\(session.uploadID)", "/\(session.assetID)"] {
                var stranger = client
                stranger.key = nil
                let missing = try await stranger.call(.GET, path)
                #expect(missing.status == 401)
                stranger.key = "another"
                let wrong = try await stranger.call(.GET, path)
                #expect(wrong.status == 403)
                #expect(wrong.code == "api_key_invalid")
                #expect(try await client.call(.GET, path).status == 200)
            }
            sandbox.configure { $0.apiKey = "a new one" }
            #expect(try await client.call(.GET, "/multipart-uploads").status == 403)
        }
    }

    @Test func knowsNoOtherPaths() async throws {
        try await withSandbox { sandbox, client in
            let path = try await client.send(.GET, sandbox.origin + "/v1.2/assets")
            #expect(path.status == 404)
            let method = try await client.send(.PATCH, sandbox.baseURL + "/assets/multipart-uploads")
            #expect(method.status == 404)
            #expect(sandbox.journal().map(\.kind) == [.unknown, .unknown])
        }
    }
}
