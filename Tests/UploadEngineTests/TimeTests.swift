import SandboxPlatform
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// What depends on time, on a clock that only the test moves.
@Suite(.timeLimit(.minutes(2))) struct TimeTests {
    @Test(.shows("close-stall")) func aStallIsAnsweredAndTheUploadGoesOn() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(InjectedFault(on: [.create], .hang))
            let content = bytes(2500)
            let upload = try stage.upload("a.mp4", content)
            let first = Answers()
            _ = upload.whenAnswered { first.add($0) }
            let stall = time.now + .seconds(300)
            try await eventually("a timer waits for the stall") { time.deadlines == [stall] }
            time.advance(by: .seconds(300))
            try await eventually("the close is answered") { first.kinds == [.stalled] }
            #expect(upload.currentState == .finishing)
            // Whoever closes it now has nothing to wait for either.
            let second = Answers()
            _ = upload.whenAnswered { second.add($0) }
            #expect(second.kinds == [.stalled])

            stage.sandbox.clearFaults()
            #expect(await upload.end() == .completed)
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(first.kinds == [.stalled])
        }
    }

    @Test(.shows("close-stall")) func aStoreThatTakesEveryByteAndRefusesItIsAStall() async throws {
        try await EngineStage.with(engine: { $0.upload.stallTimeout = .seconds(2) }) { stage in
            var fault = InjectedFault(on: [.put], .status(500))
            (fault.count, fault.drain) = (nil, true)
            stage.sandbox.add(fault)
            let content = bytes(20_000)
            let upload = try stage.upload("a.mp4", content)
            guard case .failure(let failure) = await upload.answer() else {
                Issue.record("the close said that all is well")
                return
            }
            #expect(failure.kind == .stalled)
            #expect(upload.currentState == .finishing)
            stage.sandbox.clearFaults()
            #expect(await upload.end() == .completed)
            #expect(try await stage.content(of: "a.mp4") == content)
        }
    }

    @Test func aRateLimitHoldsBackTheCallsOfAllUploads() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(InjectedFault(on: [.create], .status(429, headers: ["Retry-After": "60"])))
            let end = time.now + .seconds(60)
            let first = try stage.upload("a.mp4", bytes(2000))
            try await eventually("the first one waits") { time.deadlines.contains(end) }
            let second = try stage.upload("b.mp4", bytes(2000))
            try await eventually("the second one waits, too") { time.deadlines.filter { $0 == end }.count == 2 }
            #expect(stage.sandbox.journal(of: .create).count == 1)
            time.advance(by: .seconds(60))
            try await first.answer().get()
            try await second.answer().get()
        }
    }

    @Test func aStoreThatIsAskedTooOftenHoldsBackAllPuts() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock, engine: { $0.uploadConcurrency = 1 }) { stage in
            stage.sandbox.add(InjectedFault(on: [.put], .status(429, headers: ["Retry-After": "60"])))
            let end = time.now + .seconds(60)
            let first = try stage.upload("a.mp4", bytes(3000))
            // One for the chunk, one for all PUTs.
            try await eventually("all PUTs wait") { time.deadlines.filter { $0 == end }.count == 2 }
            let second = try stage.upload("b.mp4", bytes(3000))
            try await eventually("the second one could send") { second.inspect { $0.hasChunksToSend } }
            #expect(stage.sandbox.journal(of: .put).count == 1)
            time.advance(by: .seconds(60))
            try await first.answer().get()
            try await second.answer().get()
        }
    }

    /// A session may last a day; whoever removes a file wants its space now.
    @Test func anUploadThatIsOverIsLetGoOf() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            weak var upload: Upload?
            func run() async throws {
                let begun = try stage.begin("a.mp4")
                upload = begun
                begun.apply(.hinted(SizeHint(size: 5000, source: .copiedSource)))
                try begun.write(bytes(2000), at: 0)
                try await eventually("two chunks are stored") { begun.status().bytesUploaded == 2000 }
                #expect(!time.deadlines.isEmpty)
                begun.apply(.cancelled(UploadFailure(.cancelled, message: "removed")))
                stage.engine.forget(begun)
            }
            try await run()
            try await eventually("it is gone") { upload == nil }
            try await eventually("no timer is left") { time.deadlines.isEmpty }
        }
    }

    @Test func aCompletedUploadAsksForNothing() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            let upload = try stage.upload("a.mp4", bytes(2000))
            try await upload.answer().get()
            try await eventually("the asset is ready") {
                time.advance(by: .seconds(10))
                return upload.status().assetStatus == .ready
            }
            try await eventually("no timer is left") { time.deadlines.isEmpty }
        }
    }

    @Test func nothingHappensAfterTheEngineHasStopped() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(InjectedFault(on: [.put], .hang))
            let upload = try stage.upload("a.mp4", bytes(900))
            try await stage.sandbox.waitForJournal { $0.contains { $0.kind == .put } }
            await stage.engine.stop()
            try await eventually("no timer is left") { time.deadlines.isEmpty }
            upload.apply(.tick)
            #expect(time.deadlines.isEmpty)
            #expect(upload.currentState == .finishing)
            #expect(upload.status().error == nil)
        }
    }
}
