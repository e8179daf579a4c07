import Filesystem
import FuseLowLevel
import TestSupport
import Testing

/// Who may still write while a mount comes to its end.
@Suite(.timeLimit(.minutes(2))) struct WriteGateTests {
    private let start = ContinuousClock.now

    @Test func everybodyMayWhileItServes() {
        let gate = WriteGate(.open)
        #expect(gate.allowsChange(by: nil, at: start))
        #expect(gate.allowsWriting)
    }

    @Test func whoWritesMayGoOn() {
        var gate = WriteGate(.open)
        gate.opened(by: 1)
        gate.opened(by: 1)
        gate.enter(.ending)
        #expect(gate.allowsWriting)
        #expect(!gate.allowsChange(by: 2, at: start))
        #expect(!gate.allowsChange(by: nil, at: start))
        gate.closed(by: 1, at: start)
        #expect(gate.allowsChange(by: 1, at: start + .seconds(60)), "it has another one open")
        gate.closed(by: 1, at: start + .seconds(60))
        #expect(gate.allowsChange(by: 1, at: start + .seconds(61)))
        #expect(!gate.allowsChange(by: 1, at: start + .milliseconds(61_001)))
    }

    @Test func whatIsOpenedInTheSecondAfterCountsAnew() {
        var gate = WriteGate(.ending)
        gate.opened(by: 1)
        gate.closed(by: 1, at: start)
        gate.opened(by: 1)
        #expect(gate.allowsChange(by: 1, at: start + .seconds(60)))
    }

    @Test func oneThatIsForgottenLeavesTheOthers() {
        var gate = WriteGate(.ending)
        gate.opened(by: 1)
        gate.opened(by: 2)
        gate.closed(by: 1, at: start)
        gate.closed(by: 2, at: start + .seconds(5))
        gate.closed(by: 3, at: start + .seconds(5))
        #expect(!gate.allowsChange(by: 1, at: start + .seconds(5)))
        #expect(gate.allowsChange(by: 2, at: start + .seconds(5)))
        #expect(!gate.allowsChange(by: 3, at: start + .seconds(5)))
    }

    @Test func nobodyMayWhenItIsClosed() {
        var gate = WriteGate(.open)
        gate.opened(by: 1)
        gate.enter(.closed)
        #expect(!gate.allowsWriting)
        #expect(!gate.allowsChange(by: 1, at: start))
    }

    @Test func aMountThatEndsLetsItsWritersOpenTheNextFile() async throws {
        try await InProcess.run { run in
            try await run.finish("b.mp4")
            let handle = try run.create("a.mp4", by: 5)
            run.filesystem.beginEnding()
            #expect(throws: FuseErrno.readOnlyFileSystem) { try run.open("b.mp4", by: 6) }
            let next = try run.open("b.mp4", by: 5)
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle, by: 5) == nil)
            run.filesystem.resumeServing()
            run.filesystem.committer.release(try run.open("b.mp4", by: 6))
            run.filesystem.committer.release(next)
        }
    }

    @Test func oneThatIsReadOnlyStaysSo() async throws {
        try await InProcess.run({ $0.isReadOnly = true }) { run in
            run.filesystem.beginEnding()
            run.filesystem.resumeServing()
            #expect(throws: FuseErrno.readOnlyFileSystem) { try run.create("a.mp4") }
        }
    }

    @Test(.shows("drain-undecided")) func whatWasClosedForAllThatCouldBeSeenIsKeptAndTold() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.holder = .hidden(1) }
            #expect(await run.close(handle) == nil)
            // The kernel may end the mount before it tells of the release.
            run.filesystem.endWriting()
            #expect(run.filesystem.undecided.map { $0.hasPrefix("a.mp4 (it was not seen yet") } == [true])
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(run.filesystem.undecided.isEmpty)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test func whatIsOpenByForceBecomesNoAsset() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.filesystem.endWriting()
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.first?.currentState == .interrupted)
            #expect(run.filesystem.isUnused)
            #expect(try await run.sandbox.assets().isEmpty)
        }
    }

    @Test func whoIsInTheMountIsToldWritersFirst() async throws {
        try await InProcess.run { run in
            try await run.finish("b.mp4")
            // It may open the next one, which without the mount would be a file beneath it.
            #expect(run.filesystem.users().map(\.words) == ["the next file (cat, pid 1)"])
            run.writers.change { $0.gone = [1] }
            #expect(run.filesystem.users().isEmpty)
            let reader = try run.filesystem.open(
                try run.node("b.mp4"), flags: FileOpenFlags(rawValue: 0), context: InProcess.caller(7)
            ).handle
            let writer = try run.create("a.mp4", by: 5)
            run.writers.change {
                $0.commands = [5: "cp", 7: "mpv", 9: "bash"]
                $0.directories[9] = "some/where"
            }
            #expect(
                run.filesystem.users().map(\.words) == [
                    "a.mp4 (cp, pid 5)", "b.mp4 (mpv, pid 7)", "some/where (bash, pid 9)",
                ])
            run.filesystem.committer.release(reader)
            run.filesystem.committer.release(writer)
        }
    }
}
