import SandboxPlatform
import Synchronization
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// Reports of many chunks, several at a time, against the stand-in.
@Suite(.timeLimit(.minutes(2))) struct ParallelReportTests {
    private static let many = 820 * 1000 - 300

    private static func always(_ kind: RequestKind, _ answer: InjectedFault.Answer) -> InjectedFault {
        var fault = InjectedFault(on: [kind], answer)
        fault.count = nil
        return fault
    }

    private func sizes(_ stage: EngineStage) -> [Int] {
        stage.sandbox.journal(of: .report).map { $0.chunkIndices?.count ?? 0 }
    }

    @Test(arguments: [(1, [1]), (50, [50]), (51, [50, 1]), (300, [50, 50, 50, 50, 50, 50])])
    func areNoLargerThanThePlatformTakesThem(chunks: Int, reports: [Int]) async throws {
        try await EngineStage.with { stage in
            let content = bytes(chunks * 1000 - 300)
            try await stage.upload("a.mp4", content).answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            // The last may overtake the one before.
            #expect(sizes(stage).sorted(by: >) == reports)
            #expect(stage.sandbox.journal(of: .status).isEmpty)
            #expect(stage.sandbox.journal(of: .create).count == 1)
        }
    }

    @Test func eightAreUnderWayAtATimeAndNoMore() async throws {
        try await EngineStage.with { stage in
            stage.sandbox.add(Self.always(.report, .hang))
            let content = bytes(Self.many)
            let upload = try stage.upload("a.mp4", content)
            try await eventually("all chunks are stored", timeout: .seconds(90)) {
                upload.status().bytesUploaded == Int64(Self.many)
            }
            try await stage.sandbox.waitForJournal { $0.count { $0.kind == .report } == 8 }
            #expect(upload.currentState == .finishing)
            stage.sandbox.clearFaults()
            try await upload.answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.sandbox.peakConcurrent(.report) == 8)
            #expect(sizes(stage).sorted() == [20] + Array(repeating: 50, count: 16))
            #expect(stage.sandbox.journal(of: .status).isEmpty)
        }
    }

    /// Any of them may be the one that takes long: the others do not wait for it, and its answer completes the upload.
    @Test(arguments: [0, 8, 16]) func oneThatTakesLongHoldsUpNoOther(slow: Int) async throws {
        try await EngineStage.with { stage in
            var hang = InjectedFault(on: [.report], .hang)
            hang.skip = slow
            stage.sandbox.add(hang)
            let content = bytes(Self.many)
            let upload = try stage.upload("a.mp4", content)
            try await stage.sandbox.waitForJournal { entries in
                entries.count { $0.kind == .report && $0.status == 200 } == 16
            }
            #expect(upload.currentState == .finishing)
            stage.sandbox.clearFaults()
            try await upload.answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.sandbox.journal(of: .report).count == 17)
        }
    }

    @Test(
        arguments: [InjectedFault.Answer.reset, .status(503), .html, .refusal("conflict", status: 409)], [true, false])
    func thoseThatAreLostAreRepeatedAlone(answer: InjectedFault.Answer, isTaken: Bool) async throws {
        try await EngineStage.with { stage in
            var fault = InjectedFault(on: [.report], answer)
            (fault.skip, fault.count) = (2, 3)
            fault.when = isTaken ? .after : .before
            stage.sandbox.add(fault)
            let content = bytes(Self.many)
            let upload = try stage.upload("a.mp4", content)
            try await upload.answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            // Each chunk was named once by those that were answered, and once more by those that were not.
            let named = stage.sandbox.journal(of: .report).flatMap { $0.chunkIndices ?? [] }
            #expect(Set(named).count == 820)
            #expect(stage.sandbox.journal(of: .report).count == 17 + 3)
            #expect(upload.status().error == nil)
        }
    }

    @Test func randomTroubleLosesNothing() async throws {
        try await EngineStage.with { stage in
            for answer in [InjectedFault.Answer.reset, .status(503), .cutOff, .failChunks([7, 77, 777])] {
                for when in [InjectedFault.When.before, .after] {
                    var fault = InjectedFault(on: [.report], answer)
                    (fault.probability, fault.count, fault.when) = (0.1, 6, when)
                    stage.sandbox.add(fault)
                }
            }
            let content = bytes(Self.many)
            let upload = try stage.upload("a.mp4", content)
            try await upload.answer().get()
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.sandbox.journal(of: .report).allSatisfy { ($0.chunkIndices?.count ?? 0) <= 50 })
            #expect(stage.sandbox.peakConcurrent(.report) <= 8)
        }
    }

    /// Whoever ended before the last of its reports was answered finds out what became of it.
    @Test(arguments: [0, 3, 16]) func theNextProcessFinishesWhatWasBeingReported(answered: Int) async throws {
        try await ResumeStage.with { stage in
            let content = bytes(Self.many)
            var hang = Self.always(.report, .hang)
            (hang.skip, hang.when) = (answered, .after)
            stage.sandbox.add(hang)
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                try upload.write(content, at: 0)
                upload.apply(.committed(.whole))
                let wanted = min(17, answered + 8)
                try await stage.sandbox.waitForJournal { $0.count { $0.kind == .report } == wanted }
                try await eventually("all chunks are stored", timeout: .seconds(90)) {
                    upload.status().bytesUploaded == Int64(Self.many)
                }
                try await life.journal.written(durably: false)
            }
            stage.sandbox.clearFaults()
            stage.sandbox.dropConnections()
            try await stage.life { life in
                await life.engine.untilIdle()
                #expect(life.engine.uploads.first?.currentState == .completed)
                await life.engine.finishCleaning()
            }
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.sandbox.journal(of: .create).count == 1)
            #expect(stage.storedChunks.count == 820)
            #expect(stage.sandbox.journal(of: .delete).isEmpty)
        }
    }
}
