import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct RequestJournalTests {
    @Test func tellsEveryRequestInOrder() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.latency = .milliseconds(250)
        } _: { sandbox, client in
            let session = try await client.create(1000, filename: "one.mp4")
            let etag = try await client.put(session.url(1), pattern(1000)).etag
            _ = try await client.report(session, [(1, etag, 1000)])
            let entries = sandbox.journal()
            #expect(entries.map(\.kind) == [.create, .put, .report])
            #expect(entries.map(\.sequence) == [1, 2, 3])
            #expect(entries.map(\.status) == [201, 200, 200])
            #expect(entries.map(\.uploadID) == [session.uploadID, session.uploadID, session.uploadID])
            #expect(entries.map(\.carriedAPIKey) == [true, false, true])
            #expect(entries.map(\.filename) == ["one.mp4", nil, nil])
            #expect(entries.map(\.totalSize) == [1000, nil, nil])
            #expect(entries[1].bytes == 1000)
            #expect(entries[1].chunkIndex == 1)
            #expect(entries[2].chunkIndices == [1])
            #expect(entries[2].assetID == session.assetID)
            for (number, entry) in entries.enumerated() {
                #expect(entry.started.seconds == 1_700_000_000 + 0.25 * Double(number))
                #expect(entry.finished?.seconds == entry.started.seconds + 0.25)
            }
        }
    }

    @Test func isReadAndEmptiedThroughHTTP() async throws {
        try await withSandbox {
            $0.clock = ManualClock()
        } _: { sandbox, client in
            let session = try await client.create(1000)
            let journal = try await client.control(.GET, "journal").json
            #expect(journal["peak_concurrent_puts"] == 0)
            let entry = journal["requests"]?.array?.first
            #expect(entry?["kind"] == "create")
            #expect(entry?["method"] == "POST")
            #expect(entry?["path"] == "/v1.3/assets/multipart-uploads")
            #expect(entry?["upload_id"] == .string(session.uploadID))
            #expect(entry?["asset_id"] == .string(session.assetID))
            #expect(entry?["finished"]?.double == 1_700_000_000)
            #expect(entry?["chunk_index"] == .null)
            #expect(try await client.control(.DELETE, "journal").status == 204)
            #expect(sandbox.journal().isEmpty)
            _ = try await client.create(1000)
            #expect(sandbox.journal().map(\.sequence) == [2])
        }
    }

    @Test func countsPutsThatAreUnderWayAtOnce() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(8000)
            var hang = InjectedFault(on: [.put], .hang)
            hang.count = nil
            sandbox.add(hang)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 1...5 {
                    group.addTask { try await client.put(session.url(index), pattern(1000)).status }
                }
                try await sandbox.waitForJournal { $0.filter { $0.kind == .put }.count == 5 }
                #expect(sandbox.journal(of: .put).allSatisfy { $0.finished == nil })
                sandbox.clearFaults()
                for try await status in group { #expect(status == 200) }
            }
            #expect(sandbox.peakConcurrentPuts == 5)
            sandbox.clearJournal()
            #expect(sandbox.peakConcurrentPuts == 0)
            _ = try await client.put(session.url(6), pattern(1000))
            #expect(sandbox.peakConcurrentPuts == 1)
        }
    }

    @Test("Calls are told as they were sent, the store's queries are not")
    func tellsWhatCallsSent() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(1000, filename: "ü.mp4")
            _ = try await client.call(.GET, "?page=1&filename=a%20b")
            _ = try await client.put(session.url(1), pattern(1000))
            let entries = sandbox.journal()
            #expect(entries[0].body == #"{"filename":"ü.mp4","total_size":1000,"type":"video"}"#)
            #expect(entries[0].contentType == "application/json")
            #expect(entries.map(\.query) == [nil, "page=1&filename=a%20b", nil])
            #expect(entries[2].body == nil)
            #expect(entries.map(\.violation) == [nil, nil, nil])
        }
    }

    @Test("Requests are counted by kind, and how many of a kind were under way at once")
    func countsReportsThatAreUnderWayAtOnce() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(8000)
            var chunks: [(index: Int, etag: String?, size: Int)] = []
            for index in 1...6 {
                chunks.append((index, try await client.put(session.url(index), pattern(1000)).etag, 1000))
            }
            var hang = InjectedFault(on: [.report], .hang)
            hang.count = nil
            sandbox.add(hang)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for pair in [Array(chunks[0..<2]), Array(chunks[2..<4]), Array(chunks[4..<6])] {
                    group.addTask { try await client.report(session, pair).status }
                }
                try await sandbox.waitForJournal { $0.filter { $0.kind == .report }.count == 3 }
                sandbox.clearFaults()
                for try await status in group { #expect(status == 200) }
            }
            _ = try await client.report(session, [chunks[0]])
            #expect(sandbox.peakConcurrent(.report) == 3)
            #expect(sandbox.peakConcurrent(.put) == 1)
            let journal = try await client.control(.GET, "journal").json
            #expect(journal["peak_concurrent"]?["report"] == 3)
            #expect(journal["counts"]?["report"] == 4)
            #expect(journal["counts"]?["put"] == 6)
            #expect(journal["counts"]?["delete"] == 0)
            let counts = journal["requests"]?.array?.compactMap { $0["chunk_count"]?.integer }
            #expect(counts == [2, 2, 2, 1])
        }
    }
}
