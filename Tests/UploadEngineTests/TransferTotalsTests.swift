import SandboxPlatform
import Testing
import UploadCore
import UploadEngine

/// What monitoring counts never falls.
@Suite(.timeLimit(.minutes(2))) struct TransferTotalsTests {
    @Test("Totals stay when their upload is forgotten, and repeated PUTs are counted again")
    func totalsNeverFall() async throws {
        try await EngineStage.with { stage in
            stage.sandbox.add(InjectedFault(on: [.put], .status(503)))
            let upload = try stage.upload("a.mp4", bytes(2500))
            try await upload.answer().get()
            let totals = stage.engine.totals
            #expect(totals.bytesWritten == 2500)
            #expect(totals.bytesUploaded == 2500)
            #expect(totals.retries == 1)
            stage.engine.forget(upload)
            #expect(stage.engine.uploads.isEmpty)
            #expect(totals.bytesWritten == 2500)
            try await stage.upload("b.mp4", bytes(1000)).answer().get()
            #expect(totals.bytesWritten == 3500)
            #expect(totals.bytesUploaded == 3500)
        }
    }

    @Test func anUploadWhoseWriterWaitsForSpaceSaysSo() async throws {
        try await EngineStage.with { stage in
            let upload = try stage.begin("a.mp4")
            try upload.write(bytes(100), at: 0)
            #expect(upload.status().waitingFor == .writer)
            upload.writeWaitsForSpace()
            upload.writeWaitsForSpace()
            upload.writeWaitedForSpace()
            #expect(upload.status().waitingFor == .space)
            #expect(upload.status().json().contains(#""waiting_for": "room""#))
            upload.writeWaitedForSpace()
            #expect(upload.status().waitingFor == .writer)
        }
    }
}
