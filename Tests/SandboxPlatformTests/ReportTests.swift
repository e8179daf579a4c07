import NIOCore
import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct ReportTests {
    @Test func completesTheUploadWithTheLastChunkAndOnlyThenTellsTheURL() async throws {
        try await withSandbox { sandbox, client in
            let bytes = pattern(2500)
            let session = try await client.create(2500)
            var etags: [String?] = []
            for index in 1...3 {
                let piece = Array(bytes[(index - 1) * 1000..<min(index * 1000, 2500)])
                etags.append(try await client.put(session.url(index), piece).etag)
            }
            let first = try await client.report(session, [(3, etags[2], 500), (1, etags[0], 1000)])
            #expect(first.status == 200)
            #expect(first.json["processed_chunks"] == 2)
            #expect(first.json["total_completed"] == 2)
            #expect(first.json["asset_id"] == .string(session.assetID))
            #expect(first.json["url"] == nil)
            #expect(try await client.status(session).json["status"] == "active")
            let last = try await client.report(session, [(2, etags[1], 1000)])
            #expect(last.json["total_completed"] == 3)
            #expect(last.json["url"]?.string?.hasPrefix(sandbox.origin) == true)
            #expect(try await client.status(session).json["status"] == "completed")
            #expect(try await client.status(session).json["uploaded_size"] == 2500)
            #expect(try await sandbox.content(ofAsset: session.assetID) == .init(bytes: bytes))
            #expect(try await sandbox.completeAssets().map(\.assetID) == [session.assetID])
        }
    }

    @Test func countsDuplicatesAndIgnoresWhatTheyProve() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            let etag = try await client.put(session.url(1), pattern(1000)).etag
            _ = try await client.report(session, [(1, etag, 1000)])
            let again = try await client.report(session, [(1, "another", 1000)])
            #expect(again.status == 200)
            #expect(again.json["duplicate_chunks"] == 1)
            #expect(again.json["processed_chunks"] == 0)
            #expect(again.json["total_completed"] == 1)
            #expect(sandbox.journal(of: .report).map(\.duplicateChunks) == [0, 1])
            let second = try await client.put(session.url(2), pattern(1000)).etag
            let twice = try await client.report(session, [(2, second, 1000), (2, second, 1000)])
            #expect(twice.json["processed_chunks"] == 1)
            #expect(twice.json["duplicate_chunks"] == 1)
        }
    }

    @Test func canBeRepeatedAfterTheUploadIsComplete() async throws {
        try await withSandbox { _, client in
            let session = try await client.create(1000)
            let etag = try await client.put(session.url(1), pattern(1000)).etag
            let last = try await client.report(session, [(1, etag, 1000)])
            let again = try await client.report(session, [(1, etag, 1000)])
            #expect(again.json["duplicate_chunks"] == 1)
            #expect(again.json["url"] == last.json["url"])
        }
    }

    @Test(
        arguments: [
            (0, nil, 1000, "chunk_index"), (4, nil, 500, "chunk_index"), (2, nil, 1000, "chunk_index"),
            (1, nil, 999, "chunk_size"), (1, "900150983cd24fb0d6963f7d28e17f72", 1000, "proof"), (1, "", 1000, "proof"),
        ] as [(Int, String?, Int, String)])
    func refusesAReportAsAWholeWhenOneChunkIsWrong(
        index: Int, proof: String?, size: Int, parameter: String
    ) async throws {
        try await withSandbox { _, client in
            let session = try await client.create(2500)
            let first = try await client.put(session.url(1), pattern(1000)).etag
            let last = try await client.put(session.url(3), pattern(500)).etag
            let reply = try await client.report(session, [(3, last, 500), (index, proof ?? first, size)])
            #expect(reply.status == 400)
            #expect(reply.code == "parameter_invalid")
            #expect(reply.json["message"]?.string?.contains(parameter) == true)
            #expect(try await client.status(session).json["chunks_completed"] == 0)
        }
    }

    @Test(arguments: [
        #"{"completed_chunks":[]}"#, #"{"completed_chunks":{}}"#, "{}", #"{"completed_chunks":[7]}"#,
        #"{"completed_chunks":[{"chunk_index":1,"proof":"x","proof_type":"md5","chunk_size":1000}]}"#,
        #"{"completed_chunks":[{"chunk_index":1,"proof":"x","chunk_size":1000}]}"#,
        #"{"completed_chunks":[{"chunk_index":1,"proof":"x","proof_type":"etag"}]}"#,
    ])
    func refusesReportsThatAreNotInOrder(body: String) async throws {
        try await withSandbox { _, client in
            let session = try await client.create(1000)
            let reply = try await client.call(
                .POST, "/multipart-uploads/\(session.uploadID)", try SandboxJSON(parsing: body))
            #expect(reply.status == 400)
        }
    }

    @Test("At most 50 chunks a report, and a report of 51 has no effect")
    func takesAtMostFiftyChunksAtOnce() async throws {
        try await withSandbox {
            $0.chunkSize = 1
        } _: { _, client in
            let session = try await client.create(51)
            var chunks: [(index: Int, etag: String?, size: Int)] = []
            for index in 1...51 {
                let url = try await client.freshURL(session, index)
                chunks.append((index, try await client.put(url, [UInt8(index)]).etag, 1))
            }
            let refused = try await client.report(session, chunks)
            #expect(refused.status == 400)
            #expect(refused.code == "parameter_invalid")
            #expect(refused.json["message"]?.string?.contains("completed_chunks") == true)
            #expect(try await client.status(session).json["chunks_completed"] == 0)
            let most = try await client.report(session, Array(chunks[..<50]))
            #expect(most.json["total_completed"] == 50)
            #expect(try await client.report(session, [chunks[50]]).json["url"] != nil)
        }
    }

    @Test func leavesOutTheURLWhenToldSo() async throws {
        try await withSandbox {
            $0.assetURLs = false
        } _: { _, client in
            let session = try await client.create(1000)
            let reply = try await client.upload(pattern(1000), to: session)
            #expect(reply.json["total_completed"] == 1)
            #expect(reply.json["url"] == nil)
        }
    }

    @Test func knowsNoUploadsButItsOwn() async throws {
        try await withSandbox { _, client in
            let unknown = SandboxClient.Session(json: .object(["upload_id": "507f1f77bcf86cd799439011"]))
            for reply in [
                try await client.status(unknown), try await client.report(unknown, [(1, "x", 1000)]),
                try await client.urls(unknown, start: 1, count: 1),
            ] {
                #expect(reply.status == 404)
                #expect(reply.code == "resource_not_exist")
            }
        }
    }
}
