import Formats
import NIOCore
import NIOHTTP1
import PlatformClient
import Testing
import UploadCore

@Suite struct CallTests {
    static let session = """
        {"upload_id":"up1","asset_id":"as1","chunk_size":100,"total_chunks":3,"expires_at":"2026-01-02T00:00:00Z",
         "upload_urls":[{"chunk_index":1,"url":"http://127.0.0.1:1/a?X-Amz-Signature=\(testSignature)","expires_at":"2026-01-01T01:00:00Z"},
                        {"chunk_index":3,"url":"https://store.example/c?X-Amz-Signature=\(testSignature)"}],
         "upload_headers":{"x-amz-meta-b":"2","X-Amz-Meta-A":"1"},"something_new":{"a":[1,2,{"b":null}]}}
        """

    @Test func createSendsEveryFieldAndReadsEveryField() async throws {
        let answer = ScriptedAnswer.status(201, Self.session, headers: ["Date: Thu, 01 Jan 2026 00:00:30 GMT"])
        try await ScriptedServer.run([answer]) { server in
            let session = try await withClient(of: server) { client in
                try await client.createSession(
                    SessionRequest(
                        filename: "a \"b\"\\.mp4", type: .video, totalSize: 250, enableHLS: true,
                        enableThumbnail: false,
                        metadata: [
                            ("k", .string("v\n")), ("é", .string("5")), ("i", .integer(9_007_199_254_740_991)),
                            ("f", .float(9.3)), ("one", .float(1)), ("small", .float(1e-7)), ("b", .boolean(true)),
                        ]))
            }
            let request = try #require(server.requests.first)
            #expect(server.requests.count == 1)
            #expect(request.method == "POST")
            #expect(request.uri == "/v1.3/assets/multipart-uploads")
            #expect(request.headers["x-api-key"] == [testKey])
            #expect(request.headers["content-type"] == ["application/json"])
            #expect(request.headers["content-length"] == ["\(request.bodyCount)"])
            #expect(!request.headers.contains(name: "transfer-encoding"))
            #expect(request.headers["host"] == ["127.0.0.1:\(server.port)"])
            let sent = try JSONParser.parse(Array(request.body.readableBytesView))
            #expect(
                sent
                    == .object([
                        "filename": .string("a \"b\"\\.mp4"), "type": .string("video"), "total_size": .number("250"),
                        "enable_hls": .bool(true), "enable_thumbnail": .bool(false),
                        "user_metadata": .object([
                            "k": .string("v\n"), "é": .string("5"), "i": .number("9007199254740991"),
                            "f": .number("9.3"), "one": .number("1.0"), "small": .number("1e-07"), "b": .bool(true),
                        ]),
                    ]))

            #expect(session.uploadID == "up1")
            #expect(session.assetID == "as1")
            #expect(session.plan == (try ChunkPlan(totalSize: 250, chunkSize: 100, totalChunks: 3)))
            #expect(session.urls.keys.sorted() == [1, 3])
            #expect(session.urls[1]?.text == "http://127.0.0.1:1/a?X-Amz-Signature=\(testSignature)")
            // Measured from the answer's Date; where a URL tells no time of its own, the session's is all there is.
            #expect(session.urls[1]?.expiresAfter == .seconds(3570))
            #expect(session.expiresAfter == .seconds(86370))
            #expect(session.expiresAt == Timestamp(rfc3339: "2026-01-02T00:00:00Z"))
            #expect(session.uploadHeaders.map(\.0) == ["X-Amz-Meta-A", "x-amz-meta-b"])
            #expect(session.uploadHeaders.map(\.1) == ["1", "2"])
            expectNoSecret(in: session)
        }
    }

    @Test func whatIsOursToComputeIsDroppedFromTheUploadHeaders() async throws {
        let headers = """
            "Host":"elsewhere.example","Content-Length":5242880,"content-length":"1","Transfer-Encoding":"chunked",
            "Connection":"x-amz-meta-a","Keep-Alive":"timeout=5","TE":"trailers","Trailer":"x","Upgrade":"h2c",
            "Expect":"100-continue","Proxy-Connection":"close","x-amz-acl":null,"authorization":null,"Cookie":[],
            "Content-Type":"video/mp4","x-amz-meta-n":7,"x-amz-meta-t":true,"X-Amz-Meta-L":["a","b"]
            """
        let body =
            #"{"upload_id":"u","asset_id":"a","chunk_size":10,"upload_urls":null,"upload_headers":{\#(headers)}}"#
        try await ScriptedServer.run([.json(body)]) { server in
            let session = try await withClient(of: server) { client in
                try await client.createSession(SessionRequest(filename: "a.mp4", type: .video, totalSize: 10))
            }
            #expect(
                session.uploadHeaders.map { "\($0.0): \($0.1)" } == [
                    "Content-Type: video/mp4", "X-Amz-Meta-L: a, b", "x-amz-meta-n: 7", "x-amz-meta-t: true",
                ])
        }
    }

    @Test func createLeavesOutWhatWasNotAskedFor() async throws {
        try await ScriptedServer.run([.json(Self.session)]) { server in
            _ = try await withClient(of: server) { client in
                try await client.createSession(SessionRequest(filename: "a.mp3", type: .audio, totalSize: 250))
            }
            let request = try #require(server.requests.first)
            #expect(request.bodyText == #"{"filename":"a.mp3","total_size":250,"type":"audio"}"#)
        }
    }

    @Test func createDoesWithoutWhatCanBeWorkedOutOrAskedForLater() async throws {
        let bare = #"{"upload_id":"u","asset_id":"a","chunk_size":5,"upload_urls":null,"expires_at":"soon"}"#
        try await ScriptedServer.run([.json(bare)]) { server in
            let session = try await withClient(of: server) { client in
                try await client.createSession(SessionRequest(filename: "a.mp4", type: .video, totalSize: 11))
            }
            #expect(session.plan.totalChunks == 3)
            #expect(session.urls.isEmpty)
            #expect(session.uploadHeaders.isEmpty)
            #expect(session.expiresAfter == nil)
        }
    }

    @Test func lifetimesComeFromOurOwnClockWhenTheAnswerHasNoDate() async throws {
        // The clock of these tests stands at 2023-11-14T22:13:20Z.
        let body = #"{"upload_urls":[{"chunk_index":1,"url":"https://s/a"}],"expires_at":"2023-11-14T22:13:50+00:00"}"#
        try await ScriptedServer.run([.json(body)]) { server in
            let urls = try await withClient(of: server) { client in
                try await client.requestURLs(for: "u", start: 1, count: 1)
            }
            #expect(urls[1]?.expiresAfter == .seconds(30))
        }
    }

    @Test func moreURLsAreAskedForByNumber() async throws {
        let body = """
            {"upload_id":"u","start_index":11,"count":2,"generated_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-01T01:00:00Z",
             "upload_urls":[{"chunk_index":12,"url":"https://s/b"},{"chunk_index":11,"url":"https://s/a","expires_at":null}]}
            """
        try await ScriptedServer.run([.json(body, headers: ["date: Thu, 01 Jan 2026 00:00:00 GMT"])]) { server in
            let urls = try await withClient(of: server) { client in
                try await client.requestURLs(for: "u", start: 11, count: 50)
            }
            #expect(urls.mapValues(\.text) == [11: "https://s/a", 12: "https://s/b"])
            #expect(urls[11]?.expiresAfter == .seconds(3600))
            let request = try #require(server.requests.first)
            #expect(request.method == "POST")
            #expect(request.uri == "/v1.3/assets/multipart-uploads/u/presigned-urls")
            #expect(request.bodyText == #"{"count":50,"start":11}"#)
        }
    }

    @Test func reportNamesEveryChunk() async throws {
        let body = """
            {"asset_id":"as1","processed_chunks":1,"duplicate_chunks":1,"total_completed":2,"url":"https://cdn.example/v.mp4"}
            """
        try await ScriptedServer.run([.json(body)]) { server in
            let answer = try await withClient(of: server) { client in
                try await client.report(
                    [
                        ChunkReport(chunkIndex: 1, etag: "e1", size: 100),
                        ChunkReport(chunkIndex: 2, etag: "e2", size: 50),
                    ],
                    for: "up.1~x")
            }
            #expect(
                answer
                    == ReportAnswer(
                        assetID: "as1", processedChunks: 1, duplicateChunks: 1, totalCompleted: 2,
                        url: "https://cdn.example/v.mp4"))
            let request = try #require(server.requests.first)
            #expect(request.uri == "/v1.3/assets/multipart-uploads/up.1~x")
            #expect(
                request.bodyText
                    == #"{"completed_chunks":[{"chunk_index":1,"chunk_size":100,"proof":"e1","proof_type":"etag"},"#
                    + #"{"chunk_index":2,"chunk_size":50,"proof":"e2","proof_type":"etag"}]}"#)
        }
    }

    @Test func sessionStatusReadsEveryField() async throws {
        let body = """
            {"upload_id":"u","status":"active","uploaded_chunks":[
               {"index":1,"status":"completed","uploaded_at":"2026-01-01T00:00:01Z","updated_at":"2026-01-01T00:00:02Z"},
               {"index":2,"status":"failed","uploaded_at":null,"error":"bad part"},{"index":3,"status":"pending"},
               {"index":4,"status":"resting"}],
             "chunks_completed":1,"chunks_failed":1,"chunks_pending":2,"total_size":400,"uploaded_size":100,
             "page_info":{"limit_per_page":50,"page":1,"total_page":1,"total_results":4},
             "created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:03Z"}
            """
        try await ScriptedServer.run([.json(body)]) { server in
            let status = try await withClient(of: server) { try await $0.sessionStatus("u", page: 2, limit: 7) }
            #expect(
                status
                    == SessionStatus(
                        uploadID: "u", status: .active,
                        uploadedChunks: [
                            ChunkStatus(
                                index: 1, status: .completed, uploadedAt: Timestamp(rfc3339: "2026-01-01T00:00:01Z"),
                                updatedAt: Timestamp(rfc3339: "2026-01-01T00:00:02Z")),
                            ChunkStatus(index: 2, status: .failed, error: "bad part"),
                            ChunkStatus(index: 3, status: .pending), ChunkStatus(index: 4, status: .unknown("resting")),
                        ], chunksCompleted: 1, chunksFailed: 1, chunksPending: 2,
                        pageInfo: PageInfo(limitPerPage: 50, page: 1, totalPage: 1, totalResults: 4), totalSize: 400,
                        uploadedSize: 100, createdAt: Timestamp(rfc3339: "2026-01-01T00:00:00Z"),
                        updatedAt: Timestamp(rfc3339: "2026-01-01T00:00:03Z")))
            let request = try #require(server.requests.first)
            #expect(request.method == "GET")
            #expect(request.uri == "/v1.3/assets/multipart-uploads/u?page=2&page_limit=7")
            #expect(request.bodyCount == 0)
        }
    }

    @Test func assetsAreReadWithAndWithoutAnError() async throws {
        let ready = """
            {"_id":"a1","method":"multipart","status":"ready","filename":"v é.mp4","file_type":"video/mp4",
             "created_at":"2026-01-01T00:00:00Z","size":123,"technical_metadata":{"file_size_bytes":124},
             "duration":4.5,"url":"https://cdn.example/v.mp4"}
            """
        let failed =
            #"{"_id":"a1","status":"failed","error":{"code":"x","message":"no video\u0007 track"},"duration":"long"}"#
        let terse = #"{"_id":"a1","error":"broken"}"#
        try await ScriptedServer.run([.json(ready), .json(failed), .json(terse)]) { server in
            try await withClient(of: server) { client in
                let assets = [try await client.asset("a1"), try await client.asset("a1"), try await client.asset("a1")]
                #expect(
                    assets == [
                        Asset(
                            id: "a1", method: "multipart", status: .ready, filename: "v é.mp4", fileType: "video/mp4",
                            createdAt: Timestamp(rfc3339: "2026-01-01T00:00:00Z"), size: 123, sourceSize: 124,
                            duration: 4.5),
                        Asset(id: "a1", status: .failed, error: "no video track"),
                        Asset(id: "a1", error: "broken"),
                    ])
            }
            #expect(server.requests.map(\.uri) == Array(repeating: "/v1.3/assets/a1", count: 3))
            #expect(server.connections == 1, "connections are kept")
        }
    }

    @Test func manyAssetsAreAskedForInOneCall() async throws {
        let answer = """
            {"data":[{"_id":"a2","status":"ready","size":5},{"_id":"a1","status":"processing"},{"_id":"b","status":"ready"}],
             "page_info":{"page":1,"limit_per_page":50,"total_page":1,"total_results":3}}
            """
        try await ScriptedServer.run([.json(answer)]) { server in
            try await withClient(of: server) { client in
                let list = try await client.assets(["a1", "a2", "x+=:@y", "../z"])
                #expect(
                    list.assets == [
                        Asset(id: "a2", status: .ready, size: 5), Asset(id: "a1", status: .processing),
                        Asset(id: "b", status: .ready),
                    ])
                #expect(try await client.assets(["../z"]).assets.isEmpty)
            }
            // `style: form`, `explode: true`; what is no identifier is not sent.
            #expect(
                server.requests.map(\.uri) == [
                    "/v1.3/assets?asset_ids=a1&asset_ids=a2&asset_ids=x%2B%3D%3A%40y&page=1&page_limit=50"
                ])
        }
    }

    @Test func deleteSendsNoForce() async throws {
        try await ScriptedServer.run([.raw("HTTP/1.1 204 No Content\r\n\r\n")]) { server in
            try await withClient(of: server) { try await $0.deleteAsset("a1") }
            let request = try #require(server.requests.first)
            #expect(request.method == "DELETE")
            #expect(request.uri == "/v1.3/assets/a1")
        }
    }

    @Test func listsAreReadToTheirLastPage() async throws {
        let script: ScriptedServer.Script = { request, _ in
            let page = Int(request.query?.split(separator: "&").first?.dropFirst("page=".count) ?? "") ?? 0
            let entries = (1...2).map {
                #"{"upload_id":"u\#(page)\#($0)","status":"active","total_size":10,"chunk_size":5,"total_chunks":2}"#
            }
            return .json(
                #"{"data":[\#(entries.joined(separator: ","))],"page_info":{"page":\#(page),"total_page":3}}"#)
        }
        try await ScriptedServer.run(script) { server in
            let all = try await withClient(of: server) { try await $0.allIncompleteUploads() }
            #expect(all.map(\.uploadID) == ["u11", "u12", "u21", "u22", "u31", "u32"])
            #expect(all.first?.status == .active)
            #expect(all.first?.totalChunks == 2)
            #expect(server.requests.map(\.query) == (1...3).map { "page=\($0)&page_limit=50" })
        }
    }

    @Test func aPageThatIsNotFullIsTheLastWhenNoTotalIsTold() async throws {
        let answer = ScriptedAnswer.json(#"{"status":"active","uploaded_chunks":[{"index":1,"status":"pending"}]}"#)
        try await ScriptedServer.run([answer]) { server in
            let chunks = try await withClient(of: server) { try await $0.allChunkStatuses("u") }
            #expect(chunks == [ChunkStatus(index: 1, status: .pending)])
            #expect(server.requests.count == 1)
        }
    }

    @Test func aKeyThatIsReplacedIsUsedFromTheNextCallOn() async throws {
        try await ScriptedServer.run([.json(#"{"_id":"a"}"#)]) { server in
            let configuration = try PlatformConfiguration.test(server.origin)
            try await withClient(configuration) { client in
                _ = try await client.asset("a")
                #expect(configuration.keySource.replace(with: try APIKey(" another-key\n")))
                _ = try await client.asset("a")
            }
            #expect(server.requests.flatMap { $0.headers["x-api-key"] } == [testKey, "another-key"])
        }
    }

    @Test(arguments: ["", "..", ".hidden", "a/b", "a?b", "a b", "a%2Fb", "é", String(repeating: "a", count: 201)])
    func identifiersThatCouldLeadElsewhereAreNeverSent(_ id: String) async throws {
        try await ScriptedServer.run([.json("{}")]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.sessionStatus(id) }
                #expect(failure?.kind == .requestRefused)
                #expect(failure?.code == "identifier_malformed")
            }
            #expect(server.requests.isEmpty)
        }
    }
}
