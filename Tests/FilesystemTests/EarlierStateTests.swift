import FileTree
import Filesystem
import Foundation
import FuseLowLevel
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// A state directory that an earlier version left when it was killed is opened by every later one.
@Suite(.timeLimit(.minutes(2)))
struct EarlierStateTests {
    /// The first version's: two completed files, an empty one, one that stays here, one staged, one failed, one whose
    /// upload was on its way, and one whose writer was killed after its `fsync`.
    private static let first = (
        folder: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/state-1").path(),
        boot: "fd0f4cf2-4f10-4b54-b525-5ccc728ed326"
    )

    private func run(bootID: String, _ body: (InProcess) async throws -> Void) async throws {
        // What became of a session that the platform does not know is asked for a minute.
        try await InProcess.run(
            clockPace: 60, bootID: bootID,
            prepare: { state in
                for name in ["journal.sqlite", "spool"] {
                    try FileManager.default.copyItem(atPath: "\(Self.first.folder)/\(name)", toPath: "\(state)/\(name)")
                }
            },
            { run in
                run.filesystem.recover()
                try await body(run)
            })
    }

    private func size(_ run: InProcess, _ name: String, in parent: NodeID = .root) throws -> Int64 {
        try run.filesystem.namespace.lookup(Array(name.utf8), in: parent).attributes.size
    }

    @Test(.shows("restart-earlier-version")) func whatTheFirstVersionLeftIsThere() async throws {
        try await run(bootID: Self.first.boot) { run in
            for name in ["completed.mp4", "staged.mp4.part", "failed.mp4", "finishing.mp4"] {
                #expect(try size(run, name) == 3000, "\(name)")
            }
            let day = try run.node("day1")
            #expect(try size(run, "second.mov", in: day) == 3000)
            #expect(try size(run, "empty.mp4") == 0)
            #expect(try size(run, ".DS_Store") == 7)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try run.node("interrupted.mp4") }
            let states = run.engine.uploads.map(\.currentState)
            #expect(states == [.completed, .completed, .finishing, .interrupted, .failed, .finishing])
        }
    }

    @Test(
        "After a restart of the machine, what was not on its disk is not trusted, and nothing of it is uploaded",
        .shows("restart-power-lost"))
    func whatWasNotOnDiskIsNotTrusted() async throws {
        try await run(bootID: "another boot") { run in
            #expect(try size(run, "completed.mp4") == 3000)
            #expect(try size(run, ".DS_Store") == 7)
            run.filesystem.resume()
            // Their sessions are asked for first; the stand-in of this run has never heard of them.
            try await eventually("what cannot be sent any more fails") {
                run.engine.uploads.allSatisfy { $0.currentState != .finishing && $0.currentState != .staged }
            }
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test("What was on its way is sent, though the platform has forgotten its session", .shows("restart-session-gone"))
    func whatWasOnItsWayIsSent() async throws {
        try await run(bootID: Self.first.boot) { run in
            run.filesystem.resume()
            try await eventually("the upload is completed") {
                run.engine.uploads.last?.currentState == .completed
            }
            #expect(try await run.sandbox.completeAssets().map(\.filename) == ["finishing.mp4"])
        }
    }
}
