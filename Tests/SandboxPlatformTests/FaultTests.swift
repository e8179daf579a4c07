import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct FaultTests {
    @Test func answersWhatItIsToldAndTakesNoEffect() async throws {
        try await withSandbox { sandbox, client in
            let faults = #"""
                {"faults":[{"on":"create","count":2,"skip":1,
                  "answer":{"status":429,"body":{"code":"too_many_requests"},"headers":{"Retry-After":"7"}}}]}
                """#
            #expect(try await client.control(.POST, "faults", faults).status == 204)
            _ = try await client.create(1000)
            for _ in 1...2 {
                let reply = try await client.call(
                    .POST, "/multipart-uploads", .object(["filename": "a", "type": "video", "total_size": 1]))
                #expect(reply.status == 429)
                #expect(reply.code == "too_many_requests")
                #expect(reply.headers.first(name: "retry-after") == "7")
            }
            _ = try await client.create(1000)
            #expect(try await sandbox.assets().count == 2)
            #expect(sandbox.journal().map(\.fault) == [nil, "429", "429", nil])
        }
    }

    @Test func answersEachSoManiethTime() async throws {
        try await withSandbox { sandbox, client in
            var fault = InjectedFault(on: [], .status(503))
            fault.every = 3
            fault.count = nil
            sandbox.add(fault)
            var statuses: [Int] = []
            for _ in 1...7 { statuses.append(try await client.call(.GET, "/multipart-uploads").status) }
            #expect(statuses == [200, 200, 503, 200, 200, 503, 200])
            #expect(try await client.control(.DELETE, "faults").status == 204)
            for _ in 1...3 { #expect(try await client.call(.GET, "/multipart-uploads").status == 200) }
        }
    }

    @Test func answersWithAProbability() async throws {
        try await withSandbox { sandbox, client in
            for (probability, status) in [(1.0, 500), (0.0, 200)] {
                var fault = InjectedFault(on: [.list], .status(500))
                fault.probability = probability
                fault.count = nil
                sandbox.clearFaults()
                sandbox.add(fault)
                for _ in 1...5 {
                    let reply = try await client.call(.GET, "/multipart-uploads")
                    #expect(reply.status == status)
                }
            }
        }
    }

    @Test func refusesAPutBeforeOrAfterItsBody() async throws {
        try await withSandbox { sandbox, client in
            let slowDown = InjectedFault.Answer.status(503, body: "<Error><Code>SlowDown</Code></Error>")
            let session = try await client.create(3000)
            sandbox.add(InjectedFault(on: [.put], slowDown))
            let before = try await client.put(session.url(1), pattern(1000))
            #expect(before.status == 503)
            #expect(before.text.contains("SlowDown"))
            #expect(before.headers["connection"] == ["close"])
            var drained = InjectedFault(on: [.put], slowDown)
            drained.drain = true
            sandbox.add(drained)
            #expect(try await client.put(session.url(2), pattern(1000)).status == 503)
            var after = InjectedFault(on: [.put], slowDown)
            after.when = .after
            sandbox.add(after)
            #expect(try await client.put(session.url(3), pattern(1000)).status == 503)
            #expect(sandbox.journal(of: .put).map(\.bytes) == [nil, 1000, 1000])
            // The third one was stored all the same; all three URLs are spent.
            let etag = try await client.put(client.freshURL(session, 3), pattern(1000)).etag
            #expect(try await client.report(session, [(3, etag, 1000)]).status == 200)
            for index in 1...3 { #expect(try await client.put(session.url(index), pattern(1000)).status == 403) }
        }
    }

    @Test func playsAFaultForOneChunkOnly() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(3000)
            var fault = InjectedFault(on: [.put], .status(500))
            fault.chunkIndex = 2
            sandbox.add(fault)
            var statuses: [Int] = []
            for index in 1...3 { statuses.append(try await client.put(session.url(index), pattern(1000)).status) }
            #expect(statuses == [200, 500, 200])
        }
    }

    @Test func resetsConnections() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            sandbox.add(InjectedFault(on: [.status], .reset))
            await #expect(throws: (any Error).self) { try await client.status(session) }
            var midway = InjectedFault(on: [.put], .reset)
            midway.afterBytes = 500
            sandbox.add(midway)
            await #expect(throws: (any Error).self) { try await client.put(session.url(1), pattern(1000)) }
            var answered = InjectedFault(on: [.report], .reset)
            answered.when = .after
            sandbox.add(answered)
            let etag = try await client.put(client.freshURL(session, 1), pattern(1000)).etag
            await #expect(throws: (any Error).self) { try await client.report(session, [(1, etag, 1000)]) }
            #expect(try await client.report(session, [(1, etag, 1000)]).json["duplicate_chunks"] == 1)
            let reset = sandbox.journal().filter { $0.fault == "reset" }
            #expect(reset.map(\.kind) == [.status, .put, .report])
            #expect(reset.allSatisfy { $0.status == nil && $0.finished != nil })
            #expect(try await client.status(session).json["chunks_completed"] == 1)
        }
    }

    @Test func hangsUntilItIsCleared() async throws {
        try await withSandbox { sandbox, client in
            sandbox.add(InjectedFault(on: [.list], .hang))
            let reply = Task { try await client.call(.GET, "/multipart-uploads") }
            try await sandbox.waitForJournal { $0.contains { $0.fault == "hang" } }
            #expect(sandbox.journal().map(\.finished) == [nil])
            sandbox.clearFaults()
            #expect(try await reply.value.status == 200)
        }
    }

    @Test func stopsEvenThoughRequestsHang() async throws {
        let sandbox = try await Sandbox.start()
        let client = SandboxClient(sandbox)
        sandbox.add(InjectedFault(on: [.list], .hang))
        let reply = Task { try await client.call(.GET, "/multipart-uploads") }
        try await sandbox.waitForJournal { $0.contains { $0.fault == "hang" } }
        await sandbox.stop()
        await #expect(throws: (any Error).self) { try await reply.value }
    }

    @Test func answersWhatCannotBeRead() async throws {
        try await withSandbox { sandbox, client in
            sandbox.add(
                InjectedFault(on: [.list], .html), InjectedFault(on: [.list], .cutOff),
                InjectedFault(on: [.list], .cutShort))
            let html = try await client.call(.GET, "/multipart-uploads")
            #expect(html.status == 200)
            #expect(html.text.contains("<html>"))
            let cutOff = try await client.call(.GET, "/multipart-uploads")
            #expect(cutOff.status == 200)
            #expect(cutOff.text.hasPrefix(#"{"data":"#))
            #expect(cutOff.json == .null)
            await #expect(throws: (any Error).self) { try await client.call(.GET, "/multipart-uploads") }
            #expect(try await client.call(.GET, "/multipart-uploads").json["data"] == .array([]))
        }
    }

    @Test func leavesOutOrChangesFields() async throws {
        try await withSandbox { sandbox, client in
            sandbox.add(
                InjectedFault(on: [.create], .omit(["upload_id", "chunk_size"])),
                InjectedFault(on: [.create], .replace(["chunk_size": 0, "total_chunks": -1])),
                InjectedFault(on: [.put], .omit(["etag"])), InjectedFault(on: [.put], .replace(["ETag": "\"0\""])))
            let without = try await client.create(2000)
            #expect(without.json["upload_id"] == nil)
            #expect(without.json["chunk_size"] == nil)
            #expect(without.json["total_chunks"] == 2)
            let session = try await client.create(2000)
            #expect(session.json["chunk_size"] == 0)
            #expect(session.json["total_chunks"] == -1)
            #expect(try await client.put(session.url(1), pattern(1000)).etag == nil)
            #expect(try await client.put(session.url(2), pattern(1000)).headers["etag"] == ["\"0\""])
        }
    }

    @Test func acceptsAReportWhoseChunkThenFails() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            let first = try await client.put(session.url(1), pattern(1000)).etag
            let second = try await client.put(session.url(2), pattern(1000)).etag
            sandbox.add(InjectedFault(on: [.report], .failChunks([2])))
            let report = try await client.report(session, [(1, first, 1000), (2, second, 1000)])
            #expect(report.status == 200)
            #expect(report.json["url"] == nil)
            let status = try await client.status(session).json
            #expect(status["status"] == "active")
            #expect(status["chunks_failed"] == 1)
            #expect(status["uploaded_chunks"]?.array?.compactMap { $0["status"]?.string } == ["completed", "failed"])
            let again = try await client.put(client.freshURL(session, 2), pattern(1000)).etag
            #expect(try await client.report(session, [(2, again, 1000)]).json["url"] != nil)
            #expect(try await client.status(session).json["chunks_failed"] == 0)
        }
    }

    @Test func endsASessionInTheMiddle() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            sandbox.add(InjectedFault(on: [.urls], .session("failed")))
            #expect(try await client.urls(session, start: 1, count: 1).status == 400)
            #expect(try await client.status(session).json["status"] == "failed")
        }
    }

    @Test(arguments: [
        #"{"faults":[{"on":"any","answer":"write_not_allowed"}]}"#, #"{"faults":[{"on":"any","answer":{"delay":-1}}]}"#,
        #"{"faults":[{"on":"any","answer":{"rate_limit":5}}]}"#,
        #"{"faults":[{"on":"any","answer":"nulls","within":""}]}"#,
        #"{"faults":[{"on":"creat","answer":"html"}]}"#, #"{"faults":[{"on":"create"}]}"#,
        #"{"faults":[{"answer":"html"}]}"#, #"{"faults":[{"on":"create","answer":"htm"}]}"#,
        #"{"faults":[{"on":"create","answer":"html","cuont":2}]}"#, #"{"faults":[{"on":"create","answer":{}}]}"#,
        #"{"faults":[{"on":"create","answer":"html","count":0}]}"#, #"{"faults":{}}"#, "x",
        #"{"faults":[{"on":"create","answer":"html","probability":2}]}"#,
    ])
    func refusesFaultsThatItDoesNotUnderstand(text: String) async throws {
        try await withSandbox { _, client in
            #expect(try await client.control(.POST, "faults", text).status == 400)
            _ = try await client.create(1)
        }
    }
}
