import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct PagingTests {
    @Test func pagesThroughAnUploadsChunks() async throws {
        try await withSandbox { _, client in
            let session = try await client.create(11_500)
            let path = "/multipart-uploads/\(session.uploadID)"
            let first = try await client.call(.GET, path)
            #expect(first.json["uploaded_chunks"]?.array?.count == 10)
            let second = try await client.call(.GET, path + "?page=2&page_limit=5")
            #expect(second.json["uploaded_chunks"]?.array?.compactMap { $0["index"]?.integer } == [6, 7, 8, 9, 10])
            #expect(
                second.json["page_info"]
                    == .object(["limit_per_page": 5, "page": 2, "total_page": 3, "total_results": 12]))
            #expect(second.json["chunks_pending"] == 12)
            let beyond = try await client.call(.GET, path + "?page=4&page_limit=5")
            #expect(beyond.status == 200)
            #expect(beyond.json["uploaded_chunks"] == .array([]))
        }
    }

    @Test func showsStoredChunksAsPendingUntilTheyAreReported() async throws {
        try await withSandbox { _, client in
            let session = try await client.create(2000)
            let etag = try await client.put(session.url(2), pattern(1000)).etag
            let stored = try await client.status(session).json["uploaded_chunks"]?.array
            #expect(stored?.compactMap { $0["status"]?.string } == ["pending", "pending"])
            _ = try await client.report(session, [(2, etag, 1000)])
            let reported = try await client.status(session).json["uploaded_chunks"]?.array
            #expect(reported?.compactMap { $0["status"]?.string } == ["pending", "completed"])
        }
    }

    @Test func listsOnlyWhatIsIncomplete() async throws {
        try await withSandbox { _, client in
            let complete = try await client.create(1000)
            try await client.upload(pattern(1000), to: complete)
            var open: [String] = []
            for _ in 1...3 { open.append(try await client.create(1500).uploadID) }
            let page = try await client.call(.GET, "/multipart-uploads?page=1&page_limit=2")
            #expect(page.json["data"]?.array?.compactMap { $0["upload_id"]?.string } == Array(open[..<2]))
            #expect(page.json["data"]?.array?.first?["total_chunks"] == 2)
            #expect(page.json["page_info"]?["total_results"] == 3)
            let beyond = try await client.call(.GET, "/multipart-uploads?page=3&page_limit=2")
            #expect(beyond.status == 200)
            #expect(beyond.json["data"] == .array([]))
        }
    }

    @Test(arguments: ["page=0", "page=-1", "page=x", "page_limit=0", "page_limit=51", "page_limit="])
    func refusesPagesThatCannotBe(query: String) async throws {
        try await withSandbox { _, client in
            let reply = try await client.call(.GET, "/multipart-uploads?\(query)")
            #expect(reply.status == 400)
            #expect(reply.code == "parameter_invalid")
        }
    }

    @Test func givesMoreURLsFromAnywhereButNotPastTheEnd() async throws {
        try await withSandbox {
            $0.initialURLs = 1
        } _: { _, client in
            let session = try await client.create(100_000)
            func indices(_ reply: SandboxClient.Reply) -> [Int64] {
                (reply.json["upload_urls"]?.array ?? []).compactMap { $0["chunk_index"]?.integer }
            }
            let all = try await client.urls(session, start: 30, count: 50)
            #expect(indices(all) == Array(30...79))
            #expect(all.json["start_index"] == 30)
            #expect(all.json["count"] == 50)
            let end = try await client.urls(session, start: 99, count: 50)
            #expect(indices(end) == [99, 100])
            #expect(end.json["count"] == 2)
            for (start, count) in [(0, 1), (101, 1), (1, 0), (1, 51)] as [(Int64, Int64)] {
                #expect(try await client.urls(session, start: start, count: count).status == 400)
            }
        }
    }

    @Test func givesFewerURLsWhenToldSo() async throws {
        try await withSandbox {
            $0.urlsPerCall = 3
        } _: { _, client in
            let session = try await client.create(20_000)
            let reply = try await client.urls(session, start: 5, count: 10)
            #expect(reply.json["upload_urls"]?.array?.count == 3)
            #expect(reply.json["count"] == 3)
        }
    }
}
