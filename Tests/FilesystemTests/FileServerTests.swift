import Filesystem
import FuseLowLevel
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// A file server that ends with a file open: its client is gone, and may come back.
@Suite(.timeLimit(.minutes(2))) struct FileServerTests {
    /// The server writes these pieces and ends, in this way, with the file open.
    private func leave(
        _ pieces: [(offset: Int64, bytes: [UInt8])], missing: Range<Int64>? = nil,
        as name: String = "a.mp4", ending: CommitRule.CloseContext.Closer, in run: InProcess
    ) async throws {
        run.writers.change { $0.commands[1] = "sftp-server" }
        let handle = try run.create(name)
        for piece in pieces { try run.write(piece.bytes, to: handle, at: piece.offset) }
        if let missing { run.filesystem.content.writeWasNotAnswered(missing, of: handle) }
        run.writers.change { $0.closers[1] = ending }
        _ = await run.close(handle)
        run.filesystem.committer.release(handle)
    }

    @Test(
        "What its client sent is listed, and makes one asset when it is completed", .shows("asset-file-server"),
        arguments: [.exiting, .ending, .dying("its writer was killed by signal 9")]
            as [CommitRule.CloseContext.Closer])
    func thePartIsCompleted(ending: CommitRule.CloseContext.Closer) async throws {
        try await InProcess.run { run in
            try await leave([(0, [1, 2, 3])], ending: ending, in: run)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
            #expect(run.engine.uploads.first?.status().error?.hint?.contains("send the rest of it") == true)
            #expect(try run.content("a.mp4") == [1, 2, 3])
            let handle = try run.open("a.mp4", by: 2)
            try run.write([4], to: handle, at: 3, by: 2)
            #expect(await run.close(handle, by: 2) == nil)
            run.filesystem.committer.release(handle)
            let asset = try await run.onlyAsset()
            #expect(asset == [1, 2, 3, 4])
        }
    }

    @Test("A part does not get its final name: whoever renames takes it for whole", .shows("rename-partial"))
    func aPartDoesNotGetItsFinalName() async throws {
        try await InProcess.run { run in
            try await leave([(0, [1, 2, 3])], as: "a.mp4.filepart", ending: .exiting, in: run)
            #expect(await run.rename("a.mp4.filepart", to: "a.mp4") == .ioError)
            #expect(try run.content("a.mp4.filepart") == [1, 2, 3])
            #expect(await run.rename("a.mp4.filepart", to: "b.mp4.filepart") == nil)
            // Completed, it does.
            let handle = try run.open("b.mp4.filepart", by: 2)
            try run.write([4], to: handle, at: 3, by: 2)
            #expect(await run.close(handle, by: 2) == nil)
            run.filesystem.committer.release(handle)
            #expect(await run.rename("b.mp4.filepart", to: "b.mp4") == nil)
            let asset = try await run.onlyAsset()
            #expect(asset == [1, 2, 3, 4])
        }
    }

    @Test("What lacks bytes is not listed: whoever completes it does not send them again")
    func whatLacksBytesIsNotListed() async throws {
        try await InProcess.run { run in
            try await leave([(0, [1]), (2, [3])], missing: 1..<2, ending: .exiting, in: run)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try run.node("a.mp4") }
        }
    }
}
