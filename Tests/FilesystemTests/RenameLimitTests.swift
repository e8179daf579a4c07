import Dispatch
import Filesystem
import FuseLowLevel
import SandboxPlatform
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// Both directories stand still while a rename waits, so that it waits for the platform for a while only.
@Suite(.timeLimit(.minutes(2))) struct RenameLimitTests {
    /// A file that is staged, and from then on the platform does not report it as complete.
    private func withStagedFile(
        _ answer: InjectedFault.Answer = .hang, limit: Duration = .milliseconds(200),
        stallTimeout: Duration = .seconds(300), _ body: (InProcess) async throws -> Void
    ) async throws {
        try await InProcess.run({ $0.renameLimit = limit }, stallTimeout: stallTimeout) { run in
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            // Where little time is taken for a stall, the close may have been one already.
            _ = await run.close(handle)
            run.filesystem.committer.release(handle)
            try await eventually("it is staged") { run.engine.uploads.map(\.currentState) == [.staged] }
            run.sandbox.add(Self.always(answer, on: .report))
            try await body(run)
        }
    }

    private static func always(_ answer: InjectedFault.Answer, on call: RequestKind) -> InjectedFault {
        var fault = InjectedFault(on: [call], answer)
        fault.count = nil
        return fault
    }

    @Test("A rename that waits too long is answered from the disk, and the upload goes on", .shows("rename-bounded"))
    func aRenameIsAnsweredFromTheDisk() async throws {
        try await withStagedFile { run in
            #expect(await run.rename("a.mp4.part", to: "a.mp4") == nil)
            #expect(try run.content("a.mp4") == [1, 2, 3])
            #expect(run.engine.uploads.map(\.currentState) == [.finishing])
            #expect(run.engine.uploads.map { $0.status().durable } == [true])
            // Another process finds it there as well.
            let restored = try run.restore()
            #expect(try run.content("a.mp4", in: restored) == [1, 2, 3])

            run.sandbox.dropConnections()
            run.sandbox.clearFaults()
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [.completed])
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test("Where nothing moves, a rename does not wait for its bound")
    func aStallIsNotWaitedFor() async throws {
        try await withStagedFile(.status(503), limit: .seconds(3600), stallTimeout: .seconds(2)) { run in
            #expect(await run.rename("a.mp4.part", to: "a.mp4") == nil)
            #expect(run.engine.uploads.map(\.currentState) == [.finishing])
            run.sandbox.clearFaults()
            await run.engine.untilIdle()
            let asset = try await run.onlyAsset()
            #expect(asset == [1, 2, 3])
        }
    }

    @Test("A refusal within the bound is the rename's error")
    func aRefusalIsAnError() async throws {
        try await withStagedFile(.refusal("parameter_invalid", status: 400), limit: .seconds(3600)) { run in
            #expect(await run.rename("a.mp4.part", to: "a.mp4") != nil)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try run.node("a.mp4") }
        }
    }

    @Test("What cannot be put on the disk is an error, and stays what it was, as long as the platform cannot have it")
    func whatCannotBePutOnTheDiskIsAnError() async throws {
        try await InProcess.run({ $0.renameLimit = .milliseconds(200) }) { run in
            run.sandbox.add(Self.always(.hang, on: .put))
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            async let closed = run.close(handle)
            try await run.sandbox.waitForJournal { $0.contains { $0.kind == .put } }
            run.filesystem.committer.release(handle)
            run.journal.close()
            #expect(await run.rename("a.mp4.part", to: "a.mp4") == .ioError)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try run.node("a.mp4") }
            run.sandbox.dropConnections()
            run.sandbox.clearFaults()
            _ = await closed
        }
    }

    @Test("What comes to nothing while the disk is waited for does not get its name")
    func whatFailsMeanwhileIsAnError() async throws {
        try await withStagedFile(.status(503), limit: .seconds(3600), stallTimeout: .seconds(5)) { run in
            let disk = DispatchSemaphore(value: 0)
            async let renamed = run.rename("a.mp4.part", to: "a.mp4")
            try await run.sandbox.waitForJournal { $0.contains { $0.kind == .report && $0.finished != nil } }
            run.journal.enqueue {
                disk.wait()
                return []
            }
            do {
                defer { disk.signal() }
                let upload = try #require(run.engine.uploads.first)
                // Nothing moves: from then on only the disk is waited for.
                try await eventually("the disk is waited for") { upload.isBeingPromised }
                upload.apply(.interrupted(UploadFailure(.interrupted, message: "meanwhile")))
            }
            #expect(await renamed == .ioError)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try run.node("a.mp4") }
        }
    }

    @Test("What the platform may have gets its name, though that cannot be put on the disk")
    func whatMayBeCompleteIsRenamed() async throws {
        try await withStagedFile { run in
            async let renamed = run.rename("a.mp4.part", to: "a.mp4")
            try await run.sandbox.waitForJournal { $0.count { $0.kind == .report } > 0 }
            run.journal.close()
            #expect(await renamed == nil)
            #expect(try run.content("a.mp4") == [1, 2, 3])
            run.sandbox.dropConnections()
            run.sandbox.clearFaults()
        }
    }
}
