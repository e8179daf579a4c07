import NIOHTTP1
import SandboxPlatform
import Testing

/// What the account may do, how long it takes, and what answers tell of it.
@Suite struct LimitTests {
    @Test("Calls beyond the day's are refused until the day is over, with all that tells when")
    func refusesCallsBeyondTheLimit() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.rateLimit = 3
        } _: { _, client in
            let first = try await client.call(.GET, "/multipart-uploads")
            #expect(first.headers["x-ratelimit-limit"] == ["3"])
            #expect(first.headers["x-ratelimit-remaining"] == ["2"])
            #expect(first.headers["x-ratelimit-used"] == ["1"])
            #expect(first.headers["x-ratelimit-reset"] == ["1700086400"])
            clock.advance(by: .seconds(3600))
            let session = try await client.create(1000)
            // What is refused for another reason counts as well; the store does not.
            #expect(try await client.call(.GET, "?page=0").headers["x-ratelimit-remaining"] == ["0"])
            #expect(try await client.put(session.url(1), pattern(1000)).headers["x-ratelimit-remaining"] == [])
            let refused = try await client.call(.GET, "/multipart-uploads")
            #expect(refused.status == 429)
            #expect(refused.code == "too_many_requests")
            #expect(
                refused.json["message"]
                    == "You have exceeded the rate limit (3req/1day). Please try again later after 2023-11-15T22:13:20Z."
            )
            #expect(refused.headers["retry-after"] == ["82800"])
            #expect(refused.headers["x-ratelimit-used"] == ["3"])
            #expect(refused.headers["x-ratelimit-remaining"] == ["0"])
            clock.advance(by: .seconds(82800))
            let next = try await client.call(.GET, "/multipart-uploads")
            #expect(next.status == 200)
            #expect(next.headers["x-ratelimit-reset"] == ["1700172800"])
        }
    }

    @Test("Every answer of the API has a trace id of its own, refusals and faults included")
    func givesTraceIDs() async throws {
        try await withSandbox {
            $0.traceIDs = true
        } _: { sandbox, client in
            sandbox.add(InjectedFault(on: [.list], .status(503)))
            var traceIDs: [String] = []
            for path in ["/multipart-uploads", "/multipart-uploads", "?page=0"] {
                traceIDs += try await client.call(.GET, path).headers["x-trace-id"]
            }
            #expect(Set(traceIDs).count == 3)
            #expect(sandbox.journal().map(\.traceID) == traceIDs)
            sandbox.configure { $0.traceIDs = false }
            #expect(try await client.call(.GET, "").headers["x-trace-id"] == [])
        }
    }

    @Test("A latency of the API delays its calls and not the store's")
    func delaysCallsOnly() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.apiLatency = .milliseconds(100)
            $0.latency = .milliseconds(1)
        } _: { _, client in
            let session = try await client.create(1000)
            #expect(clock.uptime == .milliseconds(101))
            let etag = try await client.put(session.url(1), pattern(1000)).etag
            #expect(clock.uptime == .milliseconds(102))
            let url = try await client.report(session, [(1, etag, 1000)]).json["url"]?.string ?? ""
            #expect(clock.uptime == .milliseconds(203))
            _ = try await client.send(.GET, url)
            #expect(clock.uptime == .milliseconds(204))
        }
    }

    @Test("A session reads active for a while after its last report")
    func confirmsLater() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.completionDelay = .seconds(15)
            $0.processingTime = .zero
            $0.assetURLs = false
        } _: { _, client in
            let session = try await client.create(1000)
            let report = try await client.upload(pattern(1000), to: session)
            #expect(report.json["total_completed"] == 1)
            clock.advance(by: .milliseconds(14_999))
            #expect(try await client.status(session).json["status"] == "active")
            #expect(try await client.call(.GET, "/\(session.assetID)").json["status"] == "processing")
            #expect(try await client.report(session, [(1, "x", 1000)]).json["duplicate_chunks"] == 1)
            clock.advance(by: .milliseconds(1))
            #expect(try await client.status(session).json["status"] == "completed")
            #expect(try await client.call(.GET, "/\(session.assetID)").json["status"] == "ready")
        }
    }

    @Test("ETags of another form come without a header that says so")
    func answersETagsOfAnotherForm() async throws {
        try await withSandbox {
            $0.etags = .opaque
        } _: { _, client in
            let session = try await client.create(3)
            let reply = try await client.put(session.url(1), Array("abc".utf8))
            let etag = reply.etag ?? ""
            #expect(etag.count != 32 && !etag.isEmpty)
            #expect(reply.headers["x-amz-server-side-encryption"] == [])
            #expect(try await client.report(session, [(1, etag, 3)]).json["url"] != nil)
        }
    }
}
