import FileTree
import Filesystem
import Foundation
import FuseLowLevel
import Synchronization
import TestSupport
import Testing
import UploadCore
import UploadStore

/// What the next mount makes of files that something has happened to.
@Suite(.timeLimit(.minutes(2)))
struct RecoveryTests {
    private func withStateDirectory(
        _ configure: (inout FilesystemConfiguration) -> Void = { _ in },
        _ body: (InProcess, _ stateDirectory: String) async throws -> Void
    ) async throws {
        let path = Mutex("")
        try await InProcess.run(configure, prepare: { found in path.withLock { $0 = found } }) { run in
            try await body(run, path.withLock { $0 })
        }
    }

    private func spoolFiles(_ stateDirectory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(stateDirectory)/spool")
    }

    @Test("An attempt to mount that fails has deleted no spool file")
    func recoveringDeletesNothing() async throws {
        try await withStateDirectory { run, state in
            let first = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: first)
            await run.synchronize(first)
            #expect(await run.close(first) == nil)
            run.filesystem.committer.release(first)
            try await run.finish("b.mp4.part", [4])
            // The first has no name any more, and goes on until the second is as safe.
            #expect(await run.rename("b.mp4.part", to: "a.mp4.part") == nil)
            try await run.journal.written(durably: false)
            #expect(try spoolFiles(state).count == 2)
            let next = try run.restore()
            #expect(try spoolFiles(state).count == 2)
            next.resume()
            #expect(try spoolFiles(state).count == 1)
        }
    }

    @Test("A local file whose writer was killed is not uploaded under a later name either", .shows("rename-to-media"))
    func aKilledWriterIsRemembered() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            let handle = try run.create("notes.dat")
            try run.write([1, 2, 3], to: handle)
            run.writers.change { $0.dying[1] = "its writer was killed by signal 9" }
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            for _ in 1...2 {
                try await run.journal.written(durably: false)
                let next = try run.restore()
                #expect(try run.content("notes.dat", in: next) == [1, 2, 3])
            }
            let next = try run.restore()
            let renamed = await run.answer {
                next.committer.rename(
                    Array("notes.dat".utf8), in: .root, to: Array("a.mp4".utf8), in: .root, flags: [], pid: 2, $0)
            }
            #expect(renamed == nil)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try run.content("a.mp4", in: next) }
        }
    }

    @Test("A completed file whose spool file is gone stays listed from mount to mount")
    func aFileWithoutItsSpoolFileStaysListed() async throws {
        try await withStateDirectory { run, state in
            try await run.finish("a.mp4")
            try await run.journal.written(durably: false)
            for name in try spoolFiles(state) { try FileManager.default.removeItem(atPath: "\(state)/spool/\(name)") }
            for round in 1...3 {
                let next = try run.restore()
                let found = try next.namespace.lookup(Array("a.mp4".utf8), in: .root)
                #expect(found.attributes.size == 3, "round \(round)")
                var changes = FileAttributeChanges()
                changes.permissions = UInt16(0o600 + round)
                _ = try next.setAttributes(of: found.node, changes, handle: nil, context: InProcess.caller(1))
                try await next.namespace.journal?.written(durably: false)
            }
        }
    }

    @Test("A file whose only bytes are in its last page is not taken for one that has left the spool")
    func aFileWithBytesAtItsEndIsThere() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([7], to: handle, at: 9000)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            try await run.journal.written(durably: false)
            #expect(try run.content("a.mp4", in: try run.restore()) == [UInt8](repeating: 0, count: 9000) + [7])
        }
    }
}
