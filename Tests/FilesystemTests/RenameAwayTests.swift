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
