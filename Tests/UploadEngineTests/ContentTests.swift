import SandboxPlatform
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// Reading back what has left the spool.
@Suite(.timeLimit(.minutes(2))) struct ContentTests {
    private static func expired(_ status: Int) -> InjectedFault.Answer {
        let code = status == 404 ? "NoSuchKey" : "AccessDenied"
        let message = status == 404 ? "The specified key does not exist." : "Request has expired"
        return .status(status, body: "<Error><Code>\(code)</Code><Message>\(message)</Message></Error>")
    }

    /// What of the upload's URL nobody may see.
    private func secret(_ upload: Upload) throws -> String {
        let url = try #require(upload.inspect { $0.assetURL })
        return try #require(url.split(separator: "?").dropFirst().first.map(String.init), "\(url)")
    }

    private func read(_ upload: Upload, _ engine: UploadEngine, _ size: Int64) async -> Result<[UInt8], UploadFailure> {
        do throws(UploadFailure) {
            let part = try await engine.content(of: upload, range: 1000..<size, totalSize: size)
            return .success(Array(part.readableBytesView))
        } catch {
            return .failure(error)
        }
    }

    @Test func goesThroughTheWholeURLThatNobodySees() async throws {
        try await EngineStage.with(sandbox: { $0.assetURLLifetime = .seconds(3600) }) { stage in
            let content = bytes(2500)
            let upload = try stage.upload("a.mp4", content)
            try await upload.answer().get()
            let secret = try secret(upload)
            #expect(try await read(upload, stage.engine, 2500).get() == Array(content[1000...]))
            let document = upload.status()
            #expect(document.assetURL?.hasSuffix("/a.mp4") == true)
            #expect(!document.json().contains(secret))
            #expect(!document.json().contains("?"))
            #expect(!stage.log.text.isEmpty)
            #expect(!stage.log.text.contains { $0.contains(secret) })
        }
    }

    @Test(arguments: [403, 404]) func aURLThatIsRefusedIsNotAskedAgain(status: Int) async throws {
        try await EngineStage.with(sandbox: { $0.assetURLLifetime = .seconds(3600) }) { stage in
            let content = bytes(2500)
            let upload = try stage.upload("a.mp4", content)
            try await upload.answer().get()
            let secret = try secret(upload)
            stage.sandbox.add(InjectedFault(on: [.content], Self.expired(status)))
            for _ in 1...3 {
                guard case .failure(let failure) = await read(upload, stage.engine, 2500) else {
                    Issue.record("it was read")
                    return
                }
                #expect(failure.code == (status == 404 ? "asset_gone" : "asset_url_expired"))
                #expect(failure.httpStatus == status)
                #expect(failure.message.contains(status == 404 ? "does not exist" : "expired"))
                #expect(failure.hint?.contains("--spool-limit") == true)
                #expect(!"\(failure)".contains(secret))
            }
            #expect(stage.sandbox.journal(of: .content).count == 1)
        }
    }

    @Test func aURLThatExpiresWhileMountedSaysSo() async throws {
        try await EngineStage.with(sandbox: { $0.assetURLLifetime = .zero }) { stage in
            let upload = try stage.upload("a.mp4", bytes(2500))
            try await upload.answer().get()
            guard case .failure(let failure) = await read(upload, stage.engine, 2500) else {
                Issue.record("it was read")
                return
            }
            #expect(failure.code == "asset_url_expired")
            upload.cannotBeRead(failure)
            let error = try #require(upload.status().error)
            #expect(error.code == "asset_url_expired" && error.hint != nil && error.httpStatus == 403)
            #expect(!upload.status().json().contains(try secret(upload)))
            upload.wasRead()
            #expect(upload.status().error == nil)
        }
    }

    @Test func whatMayPassIsTriedAgain() async throws {
        try await EngineStage.with(sandbox: { $0.assetURLLifetime = .seconds(3600) }) { stage in
            let content = bytes(2500)
            let upload = try stage.upload("a.mp4", content)
            try await upload.answer().get()
            let secret = try secret(upload)
            var fault = InjectedFault(on: [.content], .status(503))
            fault.count = 2
            stage.sandbox.add(fault)
            #expect(try await read(upload, stage.engine, 2500).get() == Array(content[1000...]))
            #expect(stage.sandbox.journal(of: .content).count == 3)
            for answer in [InjectedFault.Answer.reset, .cutShort, .html] {
                stage.sandbox.add(InjectedFault(on: [.content], answer))
                #expect(try await read(upload, stage.engine, 2500).get() == Array(content[1000...]))
            }
            #expect(!stage.log.text.contains { $0.contains(secret) })
        }
    }

    @Test func aURLThatWasNeverToldIsNotAskedFor() async throws {
        try await EngineStage.with(sandbox: { $0.assetURLs = false }) { stage in
            let upload = try stage.upload("a.mp4", bytes(2500))
            try await upload.answer().get()
            let before = stage.sandbox.journal(of: .asset).count
            guard case .failure(let failure) = await read(upload, stage.engine, 2500) else {
                Issue.record("it was read")
                return
            }
            #expect(failure.code == "no_asset_url")
            #expect(stage.sandbox.journal(of: .asset).count <= before + 1)
            #expect(upload.status().assetURL == nil)
        }
    }

    @Test func theJournalKeepsTheWholeURLForTheNextMount() async throws {
        try await ResumeStage.with(sandbox: { $0.assetURLLifetime = .seconds(3600) }) { stage in
            let content = bytes(2500)
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                try upload.write(content, at: 0)
                upload.apply(.committed(.whole))
                try await upload.answer().get()
                #expect(!upload.hasReleased(0..<2500))
                // Its last page is not a whole one: what is left of it are zeros.
                try upload.evictContent()
            }
            try await stage.life { life in
                let upload = try #require(life.engine.uploads.first)
                #expect(upload.hasReleased(0..<1) && upload.hasReleased(2499..<2500))
                #expect(upload.status().assetURL?.contains(try secret(upload)) == false)
                #expect(try await read(upload, life.engine, 2500).get() == Array(content[1000...]))
            }
        }
    }
}
