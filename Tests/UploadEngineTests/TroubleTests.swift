import SandboxPlatform
import Testing
import UploadCore
import UploadEngine
import UploadStore

import func TestSupport.eventually

@Suite(.timeLimit(.minutes(2))) struct TroubleTests {
    struct Trouble: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var faults: [InjectedFault]

        init(_ what: String, _ faults: InjectedFault...) {
            testDescription = what
            self.faults = faults
        }
    }

    private static func fault(
        _ kind: RequestKind, _ answer: InjectedFault.Answer, _ count: Int = 2, when: InjectedFault.When? = nil
    ) -> InjectedFault {
        var fault = InjectedFault(on: [kind], answer)
        fault.count = count
        fault.when = when
        return fault
    }

    private static let busy = InjectedFault.Answer.status(503, body: "<Error><Code>SlowDown</Code></Error>")

    static let troubles: [Trouble] = [
        Trouble("503 on create", fault(.create, busy)),
        Trouble("HTML on create", fault(.create, .html)),
        Trouble("reset on create", fault(.create, .reset)),
        Trouble("the answer to create is cut off", fault(.create, .cutOff)),
        Trouble("503 on PUT", fault(.put, busy, 5)),
        Trouble("503 on PUT, though it is stored", fault(.put, busy, 5, when: .after)),
        Trouble("reset on PUT", fault(.put, .reset, 5)),
        Trouble("no ETag", fault(.put, .omit(["ETag"]), 1)),
        Trouble("503 on URLs", fault(.urls, busy)),
        Trouble("HTML on URLs", fault(.urls, .html)),
        Trouble("503 on report", fault(.report, busy)),
        Trouble("503 on report, though it is accepted", fault(.report, busy, when: .after)),
        Trouble("reset after the report", fault(.report, .reset, when: .after)),
        Trouble("HTML on report", fault(.report, .html)),
        Trouble("a reported chunk fails", fault(.report, .failChunks([2]), 1)),
        Trouble("503 on status", fault(.status, busy)),
        Trouble("HTML on status", fault(.status, .html)),
        Trouble("the session expires before the PUTs", fault(.put, .session("expired"), 1)),
        Trouble("the session expires before the report", fault(.report, .session("expired"), 1)),
        Trouble("the session fails before the report", fault(.report, .session("failed"), 1)),
        Trouble("the session expires before more URLs", fault(.urls, .session("expired"), 1)),
        Trouble(
            "everything at once", fault(.create, busy), fault(.create, .html, 1), fault(.urls, .reset, 1),
            fault(.put, busy, 3), fault(.put, .reset, 3), fault(.report, .reset, 1, when: .after),
            fault(.report, .failChunks([1, 3]), 1), fault(.status, busy, 1)),
    ]

    @Test(.shows("error-passing"), arguments: troubles) func isSurvived(_ trouble: Trouble) async throws {
        // The session's status is asked for only where no report's answer calls the upload complete.
        let asksForStatus = trouble.faults.contains { $0.on == [.status] }
        try await EngineStage.with(
            sandbox: {
                $0.initialURLs = 2
                $0.assetURLs = !asksForStatus
            }
        ) { stage in
            for fault in trouble.faults { stage.sandbox.add(fault) }
            let content = bytes(6500)
            let upload = try stage.upload("a.mp4", content)
            try await upload.answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(upload.status().error == nil)
            #expect(stage.sandbox.journal().contains { $0.fault != nil })
        }
    }

    @Test func urlsAreNeverUsedTwice() async throws {
        try await EngineStage.with { stage in
            var fault = InjectedFault(on: [.put], .reset)
            fault.count = nil
            fault.probability = 0.3
            stage.sandbox.add(fault)
            let content = bytes(30_000)
            let upload = try stage.upload("a.mp4", content)
            try await upload.answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(!stage.sandbox.journal(of: .put).contains { $0.status == 403 })
        }
    }

    @Test func aRefusedSessionIsAnsweredAndFails() async throws {
        try await EngineStage.with { stage in
            var fault = InjectedFault(
                on: [.create], .status(400, body: #"{"code":"parameter_invalid","message":"no"}"#))
            fault.count = nil
            stage.sandbox.add(fault)
            let upload = try stage.upload("a.mp4", bytes(2000))
            let answer = await upload.answer()
            #expect(throws: UploadFailure.self) { try answer.get() }
            #expect(upload.currentState == .failed)
            #expect(upload.status().error?.httpStatus == 400)
            // Whoever comes later learns the same.
            guard case .failure(let failure) = await upload.answer() else {
                Issue.record("answered with success")
                return
            }
            #expect(failure.kind == .sessionRefused)
        }
    }

    @Test(.shows("asset-abandoned")) func cancellingDeletesTheReservedAsset() async throws {
        try await EngineStage.with { stage in
            var fault = InjectedFault(on: [.put], .hang)
            fault.count = nil
            stage.sandbox.add(fault)
            let upload = try stage.upload("a.mp4", bytes(5000))
            let answers = Answers()
            _ = upload.whenAnswered { answers.add($0) }
            try await stage.sandbox.waitForJournal { $0.contains { $0.kind == .put } }
            upload.apply(.cancelled(UploadFailure(.cancelled, message: "removed")))
            #expect(answers.kinds == [.cancelled])
            #expect(await upload.end() == .cancelled)
            // The PUTs that hang have no place any more.
            stage.sandbox.clearFaults()
            let next = try stage.upload("b.mp4", bytes(5000))
            try await next.answer().get()
            await stage.engine.finishCleaning()
            #expect(try await stage.sandbox.assets().filter(\.deleted).map(\.filename) == ["a.mp4"])
        }
    }

    @Test func placesOfAnUploadThatIsCancelledAreFree() async throws {
        try await EngineStage.with(engine: { $0.uploadConcurrency = 1 }) { stage in
            stage.sandbox.add(InjectedFault(on: [.put], .hang))
            let stuck = try stage.upload("a.mp4", bytes(5000))
            try await stage.sandbox.waitForJournal { $0.contains { $0.kind == .put } }
            let next = try stage.upload("b.mp4", bytes(2500))
            stuck.apply(.cancelled(UploadFailure(.cancelled, message: "removed")))
            try await next.answer().get()
            #expect(try await stage.content(of: "b.mp4") == bytes(2500))
        }
    }

    @Test func anAssetThatCannotBeDeletedAtOnceIsDeletedLater() async throws {
        try await EngineStage.with { stage in
            stage.sandbox.add(Self.fault(.delete, Self.busy, 1))
            let upload = try stage.begin("a.mp4")
            upload.apply(.hinted(SizeHint(size: 5000, source: .copiedSource)))
            try upload.write(bytes(2000), at: 0)
            try await eventually("a session is open") { upload.status().uploadID != nil }
            upload.apply(.interrupted(UploadFailure(.interrupted, message: "killed")))
            await stage.engine.finishCleaning()
            #expect(try await stage.sandbox.assets().map(\.deleted) == [true])
        }
    }

    @Test func whoStopsWaitingIsNotAnswered() async throws {
        try await EngineStage.with { stage in
            stage.sandbox.add(InjectedFault(on: [.create], .hang))
            let upload = try stage.upload("a.mp4", bytes(2000))
            let (stopped, stayed) = (Answers(), Answers())
            let waiter = try #require(upload.whenAnswered { stopped.add($0) })
            _ = upload.whenAnswered { stayed.add($0) }
            upload.stopWaiting(waiter)
            stage.sandbox.clearFaults()
            #expect(await upload.end() == .completed)
            try await eventually("the other one is answered") { stayed.kinds == [nil] }
            #expect(stopped.kinds.isEmpty)
        }
    }

    @Test func aSpoolThatIsShorterThanWhatWasWrittenIsAFailure() async throws {
        try await EngineStage.with { stage in
            let upload = try stage.begin("a.mp4")
            try upload.write(bytes(3000), at: 0)
            try upload.spool.truncate(to: 2500)
            upload.apply(.committed(.whole))
            guard case .failure(let failure) = await upload.answer() else {
                Issue.record("answered with success")
                return
            }
            #expect(failure.kind == .spoolFailed)
            #expect(try await stage.sandbox.completeAssets().isEmpty)
        }
    }
}
