import Filesystem
import FuseLowLevel
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// A file that gets a name of those that are not uploaded before it is complete stays here, and nothing of it is uploaded.
@Suite(.timeLimit(.minutes(2)))
struct RenameAwayTests {
    private func withOtherFiles(_ body: (InProcess) async throws -> Void) async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in try await body(run) }
    }

    private func expectKept(_ name: String, _ bytes: [UInt8], in run: InProcess) async throws {
        #expect(run.engine.uploads.allSatisfy { $0.currentState == .cancelled })
        #expect(try run.content(name) == bytes)
        try await run.journal.written(durably: false)
        let restored = try run.restore()
        #expect(try run.content(name, in: restored) == bytes)
        let assets = try await run.sandbox.completeAssets()
        #expect(assets.isEmpty)
    }

    @Test("What is renamed away while it is written stays here", .shows("rename-to-local"))
    func whatIsRenamedWhileItIsWritten() async throws {
        try await withOtherFiles { run in
            let handle = try run.create("r.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.rename("r.mp4", to: "r.txt") == nil)
            try run.write([4], to: handle, at: 3)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            try await expectKept("r.txt", [1, 2, 3, 4], in: run)
        }
    }

    /// The kernel's word that nobody has it open any more comes after the close.
    @Test("What was renamed away while it was written is there once it is closed", .shows("rename-to-local"))
    func whatIsClosedIsThere() async throws {
        try await withOtherFiles { run in
            let handle = try run.create("r.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.rename("r.mp4", to: "r.txt") == nil)
            try run.write([4], to: handle, at: 3)
            #expect(await run.close(handle) == nil)
            #expect(try run.content("r.txt", in: try run.restore()) == [1, 2, 3, 4])
        }
    }

    @Test("What was renamed away while it was written is there after an fsync", .shows("rename-to-local"))
    func whatIsSynchronizedIsThere() async throws {
        try await withOtherFiles { run in
            let handle = try run.create("r.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.rename("r.mp4", to: "r.txt") == nil)
            #expect(await run.synchronize(handle) == nil)
            #expect(try run.content("r.txt", in: try run.restore()) == [1, 2, 3])
            // Under a video's name it is one that its writer had not closed.
            #expect(await run.rename("r.txt", to: "s.mp4") == nil)
            try await run.journal.written(durably: false)
            let restored = try run.restore()
            let left = try restored.namespace.lookup(Array("s.mp4".utf8), in: .root).node
            let again = try restored.open(left, flags: FileOpenFlags(rawValue: 1), context: InProcess.caller(9)).handle
            _ = await run.answer { restored.committer.close(again, context: InProcess.caller(9), $0) }
            restored.committer.release(again)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) {
                try restored.namespace.lookup(Array("s.mp4".utf8), in: .root)
            }
        }
    }

    @Test("With --close-mode spool a close of it waits for the disk", .shows("close-spool"))
    func aCloseOfItPromisesTheDisk() async throws {
        try await InProcess.run({
            $0.names = NamePolicy(otherFiles: .keep)
            $0.closeMode = .spool
        }) { run in
            let handle = try run.create("r.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.rename("r.mp4", to: "r.txt") == nil)
            #expect(await run.close(handle) == nil)
            #expect(run.engine.uploads.first?.status().durable == true)
            #expect(try run.content("r.txt", in: try run.restore()) == [1, 2, 3])
        }
    }

    @Test(
        "What waits for its name and gets another one stays here", .shows("rename-to-local"),
        arguments: ["x.mp4.part", "Unconfirmed 7.crdownload"], [false, true])
    func whatWaitsForItsName(temporary: String, isOpen: Bool) async throws {
        try await withOtherFiles { run in
            try await run.finish(temporary)
            let handle = isOpen ? try run.open(temporary) : nil
            #expect(await run.rename(temporary, to: "x.txt") == nil)
            if let handle {
                #expect(await run.close(handle) == nil)
                run.filesystem.committer.release(handle)
            }
            try await expectKept("x.txt", [1, 2, 3], in: run)
        }
    }

    @Test("What was renamed away can be renamed to a video's name after all", .shows("rename-to-media"))
    func whatWasRenamedAwayCanComeBack() async throws {
        try await withOtherFiles { run in
            try await run.finish("x.mp4.part")
            #expect(await run.rename("x.mp4.part", to: "x.txt") == nil)
            #expect(await run.rename("x.txt", to: "x.mp4") == nil)
            await run.engine.untilIdle()
            let asset = try await run.onlyAsset()
            #expect(asset == [1, 2, 3])
        }
    }

    @Test("What goes to the trash before it is complete becomes no asset", .shows("rename-to-local"))
    func whatGoesToTheTrash() async throws {
        try await InProcess.run { run in
            let trash = try run.filesystem.namespace.makeDirectory(
                Array(".Trash-0".utf8), in: .root, permissions: 0o700, context: InProcess.caller(1)
            ).node
            let name = Array("a.mp4".utf8)
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            let renamed = await run.answer {
                run.filesystem.committer.rename(name, in: .root, to: name, in: trash, flags: [], pid: 1, $0)
            }
            #expect(renamed == nil)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.map(\.currentState) == [.cancelled])
            let assets = try await run.sandbox.completeAssets()
            #expect(assets.isEmpty)
        }
    }
}
