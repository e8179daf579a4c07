import Filesystem
import FuseLowLevel
import Glibc
import ProcessInspection
import Synchronization
import TestSupport
import Testing
import UploadCore

/// Whether a signal ends the wait of a close.
@Suite(.timeLimit(.minutes(2)))
struct CloseSignalTests {
    @Test(.shows("close-harmless-signal")) func aSignalThatIsNotToBeSeenLeavesTheWaitAlone() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { state in
                state.holder = .failed
                state.unseenSignals = [1]
            }
            let interrupt = Mutex<(@Sendable () -> Void)?>(nil)
            async let closed = run.answer(whenInterrupted: { handler in interrupt.withLock { $0 = handler } }) {
                run.filesystem.committer.close(handle, context: InProcess.caller(1), $0)
            }
            try await eventually("it is looked for again") { run.writers.state.withLock { $0.holderLooks > 2 } }
            interrupt.withLock { $0 }?()
            try await eventually("the signal is looked at") { run.writers.state.withLock { $0.signalLooks > 2 } }
            run.writers.change { $0.holder = .nobody }
            #expect(await closed == nil)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test func whetherAProcessIsAskedToEndHasThreeAnswers() throws {
        let inspector = ProcessInspector(mountPoint: "/nowhere")
        #expect(inspector.isAskedToEnd(getpid()) == false)
        // Of another pid namespace.
        #expect(inspector.isAskedToEnd(0) == nil)
        // Larger than any id can be.
        #expect(inspector.isAskedToEnd(.max) == true)
    }

    // MARK: What the last release leaves undecided

    @Test(.shows("drain-undecided")) func whatWaitsForAnEndIsToldOf() async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 1)
            run.writers.change { $0.watched[1] = process }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(run.filesystem.undecided.isEmpty)
            run.writers.change { $0.closers[1] = .ending }
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(run.filesystem.undecided == ["a.mp4 (it is not known yet how its writer ended: cat, pid 1)"])
            process.ended(.exited(status: 0))
            await run.engine.untilIdle()
            #expect(run.filesystem.undecided.isEmpty)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("drain-undecided")) func whatWaitsForALookIsToldOf() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .some(nil) }
            run.filesystem.committer.release(handle)
            #expect(run.filesystem.undecided == ["a.mp4 (its writers could not be looked at yet)"])
            run.writers.change { $0.closers = [:] }
            try await eventually("it is decided") { run.filesystem.undecided.isEmpty }
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test func whatIsRemovedWaitsForNothing() async throws {
        try await InProcess.run { run in
            run.writers.change { $0.watched[1] = WatchedProcess(pid: 1) }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .ending }
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            try run.filesystem.namespace.removeFile(Array("a.mp4".utf8), in: .root)
            #expect(run.filesystem.undecided.isEmpty)
        }
    }
}
