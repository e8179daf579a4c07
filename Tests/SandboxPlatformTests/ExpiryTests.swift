import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct ExpiryTests {
    @Test func endsASessionAfterItsLifetime() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.urlLifetime = .seconds(100_000)
        } _: { _, client in
            let session = try await client.create(2000)
            let etag = try await client.put(session.url(1), pattern(1000)).etag
            clock.advance(by: .seconds(86400))
            let status = try await client.status(session)
            #expect(status.status == 200)
            #expect(status.json["status"] == "expired")
            let report = try await client.report(session, [(1, etag, 1000)])
            #expect(report.status == 400)
            #expect(report.json["message"]?.string?.contains("expired") == true)
            #expect(try await client.urls(session, start: 2, count: 1).status == 400)
            let put = try await client.put(session.url(2), pattern(1000))
            #expect(put.status == 404)
            #expect(put.text.contains("NoSuchUpload"))
            #expect(try await client.call(.GET, "/multipart-uploads").json["data"] == .array([]))
            #expect(try await client.call(.GET, "/\(session.assetID)").json["status"] == "failed")
        }
    }

    @Test func letsACompleteUploadBe() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
        } _: { _, client in
            let session = try await client.create(1000)
            try await client.upload(pattern(1000), to: session)
            clock.advance(by: .seconds(1_000_000))
            #expect(try await client.status(session).json["status"] == "completed")
            #expect(try await client.call(.GET, "/\(session.assetID)").json["status"] == "ready")
        }
    }

    @Test(arguments: ["failed", "expired"])
    func canBeToldToEndASession(status: String) async throws {
        try await withSandbox { _, client in
            let session = try await client.create(1000)
            let path = "sessions/\(session.uploadID)"
            #expect(try await client.control(.POST, path, #"{"status":"\#(status)"}"#).status == 204)
            #expect(try await client.status(session).json["status"] == .string(status))
            #expect(try await client.urls(session, start: 1, count: 1).status == 400)
            #expect(try await client.control(.POST, path, #"{"status":"completed"}"#).status == 400)
        }
    }

    @Test func tellsTheTimeByItsOwnClock() async throws {
        try await withSandbox {
            $0.clock = ManualClock()
        } _: { _, client in
            let reply = try await client.call(.GET, "/multipart-uploads")
            #expect(reply.headers["date"] == ["Tue, 14 Nov 2023 22:13:20 GMT"])
            _ = try await client.control(.POST, "configuration", #"{"clock_skew":-3600}"#)
            let behind = try await client.call(.GET, "/multipart-uploads")
            #expect(behind.headers["date"] == ["Tue, 14 Nov 2023 21:13:20 GMT"])
        }
    }
}
