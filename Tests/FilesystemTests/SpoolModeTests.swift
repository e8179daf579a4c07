import Filesystem
import FuseLowLevel
import SandboxPlatform
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// What a close promises besides the platform's confirmation: bytes that are safe on this machine's disk.
@Suite(.timeLimit(.minutes(2))) struct SpoolModeTests {
    private static func hang(_ run: InProcess) {
        var hang = InjectedFault(on: [.put], .hang)
        hang.count = nil
        run.sandbox.add(hang)
    }

    private static func release(_ run: InProcess) {
        run.sandbox.dropConnections()
        run.sandbox.clearFaults()
    }

    @Test(.shows("close-spool")) func aCloseIsAnsweredWhenTheBytesAreOnDiskAndTheUploadGoesOn() async throws {
        try await InProcess.run({ $0.closeMode = .spool }) { run in
            Self.hang(run)
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            let upload = try #require(run.engine.uploads.first)
            #expect(upload.status().durable)
            #expect(upload.currentState == .finishing)
            Self.release(run)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("close-stall")) func aStallIsAnsweredFirstThenTheBytesAreMadeDurableAndTheUploadGoesOn() async throws {
        try await InProcess.run(stallTimeout: .milliseconds(300)) { run in
            Self.hang(run)
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == .ioError)
            let upload = try #require(run.engine.uploads.first)
            try await eventually("its bytes are on disk") { upload.status().durable }
            #expect(upload.currentState == .finishing)
            Self.release(run)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    /// What was promised to be safe is dropped only when what replaces it is safe too.
    @Test(.shows("replace-durable"), arguments: [true, false])
    func aDurableVersionOutlivesItsSuccessorUntilThatIsDurable(byRename: Bool)
        async throws
    {
        try await InProcess.run({ $0.closeMode = .spool }) { run in
            Self.hang(run)
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            let first = try #require(run.engine.uploads.first)

            let next: UInt64
            if byRename { next = try run.create("b.mp4") } else { next = try run.open("a.mp4", cutting: true) }
            try run.write([4, 5], to: next)
            if byRename { #expect(await run.rename("b.mp4", to: "a.mp4") == nil) }
            #expect(first.currentState == .finishing, "its successor is not safe yet")
            #expect(await run.close(next) == nil)
            run.filesystem.committer.release(next)
            #expect(first.currentState == .cancelled)
            Self.release(run)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [4, 5])
        }
    }

    /// One that is emptied while it is on its way itself holds the one before, which was promised.
    @Test(.shows("replace-durable")) func aDurableVersionOutlivesTwoSuccessorsThatAreNotSafe() async throws {
        try await InProcess.run { run in
            Self.hang(run)
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.synchronize(handle) == nil)
            async let first = run.close(handle)
            try await eventually("it is on its way") { run.engine.uploads.map(\.currentState) == [.finishing] }
            let next = try run.open("a.mp4", cutting: true)
            try run.write([4, 5], to: next)
            async let second = run.close(next)
            try await eventually("so is the next") { run.engine.uploads.last?.currentState == .finishing }
            let last = try run.open("a.mp4", cutting: true)
            let durable = try #require(run.engine.uploads.first)
            #expect(durable.currentState == .finishing)
            try run.write([6], to: last)
            #expect(run.engine.uploads.map(\.currentState) == [.finishing, .cancelled, .open])
            run.writers.change { $0.dying[1] = "its writer was killed by signal 9" }
            _ = await run.close(last)
            for handle in [handle, next, last] { run.filesystem.committer.release(handle) }
            Self.release(run)
            _ = await (first, second)
            #expect(await durable.end() == .completed)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    /// Nobody wants the content from before any more.
    @Test(.shows("remove-unfinished", "rename-to-local"), arguments: [false, true], ["rm", "mv", ": >"])
    func aDurableVersionEndsWithItsSuccessor(isWritten: Bool, way: String) async throws {
        try await InProcess.run({
            $0.closeMode = .spool
            $0.names = NamePolicy(otherFiles: .keep)
        }) { run in
            Self.hang(run)
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            let first = try #require(run.engine.uploads.first)
            let next = try run.open("a.mp4", cutting: true)
            if isWritten { try run.write([4, 5], to: next) }
            switch way {
            case "rm": try run.filesystem.namespace.removeFile(Array("a.mp4".utf8), in: .root)
            case "mv": #expect(await run.rename("a.mp4", to: "a.txt") == nil)
            default: try run.cut("a.mp4", to: 0, through: next)
            }
            #expect(await run.close(next) == nil)
            run.filesystem.committer.release(next)
            #expect(first.currentState == .cancelled)
            Self.release(run)
            await run.engine.untilIdle()
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test(.shows("replace-durable")) func aSuccessorThatIsInterruptedLeavesTheDurableVersionItsUpload() async throws {
        try await InProcess.run({ $0.closeMode = .spool }) { run in
            Self.hang(run)
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            let next = try run.open("a.mp4", cutting: true, by: 2)
            try run.write([4, 5], to: next, by: 2)
            run.writers.change { $0.dying[2] = "killed" }
            _ = await run.close(next, by: 2)
            run.filesystem.committer.release(next)
            Self.release(run)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    // MARK: What was released

    /// The first 6 MiB of a copy of 8 MiB, in chunks of 1 MiB, as far as it has come.
    private static func withHalfACopy(_ body: (InProcess, UInt64, Upload) async throws -> Void) async throws {
        try await InProcess.run(sandbox: { $0.chunkSize = 1 << 20 }) { run in
            let handle = try run.create("a.mp4")
            try run.write([UInt8](repeating: 7, count: 6 << 20), to: handle)
            let upload = try #require(run.engine.uploads.first)
            upload.apply(.hinted(SizeHint(size: 8 << 20, source: .declared)))
            try await body(run, handle, upload)
            try run.write([UInt8](repeating: 7, count: 2 << 20), to: handle, at: 6 << 20)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(try await run.onlyAsset() == [UInt8](repeating: 7, count: 8 << 20))
        }
    }

    @Test(.shows("fsync-released")) func anFsyncAfterAReleaseSaysAtOnceThatThereWasNoSpace() async throws {
        try await Self.withHalfACopy { run, handle, upload in
            try await eventually("a chunk is released") { try upload.releaseChunk() }
            Self.hang(run)
            #expect(await run.synchronize(handle) == .noSpace)
            let status = upload.status()
            #expect(!status.durable)
            #expect(status.error?.code == "part_released")
            Self.release(run)
        }
    }

    @Test(.shows("space-durable")) func nothingIsReleasedAfterAnFsync() async throws {
        try await Self.withHalfACopy { run, handle, upload in
            try await eventually("chunks are stored") { upload.status().bytesUploaded >= 3 << 20 }
            #expect(await run.synchronize(handle) == nil)
            #expect(upload.status().durable)
            #expect(!upload.bringsSpace)
            #expect(try !upload.releaseChunk())
        }
    }
}
