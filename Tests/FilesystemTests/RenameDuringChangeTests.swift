import Dispatch
import FileTree
import Filesystem
import FuseLowLevel
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// A name that changes while another content is made for the file: at any moment of that, which the threads choose.
@Suite(.timeLimit(.minutes(2)))
struct RenameDuringChangeTests {
    private static let tries = 40

    /// A finished file is truncated, and at the same time something is done with its name.
    private func truncate(
        _ name: String, in run: InProcess, beside change: @escaping @Sendable () -> Void
    ) async throws {
        try await run.finish(name)
        let node = try run.node(name)
        try await offload {
            DispatchQueue.concurrentPerform(iterations: 2) { index in
                if index == 1 { return change() }
                var changes = FileAttributeChanges()
                changes.size = 2
                // It is told that there is no file, where that is removed by then.
                _ = try? run.filesystem.setAttributes(of: node, changes, handle: nil, context: InProcess.caller(7))
            }
        }
    }

    private func rename(_ name: String, to newName: String, in run: InProcess) {
        run.filesystem.committer.rename(
            Array(name.utf8), in: .root, to: Array(newName.utf8), in: .root, flags: [], pid: 1,
            CloseWait(reply: { #expect(throws: Never.self, performing: $0.get) }, whenInterrupted: { _ in }))
    }

    @Test("The name that a file gets while it is changed decides what becomes of it")
    func theNewNameDecides() async throws {
        try await InProcess.run { run in
            for number in 0..<Self.tries {
                try await truncate("a\(number).mp4", in: run) {
                    rename("a\(number).mp4", to: "b\(number).mp4.part", in: run)
                }
                #expect(await run.rename("b\(number).mp4.part", to: "c\(number).mp4") == nil)
                try await eventually("it is uploaded") { run.engine.uploads.last?.currentState == .completed }
            }
        }
    }

    @Test("What is written while its file gets another name is uploaded under that")
    func theUploadBearsTheNewName() async throws {
        try await InProcess.run { run in
            for number in 0..<Self.tries {
                try await truncate("a\(number).mp4", in: run) {
                    rename("a\(number).mp4", to: "b\(number).mp4", in: run)
                }
                try await eventually("it is uploaded") { run.engine.uploads.last?.currentState == .completed }
                #expect(run.engine.uploads.last?.identity.path == [Array("b\(number).mp4".utf8)])
            }
        }
    }

    @Test("What is written while its file is removed is not left on its way")
    func aRemovedFileIsNotUploaded() async throws {
        try await InProcess.run { run in
            for number in 0..<Self.tries {
                try await truncate("a\(number).mp4", in: run) {
                    try? run.filesystem.namespace.removeFile(Array("a\(number).mp4".utf8), in: .root)
                }
                try await eventually("nothing is on its way") {
                    run.engine.uploads.allSatisfy { !$0.currentState.isUnderWay }
                }
            }
        }
    }
}
