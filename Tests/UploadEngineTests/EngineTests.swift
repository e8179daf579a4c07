import Dispatch
import SandboxPlatform
import Synchronization
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

@Suite(.timeLimit(.minutes(2))) struct EngineTests {
    @Test func uploadsAFileWhole() async throws {
        try await EngineStage.with { stage in
            let content = bytes(12_345)
            let upload = try stage.upload("a.mp4", content)
            try await upload.answer().get()
            #expect(upload.currentState == .completed)
            #expect(try await stage.content(of: "a.mp4") == content)
            let create = try #require(stage.sandbox.journal(of: .create).first)
            #expect(create.totalSize == 12_345)
            let status = upload.status()
            #expect(status.completedAt != nil)
            #expect(status.bytesUploaded == 12_345)
            #expect(status.error == nil)
            #expect(stage.sandbox.journal(of: .put).allSatisfy { !$0.carriedAPIKey })
        }
    }

    @Test func metadataArrivesAsWhatItIs() async throws {
        let metadata: [(key: String, value: MetadataValue)] = [
            ("category", .string("recentlyAdded")), ("batch", .string("5")), ("batchNumber", .integer(5)),
            ("exact", .integer(9_007_199_254_740_991)), ("rating", .float(9.3)), ("whole", .float(2)),
            ("needsReview", .boolean(true)),
        ]
        try await EngineStage.with(engine: { $0.metadata = metadata }) { stage in
            try await stage.upload("a.mp4", bytes(10)).answer().get()
            let asset = try #require(try await stage.sandbox.completeAssets().first)
            #expect(
                asset.options
                    == .object([
                        "user_metadata": .object([
                            "category": "recentlyAdded", "batch": "5", "batchNumber": 5,
                            "exact": .integer(9_007_199_254_740_991), "rating": .number(9.3), "whole": 2,
                            "needsReview": true,
                        ])
                    ]))
        }
    }

    /// A mount that ends in the moment between an upload's commit and its telling of that must wait for it all the same.
    @Test func whatWasCommittedAMomentAgoIsWaitedFor() async throws {
        try await EngineStage.with { stage in
            let engine = stage.engine
            let looks = Mutex<[DispatchTimeoutResult]>([])
            stage.log.listen { message in
                guard message == "upload changed state", looks.withLock(\.isEmpty) else { return }
                let idle = DispatchSemaphore(value: 0)
                Task {
                    await engine.untilIdle()
                    idle.signal()
                }
                let look = idle.wait(timeout: .now() + .milliseconds(200))
                looks.withLock { $0.append(look) }
            }
            try await stage.upload("a.mp4", bytes(2500)).answer().get()
            #expect(looks.withLock { $0 } == [.timedOut])
        }
    }

    @Test(.shows("size-known")) func uploadsChunksWhileTheWriterIsAtWork() async throws {
        try await EngineStage.with { stage in
            let content = bytes(5500)
            let upload = try stage.begin("a.mp4")
            upload.apply(.hinted(SizeHint(size: 5500, source: .copiedSource)))
            try upload.write(Array(content[..<3100]), at: 0)
            try await stage.sandbox.waitForJournal { entries in
                Set(entries.filter { $0.kind == .put && $0.status == 200 }.compactMap(\.chunkIndex)) == [1, 2, 3]
            }
            try await eventually("the chunks count as stored") { upload.status().bytesUploaded == 3000 }
            #expect(upload.currentState == .open)
            try upload.write(Array(content[3100...]), at: 3100)
            upload.apply(.committed(.whole))
            try await upload.answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.sandbox.journal(of: .create).count == 1)
        }
    }

    @Test(.shows("size-rewritten")) func sendsAgainWhatIsRewritten() async throws {
        try await EngineStage.with { stage in
            var content = bytes(3000)
            let upload = try stage.begin("a.mp4")
            upload.apply(.hinted(SizeHint(size: 3000, source: .copiedSource)))
            try upload.write(content, at: 0)
            try await eventually("all chunks are stored") { upload.status().bytesUploaded == 3000 }
            content.replaceSubrange(1500..<1600, with: bytes(100, seed: 2))
            try upload.write(Array(content[1500..<1600]), at: 1500)
            upload.apply(.committed(.whole))
            try await upload.answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.sandbox.journal(of: .put).compactMap(\.chunkIndex).sorted() == [1, 2, 2, 3])
            #expect(stage.sandbox.journal(of: .create).count == 1)
        }
    }

    @Test(.shows("holes")) func uploadsHolesAsZeros() async throws {
        try await EngineStage.with { stage in
            let upload = try stage.begin("a.mp4")
            try upload.write([1, 2, 3], at: 2500)
            try upload.spool.truncate(to: 4000)
            upload.apply(.truncated(to: 4000))
            upload.apply(.committed(.whole))
            try await upload.answer().get()
            var content = [UInt8](repeating: 0, count: 4000)
            content.replaceSubrange(2500..<2503, with: [1, 2, 3])
            #expect(try await stage.content(of: "a.mp4") == content)
        }
    }

    @Test(.shows("size-wrong")) func abandonsASessionOfTheWrongSize() async throws {
        try await EngineStage.with { stage in
            let content = bytes(4000)
            let upload = try stage.begin("a.mp4")
            upload.apply(.hinted(SizeHint(size: 5000, source: .readSource)))
            try upload.write(content, at: 0)
            try await eventually("a session is open") { upload.status().uploadID != nil }
            upload.apply(.committed(.whole))
            try await upload.answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            await stage.engine.finishCleaning()
            let assets = try await stage.sandbox.assets()
            #expect(assets.map(\.size).sorted() == [4000, 5000])
            #expect(assets.filter(\.deleted).map(\.size) == [5000])
            #expect(upload.status().abandonedUploadIDs == assets.filter(\.deleted).map(\.uploadID))
        }
    }

    @Test(.shows("name-temporary")) func stagesATemporaryNameAndCompletesItLater() async throws {
        try await EngineStage.with { stage in
            let content = bytes(3500)
            let upload = try stage.begin("a.mp4.part")
            upload.updateIdentity { $0.filename = "a.mp4" }
            try upload.write(content, at: 0)
            upload.apply(.committed(.allButLast))
            try await upload.answer().get()
            #expect(upload.currentState == .staged)
            #expect(try await stage.sandbox.completeAssets().isEmpty)
            #expect(stage.sandbox.journal(of: .report).flatMap { $0.chunkIndices ?? [] }.sorted() == [1, 2, 3])
            let answers = Answers()
            _ = upload.whenAnswered(stagedIsEnough: false) { answers.add($0) }
            upload.apply(.committed(.whole))
            #expect(await upload.end() == .completed)
            try await eventually("the rename is answered") { answers.kinds == [nil] }
            #expect(try await stage.content(of: "a.mp4") == content)
        }
    }

    @Test func whoCommitsWhatIsBeingStagedWaitsOnWhenThatIsStaged() async throws {
        try await EngineStage.with { stage in
            let upload = try stage.begin("a.mp4.part")
            try upload.write(bytes(3500), at: 0)
            upload.apply(.committed(.allButLast))
            let answers = Answers()
            #expect(upload.currentState == .finishing)
            _ = upload.whenAnswered(stagedIsEnough: false) { answers.add($0) }
            try await upload.answer().get()
            #expect(upload.currentState == .staged)
            #expect(answers.kinds.isEmpty)
            upload.apply(.committed(.whole))
            try await eventually("it is answered") { answers.kinds == [nil] }
            #expect(upload.currentState == .completed)
        }
    }

    // MARK: Sharing

    @Test func manyUploadsShareAFewPlaces() async throws {
        try await EngineStage.with(engine: { $0.uploadConcurrency = 3 }, sandbox: { $0.latency = .milliseconds(5) }) {
            stage in
            var uploads: [(Upload, String, [UInt8])] = []
            for number in 1...6 {
                let content = bytes(6000 + number, seed: UInt64(number))
                uploads.append((try stage.upload("\(number).mp4", content), "\(number).mp4", content))
            }
            await stage.engine.untilIdle()
            for (upload, name, content) in uploads {
                #expect(upload.currentState == .completed)
                #expect(try await stage.content(of: name) == content)
            }
            #expect(stage.sandbox.peakConcurrentPuts <= 3)
            #expect(stage.sandbox.peakConcurrentPuts > 1)
        }
    }

    @Test(.shows("small-first")) func aSmallFileOvertakesALargeOne() async throws {
        try await EngineStage.with(engine: { $0.uploadConcurrency = 2 }, sandbox: { $0.latency = .milliseconds(2) }) {
            stage in
            let large = try stage.upload("large.mp4", bytes(200_000))
            try await stage.sandbox.waitForJournal { $0.contains { $0.kind == .put } }
            let small = try stage.upload("small.mp4", bytes(2000))
            try await small.answer().get()
            #expect(large.currentState == .finishing)
            try await large.answer().get()
            let puts = stage.sandbox.journal(of: .put)
            let id = try #require(small.status().uploadID)
            let first = try #require(puts.firstIndex { $0.uploadID == id })
            let last = try #require(puts.lastIndex { $0.uploadID == id })
            #expect(last < puts.count - 100)
            #expect(last - first < 10)
        }
    }

    @Test func isIdleWhenNothingIsOnItsWay() async throws {
        try await EngineStage.with { stage in
            await stage.engine.untilIdle()
            let open = try stage.begin("open.mp4")
            try open.write(bytes(2000), at: 0)
            await stage.engine.untilIdle()

            stage.sandbox.add(InjectedFault(on: [.create], .hang))
            let upload = try stage.upload("a.mp4", bytes(2000))
            let waiting = Task { await stage.engine.untilIdle() }
            let abandoned = Task { await stage.engine.untilIdle() }
            abandoned.cancel()
            await abandoned.value
            try await stage.sandbox.waitForJournal { $0.contains { $0.kind == .create } }
            #expect(upload.currentState == .finishing)
            stage.sandbox.clearFaults()
            await waiting.value
            #expect(upload.currentState == .completed)
            #expect(open.currentState == .open)
        }
    }

    @Test func findsUploadsByTheirNumber() async throws {
        try await EngineStage.with { stage in
            let uploads = try (1...5).map { try stage.begin("\($0).mp4") }
            #expect(uploads.map(\.number) == [1, 2, 3, 4, 5])
            stage.engine.forget(uploads[1])
            #expect(stage.engine.upload(numbered: 2) == nil)
            #expect(stage.engine.upload(numbered: 4) === uploads[3])
            #expect(stage.engine.upload(numbered: 6) == nil)
            #expect(stage.engine.uploads.map(\.number) == [1, 3, 4, 5])
        }
    }
}
