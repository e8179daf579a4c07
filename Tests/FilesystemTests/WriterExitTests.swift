import Filesystem
import FuseLowLevel
import ProcessInspection
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// A program that fails after it has closed its file: the file is what it is, and whoever looks after it is told.
@Suite(.timeLimit(.minutes(2))) struct WriterExitTests {
    /// A mount whose process 1 is watched.
    private func withWatchedWriter(_ body: (InProcess, WatchedProcess) async throws -> Void) async throws {
        try await InProcess.run { run in
            let watched = WatchedProcess(pid: 1)
            run.writers.change { $0.watched[1] = watched }
            try await body(run, watched)
        }
    }

    private func exits(_ run: InProcess) -> [String?] { run.engine.uploads.map { $0.status().writerExit } }

    @Test(
        "How it failed is in the document, and the asset stays", .shows("asset-failed-after"),
        arguments: [
            (ProcessEnd.exited(status: 18), "status 18"), (.killed(signal: 9), "signal 9"), (.exited(status: 0), nil),
            (.unknown, nil),
        ] as [(ProcessEnd, String?)])
    func aFailureIsTold(end: ProcessEnd, words: String?) async throws {
        try await withWatchedWriter { run, watched in
            try await run.finish("a.mp4")
            watched.ended(end)
            #expect(exits(run) == [words])
            #expect(run.engine.uploads.map(\.currentState) == [.completed])
        }
    }

    @Test("Of several files it counts for the last that the program wrote")
    func itCountsForTheLastFile() async throws {
        try await withWatchedWriter { run, watched in
            try await run.finish("a.mp4")
            try await run.finish("b.mp4")
            watched.ended(.exited(status: 1))
            #expect(exits(run) == [nil, "status 1"])
        }
    }

    @Test("It does not count for a file after which the program has begun another one")
    func itDoesNotCountAfterAnotherBegan() async throws {
        try await withWatchedWriter { run, watched in
            try await run.finish("a.mp4")
            try run.write([1], to: try run.create("b.mp4"))
            watched.ended(.exited(status: 1))
            #expect(exits(run).first == .some(nil))
        }
    }

    @Test("Of a file server it tells only that its client is gone")
    func aFileServerTellsNothing() async throws {
        try await withWatchedWriter { run, watched in
            run.writers.change { $0.commands[1] = "sftp-server" }
            try await run.finish("a.mp4")
            watched.ended(.exited(status: 1))
            #expect(exits(run) == [nil])
        }
    }

    @Test("It is another process that has the number by now")
    func anotherProcessDoesNotCount() async throws {
        try await withWatchedWriter { run, watched in
            try await run.finish("a.mp4")
            let next = WatchedProcess(pid: 1)
            run.writers.change { $0.watched[1] = next }
            try await run.finish("b.mp4")
            watched.ended(.exited(status: 1))
            #expect(exits(run) == [nil, nil])
            next.ended(.exited(status: 2))
            #expect(exits(run) == [nil, "status 2"])
        }
    }
}
