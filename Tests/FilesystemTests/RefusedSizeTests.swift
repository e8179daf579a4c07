import Filesystem
import Formats
import FuseLowLevel
import ProcessInspection
import SandboxPlatform
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// Files that are too large, for us or for the platform.
@Suite(.timeLimit(.minutes(2))) struct RefusedSizeTests {
    /// As much as is written before a session is opened.
    private static let enough = 6 << 20
    private static let content = [UInt8](repeating: 7, count: enough)

    /// A writer that has a file of `size` bytes open.
    private func source(_ size: Int64, _ kind: FoundSource.Kind) -> FoundSource {
        FoundSource(
            kind: kind, location: .elsewhere(device: DeviceNumber(major: 1, minor: 1), inode: 9, size: size),
            source: OpenSource(
                process: 1, number: 3, mountID: 1, inode: 9, position: 0, closesOnExec: true, path: []))
    }

    private func refusal(of upload: Upload?) -> UploadFailure.Kind? {
        upload?.inspect { $0.failure?.kind }
    }

    /// Runs `body` with a platform that takes 8 MiB, and a file of which so much is written that its session was refused.
    private func withRefusal(
        of size: Int64, _ kind: FoundSource.Kind, _ body: (InProcess, UInt64, Upload) async throws -> Void
    ) async throws {
        try await InProcess.run(sandbox: { $0.maxFileSize = 8 << 20 }) { run in
            run.writers.change { $0.source = source(size, kind) }
            let handle = try run.create("a.mp4")
            try run.write(Self.content, to: handle)
            let upload = try #require(run.engine.uploads.first)
            try await eventually("the platform has refused it") { refusal(of: upload) == .sizeRefused }
            try await body(run, handle, upload)
        }
    }

    @Test(.shows("error-platform-too-large")) func aCopierIsToldAtItsNextWrite() async throws {
        try await withRefusal(of: 30 << 20, .copied) { run, handle, upload in
            #expect(throws: FuseErrno.fileTooLarge) {
                try run.write(Self.content, to: handle, at: Int64(Self.enough))
            }
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            #expect(upload.currentState == .interrupted)
            let error = try #require(upload.status().error)
            #expect(error.code == "parameter_invalid")
            #expect(error.message.contains("total_size"), "the platform's words: \(error.message)")
            #expect(error.httpStatus == 400)
            #expect(error.hint?.contains("too large") == true)
            #expect(run.sandbox.journal(of: .create).count == 1, "it is not asked again")
            #expect(try await run.sandbox.assets().isEmpty)
            // The name is free for the next try.
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try run.node("a.mp4") }
            #expect(throws: UploadStateMachine.RetryRefusal.isPartial) { try upload.retry() }
        }
    }

    @Test func aReaderOfAFileMayWriteLess() async throws {
        try await withRefusal(of: 30 << 20, .read) { run, handle, upload in
            try run.write([1, 2, 3], to: handle, at: Int64(Self.enough))
            #expect(await run.close(handle) == nil)
            #expect(try await run.onlyAsset() == Self.content + [1, 2, 3])
            #expect(upload.status().error == nil)
        }
    }

    @Test func aReaderOfAFileMayNotWriteAsMuchAsWasRefused() async throws {
        try await withRefusal(of: 9 << 20, .read) { run, handle, upload in
            try run.write([1], to: handle, at: (9 << 20) - 2)
            #expect(throws: FuseErrno.fileTooLarge) { try run.write([1], to: handle, at: (9 << 20) - 1) }
            #expect(throws: FuseErrno.fileTooLarge) { try run.cut("a.mp4", to: 9 << 20, through: handle) }
            #expect(await run.close(handle) == .ioError)
            #expect(upload.currentState == .interrupted)
        }
    }

    @Test(arguments: CloseMode.allCases)
    func whatWasWrittenBeforeTheRefusalCameIsToldAtClose(mode: CloseMode) async throws {
        let content = [UInt8](repeating: 7, count: 9 << 20)
        try await InProcess.run({ $0.closeMode = mode }, sandbox: { $0.maxFileSize = 8 << 20 }) { run in
            run.writers.change { $0.source = source(9 << 20, .copied) }
            let handle = try run.create("a.mp4")
            try run.write(content, to: handle)
            let upload = try #require(run.engine.uploads.first)
            try await eventually("the platform has refused it") { refusal(of: upload) == .sizeRefused }
            #expect(await run.close(handle) == .fileTooLarge)
            run.filesystem.committer.release(handle)
            #expect(upload.currentState == .failed)
            #expect(upload.status().error?.message.contains("total_size") == true)
            #expect(run.sandbox.journal(of: .create).count == 1, "it is not asked again")
            // It is whole, and the platform may change its mind.
            run.sandbox.configure { $0.maxFileSize = 1 << 30 }
            try upload.retry()
            #expect(await upload.end() == .completed)
            #expect(try await run.onlyAsset() == content)
        }
    }

    @Test(.shows("error-platform-too-large")) func aSizeThatTurnsOutAtCloseIsTooLargeAndCanBeTriedAgain() async throws {
        try await InProcess.run(sandbox: { $0.maxFileSize = 4 << 20 }) { run in
            let handle = try run.create("a.mp4")
            try run.write(Self.content, to: handle)
            #expect(await run.close(handle) == .fileTooLarge)
            run.filesystem.committer.release(handle)
            let upload = try #require(run.engine.uploads.first)
            #expect(upload.currentState == .failed)
            #expect(upload.status().error?.code == "parameter_invalid")
            run.sandbox.configure { $0.maxFileSize = 1 << 30 }
            try upload.retry()
            #expect(await upload.end() == .completed)
            #expect(try await run.onlyAsset() == Self.content)
        }
    }

    @Test(.shows("close-refused-write", "error-too-large", "error-reason")) func ourOwnLimitIsToldWithWhatToDo()
        async throws
    {
        try await InProcess.run({ $0.maxFileSize = 10 }) { run in
            let handle = try run.create("a.mp4")
            #expect(try run.write([UInt8](repeating: 1, count: 12), to: handle) == 10)
            #expect(throws: FuseErrno.fileTooLarge) { try run.write([1], to: handle, at: 10) }
            #expect(throws: FuseErrno.fileTooLarge) { try run.cut("a.mp4", to: 11, through: handle) }
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            let upload = try #require(run.engine.uploads.first)
            #expect(upload.currentState == .interrupted)
            let error = upload.status().error
            #expect(error?.message.contains("--max-file-size") == true)
            #expect(error?.hint?.contains("larger --max-file-size") == true)
            #expect(error?.code == "tooLarge")
            #expect(run.sandbox.journal(of: .create).isEmpty)
        }
    }

    @Test(.shows("close-write-made-good")) func aRefusedWriteThatIsMadeGoodIsForgotten() async throws {
        try await InProcess.run({ $0.maxFileSize = 10 }) { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(throws: FuseErrno.fileTooLarge) { try run.write([1], to: handle, at: 10) }
            // Its writer cuts off what it had meant to append.
            try run.cut("a.mp4", to: 3, through: handle)
            try run.cut("a.mp4", to: 2, through: handle)
            #expect(await run.close(handle) == nil)
            #expect(try await run.onlyAsset() == [1, 2])
        }
    }
}
