import SandboxPlatform
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// Nothing can be reached for a while: one attempt in a while finds out for all when it can be again.
@Suite(.timeLimit(.minutes(2))) struct OutageTests {
    private static let names = ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]

    @Test(.shows("error-outage")) func oneProbeDecidesForAllUploads() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            try await stage.stopPlatform()
            var uploads = [try stage.upload("a.mp4", bytes(2500))]
            try await eventually("it is known that nothing is there") { uploads[0].status().waitingFor == .network }
            for name in Self.names.dropFirst() { uploads.append(try stage.upload(name, bytes(2500))) }
            try await eventually("all wait") { uploads.allSatisfy { $0.status().waitingFor == .network } }
            #expect(uploads.allSatisfy { $0.status().error?.code == "unreachable" })
            for attempt in 1...4 {
                try await eventually("the next probe is due in a while") {
                    time.deadlines.first == time.now + .seconds(3)
                }
                #expect(stage.log.count("unreachable", isPut: false) == attempt)
                time.advance(by: .seconds(3))
                try await eventually("the probe found nothing") {
                    stage.log.count("unreachable", isPut: false) == attempt + 1
                }
            }
            try await eventually("the next probe is due in a while") {
                time.deadlines.first == time.now + .seconds(3)
            }
            try await stage.startPlatform()
            time.advance(by: .seconds(3))
            // No more time passes: all go on at once.
            for upload in uploads { try await upload.answer().get() }
            for name in Self.names { #expect(try await stage.content(of: name) == bytes(2500)) }
            #expect(stage.log.count("unreachable", isPut: false) == 5)
            #expect(uploads.allSatisfy { $0.status().retries == 0 && $0.status().error == nil })
        }
    }

    @Test func anOutageInTheMiddleOfFourUploadsIsWaitedOut() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            var hang = InjectedFault(on: [.put], .hang)
            (hang.skip, hang.count) = (4, nil)
            stage.sandbox.add(hang)
            let contents = Self.names.indices.map { bytes(6500, seed: UInt64($0)) }
            let uploads = try zip(Self.names, contents).map { try stage.upload($0, $1) }
            try await stage.sandbox.waitForJournal { $0.count { $0.kind == .put } == 8 }
            try await stage.stopPlatform()
            try await eventually("all wait") {
                time.advance(by: .milliseconds(50))
                return uploads.allSatisfy { $0.status().waitingFor == .network }
            }
            func attempts() -> [Int] { [true, false].map { stage.log.count("unreachable", isPut: $0) } }
            func settled() async throws {
                try await eventually("the next probe is due in a while") {
                    time.deadlines.first.map { $0 > time.now } ?? false
                        && uploads.allSatisfy { $0.status().chunks.allSatisfy { $0.state != .uploading } }
                }
            }
            for _ in 1...5 {
                try await settled()
                let before = attempts()
                time.advance(by: .seconds(3))
                try await eventually("somebody tried") { attempts() != before }
                try await settled()
                // All four may find out at once that nothing is there; from then on one asks for all.
                for (now, then) in zip(attempts(), before) { #expect(now <= (then == 0 ? uploads.count : then + 1)) }
            }
            try await stage.startPlatform()
            time.advance(by: .seconds(3))
            for upload in uploads {
                try await eventually("it is completed") {
                    // What was lost on its way is tried again after a backoff of its own.
                    time.advance(by: .milliseconds(10))
                    return upload.currentState == .completed
                }
            }
            for (name, content) in zip(Self.names, contents) { #expect(try await stage.content(of: name) == content) }
        }
    }

    @Test func aStallIsAnsweredWithItsReasonToThoseWhoDidNotTryThemselves() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock, engine: { $0.upload.stallTimeout = .seconds(10) }) { stage in
            try await stage.stopPlatform()
            let first = try stage.upload("a.mp4", bytes(2500))
            try await eventually("it is known that nothing is there") { first.status().waitingFor == .network }
            let second = try stage.upload("b.mp4", bytes(2500))
            try await eventually("it waits, too") { second.status().waitingFor == .network }
            let answers = Answers()
            _ = second.whenAnswered { answers.add($0) }
            time.advance(by: .seconds(10))
            try await eventually("the close is answered") { answers.kinds == [.stalled] }
            #expect(second.inspect { $0.stall?.message.contains("connection refused") } == true)
            #expect(second.currentState == .finishing)
            try await stage.startPlatform()
            try await eventually("both are completed") {
                time.advance(by: .seconds(3))
                return first.currentState == .completed && second.currentState == .completed
            }
        }
    }

    /// Whoever removes a file wants its space now, not when the network is back.
    @Test func anUploadThatIsRemovedMeanwhileIsLetGoOf() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            try await stage.stopPlatform()
            weak var upload: Upload?
            func run() async throws {
                let begun = try stage.upload("a.mp4", bytes(2500))
                upload = begun
                try await eventually("it waits") { begun.status().waitingFor == .network }
                begun.apply(.cancelled(UploadFailure(.cancelled, message: "removed")))
                stage.engine.forget(begun)
            }
            try await run()
            try await eventually("it is gone") { upload == nil }
            // It was the only one that could have tried: its turn is another's.
            let next = try stage.upload("b.mp4", bytes(2500))
            try await stage.startPlatform()
            try await eventually("the next one is completed") {
                time.advance(by: .seconds(3))
                return next.currentState == .completed
            }
        }
    }
}
