import AsyncHTTPClient
import Foundation
import NIOHTTP1
import SandboxPlatform
import Testing

/// Faults that are answers which the platform is documented, or was seen, to give.
@Suite struct DocumentedFaultTests {
    @Test(
        "An entity that is gone or another's, on any call",
        arguments: RequestKind.allCases.filter { ![.put, .content, .unknown].contains($0) })
    func refusesToRead(call: RequestKind) async throws {
        try await withSandbox { sandbox, client in
            let ground = try await Ground(client)
            let fault = #"{"faults":[{"on":"\#(call.rawValue)","answer":"read_not_allowed"}]}"#
            #expect(try await client.control(.POST, "faults", fault).status == 204)
            let reply = try await client.send(ground.draft(call, .july2026))
            #expect(reply.status == 403)
            #expect(reply.code == "read_not_allowed")
            #expect(sandbox.journal().last?.fault == "403")
            #expect(try await client.send(ground.draft(call, .july2026)).status < 300)
        }
    }

    @Test("Documented codes come with their status, unless another is asked for")
    func answersDocumentedCodes() async throws {
        try await withSandbox { sandbox, client in
            for (answer, status, code) in [
                (#""region_not_allowed""#, 403, "region_not_allowed"), (#""unauthorized""#, 401, "unauthorized"),
                (#"{"code":"resource_not_exist","status":400}"#, 400, "resource_not_exist"),
                (#"{"code":"index_locked","message":"It is locked."}"#, 403, "index_locked"),
            ] {
                _ = try await client.control(.POST, "faults", #"{"faults":[{"on":"any","answer":\#(answer)}]}"#)
                let reply = try await client.call(.GET, "")
                #expect(reply.status == status)
                #expect(reply.code == code)
                #expect(reply.json["message"]?.string?.isEmpty == false)
            }
            sandbox.add(InjectedFault(on: [], .readNotAllowed))
            #expect(try await client.call(.GET, "").code == "read_not_allowed")
        }
    }

    @Test("An asset that is not found in its first seconds")
    func playsAFaultOnlySoonAfterTheLastReport() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
        } _: { sandbox, client in
            let session = try await client.create(1000)
            let fault = #"""
                {"faults":[{"on":"asset","count":null,"within":"5s","answer":"resource_not_exist"},
                           {"on":"status","count":null,"within":15,"answer":{"replace":{"status":"active"}}}]}
                """#
            _ = try await client.control(.POST, "faults", fault)
            #expect(try await client.call(.GET, "/\(session.assetID)").json["status"] == "processing")
            try await client.upload(pattern(1000), to: session)
            clock.advance(by: .milliseconds(4999))
            #expect(try await client.call(.GET, "/\(session.assetID)").status == 404)
            #expect(try await client.status(session).json["status"] == "active")
            clock.advance(by: .milliseconds(1))
            #expect(try await client.call(.GET, "/\(session.assetID)").status == 200)
            clock.advance(by: .seconds(10))
            #expect(try await client.status(session).json["status"] == "completed")
            #expect(sandbox.journal(of: .asset).map(\.fault) == [nil, "404", nil])
        }
    }

    @Test("A rate limit that lasts a day")
    func refusesForTheRestOfTheDay() async throws {
        try await withSandbox {
            $0.clock = ManualClock()
        } _: { sandbox, client in
            var fault = InjectedFault(on: [], .rateLimited(retryAfter: .seconds(11382)))
            fault.count = 2
            sandbox.add(fault)
            let direct = try await client.call(.GET, "")
            #expect(direct.status == 429)
            #expect(direct.code == "too_many_requests")
            #expect(
                direct.json["message"]
                    == "You have exceeded the rate limit (100req/1day). Please try again later after 2023-11-15T01:23:02Z."
            )
            for (name, value) in [
                ("retry-after", "11382"), ("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-used", "100"), ("x-ratelimit-reset", "1700011382"),
            ] { #expect(direct.headers[name] == [value]) }
            #expect(direct.headers["x-trace-id"].first?.count == 32)
            #expect(sandbox.journal().last?.traceID == direct.headers["x-trace-id"].first)
            #expect(try await client.call(.GET, "").status == 429)
            let minute = #"{"faults":[{"on":"any","answer":{"rate_limit":5,"window":"1m","retry_after":"20s"}}]}"#
            _ = try await client.control(.POST, "faults", minute)
            let short = try await client.call(.GET, "")
            #expect(short.json["message"]?.string?.contains("(5req/1min)") == true)
            #expect(short.headers["retry-after"] == ["20"])
        }
    }

    @Test("A store that sends the request elsewhere", arguments: [307, 308])
    func redirects(status: Int) async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            let fault = #"{"on":"put","answer":{"redirect":"http://127.0.0.2:9{target}","status":\#(status)}}"#
            _ = try await client.control(.POST, "faults", #"{"faults":[\#(fault)]}"#)
            var request = HTTPClientRequest(url: session.url(1))
            request.method = .PUT
            request.body = .bytes(.init(bytes: pattern(1000)))
            let configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
            let patient = HTTPClient(configuration: configuration)
            let answer = await Task { [request] in try await patient.execute(request, timeout: .seconds(60)) }.result
            try await patient.shutdown()
            let reply = try answer.get()
            #expect(Int(reply.status.code) == status)
            let target = session.url(1).replacing(sandbox.origin, with: "")
            #expect(reply.headers["location"] == ["http://127.0.0.2:9" + target])
            #expect(try await client.put(session.url(2), pattern(1000)).status == 200)
        }
    }

    @Test("An answer that takes long, and may have had its effect before")
    func delays() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
        } _: { sandbox, client in
            let session = try await client.create(1000)
            let etag = try await client.put(session.url(1), pattern(1000)).etag
            _ = try await client.control(
                .POST, "faults", #"{"faults":[{"on":"report","when":"after","answer":{"delay":"20s"}}]}"#)
            #expect(try await client.report(session, [(1, etag, 1000)]).json["url"] != nil)
            #expect(clock.uptime == .seconds(20))
            let entry = sandbox.journal(of: .report).first
            #expect(entry?.finished?.seconds == 1_700_000_020)
        }
    }

    @Test("A delay ends when the faults are cleared")
    func delaysUntilItIsCleared() async throws {
        try await withSandbox { sandbox, client in
            sandbox.add(InjectedFault(on: [.list], .delay(.seconds(3600))))
            let reply = Task { try await client.call(.GET, "/multipart-uploads") }
            try await sandbox.waitForJournal { $0.contains { $0.fault?.hasPrefix("delay") == true } }
            sandbox.clearFaults()
            #expect(try await reply.value.status == 200)
        }
    }

    @Test("One chunk's ETag is of another form")
    func answersOneOpaqueETag() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            sandbox.add(InjectedFault(on: [.put], .opaqueETag))
            let first = try await client.put(session.url(1), pattern(1000)).etag
            let second = try await client.put(session.url(2), pattern(1000)).etag
            #expect(first?.count == 18)
            #expect(second?.count == 32)
            #expect(try await client.report(session, [(1, first, 1000), (2, second, 1000)]).json["url"] != nil)
        }
    }

    @Test("Upload headers that are the client's to compute")
    func namesSignedHeaders() async throws {
        try await withSandbox {
            $0.uploadHeaders = ["x-amz-meta-owner": "me"]
        } _: { sandbox, client in
            sandbox.add(InjectedFault(on: [.create], .signedHeaders))
            let session = try await client.create(1500)
            let host = "127.0.0.1:\(sandbox.port)"
            #expect(
                session.json["upload_headers"]
                    == .object([
                        "Host": .string(host), "Content-Length": "1000", "x-amz-acl": .null, "x-amz-meta-owner": "me",
                    ]))
            sandbox.configure {
                $0.uploadHeaders = ["Host": "{host}"]
                $0.requiresUploadHeaders = true
            }
            let other = try await client.create(1500)
            #expect(other.json["upload_headers"] == .object(["Host": .string(host)]))
            #expect(try await client.put(other.url(1), pattern(1000)).status == 200)
            sandbox.configure { $0.uploadHeaders = ["Host": "another.example"] }
            #expect(try await client.put(other.url(2), pattern(500)).status == 403)
        }
    }

    @Test("Nulls in every field that a client can do without")
    func answersNulls() async throws {
        try await withSandbox {
            $0.processingTime = .zero
        } _: { sandbox, client in
            var nulls = InjectedFault(on: [], .nulls)
            nulls.count = nil
            sandbox.add(nulls)
            let session = try await client.create(2000)
            #expect(session.json["expires_at"] == .null)
            #expect(session.json["upload_headers"] == .null)
            #expect(session.json["total_chunks"] == .null)
            #expect(session.json["chunk_size"] == 1000)
            let first = session.json["upload_urls"]?.array?.first
            #expect(first?["expires_at"] == .null)
            #expect(first?["chunk_index"] == 1)
            let etag = try await client.put(session.url(1), pattern(1000)).etag
            let report = try await client.report(session, [(1, etag, 1000)]).json
            #expect(
                report
                    == .object(
                        [
                            "url": .null, "asset_id": .null, "processed_chunks": .null, "duplicate_chunks": .null,
                            "total_completed": 1,
                        ]))
            let status = try await client.status(session).json
            #expect(status["status"] == "active")
            #expect(status["page_info"] == .null)
            #expect(
                status["uploaded_chunks"]?.array?.first
                    == .object(
                        ["index": 1, "status": "completed", "uploaded_at": .null, "updated_at": .null, "error": .null]))
            let last = try await client.upload(pattern(2000), to: session).json
            #expect(last["url"]?.string != nil)
            let asset = try await client.call(.GET, "/\(session.assetID)").json
            #expect(asset["_id"] == .string(session.assetID))
            #expect(asset["status"] == "ready")
            for name in ["error", "size", "technical_metadata", "filename", "hls"] { #expect(asset[name] == .null) }
            let missing = try await client.call(.GET, "/none").json
            #expect(missing["docs_url"] == .null)
            #expect(missing["code"] == "resource_not_exist")
        }
    }
}
