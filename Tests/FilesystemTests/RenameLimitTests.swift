import Filesystem
import FuseLowLevel
import SandboxPlatform
import TestSupport
import Testing
import UploadCore

/// Both directories stand still while a rename waits, so that it waits for a while only.
@Suite(.timeLimit(.minutes(2))) struct RenameLimitTests {
    @Test("A rename that waits for too long fails, and can be tried again", .shows("rename-bounded"))
    func aRenameIsTriedAgain() async throws {
        try await InProcess.run { run in
            var hang = InjectedFault(on: [.put], .hang)
            hang.count = nil
            run.sandbox.add(hang)
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            async let closed = run.close(handle)
            try await run.sandbox.waitForJournal { $0.contains { $0.kind == .put } }
            run.filesystem.committer.release(handle)
            #expect(await run.rename("a.mp4.part", to: "a.mp4") == .ioError)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try run.node("a.mp4") }
            #expect(run.engine.uploads.map(\.currentState) == [.finishing])

            run.sandbox.dropConnections()
            run.sandbox.clearFaults()
            #expect(await run.rename("a.mp4.part", to: "a.mp4") == nil)
            #expect(await closed == nil)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }
}
