import SandboxPlatform
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// What becomes of the assets of completed uploads, on a clock that only the test moves.
@Suite(.timeLimit(.minutes(2))) struct AssetTests {
    private static let notThere = InjectedFault.Answer.status(
        404, body: #"{"code":"resource_not_exist","message":"The asset does not exist."}"#)

    private static func always(_ kind: RequestKind, _ answer: InjectedFault.Answer) -> InjectedFault {
        var fault = InjectedFault(on: [kind], answer)
        fault.count = nil
        return fault
    }

    /// Lets time pass in steps until `condition` holds.
    private func pass(
        _ time: ManualTime, by step: Duration = .seconds(5), until what: String, _ condition: @escaping () -> Bool
    ) async throws {
        try await eventually(what) {
            if condition() { return true }
            time.advance(by: step)
            return false
        }
    }

    @Test(arguments: [400, 404]) func anAssetThatIsNotThereAtFirstIsAskedForAgain(status: Int) async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            var fault = InjectedFault(
                on: [.asset], .status(status, body: #"{"code":"resource_not_exist","message":"no such asset"}"#))
            fault.count = 3
            stage.sandbox.add(fault)
            let upload = try stage.upload("a.mp4", bytes(2000))
            try await upload.answer().get()
            #expect(upload.status().assetStatus == .processing)
            try await pass(time, until: "it is ready") { upload.status().assetStatus == .ready }
            #expect(upload.status().assetError == nil)
            #expect(stage.sandbox.journal(of: .asset).count == 4)
        }
    }

    @Test func anAssetThatIsNeverThereIsUnknown() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(Self.always(.asset, Self.notThere))
            let upload = try stage.upload("a.mp4", bytes(2000))
            try await upload.answer().get()
            try await pass(time, until: "it is undetermined") { upload.status().assetStatus == .undetermined }
            #expect(upload.status().assetError == "resource_not_exist: The asset does not exist.")
            #expect(upload.currentState == .completed)
            #expect(upload.status().error == nil)
            try await eventually("no timer is left") { time.deadlines.isEmpty }
            #expect(stage.log.text.contains { $0.hasPrefix("warning the platform does not tell what became") })
        }
    }

    /// That says nothing about the key, and holds up nobody.
    @Test(.shows("asset-unknown")) func anAssetThatMayNotBeReadIsUnknownAndNobodyElseWaits() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            let refusal = #"{"code":"read_not_allowed","message":"The asset is another account's."}"#
            stage.sandbox.add(Self.always(.asset, .status(403, body: refusal)))
            let upload = try stage.upload("a.mp4", bytes(2000))
            try await upload.answer().get()
            try await pass(time, until: "it is known") { upload.status().assetStatus == .undetermined }
            #expect(upload.status().assetError == "read_not_allowed: The asset is another account's.")
            #expect(stage.sandbox.journal(of: .asset).count == 1)
            // Without any time passing.
            let other = try stage.upload("b.mp4", bytes(2000))
            try await other.answer().get()
            #expect(other.status().waitingFor == nil)
        }
    }

    @Test(.shows("asset-size")) func anotherSizeIsAnError() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(Self.always(.asset, .replace(["technical_metadata": .object(["file_size_bytes": 1999])])))
            let upload = try stage.upload("a.mp4", bytes(2000))
            try await upload.answer().get()
            try await pass(time, until: "it is ready") { upload.status().assetStatus == .ready }
            let error = try #require(upload.status().assetError)
            #expect(error.hasPrefix("size_differs: ") && error.contains("1999") && error.contains("2000"), "\(error)")
            #expect(stage.log.text.contains { $0.hasPrefix("error ") && $0.contains("size_differs") })
            #expect(upload.inspect { $0.asset?.issue?.code } == "size_differs")
        }
    }

    @Test(.shows("asset-calls")) func allAreAskedForInOneCall() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            let uploads = try (0..<5).map { try stage.upload("\($0).mp4", bytes(2000)) }
            for upload in uploads { try await upload.answer().get() }
            try await pass(time, until: "all are ready") { uploads.allSatisfy { $0.status().assetStatus == .ready } }
            let lists = stage.sandbox.journal(of: .assets)
            #expect(lists.count == 1)
            #expect(Set(lists.first?.assetIDs ?? []) == Set(uploads.compactMap { $0.status().assetID }))
            #expect(lists.first?.violation == nil)
            // The list does not tell sizes, which are asked for as long as there are few.
            #expect(stage.sandbox.journal(of: .asset).count == 5)
        }
    }

    @Test(arguments: [400, 403, 404]) func whereTheListIsRefusedEachIsAskedFor(status: Int) async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(Self.always(.assets, .status(status)))
            let uploads = try (0..<3).map { try stage.upload("\($0).mp4", bytes(2000)) }
            for upload in uploads { try await upload.answer().get() }
            try await pass(time, until: "all are ready") { uploads.allSatisfy { $0.status().assetStatus == .ready } }
            #expect(stage.sandbox.journal(of: .assets).count == 1)
            // Whatever the list is refused for: the key is good, and nobody waits for another.
            let next = try stage.upload("next.mp4", bytes(2000))
            try await next.answer().get()
        }
    }

    @Test func anotherAccountsAssetCostsTheOthersNothing() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(InjectedFault(on: [.assets], .readNotAllowed))
            let uploads = try (0..<3).map { try stage.upload("\($0).mp4", bytes(2000)) }
            for upload in uploads { try await upload.answer().get() }
            stage.sandbox.add(InjectedFault(on: [.asset], .readNotAllowed))
            try await pass(time, until: "all are decided") {
                uploads.allSatisfy { $0.inspect { $0.asset?.isDecided ?? false } }
            }
            #expect(uploads.count { $0.status().assetStatus == .ready } == 2)
            #expect(uploads.count { $0.status().assetError?.hasPrefix("read_not_allowed: ") ?? false } == 1)
        }
    }

    @Test func manySmallFilesCostFewCallsBeyondTheirUploads() async throws {
        try await EngineStage.with(sandbox: { $0.processingTime = .seconds(1) }) { stage in
            let count = 300
            var uploads: [Upload] = []
            for first in stride(from: 0, to: count, by: 10) {
                let batch = try (first..<first + 10).map { try stage.upload("\($0).mp4", bytes(100)) }
                for upload in batch { try await upload.answer().get() }
                uploads += batch
            }
            let all = uploads
            try await eventually("all are ready", timeout: .seconds(60)) {
                all.allSatisfy { $0.status().assetStatus == .ready }
            }
            #expect(stage.sandbox.journal(of: .create).count == count)
            let asked = stage.sandbox.journal(of: .assets).count + stage.sandbox.journal(of: .asset).count
            #expect(asked <= 40, "\(asked) calls")
        }
    }

    @Test func nobodyIsAskedWhileARateLimitLasts() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock, sandbox: { $0.processingTime = .seconds(86_400) }) { stage in
            let upload = try stage.upload("a.mp4", bytes(2000))
            try await upload.answer().get()
            stage.sandbox.add(InjectedFault(on: [.create], .status(429, headers: ["Retry-After": "1800"])))
            let end = time.now + .seconds(1800)
            let other = try stage.upload("b.mp4", bytes(2000))
            try await eventually("it is held back") { other.status().waitingFor == .rateLimit }
            time.advance(by: .seconds(10))
            try await eventually("the asset is due, and the gate is shut") { time.deadlines.contains(end) }
            while time.now + .seconds(10) < end { time.advance(by: .seconds(10)) }
            #expect(stage.sandbox.journal(of: .asset).isEmpty)
            time.advance(by: .seconds(10))
            #expect(await other.end() == .completed)
            try await pass(time, until: "assets are asked for") { !stage.sandbox.journal(of: .asset).isEmpty }
        }
    }

    @Test func anEngineThatStopsAsksForNothing() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock, sandbox: { $0.processingTime = .seconds(86_400) }) { stage in
            let upload = try stage.upload("a.mp4", bytes(2000))
            try await upload.answer().get()
            try await eventually("the asset is about to be asked for") { !time.deadlines.isEmpty }
            await stage.engine.stop()
            try await eventually("no timer is left") { time.deadlines.isEmpty }
            time.advance(by: .seconds(100))
            #expect(stage.sandbox.journal(of: .asset).isEmpty)
        }
    }

    @Test(.shows("asset-status")) func whatIsNotKnownYetIsAskedForInTheNextMount() async throws {
        try await ResumeStage.with(sandbox: { $0.processingTime = .seconds(3600) }) { stage in
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                try upload.write(bytes(1500), at: 0)
                upload.apply(.committed(.whole))
                try await upload.answer().get()
            }
            let before = stage.sandbox.journal(of: .asset).count
            try await stage.life { life in
                let upload = try #require(life.engine.uploads.first)
                #expect(upload.status().assetStatus == .processing)
                stage.sandbox.add(InjectedFault(on: [.asset], .replace(["status": "ready", "size": 1500])))
                try await eventually("it is ready") { upload.status().assetStatus == .ready }
                await life.journalIsWritten()
            }
            #expect(stage.sandbox.journal(of: .asset).count == before + 1)
            try await stage.life { life in
                #expect(life.engine.uploads.first?.status().assetStatus == .ready)
                #expect(life.journal.contents.uploads.first?.assetStatus == .ready)
            }
            #expect(stage.sandbox.journal(of: .asset).count == before + 1, "it is decided")
        }
    }

    @Test func whyNothingIsKnownIsStillKnownInTheNextMount() async throws {
        try await ResumeStage.with { stage in
            stage.sandbox.add(
                Self.always(.asset, .status(403, body: #"{"code":"read_not_allowed","message":"not yours"}"#)))
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                try upload.write(bytes(1500), at: 0)
                upload.apply(.committed(.whole))
                try await upload.answer().get()
                try await eventually("it is known") { upload.status().assetStatus == .undetermined }
                await life.journalIsWritten()
            }
            try await stage.life { life in
                let upload = try #require(life.engine.uploads.first)
                #expect(upload.status().assetStatus == .undetermined)
                let issue = upload.inspect { $0.asset?.issue }
                #expect(issue == AssetIssue(code: "read_not_allowed", message: "not yours"))
            }
        }
    }
}
