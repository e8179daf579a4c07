import NIOCore
import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct AssetTests {
    @Test func goesFromProcessingToReady() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.processingTime = .seconds(5)
        } _: { _, client in
            let session = try await client.create(1500, filename: "a.mov")
            let reserved = try await client.call(.GET, "/\(session.assetID)")
            #expect(reserved.json["status"] == "processing")
            #expect(reserved.json["size"] == nil)
            try await client.upload(pattern(1500), to: session)
            clock.advance(by: .milliseconds(4999))
            #expect(try await client.call(.GET, "/\(session.assetID)").json["status"] == "processing")
            clock.advance(by: .milliseconds(1))
            let ready = try await client.call(.GET, "/\(session.assetID)")
            #expect(
                ready.json
                    == .object([
                        "_id": .string(session.assetID), "method": "multipart", "status": "ready", "size": 1500,
                        "filename": "a.mov", "file_type": "video/quicktime", "created_at": "2023-11-14T22:13:20Z",
                        "technical_metadata": .object([
                            "file_size_bytes": 1500, "file_mime_type": "video/quicktime",
                        ]),
                    ]))
        }
    }

    @Test func failsWhenToldSo() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.assetFailure = "No video stream."
        } _: { _, client in
            let session = try await client.create(1000)
            try await client.upload(pattern(1000), to: session)
            clock.advance(by: .seconds(1))
            let failed = try await client.call(.GET, "/\(session.assetID)")
            #expect(failed.json["status"] == "failed")
            #expect(failed.json["error"] == .object(["message": "No video stream."]))
            _ = try await client.control(.POST, "assets/\(session.assetID)", #"{"failure":null}"#)
            #expect(try await client.call(.GET, "/\(session.assetID)").json["status"] == "ready")
        }
    }

    @Test func isDeletedWithItsSession() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            _ = try await client.put(session.url(1), pattern(1000))
            #expect(try await client.call(.DELETE, "/\(session.assetID)").status == 200)
            #expect(try await client.call(.GET, "/\(session.assetID)").code == "resource_not_exist")
            #expect(try await client.call(.DELETE, "/\(session.assetID)").status == 404)
            #expect(try await client.status(session).status == 404)
            #expect(try await client.put(session.url(2), pattern(1000)).status == 404)
            let assets = try await sandbox.assets()
            #expect(assets.map(\.deleted) == [true])
            #expect(assets.map(\.complete) == [false])
        }
    }

    @Test func isDeletedOnlyWithForceWhenSomethingRefersToIt() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(1000)
            let url = try await client.upload(pattern(1000), to: session).json["url"]?.string ?? ""
            try await sandbox.refer(toAsset: session.assetID)
            #expect(try await client.call(.DELETE, "/\(session.assetID)").status == 409)
            #expect(try await client.call(.DELETE, "/\(session.assetID)?force=false").status == 409)
            #expect(try await client.call(.DELETE, "/\(session.assetID)?force=true").status == 200)
            #expect(try await client.send(.GET, url).status == 404)
            #expect(try await sandbox.content(ofAsset: session.assetID) == nil)
        }
    }

    @Test func tellsTheDigestOfCompleteAssetsOnly() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(3)
            #expect(try await sandbox.assets().map(\.sha256) == [nil])
            try await client.upload(Array("abc".utf8), to: session)
            let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            #expect(try await sandbox.assets().map(\.sha256) == [digest])
            let assets = try await client.control(.GET, "assets").json["assets"]?.array
            #expect(assets?.first?["sha256"] == .string(digest))
            #expect(assets?.first?["complete"] == true)
        }
    }

    @Test func isReadThroughItsURL() async throws {
        try await withSandbox { sandbox, client in
            let bytes = pattern(2500)
            let session = try await client.create(2500, filename: "a b/ü?.mp4")
            let url = try await client.upload(bytes, to: session).json["url"]?.string ?? ""
            let whole = try await client.send(.GET, url)
            #expect(whole.status == 200)
            #expect(whole.body == ByteBuffer(bytes: bytes))
            #expect(whole.headers.first(name: "accept-ranges") == "bytes")
            #expect(whole.headers.first(name: "content-type") == "video/mp4")
            let head = try await client.send(.HEAD, url)
            #expect(head.headers.first(name: "content-length") == "2500")
            #expect(head.body.readableBytes == 0)
            #expect(try await client.send(.GET, url, headers: [("x-api-key", "sandbox-key")]).status == 400)
            #expect(sandbox.journal(of: .content).map(\.bytes) == [2500, 0, nil])
        }
    }

    @Test(arguments: [
        ("bytes=0-0", 0..<1), ("bytes=990-1010", 990..<1011), ("bytes=2400-", 2400..<2500),
        ("bytes=-5", 2495..<2500), ("bytes=-9999", 0..<2500), ("bytes=10-999999", 10..<2500),
    ])
    func isReadInPart(header: String, range: Range<Int>) async throws {
        try await withSandbox { _, client in
            let bytes = pattern(2500)
            let session = try await client.create(2500)
            let url = try await client.upload(bytes, to: session).json["url"]?.string ?? ""
            let part = try await client.send(.GET, url, headers: [("Range", header)])
            #expect(part.status == 206)
            #expect(part.body == ByteBuffer(bytes: bytes[range]))
            #expect(
                part.headers.first(name: "content-range")
                    == "bytes \(range.lowerBound)-\(range.upperBound - 1)/2500")
            #expect(part.headers.first(name: "content-length") == "\(range.count)")
        }
    }

    @Test(arguments: [
        ("bytes=2500-", 416), ("bytes=-0", 416), ("bytes=5-1", 200), ("lines=1-2", 200), ("bytes=x", 200),
    ])
    func answersRangesThatCannotBe(header: String, status: Int) async throws {
        try await withSandbox { _, client in
            let session = try await client.create(2500)
            let url = try await client.upload(pattern(2500), to: session).json["url"]?.string ?? ""
            let reply = try await client.send(.GET, url, headers: [("Range", header)])
            #expect(reply.status == status)
            if status == 416 { #expect(reply.headers.first(name: "content-range") == "bytes */2500") }
        }
    }
}
