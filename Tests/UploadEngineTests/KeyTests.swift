import PlatformClient
import SandboxPlatform
import Synchronization
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// The platform takes the key no longer.
@Suite(.timeLimit(.minutes(2))) struct KeyTests {
    /// Where the user keeps the key, and who looks there.
    private final class KeyPlace: Sendable {
        struct State {
            var looks = 0
            var found: (@Sendable () -> Bool)?
        }

        let state = Mutex(State())

        var looks: Int { state.withLock { $0.looks } }

        var renewal: KeyRenewal {
            KeyRenewal {
                self.state.withLock {
                    $0.looks += 1
                    return $0.found.take()?() ?? false
                }
            }
        }
    }

    @Test func uploadsWaitForAnotherKeyAndGoOnWithIt() async throws {
        let time = ManualTime()
        let place = KeyPlace()
        try await EngineStage.with(clock: time.clock, engine: { $0.keyRenewal = place.renewal }) { stage in
            var hang = InjectedFault(on: [.put], .hang)
            hang.count = nil
            stage.sandbox.add(hang)
            let uploads = try ["a.mp4", "b.mp4"].map { try stage.upload($0, bytes(2500)) }
            try await stage.sandbox.waitForJournal { $0.count { $0.kind == .put } == 4 }
            stage.sandbox.configure { $0.apiKey = "another-key" }
            // The PUTs under way go on, and those that have their URL; then the reports are refused.
            stage.sandbox.clearFaults()
            try await eventually("all wait for a key") { uploads.allSatisfy { $0.status().waitingFor == .key } }
            #expect(uploads.allSatisfy { $0.status().bytesUploaded == 2500 })
            #expect(uploads.allSatisfy { $0.status().error?.httpStatus == 403 })
            try await eventually("somebody looks for another key") { place.looks >= 1 }
            for _ in 1...4 {
                let before = place.looks
                try await eventually("the next look is due") { time.deadlines.first.map { $0 > time.now } ?? false }
                time.advance(by: .seconds(1))
                try await eventually("somebody looks again") { place.looks == before + 1 }
            }
            // All that was asked of the platform, meanwhile: two may have been under way at the first refusal.
            let refused = stage.sandbox.journal().count { $0.status == 403 }
            #expect(refused <= 2)
            place.state.withLock {
                $0.found = { (try? APIKey("another-key")).map { stage.key.replace(with: $0) } ?? false }
            }
            try await eventually("the next look is due") { time.deadlines.first.map { $0 > time.now } ?? false }
            time.advance(by: .seconds(1))
            for upload in uploads { try await upload.answer().get() }
            for name in ["a.mp4", "b.mp4"] { #expect(try await stage.content(of: name) == bytes(2500)) }
            #expect(stage.sandbox.journal(of: .create).count == 2)
            #expect(stage.sandbox.journal(of: .put).count == 6)
        }
    }

    @Test func aKeyThatIsGoodAgainIsFoundOutByOneCall() async throws {
        let time = ManualTime()
        let begin = time.now
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.configure { $0.apiKey = "another-key" }
            let first = try stage.upload("a.mp4", bytes(2500))
            try await eventually("it waits for a key") { first.status().waitingFor == .key }
            let second = try stage.upload("b.mp4", bytes(2500))
            try await eventually("so does the next") { second.status().waitingFor == .key }
            // Told once the last probe's answer is taken in.
            let isNextDue: @Sendable () -> Bool = {
                let due = ManualTime.dawn.advanced(by: time.now - begin + .seconds(5))
                return [first, second].allSatisfy { $0.status().retryAt == due }
            }
            for attempt in 1...3 {
                try await eventually("the next probe is due in a while") { isNextDue() }
                #expect(stage.sandbox.journal().count == attempt)
                time.advance(by: .seconds(5))
                try await stage.sandbox.waitForJournal { $0.count { $0.status == 403 } == attempt + 1 }
            }
            try await eventually("the next probe is due in a while") { isNextDue() }
            stage.sandbox.configure { $0.apiKey = "sandbox-key" }
            time.advance(by: .seconds(5))
            for upload in [first, second] { try await upload.answer().get() }
        }
    }

    @Test(.shows("error-key")) func aCloseThatWaitsForAKeyIsDeniedPermissionAfterTheStallTimeout() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock, engine: { $0.upload.stallTimeout = .seconds(4) }) { stage in
            stage.sandbox.configure { $0.apiKey = "another-key" }
            let first = try stage.upload("a.mp4", bytes(2500))
            try await eventually("it waits for a key") { first.status().waitingFor == .key }
            let second = try stage.upload("b.mp4", bytes(2500))
            let answers = Answers()
            _ = second.whenAnswered { answers.add($0) }
            try await eventually("so does the next") { second.status().waitingFor == .key }
            time.advance(by: .seconds(4))
            try await eventually("the close is answered") { answers.kinds == [.keyRefused] }
            #expect(second.currentState == .finishing)
        }
    }
}
