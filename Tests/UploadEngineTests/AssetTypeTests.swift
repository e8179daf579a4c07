import SandboxPlatform
import Testing
import UploadCore
import UploadEngine
import UploadStore

import func TestSupport.eventually

/// What sessions are asked for, and what follows where the platform takes videos only.
@Suite(.timeLimit(.minutes(2))) struct AssetTypeTests {
    /// How a platform refuses a type that it does not know.
    private static func refusal(_ message: String = "The type parameter is invalid.", count: Int) -> InjectedFault {
        let body = #"{"code":"parameter_invalid","message":"\#(message)"}"#
        var fault = InjectedFault(on: [.create], .status(400, body: body))
        fault.count = count
        return fault
    }

    private func upload(_ name: String, as type: AssetKind, on stage: EngineStage) async throws -> Upload {
        let identity = UploadIdentity(path: [Array(name.utf8)], filename: name, type: type)
        let upload = stage.engine.begin(identity, spool: try stage.spool.create())
        try upload.write(bytes(2500), at: 0)
        upload.apply(.committed(.whole))
        return upload
    }

    /// The types of the complete assets, in the order in which they were begun.
    private func types(on stage: EngineStage) async throws -> [String] {
        try await stage.sandbox.completeAssets().map(\.type)
    }

    @Test(arguments: AssetKind.allCases)
    func theTypeThatIsTakenIsTheOneThatWasAskedFor(type: AssetKind) async throws {
        try await EngineStage.with { stage in
            let upload = try await upload("a", as: type, on: stage)
            try await upload.answer().get()
            #expect(try await types(on: stage) == [type.rawValue])
            #expect(upload.status().type == type)
            #expect(upload.status().typeNote == nil)
            #expect(stage.sandbox.journal(of: .create).count == 1)
        }
    }

    @Test func audioThatIsRefusedIsSentAsAVideoAndTheStatusSaysSo() async throws {
        try await EngineStage.with { stage in
            stage.sandbox.add(Self.refusal(count: 1))
            let upload = try await upload("a.mp3", as: .audio, on: stage)
            try await upload.answer().get()
            #expect(try await types(on: stage) == ["video"])
            #expect(try await stage.content(of: "a.mp3") == bytes(2500))
            let status = upload.status()
            #expect(status.type == .video)
            #expect(status.typeNote?.contains("refused the type audio: The type parameter is invalid.") == true)
            #expect(status.error == nil)
            #expect(stage.sandbox.journal(of: .create).map(\.status) == [400, 201])
        }
    }

    @Test func theMountRemembersWhatOneUploadFoundOut() async throws {
        try await EngineStage.with { stage in
            stage.sandbox.add(Self.refusal(count: 1))
            try await upload("a.mp3", as: .audio, on: stage).answer().get()
            stage.sandbox.clearJournal()
            let second = try await upload("b.mp3", as: .audio, on: stage)
            try await second.answer().get()
            try await upload("c.mp4", as: .video, on: stage).answer().get()
            #expect(try await types(on: stage) == ["video", "video", "video"])
            #expect(stage.sandbox.journal(of: .create).map(\.status) == [201, 201], "no call is made in vain")
            #expect(second.status().typeNote?.contains("The type parameter is invalid.") == true)
            #expect(second.status().retries == 0)
        }
    }

    @Test func aDayLaterAudioIsTriedAgain() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(Self.refusal(count: 1))
            try await upload("a.mp3", as: .audio, on: stage).answer().get()
            time.advance(by: TypeRefusals.lifetime)
            let second = try await upload("b.mp3", as: .audio, on: stage)
            try await second.answer().get()
            #expect(try await types(on: stage) == ["video", "audio"])
            #expect(second.status().typeNote == nil)
        }
    }

    @Test func aRefusalThatWasNotForTheTypeTeachesNothing() async throws {
        try await EngineStage.with { stage in
            stage.sandbox.add(Self.refusal(count: 1), Self.refusal("The filename parameter is invalid.", count: 1))
            let first = try await upload("a.mp3", as: .audio, on: stage)
            #expect(await first.end() == .failed)
            #expect(first.status().error?.message == "The filename parameter is invalid.")
            try await upload("b.mp3", as: .audio, on: stage).answer().get()
            #expect(try await types(on: stage) == ["audio"])
        }
    }

    @Test func otherRefusalsOfAudioAreFinal() async throws {
        try await EngineStage.with { stage in
            stage.sandbox.add(Self.refusal("The filename parameter is invalid.", count: 1))
            let first = try await upload("a.mp3", as: .audio, on: stage)
            #expect(await first.end() == .failed)
            stage.sandbox.add(Self.refusal("Unsupported file type.", count: 1))
            let second = try await upload("b.mp3", as: .audio, on: stage)
            #expect(await second.end() == .failed)
            #expect(stage.sandbox.journal(of: .create).count == 2)
        }
    }

    @Test func aVideoIsNotAskedForTwice() async throws {
        try await EngineStage.with { stage in
            stage.sandbox.add(Self.refusal(count: 1))
            let upload = try await upload("a.mp4", as: .video, on: stage)
            guard case .failure(let failure) = await upload.answer() else {
                Issue.record("answered with success")
                return
            }
            #expect(failure.kind == .sessionRefused)
            #expect(stage.sandbox.journal(of: .create).count == 1)
        }
    }

    @Test func anotherProcessGoesOnWithTheTypeThatWasTaken() async throws {
        try await ResumeStage.with { stage in
            stage.sandbox.add(Self.refusal(count: 1))
            var hang = InjectedFault(on: [.put], .hang)
            hang.count = nil
            stage.sandbox.add(hang)
            try await stage.life { life in
                let identity = UploadIdentity(path: [Array("a.mp3".utf8)], filename: "a.mp3", type: .audio)
                let upload = life.engine.begin(identity, spool: try life.spool.create())
                try upload.write(bytes(2500), at: 0)
                upload.apply(.committed(.whole))
                try await stage.sandbox.waitForJournal { $0.contains { $0.kind == .put } }
                try await life.journal.written(durably: false)
            }
            stage.sandbox.dropConnections()
            stage.sandbox.clearFaults()
            // The session is lost, so that another one has to be asked for.
            for session in stage.sandbox.journal(of: .create).compactMap(\.uploadID) {
                try await stage.sandbox.endSession(session, as: "expired")
            }
            stage.sandbox.clearJournal()
            try await stage.life { life in
                await life.engine.untilIdle()
                #expect(life.engine.uploads.map(\.currentState) == [.completed])
                #expect(life.engine.uploads.first?.status().type == .video)
                #expect(life.engine.uploads.first?.status().typeNote?.contains("refused the type audio") == true)
                let assets = try await stage.sandbox.completeAssets()
                #expect(assets.map(\.type) == ["video"])
                #expect(stage.sandbox.journal(of: .create).map(\.status) == [201])
            }
        }
    }
}
