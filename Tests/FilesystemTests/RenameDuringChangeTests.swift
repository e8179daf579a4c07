import Filesystem
import Synchronization
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// A name that changes while another content is made for the file.
@Suite(.timeLimit(.minutes(2)))
struct RenameDuringChangeTests {
    /// A finished file is truncated by its path, and `meanwhile` is done before its new content has the old one's place.
    private func truncate(
        _ run: InProcess, meanwhile: @escaping @Sendable (InProcess) -> Void
    ) throws {
        run.writers.change { $0.onThreadGroup[7] = { meanwhile(run) } }
        try run.cut("a.mp4", to: 2, through: nil, by: 7)
    }

    private func rename(_ run: InProcess, to name: String) {
        run.filesystem.committer.rename(
            Array("a.mp4".utf8), in: .root, to: Array(name.utf8), in: .root, flags: [], pid: 1,
            CloseWait(reply: { #expect(throws: Never.self, performing: $0.get) }, whenInterrupted: { _ in }))
    }

    @Test("The name that a file gets while it is changed decides what becomes of it")
    func theNewNameDecides() async throws {
        try await InProcess.run { run in
            try await run.finish("a.mp4")
            try truncate(run) { rename($0, to: "a.mp4.part") }
            try await eventually("what waits for a name is staged") {
                run.engine.uploads.map(\.currentState) == [.completed, .staged]
            }
            #expect(await run.rename("a.mp4.part", to: "b.mp4") == nil)
            try await eventually("it is uploaded") { run.engine.uploads.last?.currentState == .completed }
        }
    }

    @Test("What is written while its file gets another name is uploaded under that")
    func theUploadBearsTheNewName() async throws {
        try await InProcess.run { run in
            try await run.finish("a.mp4")
            try truncate(run) { rename($0, to: "b.mp4") }
            try await eventually("it is uploaded") { run.engine.uploads.last?.currentState == .completed }
            #expect(run.engine.uploads.last?.identity.path == [Array("b.mp4".utf8)])
            #expect(try await run.sandbox.completeAssets().map(\.filename).sorted() == ["a.mp4", "b.mp4"])
        }
    }

    @Test("What is written while its file is removed is not uploaded")
    func aRemovedFileIsNotUploaded() async throws {
        try await InProcess.run { run in
            try await run.finish("a.mp4")
            _ = try run.open("a.mp4")
            try truncate(run) { try? $0.filesystem.namespace.removeFile(Array("a.mp4".utf8), in: .root) }
            #expect(run.engine.uploads.map(\.currentState) == [.completed, .cancelled])
        }
    }
}
