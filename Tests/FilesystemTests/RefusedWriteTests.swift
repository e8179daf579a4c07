import Filesystem
import FuseLowLevel
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// A write that was refused, whatever the reason: nothing becomes of the file before it is made good.
@Suite(.timeLimit(.minutes(2))) struct RefusedWriteTests {
    private func expectInterrupted(_ run: InProcess, code: String) async throws {
        let upload = try #require(run.engine.uploads.first)
        #expect(upload.currentState == .interrupted)
        let error = try #require(upload.status().error)
        #expect(error.code == code)
        #expect(error.message.contains("a write was refused"), "\(error)")
        #expect(try await run.sandbox.completeAssets().isEmpty)
    }

    /// As for a producer that goes on while the mount is drained, and whose reader then closes the file as if it were whole.
    @Test(.shows("close-refused-write"), arguments: CloseMode.allCases)
    func whatIsRefusedWhileTheMountEndsIsNotMissingFromAnAsset(mode: CloseMode) async throws {
        try await InProcess.run({ $0.closeMode = mode }) { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.filesystem.refuseWriting()
            #expect(throws: FuseErrno.readOnlyFileSystem) { try run.write([4], to: handle, at: 3) }
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            try await expectInterrupted(run, code: "unmounting")
        }
    }

    @Test func ofAFirstWriteThatIsRefusedTheCloseTells() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            run.filesystem.refuseWriting()
            #expect(throws: FuseErrno.readOnlyFileSystem) { try run.write([1], to: handle) }
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.isEmpty)
        }
    }

    /// Nobody reads what the close of a process that exits is answered.
    @Test func theLastReleaseCommitsNothingThatWasRefused() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.filesystem.refuseWriting()
            #expect(throws: FuseErrno.readOnlyFileSystem) { try run.write([4], to: handle, at: 3) }
            run.filesystem.committer.release(handle)
            try await expectInterrupted(run, code: "unmounting")
        }
    }

    /// It waits for a rename, which would make an asset of it.
    @Test func whatIsStagedWaitsNoMoreOnceAWriteIsRefused() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            #expect(run.engine.uploads.first?.currentState == .staged)
            run.filesystem.refuseWriting()
            #expect(throws: FuseErrno.readOnlyFileSystem) { try run.write([4], to: handle, at: 3) }
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            try await expectInterrupted(run, code: "unmounting")
        }
    }

    @Test func theAssetOfWhatWasCommittedBeforeStays() async throws {
        try await InProcess.run { run in
            try await run.finish("a.mp4")
            let handle = try run.open("a.mp4")
            run.filesystem.refuseWriting()
            #expect(throws: FuseErrno.readOnlyFileSystem) { try run.write([4], to: handle, at: 3) }
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            #expect(try await run.onlyAsset() == [1, 2, 3])
            #expect(try run.content("a.mp4") == [1, 2, 3])
        }
    }

    @Test func aHandleThatCannotWriteIsToldSoAndSpoilsWhatItMeant() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            let node = try run.node("a.mp4")
            #expect(throws: FuseErrno.badFileDescriptor) {
                try [UInt8](repeating: 4, count: 1).withUnsafeBytes {
                    try run.filesystem.content.write(
                        $0, to: node, handle: 4711, at: 3, context: InProcess.caller(1))
                }
            }
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            try await expectInterrupted(run, code: "not_for_writing")
        }
    }

    @Test(arguments: [false, true]) func aWriteWhoseAnswerWasLostIsToBeMadeAgain(isMadeAgain: Bool) async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.filesystem.content.writeWasNotAnswered(0..<3, of: handle)
            if isMadeAgain { try run.write([1, 2, 3], to: handle) }
            #expect(await run.close(handle) == (isMadeAgain ? nil : .ioError))
            run.filesystem.committer.release(handle)
            if isMadeAgain {
                #expect(try await run.onlyAsset() == [1, 2, 3])
            } else {
                try await expectInterrupted(run, code: "unanswered")
            }
        }
    }
}
