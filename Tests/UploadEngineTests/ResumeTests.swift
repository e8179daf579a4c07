import Foundation
import SandboxPlatform
import Testing
import UploadCore
import UploadEngine
import UploadStore

import func TestSupport.eventually

/// Uploads that one engine begins and another one finishes.
@Suite(.timeLimit(.minutes(2))) struct ResumeTests {
    /// Has the store hang from the PUT after the first `stored` on.
    private static func holdPuts(after stored: Int, _ stage: ResumeStage) {
        var hang = InjectedFault(on: [.put], .hang)
        hang.skip = stored
        hang.count = nil
        stage.sandbox.add(hang)
    }

    /// A committed file, of which the journal knows that so many chunks are stored, is left behind. Returns its session;
    /// what the platform saw is forgotten.
    @discardableResult
    private static func leave(
        _ content: [UInt8], storing count: Int, _ stage: ResumeStage, isDurable: Bool = false
    ) async throws -> String {
        holdPuts(after: count, stage)
        var session = ""
        try await stage.life { life in
            let upload = try life.begin("a.mp4")
            try upload.write(content, at: 0)
            upload.apply(.committed(.whole))
            if isDurable {
                try upload.spool.synchronize()
                upload.contentIsSynced(asOf: upload.contentVersion)
            }
            try await stage.sandbox.waitForJournal { $0.contains { $0.kind == .put } }
            try await eventually("\(count) chunks are stored") {
                upload.status().bytesUploaded == Int64(count) * 1000
            }
            session = try await eventually("a session is open") { upload.inspect { $0.uploadID } }
            try await life.journal.written(durably: isDurable)
        }
        // What hangs is not to be stored when it is released.
        stage.sandbox.dropConnections()
        stage.sandbox.clearFaults()
        stage.sandbox.clearJournal()
        return session
    }

    @Test(.shows("restart-recovers"), arguments: 0...4) func onlyWhatIsMissingIsSent(stored: Int) async throws {
        try await ResumeStage.with { stage in
            let content = bytes(4500)
            try await Self.leave(content, storing: stored, stage)
            #expect(Journal.hasUploadsToResume(in: stage.path))
            try await stage.life { life in
                #expect(life.engine.resumable == 1)
                await life.engine.untilIdle()
                let upload = try #require(life.engine.uploads.first)
                #expect(upload.currentState == .completed)
                #expect(upload.status().closedAt != nil)
            }
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.storedChunks.sorted() == Array(stored + 1...5))
            #expect(stage.sandbox.journal(of: .create).isEmpty)
            #expect(!Journal.hasUploadsToResume(in: stage.path))
        }
    }

    @Test func itIsIdleOnlyWhenWhatWasLeftIsDone() async throws {
        try await ResumeStage.with { stage in
            try await Self.leave(bytes(3000), storing: 1, stage)
            try await stage.life(isResumed: false) { life in
                let idle = Task { await life.engine.untilIdle() }
                life.engine.resume()
                await idle.value
                #expect(life.engine.resumable == 0)
            }
        }
    }

    @Test(.shows("restart-session-gone"), arguments: ["expired", "failed"]) func aSessionThatIsOverIsReplaced(
        status: String
    ) async throws {
        try await ResumeStage.with { stage in
            let content = bytes(3000)
            let session = try await Self.leave(content, storing: 2, stage)
            try await stage.sandbox.endSession(session, as: status)
            try await stage.life { life in
                await life.engine.untilIdle()
                #expect(life.engine.uploads.first?.status().abandonedUploadIDs == [session])
            }
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.sandbox.journal(of: .create).count == 1)
        }
    }

    /// Removed when its last report had no answer; then the process is killed. The asset that the report made is deleted by
    /// the next one, as often as that is killed too.
    @Test(.shows("remove-late"), arguments: [1, 3]) func whatWasWithdrawnIsSeenToByTheNextProcess(
        lives: Int
    ) async throws {
        try await ResumeStage.with { stage in
            let reason = UploadFailure(.cancelled, message: "removed")
            Self.hang([.report], .after, stage)
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                try upload.write(bytes(3000), at: 0)
                upload.apply(.committed(.whole))
                try await eventually("the asset is complete") { try await stage.sandbox.completeAssets().count == 1 }
                upload.apply(.cancelled(reason))
                await life.journalIsWritten()
            }
            stage.sandbox.dropConnections()
            for _ in 1..<lives {
                Self.hang([.status], .before, stage)
                try await stage.life { life in
                    let upload = try #require(life.engine.uploads.first)
                    #expect(upload.stateToKeep == .cancelled)
                    #expect(life.engine.resumable == 0)
                    try await stage.sandbox.waitForJournal { $0.contains { $0.kind == .status } }
                    upload.updateIdentity { _ in }
                    await life.journalIsWritten()
                }
                stage.sandbox.dropConnections()
            }
            stage.sandbox.clearFaults()
            try await stage.life { life in
                await life.engine.untilIdle()
                let upload = try #require(life.engine.uploads.first)
                #expect(upload.currentState == .cancelled)
                #expect(upload.status().error?.message == reason.message)
            }
            #expect(try await stage.sandbox.completeAssets().isEmpty)
        }
    }

    private static func hang(_ kinds: Set<RequestKind>, _ when: InjectedFault.When, _ stage: ResumeStage) {
        var fault = InjectedFault(on: kinds, .hang)
        fault.when = when
        fault.count = nil
        stage.sandbox.add(fault)
    }

    /// Its last report was taken, and the engine ended before it heard of it.
    @Test func whatWasCompletedUnheardIsNotUploadedAgain() async throws {
        try await ResumeStage.with { stage in
            let content = bytes(3000)
            var lost = InjectedFault(on: [.report], .hang)
            lost.when = .after
            lost.count = nil
            stage.sandbox.add(lost)
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                try upload.write(content, at: 0)
                upload.apply(.committed(.whole))
                try await eventually("the asset is complete") { try await stage.sandbox.completeAssets().count == 1 }
            }
            stage.sandbox.clearFaults()
            stage.sandbox.dropConnections()
            try await stage.life { life in
                await life.engine.untilIdle()
                #expect(life.engine.uploads.first?.currentState == .completed)
            }
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.sandbox.journal(of: .create).count == 1)
            #expect(stage.storedChunks.sorted() == [1, 2, 3])
        }
    }

    @Test(.shows("asset-abandoned", "interrupted-kept", "restart-interrupted"))
    func whatWasBeingWrittenIsInterruptedAndItsAssetAbandoned() async throws {
        try await ResumeStage.with { stage in
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                upload.apply(.hinted(SizeHint(size: 5000, source: .copiedSource)))
                try upload.write(bytes(3000), at: 0)
                try await eventually("a chunk is stored") { upload.status().bytesUploaded >= 1000 }
                try await life.journal.written(durably: false)
            }
            #expect(!Journal.hasUploadsToResume(in: stage.path))
            try await stage.life(isResumed: false) { life in
                // An attempt to mount that fails deletes nothing.
                await life.engine.finishCleaning()
                #expect(try await stage.sandbox.assets().map(\.deleted) == [false])
                life.engine.resume()
                let upload = try #require(life.engine.uploads.first)
                #expect(upload.currentState == .interrupted)
                #expect(upload.status().error?.message.contains("while the file was being written") == true)
                #expect(try upload.spool.size() == 3000, "its bytes are kept")
                await life.engine.finishCleaning()
            }
            #expect(try await stage.sandbox.assets().map(\.deleted) == [true])
            try await stage.life { life in
                #expect(life.engine.uploads.first?.currentState == .interrupted, "the next one knows it too")
            }
        }
    }

    /// What the journal knew last is lost with the machine's power, and the close may have been answered.
    @Test(.shows("asset-completed-kept")) func anAssetIsNotAbandonedThatWasCompletedThoughTheJournalDoesNotKnow()
        async throws
    {
        try await ResumeStage.with { stage in
            let content = bytes(3000)
            var old: [String: Data] = [:]
            let names = ["journal.sqlite", "journal.sqlite-wal"]
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                upload.apply(.hinted(SizeHint(size: 3000, source: .copiedSource)))
                try upload.write(Array(content[..<2000]), at: 0)
                try await eventually("a chunk is stored") { upload.status().bytesUploaded >= 1000 }
                try await life.journal.written(durably: false)
                for name in names { old[name] = try Data(contentsOf: URL(filePath: "\(stage.path)/\(name)")) }
                try upload.write(Array(content[2000...]), at: 2000)
                upload.apply(.committed(.whole))
                try await eventually("it is completed") { upload.currentState == .completed }
            }
            for name in names { try old[name]?.write(to: URL(filePath: "\(stage.path)/\(name)")) }
            try await stage.life(boot: "another") { life in
                #expect(life.engine.uploads.first?.currentState == .interrupted)
                await life.engine.finishCleaning()
            }
            #expect(try await stage.content(of: "a.mp4") == content)
        }
    }

    @Test(.shows("restart-power-lost")) func bytesThatWereNotSyncedAreNotSentAfterAnotherBoot() async throws {
        try await ResumeStage.with { stage in
            try await Self.leave(bytes(3000), storing: 1, stage)
            try await stage.life(boot: "another") { life in
                await life.engine.untilIdle()
                let upload = try #require(life.engine.uploads.first)
                #expect(upload.currentState == .interrupted)
            }
            #expect(try await stage.sandbox.completeAssets().isEmpty)
            #expect(stage.storedChunks.isEmpty)
        }
    }

    @Test(.shows("restart-power-synced")) func bytesThatWereSyncedAreSentAfterAnotherBoot() async throws {
        try await ResumeStage.with { stage in
            let content = bytes(3000)
            try await Self.leave(content, storing: 1, stage, isDurable: true)
            try await stage.life(boot: "another") { life in await life.engine.untilIdle() }
            #expect(try await stage.content(of: "a.mp4") == content)
            #expect(stage.storedChunks.sorted() == [2, 3])
        }
    }

    /// The answer is what a close waits for: when it comes, nothing may be forgotten any more.
    @Test func anUploadIsCompletedInTheJournalWhenItsCloseIsAnswered() async throws {
        try await ResumeStage.with { stage in
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                try upload.write(bytes(2500), at: 0)
                upload.apply(.committed(.whole))
                guard case .success = await upload.answer() else {
                    Issue.record("it was not confirmed")
                    return
                }
                // Another connection sees only what is written, as another process would.
                let other = try Journal(stateDirectory: stage.path, bootID: "boot")
                #expect(other.contents.uploads.map(\.state) == [.completed])
                other.close()
            }
        }
    }

    @Test func numbersAreNeverGivenTwice() async throws {
        try await ResumeStage.with { stage in
            var first = 0
            try await stage.life { life in
                let upload = try life.begin("a.mp4")
                try upload.write(bytes(10), at: 0)
                upload.changeForTest()
                first = upload.number
                try await life.journal.written(durably: false)
            }
            try await stage.life { life in
                let second = try life.begin("b.mp4")
                #expect(second.number > first)
            }
        }
    }

    /// Random files, left at random moments, again and again: in the end each is one asset, and nothing that the journal
    /// knew as stored was sent twice.
    @Test(.shows("asset-once")) func uploadsThatAreLeftAgainAndAgainAreCompletedOnce() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed: \(seed)")
        var state = seed
        func random(_ bound: UInt64) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % bound)
        }
        try await ResumeStage.with { stage in
            var contents: [String: [UInt8]] = [:]
            // What the journal knew at the end of a life, and how often it had been sent by then.
            var known: [String: Int] = [:]
            func timesSent() -> [String: Int] {
                var times: [String: Int] = [:]
                for put in stage.sandbox.journal(of: .put) {
                    times["\(put.uploadID ?? "") \(put.chunkIndex ?? 0)", default: 0] += 1
                }
                return times
            }
            for round in 0..<12 {
                try await stage.life { life in
                    if round < 6 {
                        for number in 0..<2 {
                            let name = "file-\(round)-\(number).mp4"
                            let content = bytes(1 + random(9000), seed: UInt64(round * 2 + number + 1))
                            contents[name] = content
                            let upload = try life.begin(name)
                            try upload.write(content, at: 0)
                            upload.apply(.committed(.whole))
                        }
                        try await life.journal.written(durably: false)
                    }
                    let wanted = stage.storedChunks.count + random(6)
                    try await eventually("it has gone on for a while") {
                        stage.storedChunks.count >= wanted || life.engine.resumable == 0
                    }
                }
                let journal = try Journal(stateDirectory: stage.path, bootID: "boot")
                stage.sandbox.dropConnections()
                let times = timesSent()
                for chunk in journal.contents.chunks {
                    let name = "\(chunk.uploadID) \(chunk.index)"
                    if known[name] == nil { known[name] = times[name] }
                }
                journal.close()
            }
            try await stage.life { life in
                await life.engine.untilIdle()
                #expect(life.engine.resumable == 0, "seed \(seed)")
            }
            for (name, content) in contents {
                #expect(try await stage.content(of: name) == content, "\(name), seed \(seed)")
            }
            let times = timesSent()
            #expect(!known.isEmpty)
            for (chunk, count) in known { #expect(times[chunk] == count, "\(chunk) was sent again, seed \(seed)") }
        }
    }
}

extension Upload {
    /// Has the journal know of it.
    fileprivate func changeForTest() { updateIdentity { $0.writer = "a test" } }
}
