import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct AssetListTests {
    private func ids(_ reply: SandboxClient.Reply) -> [String] {
        (reply.json["data"]?.array ?? []).compactMap { $0["_id"]?.string }
    }

    @Test("Every asset is listed, the newest first, also while its upload is under way")
    func listsTheNewestFirst() async throws {
        try await withSandbox { _, client in
            var created: [String] = []
            for _ in 1...12 { created.append(try await client.create(1000).assetID) }
            let first = try await client.call(.GET, "")
            #expect(ids(first) == Array(created.reversed()[..<10]))
            #expect(
                first.json["page_info"]
                    == .object(["limit_per_page": 10, "page": 1, "total_page": 2, "total_results": 12]))
            #expect(first.json["data"]?.array?.first?["status"] == "processing")
            let second = try await client.call(.GET, "?page=2&page_limit=10")
            #expect(ids(second) == Array(created.reversed()[10...]))
            #expect(ids(try await client.call(.GET, "?page=3")) == [])
        }
    }

    /// July's specification: the list has `Asset`s, retrieving gives an `AssetDetail`.
    @Test("A list says less of an asset than retrieving it does", arguments: [nil, "no picture"])
    func describesAssetsWithoutDetails(failure: String?) async throws {
        try await withSandbox {
            $0.processingTime = .zero
            $0.assetFailure = failure
        } _: { _, client in
            let session = try await client.create(1500, filename: "a.mov")
            try await client.upload(pattern(1500), to: session)
            let entry = try await client.call(.GET, "").json["data"]?.array?.first
            guard case .object(let listed)? = entry,
                case .object(let retrieved) = try await client.call(.GET, "/\(session.assetID)").json
            else {
                Issue.record("neither is an object")
                return
            }
            #expect(listed.keys.sorted() == ["_id", "created_at", "file_type", "filename", "method", "status"])
            #expect(retrieved.filter { listed.keys.contains($0.key) } == listed)
            if let failure {
                #expect(retrieved["error"] == .object(["message": .string(failure)]))
            } else {
                #expect(retrieved["technical_metadata"]?["file_size_bytes"] == 1500)
                #expect(retrieved["size"] == 1500)
            }
            #expect(retrieved["url"] == nil)
        }
    }

    @Test("Only the assets that were asked for are listed, deleted and unknown ones are not")
    func listsWhatWasAskedFor() async throws {
        try await withSandbox { sandbox, client in
            var created: [String] = []
            for _ in 1...4 { created.append(try await client.create(1000).assetID) }
            _ = try await client.call(.DELETE, "/\(created[1])")
            let asked = [created[3], created[0], created[1], "507f1f77bcf86cd799439011"]
            let query = asked.map { "asset_ids=\($0)" }.joined(separator: "&")
            let reply = try await client.call(.GET, "?\(query)&page_limit=50")
            #expect(ids(reply) == [created[3], created[0]])
            #expect(reply.json["page_info"]?["total_results"] == 2)
            #expect(sandbox.journal(of: .assets).map(\.assetIDs) == [asked])
            // One text with commas is one id, which there is not.
            #expect(ids(try await client.call(.GET, "?asset_ids=\(created[0]),\(created[3])")) == [])
        }
    }

    @Test("Assets are found by type and by a part of their name, whatever its case")
    func findsByTypeAndName() async throws {
        try await withSandbox { _, client in
            let first = try await client.create(1, filename: "Sea and sky.mp4").assetID
            let second = try await client.create(1, filename: "sky.mp4").assetID
            let request: SandboxJSON = .object(["filename": "Skylark.mp3", "type": "audio", "total_size": 1])
            let song = try await client.call(.POST, "/multipart-uploads", request).json["asset_id"]?.string
            #expect(ids(try await client.call(.GET, "?filename=SKY")) == [song, second, first])
            #expect(ids(try await client.call(.GET, "?filename=and+sky")) == [first])
            #expect(ids(try await client.call(.GET, "?asset_types=audio&asset_types=image")) == [song])
            #expect(ids(try await client.call(.GET, "?asset_types=video&filename=sky.")) == [second, first])
        }
    }

    @Test("An asset that is not there yet is neither found nor listed")
    func hidesAnAssetForAWhile() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.assetDelay = .seconds(5)
        } _: { sandbox, client in
            let session = try await client.create(1000)
            try await client.upload(pattern(1000), to: session)
            clock.advance(by: .milliseconds(4999))
            #expect(try await client.call(.GET, "/\(session.assetID)").status == 404)
            sandbox.configure { $0.missingAssetStatus = 400 }
            let missing = try await client.call(.GET, "/\(session.assetID)")
            #expect(missing.status == 400)
            #expect(missing.code == "resource_not_exist")
            #expect(ids(try await client.call(.GET, "?asset_ids=\(session.assetID)")) == [])
            clock.advance(by: .milliseconds(1))
            #expect(try await client.call(.GET, "/\(session.assetID)").json["status"] == "ready")
        }
    }

    @Test("A size is told as it was set")
    func tellsAnotherSizeWhenToldSo() async throws {
        try await withSandbox {
            $0.processingTime = .zero
        } _: { _, client in
            let session = try await client.create(1000)
            try await client.upload(pattern(1000), to: session)
            _ = try await client.control(.POST, "assets/\(session.assetID)", #"{"size":999}"#)
            let asset = try await client.call(.GET, "/\(session.assetID)").json
            #expect(asset["size"] == 999)
            #expect(asset["technical_metadata"]?["file_size_bytes"] == 999)
        }
    }

    @Test("Metadata is merged: null removes a key, an empty text changes nothing")
    func changesMetadata() async throws {
        try await withSandbox { _, client in
            let session = try await client.create(1000)
            let path = "/\(session.assetID)"
            #expect(try await client.call(.GET, path).json["user_metadata"] == nil)
            for metadata in [
                ["take": 3, "by": "me", "final": false], ["by": "", "take": .null, "rating": .number(0.5)],
            ] as [[String: SandboxJSON]] {
                let body = SandboxJSON.object(["user_metadata": .object(metadata)])
                #expect(try await client.call(.PATCH, path + "/user-metadata", body).status == 200)
            }
            #expect(
                try await client.call(.GET, path).json["user_metadata"]
                    == .object(["by": "me", "final": false, "rating": .number(0.5)]))
        }
    }

    @Test("An asset's URL is good until it expires, and only as it was given")
    func letsURLsExpire() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.assetURLLifetime = .seconds(10)
        } _: { _, client in
            let session = try await client.create(1000, filename: "a b.mp4")
            let url = try await client.upload(pattern(1000), to: session).json["url"]?.string ?? ""
            #expect(try await client.send(.GET, url).status == 200)
            let forged = url.replacing("expires=1", with: "expires=9")
            #expect(try await client.send(.GET, forged).text.contains("SignatureDoesNotMatch"))
            #expect(try await client.send(.GET, String(url.prefix { $0 != "?" })).status == 403)
            clock.advance(by: .seconds(10))
            let late = try await client.send(.GET, url)
            #expect(late.status == 403)
            #expect(late.text.contains("<Code>AccessDenied</Code><Message>Request has expired</Message>"))
        }
    }
}
