import FileTree
import Filesystem
import FuseLowLevel
import SandboxPlatform
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// What the model test has found, each as short as it was in the end.
@Suite(.timeLimit(.minutes(2)))
struct FoundByTheModelTests {
    private func content(_ filesystem: FilesystemService, _ name: String) throws -> [UInt8] {
        let node = try filesystem.namespace.lookup(Array(name.utf8), in: .root).node
        let handle = try filesystem.open(node, flags: FileOpenFlags(rawValue: 0), context: InProcess.caller(9)).handle
        defer { filesystem.committer.release(handle) }
        return try filesystem.content.read(handle, at: 0, count: 1 << 20)
    }

    private func write(_ run: InProcess, _ name: String, _ bytes: [UInt8]) async throws {
        let handle = try run.create(name)
        try run.write(bytes, to: handle)
        #expect(await run.close(handle) == nil)
        run.filesystem.committer.release(handle)
    }

    @Test("A file that is written under another name than the journal's takes no other file's place")
    func aRenamedFileThatIsWrittenTakesNoPlace() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            try await write(run, "log", [1])
            let handle = try run.open("log")
            try run.write([2], to: handle, at: 1)
            #expect(await run.rename("log", to: "log.1") == nil)
            try await write(run, "log", [3])
            try await run.journal.written(durably: false)
            #expect(try content(try run.restore(), "log") == [3])
        }
    }
}
