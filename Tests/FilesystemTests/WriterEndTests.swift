import Filesystem
import FuseLowLevel
import ProcessInspection
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// How a writer ended counts for what it had not closed, whoever tells of it, and for nothing else.
@Suite(.timeLimit(.minutes(2)))
struct WriterEndTests {
    private static let killed = "its writer was killed by signal 9"
    private static let bad = "its writer exited with status 1 without closing it"

    /// A file into which a process has written and of which it has closed a descriptor, while `holder` had it open, as far as
    /// is to be seen.
    private func closed(
        by pid: Int32, whileHeldBy holder: ProcessTable.Holder, in run: InProcess
    ) async throws -> UInt64 {
        let handle = try run.create("a.mp4")
        try run.write([1, 2, 3], to: handle, by: pid)
        run.writers.change { $0.holder = holder }
        #expect(await run.close(handle, by: pid) == nil)
        return handle
    }

    /// A process is on its way out, and nobody else has the file open.
    private func dies(_ pid: Int32, _ how: String, in run: InProcess) {
        run.writers.change { state in
            state.holder = .nobody
            state.dying[pid] = how
        }
    }

    // MARK: It had closed the file

    @Test(
        .shows("asset-closed-before", "asset-killed-in-close"),
        arguments: [ProcessEnd.exited(status: 1), .killed(signal: 9)])
    func theEndOfAHiddenWriterThatHasClosedDoesNotCount(end: ProcessEnd) async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 1)
            run.writers.change { $0.watched[1] = process }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.holder = .hidden(1) }
            #expect(await run.close(handle) == nil)
            // The release comes when it is on its way out already.
            run.writers.change { $0.closers[1] = .ending }
            run.filesystem.committer.release(handle)
            process.ended(end)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("asset-closed-before")) func aWriterThatClosedAndDiesBesideAnotherCloseDoesNotCount() async throws {
        try await InProcess.run { run in
            let handle = try await closed(by: 2, whileHeldBy: .process(1), in: run)
            dies(2, Self.bad, in: run)
            #expect(await run.close(handle) == nil)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("asset-killed")) func aWriterThatClosedOnlyOneOfItsDescriptorsCounts() async throws {
        try await InProcess.run { run in
            let handle = try await closed(by: 2, whileHeldBy: .process(2), in: run)
            dies(2, Self.killed, in: run)
            #expect(await run.close(handle) == .ioError)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    @Test(.shows("asset-killed")) func aWriterThatWroteAfterItsCloseCounts() async throws {
        try await InProcess.run { run in
            let handle = try await closed(by: 2, whileHeldBy: .process(1), in: run)
            try run.write([4], to: handle, at: 3, by: 2)
            dies(2, Self.killed, in: run)
            #expect(await run.close(handle) == .ioError)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    /// What it closed may have been a duplicate, and its end closes the other one: nobody can tell before that is decided.
    @Test(.shows("asset-killed", "close-hidden-writer"))
    func aHiddenWriterThatClosedADuplicateIsWaitedFor() async throws {
        try await InProcess.run { run in
            let handle = try await closed(by: 2, whileHeldBy: .hidden(2), in: run)
            dies(2, Self.killed, in: run)
            #expect(await run.close(handle) == nil)
            #expect(run.engine.uploads.map(\.currentState) == [.staged])
            #expect(await run.close(handle, by: 2) == .ioError)
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    // MARK: A worker that has inherited the file

    /// A worker that inherits the file of process 1 and writes through a handle of its own; gives both handles.
    private func written(by worker: Int32, in run: InProcess) throws -> (inherited: UInt64, own: UInt64) {
        let inherited = try run.create("a.mp4")
        let own = try run.open("a.mp4", by: worker)
        try run.write([1, 2, 3], to: own, by: worker)
        run.writers.change { $0.holder = .process(worker) }
        return (inherited, own)
    }

    private static let terminated = "its writer was killed by signal 15"

    @Test(.shows("asset-closed-before")) func aWorkerThatClosedItsOwnIsDoneThoughItInheritedAnother() async throws {
        try await InProcess.run { run in
            let (inherited, own) = try written(by: 2, in: run)
            #expect(await run.close(own, by: 2) == nil)
            run.filesystem.committer.release(own)
            dies(2, Self.terminated, in: run)
            run.writers.change { $0.holder = .process(1) }
            #expect(await run.close(inherited, by: 2) == nil)
            run.writers.change { state in
                state.dying = [:]
                state.closers[2] = .unseen
                state.holder = .nobody
            }
            #expect(await run.close(inherited) == nil)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    /// Its end closes the lower number first: the one that it inherited.
    @Test(.shows("asset-killed"), arguments: [true, false])
    func aWorkerThatIsKilledWithItsOwnOpenCounts(parentHolds: Bool) async throws {
        try await InProcess.run { run in
            let (inherited, own) = try written(by: 2, in: run)
            dies(2, Self.terminated, in: run)
            if parentHolds { run.writers.change { $0.holder = .process(1) } }
            _ = await run.close(inherited, by: 2)
            _ = await run.close(own, by: 2)
            run.filesystem.committer.release(own)
            run.writers.change { $0.holder = .nobody }
            if parentHolds { #expect(await run.close(inherited) == .ioError) }
            run.filesystem.committer.release(inherited)
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    @Test(.shows("asset-killed")) func aWorkerThatIsKilledWithADuplicateOfItsOwnCounts() async throws {
        try await InProcess.run { run in
            let (inherited, own) = try written(by: 2, in: run)
            #expect(await run.close(own, by: 2) == nil)
            dies(2, Self.terminated, in: run)
            #expect(await run.close(inherited, by: 2) == nil)
            #expect(try await run.sandbox.completeAssets().isEmpty)
            _ = await run.close(own, by: 2)
            run.filesystem.committer.release(own)
            run.filesystem.committer.release(inherited)
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    // MARK: No close tells of it

    /// As of one that shares its descriptors with another process, or that writes through a ring.
    @Test(
        .shows("asset-end-unknown", "asset-killed", "asset-error-exit"),
        arguments: [
            (ProcessEnd.exited(status: 0), UploadState.completed), (.exited(status: 1), .interrupted),
            (.killed(signal: 9), .interrupted), (.unknown, .interrupted),
        ])
    func anEndThatNoCloseTellsOfCounts(end: ProcessEnd, outcome: UploadState) async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 2)
            run.writers.change { $0.watched[2] = process }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle, by: 2)
            process.ended(end)
            run.writers.change { $0.closers[2] = .unseen }
            #expect(await run.close(handle) == (outcome == .completed ? nil : .ioError))
            #expect(run.engine.uploads.map(\.currentState) == [outcome])
        }
    }

    @Test(
        .shows("asset-end-unknown"),
        arguments: [(ProcessEnd.exited(status: 0), UploadState.completed), (.killed(signal: 9), .interrupted)])
    func theLastReleaseWaitsForTheEndOfOneThatIsGone(end: ProcessEnd, outcome: UploadState) async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 1)
            run.writers.change { $0.watched[1] = process }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .unseen }
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.map(\.currentState) == [.open])
            process.ended(end)
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [outcome])
        }
    }

    @Test(.shows("close-confirmed", "asset-killed")) func aCloseWaitsUntilItIsToldHowOneEndedThatIsGone() async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 2)
            run.writers.change { $0.watched[2] = process }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle, by: 2)
            run.writers.change { $0.closers[2] = .unseen }
            async let closed = run.close(handle)
            try await eventually("it is looked at again") { run.writers.state.withLock { $0.holderLooks > 2 } }
            process.ended(.killed(signal: 9))
            #expect(await closed == .ioError)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    @Test(.shows("asset-end-unknown")) func oneThatIsGoneAndOfWhichNobodyTellsMakesNoAsset() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .unseen }
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    /// Whoever leaves its output to its exit is done then; a file server closes what its client has finished.
    @Test(
        .shows("asset-file-server", "close-exit"),
        arguments: [
            ("sftp-server", UploadState.interrupted), ("sshd", .interrupted), ("sshd-session", .interrupted),
            ("vsftpd", .interrupted), ("proftpd", .interrupted), ("pure-ftpd", .interrupted), ("smbd", .interrupted),
            ("smbd[192.0.2.7]", .interrupted), ("curl", .completed), ("ffmpeg", .completed),
        ])
    func whatAFileServerLeavesToItsExitIsNotWhole(program: String, outcome: UploadState) async throws {
        try await InProcess.run { run in
            run.writers.change { $0.commands[1] = program }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .exiting }
            #expect(await run.close(handle) == (outcome == .completed ? nil : .ioError))
            run.filesystem.committer.release(handle)
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [outcome])
        }
    }

    @Test(
        .shows("asset-file-server"),
        arguments: [("sftp-server", UploadState.interrupted), ("curl", .completed)])
    func soIsWhatAHiddenOneLeaves(program: String, outcome: UploadState) async throws {
        try await InProcess.run { run in
            let process = WatchedProcess(pid: 1)
            run.writers.change { $0.watched[1] = process }
            run.writers.change { $0.commands[1] = program }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.closers[1] = .ending }
            #expect(await run.close(handle) == (outcome == .completed ? nil : .ioError))
            run.filesystem.committer.release(handle)
            process.ended(.exited(status: 0))
            await run.engine.untilIdle()
            #expect(run.engine.uploads.map(\.currentState) == [outcome])
        }
    }

    @Test(.shows("asset-file-server")) func whatAFileServerHasClosedIsWhole() async throws {
        try await InProcess.run { run in
            run.writers.change { $0.commands[1] = "sftp-server" }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.writers.change { $0.closers[1] = .exiting }
            run.filesystem.committer.release(handle)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(.shows("asset-killed"), arguments: [false, true])
    func aNumberThatIsUsedAgainIsAnotherWriter(firstIsKilled: Bool) async throws {
        try await InProcess.run { run in
            let (first, second) = (WatchedProcess(pid: 2), WatchedProcess(pid: 2))
            run.writers.change { $0.watched[2] = first }
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle, by: 2)
            first.ended(firstIsKilled ? .killed(signal: 9) : .exited(status: 0))
            run.writers.change { $0.watched[2] = second }
            try run.write([4], to: handle, at: 3, by: 2)
            second.ended(firstIsKilled ? .exited(status: 0) : .killed(signal: 9))
            run.writers.change { $0.closers[2] = .unseen }
            #expect(await run.close(handle) == .ioError)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
        }
    }

    @Test(.shows("truncate-by-name")) func whoCutsItByNameIsNotWaitedFor() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            try run.cut("a.mp4", to: 2, through: nil, by: 5)
            run.writers.change { $0.closers[5] = .unseen }
            #expect(await run.close(handle) == nil)
            #expect(try await run.onlyAsset() == [1, 2])
        }
    }

    // MARK: The look and the decision

    @Test(.shows("close-passed-descriptor")) func whoGotADescriptorIsLookedAtOnceItHasWritten() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.holder = .process(9) }
            #expect(await run.close(handle) == nil)
            #expect(run.writers.state.withLock { $0.lookedAt } == [1])
            try run.write([4], to: handle, at: 3, by: 2)
            #expect(await run.close(handle) == nil)
            #expect(run.writers.state.withLock { $0.lookedAt } == [1, 2])
        }
    }

    /// Another process opens the file while a close looks who has it.
    @Test(.shows("close-last-descriptor", "close-one-asset"), arguments: [true, false])
    func aCloseThatSawNobodyLooksAgainWhenSomebodyHasCome(hasWritten: Bool) async throws {
        try await InProcess.run { run in
            let first = try run.create("a.mp4")
            try run.write([1, 2, 3], to: first)
            let second = Late<UInt64>()
            run.writers.change { state in
                state.onHolder = { [weak run] in
                    guard let run, let handle = try? run.open("a.mp4", by: 2) else { return }
                    second.set(handle)
                    if hasWritten { _ = try? run.write([4], to: handle, at: 3, by: 2) }
                    run.writers.change { $0.holder = .process(2) }
                }
            }
            #expect(await run.close(first) == nil)
            run.filesystem.committer.release(first)
            #expect(run.engine.uploads.map(\.currentState) == [.open])
            let handle = try #require(second.value)
            try run.write([4, 5], to: handle, at: 3, by: 2)
            run.writers.change { $0.holder = .nobody }
            #expect(await run.close(handle, by: 2) == nil)
            run.filesystem.committer.release(handle)
            #expect(try await run.onlyAsset() == [1, 2, 3, 4, 5])
        }
    }
}
