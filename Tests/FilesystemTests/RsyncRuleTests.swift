import Formats
import FuseLowLevel
import TestSupport
import Testing
import UploadCore

/// What is taken for rsync's half of a file, and what is not.
@Suite(.timeLimit(.minutes(2)))
struct RsyncRuleTests {
    /// A file of three bytes with rsync's temporary name and the time 0, that process 1 gives its final name.
    private func rename(in run: InProcess, isAborting: Bool?) async throws {
        run.writers.change {
            $0.commands[1] = "rsync"
            $0.rsyncs[1] = isAborting
        }
        try await run.finish(".a.mp4.x1Y2z3")
        var changes = FileAttributeChanges()
        changes.modificationTime = .at(FileTime(seconds: 0, nanoseconds: 0))
        _ = try run.filesystem.setAttributes(
            of: try run.node(".a.mp4.x1Y2z3"), changes, handle: nil, context: InProcess.caller(1))
        #expect(await run.rename(".a.mp4.x1Y2z3", to: "a.mp4") == nil)
        #expect(try run.filesystem.namespace.attributes(of: try run.node("a.mp4")).size == 3)
    }

    @Test("A partial file of rsync's never becomes an asset", .shows("asset-rsync-cut"), arguments: [true, nil])
    func aPartialFileStaysHere(isAborting: Bool?) async throws {
        try await InProcess.run { run in
            try await rename(in: run, isAborting: isAborting)
            #expect(run.engine.uploads.map(\.currentState) == [.interrupted])
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test("A file of 1970 is uploaded when rsync is done with it", .shows("asset-dated-1970"))
    func theTimeAloneTellsNothing() async throws {
        try await InProcess.run { run in
            try await rename(in: run, isAborting: false)
            #expect(run.engine.uploads.map(\.currentState) == [.completed])
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test("A copy that rsync makes by itself is whole when it is closed", .shows("asset-rsync-copy"))
    func anExclusiveCopyIsNoTransfer() async throws {
        try await InProcess.run { run in
            run.writers.change { $0.commands[1] = "rsync" }
            try await run.finish("a.mp4", exclusively: true)
            #expect(run.engine.uploads.map(\.currentState) == [.completed])
        }
    }

    /// The file that rsync once copied is transferred into in place by the next run.
    @Test("A transfer in place is whole when a truncation ends it", .shows("asset-rsync-cut"))
    func aTransferInPlaceNeedsItsTruncation() async throws {
        try await InProcess.run { run in
            run.writers.change { $0.commands[1] = "rsync" }
            try await run.finish("a.mp4", exclusively: true)
            let handle = try run.open("a.mp4")
            try run.write([4], to: handle)
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }
}
