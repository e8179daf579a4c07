import Filesystem
import FuseLowLevel
import ProcessInspection
import Synchronization
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// What cannot be looked at is not taken for harmless.
@Suite(.timeLimit(.minutes(2)))
struct UnseenWriterTests {
    // MARK: Who has it open is not to be seen

    @Test(.shows("close-hidden-writer")) func theLastReleaseCompletesWhatMayHaveBeenHeld() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.holder = .hidden(1) }
            #expect(await run.close(handle) == nil)
            // Everything is stored, and nothing has become of it that could not be taken back.
            #expect(run.engine.uploads.map(\.currentState) == [.staged])
            #expect(try await run.sandbox.completeAssets().isEmpty)
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    /// twelvefs is killed before the last release: there may have been another writer.
    @Test(.shows("close-hidden-killed")) func whatNoReleaseDecidedIsToldAndCanBeTriedAgain() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.holder = .hidden(1) }
            #expect(await run.close(handle) == nil)
            try await run.finish("b.mp4.part")
            try await run.journal.written(durably: false)

            let restored = try run.restore()
            restored.resume()
            let inode = InodeNumber(rawValue: try run.node("a.mp4").rawValue)
            let staged = InodeNumber(rawValue: try run.node("b.mp4.part").rawValue)
            func state(of inode: InodeNumber) throws -> String {
                let value = try restored.attributes.extendedAttribute(Array("user.twelvelabs.state".utf8), of: inode)
                return String(decoding: value, as: UTF8.self)
            }
            try await eventually("what has a temporary name is staged") { try state(of: staged) == "staged" }
            #expect(try state(of: inode) == "failed")
            #expect(try run.content("a.mp4", in: restored) == [1, 2, 3])
            #expect(try await run.sandbox.completeAssets().isEmpty)

            try restored.attributes.set(
                Array(UploadControl.attribute.utf8), to: Array("retry".utf8), flags: [], of: inode,
                context: InProcess.caller(1))
            try await eventually("it is completed") { try state(of: inode) == "completed" }
            let asset = try await run.onlyAsset()
            #expect(asset == [1, 2, 3])
        }
    }

    @Test(.shows("close-hidden-writer", "close-one-asset")) func aGroupOfHiddenWritersMakesOneAsset() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4", by: 1)
            run.writers.change { $0.holder = .hidden(1) }
            for writer: Int32 in 2...4 {
                try run.write([UInt8(writer)], to: handle, at: Int64(writer - 2), by: writer)
                #expect(await run.close(handle, by: writer) == nil)
            }
            #expect(try await run.sandbox.completeAssets().isEmpty)
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [2, 3, 4])
        }
    }

    @Test(.shows("asset-killed")) func aHiddenWriterThatIsKilledAfterAnotherClosedSpoilsTheFile() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            try run.write([4], to: handle, at: 3, by: 2)
            run.writers.change { $0.holder = .hidden(1) }
            #expect(await run.close(handle) == nil)
            run.writers.change { $0.dying[2] = "its writer was killed by signal 9" }
            #expect(await run.close(handle, by: 2) == nil)
            run.writers.change { $0.dying = [:] }
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test func whatIsKnownToBeShortIsRefusedAtOnceAndDecidedAtTheEnd() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.cut("a.mp4", to: 10, through: handle)
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.holder = .hidden(1) }
            #expect(await run.close(handle) == .ioError)
            #expect(run.engine.uploads.map(\.currentState) == [.open])
            try run.write([UInt8](repeating: 4, count: 7), to: handle, at: 3)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3, 4, 4, 4, 4, 4, 4, 4])
        }
    }

    // MARK: How it ended is told later

    /// What an exit left, by how it turns out to have ended.
    @Test(
        .shows("asset-end-unknown", "asset-killed", "asset-error-exit"),
        arguments: [
            (ProcessEnd.exited(status: 0), UploadState.completed), (.exited(status: 1), .interrupted),
            (.killed(signal: 9), .interrupted), (.unknown, .interrupted),
        ])
    func anExitIsJudgedWhenItIsToldHow(end: ProcessEnd, outcome: UploadState) async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 1)
            run.writers.change { $0.watched[1] = process }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .ending }
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            run.writers.change { $0.closers[1] = .unseen }
            #expect(run.engine.uploads.map(\.currentState) == [.open])
            process.ended(end)
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [outcome])
            #expect(try await run.sandbox.completeAssets().count == (outcome == .completed ? 1 : 0))
            // As after any close: an interrupted file leaves the listing.
            let isListed = (try? run.node("a.mp4")) != nil
            #expect(isListed == (outcome == .completed))
        }
    }

    @Test(.shows("asset-end-unknown")) func anEndThatIsToldBeforeTheReleaseCounts() async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 1)
            run.writers.change { $0.watched[1] = process }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .ending }
            #expect(await run.close(handle) == nil)
            process.ended(.killed(signal: 9))
            run.writers.change { $0.closers[1] = .unseen }
            // Another one closes it as if nothing were wrong.
            #expect(await run.close(handle, by: 2) == .ioError)
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    @Test(.shows("asset-end-unknown")) func anExitThatNobodyTellsOfMakesNoAsset() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .ending }
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    @Test(.shows("close-hidden-writer")) func aCloseBesideAnExitThatIsNotToldYetDoesNotWaitForIt() async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 2)
            run.writers.change { $0.watched[2] = process }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle, by: 2)
            run.writers.change { $0.closers[2] = .ending }
            #expect(await run.close(handle, by: 2) == nil)
            // A shell closes the file before it waits for its child: the end is told after that only.
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(try await run.sandbox.completeAssets().isEmpty)
            process.ended(.exited(status: 0))
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test func aRenameDoesNotCompleteWhatWaitsForAnEnd() async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 1)
            run.writers.change { $0.watched[1] = process }
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .ending }
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(await run.rename("a.mp4.part", to: "a.mp4") == nil)
            #expect(try await run.sandbox.completeAssets().isEmpty)
            process.ended(.exited(status: 0))
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    // MARK: Looks that fail

    @Test(.shows("close-look-repeated")) func aCloseWaitsUntilItsCallerCouldBeLookedAt() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .some(nil) }
            async let closed = run.close(handle)
            try await eventually("it is looked at again") { run.writers.state.withLock { $0.looks > 2 } }
            #expect(run.engine.uploads.map(\.currentState) == [.open])
            run.writers.change { $0.closers = [:] }
            #expect(await closed == nil)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("close-look-repeated")) func aCloseWaitsUntilItsFileCouldBeLookedFor() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.holder = .failed }
            async let closed = run.close(handle)
            try await eventually("it is looked for again") { run.writers.state.withLock { $0.holderLooks > 2 } }
            #expect(run.engine.uploads.map(\.currentState) == [.open])
            run.writers.change { $0.holder = .process(2) }
            #expect(await closed == nil)
            run.writers.change { $0.holder = .nobody }
            #expect(await run.close(handle, by: 2) == nil)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("close-look-repeated")) func theLastReleaseWaitsForALookAtTheOtherWriters() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .some(nil) }
            run.filesystem.committer.release(handle)
            try await eventually("it is looked at again") { run.writers.state.withLock { $0.looks > 2 } }
            #expect(run.engine.uploads.map(\.currentState) == [.open])
            run.writers.change { $0.closers[1] = .dying("its writer was killed by signal 9") }
            try await eventually("nothing becomes of it") { run.engine.uploads.map(\.currentState) == [.interrupted] }
        }
    }

    @Test(.shows("close-mount-ends")) func aCloseThatIsStillBeingLookedAtIsAnsweredAtTheEndOfTheMount() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.holder = .failed }
            async let closed = run.close(handle)
            try await eventually("it is looked for again") { run.writers.state.withLock { $0.holderLooks > 2 } }
            run.filesystem.answerWaitingCloses(UploadFailure(.stalled, message: "the mount ended"))
            #expect(await closed == .ioError)
        }
    }

    // MARK: Interrupts

    /// A signal ends the wait although it is not decided yet what the close means, and the whole file becomes an asset.
    @Test(.shows("close-interrupted", "asset-killed-in-close")) func aCloseCanBeInterruptedBeforeItIsDecided()
        async throws
    {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.holder = .failed }
            let interrupt = Mutex<(@Sendable () -> Void)?>(nil)
            async let closed = run.answer(whenInterrupted: { handler in interrupt.withLock { $0 = handler } }) {
                run.filesystem.committer.close(handle, context: InProcess.caller(1), $0)
            }
            try await eventually("it is looked for again") { run.writers.state.withLock { $0.holderLooks > 2 } }
            run.writers.change { $0.askedToEnd = [1] }
            interrupt.withLock { $0 }?()
            #expect(await closed == .interrupted)
            // It dies of the signal: it had closed the file.
            run.writers.change { state in
                state.closers[1] = .unseen
                state.holder = .nobody
            }
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test func aCloseWhoseCallerWasNotLookedAtIsNotInterrupted() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { state in
                state.closers[1] = .some(nil)
                state.askedToEnd = [1]
            }
            let isRegistered = Mutex(false)
            async let closed = run.answer(whenInterrupted: { _ in isRegistered.withLock { $0 = true } }) {
                run.filesystem.committer.close(handle, context: InProcess.caller(1), $0)
            }
            try await eventually("it is looked at again") { run.writers.state.withLock { $0.looks > 2 } }
            #expect(!isRegistered.withLock { $0 })
            // It was its end that closed the file.
            run.writers.change { $0.closers[1] = .dying("its writer was killed by signal 9") }
            #expect(await closed == .ioError)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    // MARK: Nothing can be told

    @Test(.shows("writer-unseen"), arguments: UnseenWriter.allCases)
    func whoCannotBeSeenMayNotWrite(why: UnseenWriter) async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4", by: 1)
            run.writers.change { $0.sights[0] = .unseen(why) }
            #expect(throws: FuseErrno.permissionDenied) { try run.open("a.mp4", by: 0) }
            #expect(throws: FuseErrno.permissionDenied) { try run.cut("a.mp4", to: 7, through: nil, by: 0) }
            // Through a descriptor that somebody else has opened.
            #expect(throws: FuseErrno.permissionDenied) { try run.write([1], to: handle, by: 0) }
            try run.write([2], to: handle, at: 1)
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test(.shows("writer-unseen-allowed")) func whoCannotBeSeenMayWriteWhereThatIsAllowed() async throws {
        try await InProcess.run({ $0.takesUnseenWriters = true }) { run in
            run.writers.change { state in
                state.sights[0] = .unseen(.otherNamespace)
                state.closers[0] = .unseen
            }
            let handle = try run.create("a.mp4", by: 0)
            try run.write([1, 2, 3], to: handle, by: 0)
            #expect(await run.close(handle, by: 0) == nil)
            #expect(run.engine.uploads.map(\.currentState) == [.staged])
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("writer-end-only")) func aWriterWhoseEndAloneIsToldHasToBeWatched() async throws {
        try await InProcess.run { run in
            run.writers.change { $0.sights[2] = .endOnly }
            let handle = try run.create("a.mp4", by: 2)
            #expect(throws: FuseErrno.tooManyOpenFiles) { try run.write([1], to: handle, by: 2) }
            run.writers.change { $0.watched[2] = WatchedProcess(pid: 2) }
            try run.write([1], to: handle, by: 2)
            #expect(await run.close(handle, by: 2) == nil)
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1])
        }
    }

    @Test func nobodyIsWatchedWhenItIsDecidedAndTheWriterHasEnded() async throws {
        try await InProcess.run { run in
            let unwatched = Mutex(false)
            run.writers.change { $0.watched[1] = WatchedProcess(pid: 1) { unwatched.withLock { $0 = true } } }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.writers.change { state in
                state.watched[1]?.ended(.exited(status: 0))
                state.watched = [:]
            }
            #expect(unwatched.withLock { $0 })
        }
    }
}
