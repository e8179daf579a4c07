import Filesystem
import Formats
import FuseLowLevel
import ProcessInspection
import SandboxPlatform
import Synchronization
import TestSupport
import Testing
import UploadCore
import UploadEngine

@Suite(.timeLimit(.minutes(2)))
struct ClosingTests {
    @Test(.shows("close-confirmed")) func aCloseIsAnsweredWhenThePlatformHasEveryByte() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("close-nothing-new")) func closingAStagedFileAgainIsAnsweredAtOnce() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            // touch(1) opens it for writing and writes nothing.
            let touch = try run.open("a.mp4.part", by: 2)
            #expect(await run.close(touch, by: 2) == nil)
            run.filesystem.committer.release(touch)
            #expect(try await run.sandbox.completeAssets().isEmpty)
            #expect(await run.rename("a.mp4.part", to: "a.mp4") == nil)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("rename-completes")) func aRenameWaitsForWhatIsStillOnItsWay() async throws {
        try await InProcess.run { run in
            run.sandbox.add(InjectedFault(on: [.put], .hang))
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            async let closed = run.close(handle)
            try await run.sandbox.waitForJournal { $0.contains { $0.kind == .put } }
            run.filesystem.committer.release(handle)
            async let renamed = run.rename("a.mp4.part", to: "a.mp4")
            try await eventually("the rename is told to the upload") {
                run.engine.uploads.first?.inspect { $0.state } == .finishing
            }
            run.sandbox.clearFaults()
            #expect(await renamed == nil)
            #expect(await closed == nil)
            // Answered with success, so it is there.
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("rename-failed")) func aFileWhoseUploadFailedDoesNotGetItsFinalName() async throws {
        try await InProcess.run { run in
            run.sandbox.add(
                InjectedFault(on: [.create], .status(400, body: #"{"code":"parameter_invalid","message":"no"}"#)))
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == .invalidArgument)
            run.filesystem.committer.release(handle)
            #expect(await run.rename("a.mp4.part", to: "a.mp4") == .invalidArgument)
        }
    }

    @Test(.shows("change-during-close")) func whatIsWrittenWhileAnotherClosesIsNotLost() async throws {
        try await InProcess.run { run in
            let first = try run.create("a.mp4", by: 1)
            try run.write([1, 2, 3], to: first, by: 1)
            let second = try run.open("a.mp4", by: 2)
            let early = Mutex<FuseErrno??>(nil)
            let answered = AsyncStream<Void>.makeStream()
            // The close of the first comes in the middle of the second's first write.
            run.writers.change {
                $0.onCommand[2] = {
                    run.filesystem.committer.close(
                        first, context: InProcess.caller(1),
                        CloseWait(
                            reply: { result in
                                early.withLock { early in
                                    if case .failure(let errno) = result {
                                        early = .some(errno)
                                    } else {
                                        early = .some(nil)
                                    }
                                }
                                answered.continuation.finish()
                            }, whenInterrupted: { _ in }))
                }
            }
            try run.write([4, 5], to: second, at: 3, by: 2)
            for await _ in answered.stream {}
            #expect(early.withLock { $0 } == .some(nil))
            run.filesystem.committer.release(first)
            #expect(await run.close(second, by: 2) == nil)
            run.filesystem.committer.release(second)
            #expect(try await run.onlyAsset() == [1, 2, 3, 4, 5])
            #expect(run.engine.uploads.count == 1)
        }
    }

    @Test(.shows("interrupted-unlisted")) func aFileOfAKilledWriterIsGoneAndItsNameIsLookedUpAnew() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.dying[1] = "its writer was killed by signal 9" }
            #expect(await run.close(handle) == .ioError)
            let node = try run.node("a.mp4")
            run.filesystem.committer.release(handle)
            // The kernel may still believe in the name: stale has it look again, whereas what were written into a file that is
            // gone would be lost.
            #expect(throws: FuseErrno.staleFileHandle) {
                try run.filesystem.open(node, flags: FileOpenFlags(rawValue: 1), context: InProcess.caller(2))
            }
            #expect(throws: FuseErrno.staleFileHandle) { try run.filesystem.namespace.attributes(of: node) }
            let again = try run.create("a.mp4", by: 2)
            try run.write([4], to: again, by: 2)
            #expect(await run.close(again, by: 2) == nil)
            #expect(try await run.onlyAsset() == [4])
        }
    }

    /// As under `timeout -s KILL 1 cat a > b`: both have the file open, both die, and the closes come side by side.
    @Test(.shows("asset-killed"), arguments: [true, false])
    func aCloseBesideThatOfAKilledWriterCommitsNothing(closerDies: Bool) async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { state in
                state.dying[1] = "its writer was killed by signal 9"
                if closerDies { state.dying[2] = "its writer was killed by signal 9" }
            }
            #expect(await run.close(handle, by: 2) == .ioError)
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test(.shows("rename-to-media")) func aKilledWritersFileIsNotUploadedUnderALaterName() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            let handle = try run.create("notes.dat")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.dying[1] = "its writer was killed by signal 9" }
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(await run.rename("notes.dat", to: "a.mp4") == nil)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test("A killed writer's local file leaves the listing when an exchange gives it a final name")
    func aKilledWritersFileIsNotListedUnderALaterName() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            try await run.finish("a.mp4", [4])
            let handle = try run.create("notes.dat", by: 2)
            try run.write([1, 2, 3], to: handle, by: 2)
            run.writers.change { $0.dying[2] = "its writer was killed by signal 9" }
            #expect(await run.close(handle, by: 2) == nil)
            run.filesystem.committer.release(handle)
            let exchanged = await run.answer {
                run.filesystem.committer.rename(
                    Array("notes.dat".utf8), in: .root, to: Array("a.mp4".utf8), in: .root, flags: .exchange, pid: 1,
                    $0)
            }
            #expect(exchanged == nil)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try run.node("a.mp4") }
            #expect(try run.content("notes.dat") == [4])
            #expect(run.engine.uploads.map(\.currentState) == [.completed, .interrupted])
        }
    }

    @Test(.shows("name-temporary-unknown"))
    func whatIsClosedUnderATemporaryNameThatTellsNothingIsStaged() async throws {
        try await InProcess.run { run in
            try await run.finish("o.m3u8.tmp")
            #expect(run.engine.uploads.map(\.currentState) == [.staged])
            #expect(run.engine.uploads.first?.status().filename == "o.m3u8.tmp")
        }
    }

    @Test(.shows("change-emptied")) func theUploadOfAFileThatIsEmptiedEndsAndSaysSo() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            try run.cut("a.mp4", to: 0, through: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            let status = try #require(run.engine.uploads.first?.status())
            #expect(status.state == .cancelled)
            #expect(status.error?.code == "emptied")
            #expect(try run.content("a.mp4").isEmpty)
        }
    }

    @Test(.shows("name-temporary-unknown")) func nothingIsSentBeforeAFinalNameIsKnownAndThenItIsTheFilename()
        async throws
    {
        try await InProcess.run { run in
            let handle = try run.create("Unconfirmed 7.crdownload")
            run.writers.change {
                $0.source = FoundSource(
                    kind: .copied,
                    location: .elsewhere(device: DeviceNumber(major: 1, minor: 1), inode: 9, size: 6 << 20),
                    source: OpenSource(
                        process: 1, number: 3, mountID: 1, inode: 9, position: 0, closesOnExec: true, path: []))
            }
            let content = [UInt8](repeating: 7, count: 6 << 20)
            try run.write(content, to: handle)
            #expect(run.engine.uploads.first?.inspect { $0.hint } == nil)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(await run.rename("Unconfirmed 7.crdownload", to: "film.mp4") == nil)
            await run.engine.untilIdle()
            #expect(try await run.sandbox.completeAssets().map(\.filename) == ["film.mp4"])
        }
    }

    @Test(.shows("close-mount-ends")) func closesThatComeAfterTheEndOfTheMountAreAnswered() async throws {
        try await InProcess.run { run in
            run.sandbox.add(InjectedFault(on: [.create], .hang))
            let handle = try run.create("a.mp4")
            try run.write([1], to: handle)
            run.filesystem.answerWaitingCloses(UploadFailure(.stalled, message: "the mount ended"))
            #expect(await run.close(handle) == .ioError)
            run.sandbox.clearFaults()
        }
    }
}
