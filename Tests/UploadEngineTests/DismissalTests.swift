import SandboxPlatform
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// For how long, and how many, uploads are remembered that are over and that no file leads to.
@Suite(.timeLimit(.minutes(2))) struct DismissalTests {
    /// An upload that was cancelled before anything of it was sent.
    private func dismissed(_ stage: EngineStage, _ name: String) throws -> Upload {
        let upload = try stage.begin(name)
        upload.apply(.cancelled(UploadFailure(.cancelled, message: "it was removed")))
        stage.engine.dismiss(upload)
        return upload
    }

    private func isFound(_ stage: EngineStage, _ name: String) -> Bool {
        stage.engine.index.meaning(of: Array("\(name).json".utf8), in: .byName) != nil
    }

    @Test("Each is remembered for an hour", .shows("status-forgotten"))
    func anHourIsRemembered() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            let kept = try stage.begin("kept.mp4")
            weak let first = try dismissed(stage, "first.mp4")
            time.advance(by: .seconds(1800))
            let second = try dismissed(stage, "second.mp4")
            let again = second
            stage.engine.dismiss(again)
            let end = time.now + .seconds(1800)
            // One timer, for the oldest.
            try await eventually("a timer waits for the end of the hour") { time.deadlines == [end] }
            time.advance(by: .seconds(1799))
            #expect(stage.engine.uploads.count == 3)
            time.advance(by: .seconds(1))
            try await eventually("the first is forgotten") { stage.engine.uploads.count == 2 }
            try await eventually("nobody keeps it") { first == nil }
            #expect(!isFound(stage, "first.mp4") && isFound(stage, "second.mp4"))
            #expect(stage.engine.census.forgotten.counts == [.cancelled: 1])

            try await eventually("a timer waits for the next") { time.deadlines == [end + .seconds(1800)] }
            time.advance(by: .seconds(1800))
            try await eventually("the second is forgotten") { stage.engine.uploads.map(\.number) == [kept.number] }
            #expect(isFound(stage, "kept.mp4"))
            // Nothing is left to wait for.
            #expect(time.deadlines.isEmpty)
        }
    }

    @Test(
        "One whose asset is being processed is remembered until an hour after that is known", .shows("status-forgotten")
    )
    func whatIsBeingProcessedIsRemembered() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            var fault = InjectedFault(on: [.asset], .replace(["status": .string("processing")]))
            fault.count = nil
            stage.sandbox.add(fault)
            let upload = try stage.upload("a.mp4", bytes(2000))
            try await upload.answer().get()
            #expect(await upload.end() == .completed)
            stage.engine.dismiss(upload)
            _ = try dismissed(stage, "other.mp4")
            try await eventually("the other is forgotten") {
                time.advance(by: .seconds(300))
                return !isFound(stage, "other.mp4")
            }
            for _ in 0..<5 {
                time.advance(by: .seconds(900))
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(isFound(stage, "a.mp4") && upload.status().assetStatus == .processing)
            stage.sandbox.clearFaults()
            try await eventually("the asset is ready") {
                time.advance(by: .seconds(60))
                return upload.status().assetStatus == .ready
            }
            time.advance(by: .seconds(60))
            try await Task.sleep(for: .milliseconds(20))
            #expect(isFound(stage, "a.mp4"))
            try await eventually("it is forgotten") {
                time.advance(by: .seconds(900))
                return !isFound(stage, "a.mp4")
            }
            #expect(stage.engine.census.forgotten.counts == [.completed: 1, .cancelled: 1])
        }
    }

    @Test("No more than a thousand are remembered, the oldest go", .shows("status-forgotten"))
    func aThousandAreRemembered() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            let kept = try stage.begin("kept.mp4")
            for number in 1...1200 { _ = try dismissed(stage, "\(number).mp4") }
            #expect(stage.engine.uploads.count == 1001)
            #expect(stage.engine.uploads.first === kept)
            #expect(stage.engine.uploads.dropFirst().first?.identity.path == [Array("201.mp4".utf8)])
            #expect(!isFound(stage, "200.mp4") && isFound(stage, "201.mp4"))
            #expect(stage.engine.census.forgotten.counts == [.cancelled: 200])
            let end = time.now + .seconds(3600)
            try await eventually("one timer waits") { time.deadlines == [end] }
        }
    }
}
