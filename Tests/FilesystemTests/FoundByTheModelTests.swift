import Dispatch
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
    @Test("What was emptied, closed, and written again is there after a kill")
    func whatWasEmptiedAndWrittenAgainSurvives() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            try run.cut("a.mp4", to: 0, through: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            let again = try run.open("a.mp4")
            try run.write([4, 5], to: again)
            #expect(await run.close(again) == nil)
            run.filesystem.committer.release(again)
            try await run.journal.written(durably: false)
            #expect(try run.content("a.mp4", in: try run.restore()) == [4, 5])
        }
    }

    @Test("A file that got a local name while it was written is there after a kill")
    func aFileRenamedToALocalNameSurvives() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.rename("a.mp4", to: "notes.txt") == nil)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            try await run.journal.written(durably: false)
            #expect(try run.content("notes.txt", in: try run.restore()) == [1, 2, 3])
            #expect(run.engine.uploads.map(\.currentState) == [.cancelled])
            // Under a final name it is uploaded after all.
            #expect(await run.rename("notes.txt", to: "b.mp4") == nil)
            await run.engine.untilIdle()
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test("A file that is one hole, and waits for its name, can be read after a kill")
    func aStagedHoleCanBeReadAfterAKill() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4.part")
            try run.write([1], to: handle)
            try run.cut("a.mp4.part", to: 0, through: handle)
            try run.cut("a.mp4.part", to: 9000, through: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            try await run.journal.written(durably: false)
            #expect(try run.content("a.mp4.part", in: try run.restore()) == [UInt8](repeating: 0, count: 9000))
        }
    }

    @Test("A local file that was being written at a kill has the size of what is there")
    func aLocalFileHasTheSizeOfItsBytes() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            try await run.finish("notes.txt", [1, 2, 3])
            let handle = try run.open("notes.txt")
            try run.cut("notes.txt", to: 1, through: handle)
            try await run.journal.written(durably: false)
            let restored = try run.restore()
            let found = try restored.namespace.lookup(Array("notes.txt".utf8), in: .root)
            #expect(found.attributes.size == 1)
            #expect(try run.content("notes.txt", in: restored) == [1])
        }
    }

    @Test("A file that is written under another name than the journal's takes no other file's place")
    func aRenamedFileThatIsWrittenTakesNoPlace() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            try await run.finish("log", [1])
            let handle = try run.open("log")
            try run.write([2], to: handle, at: 1)
            #expect(await run.rename("log", to: "log.1") == nil)
            try await run.finish("log", [3])
            try await run.journal.written(durably: false)
            #expect(try run.content("log", in: try run.restore()) == [3])
        }
    }

    @Test("A process that is killed and never wrote spoils nothing")
    func aKilledProcessThatNeverWroteSpoilsNothing() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4", by: 1)
            try run.filesystem.content.allocate(
                handle, mode: .keepSize, offset: 0, length: 10, context: InProcess.caller(1))
            let other = try run.open("a.mp4", by: 2)
            run.writers.change { state in
                state.dying[2] = "its writer was killed by signal 9"
                state.holder = .process(1)
            }
            #expect(await run.close(other, by: 2) == nil)
            run.filesystem.committer.release(other)
            run.writers.change { $0.holder = .nobody }
            try run.write([1, 2], to: handle, by: 1)
            #expect(await run.close(handle, by: 1) == nil)
            #expect(try await run.onlyAsset() == [1, 2])
        }
    }

    @Test("What was promised and waits for a name goes with the file that took that name")
    func aReplacedStagedFileGoesWithItsSuccessor() async throws {
        try await InProcess.run { run in
            let first = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: first)
            await run.synchronize(first)
            #expect(await run.close(first) == nil)
            run.filesystem.committer.release(first)
            try await run.finish("b.mp4.part", [4])
            #expect(await run.rename("b.mp4.part", to: "a.mp4.part") == nil)
            #expect(run.engine.uploads.map(\.currentState) == [.staged, .staged])
            try run.filesystem.namespace.removeFile(Array("a.mp4.part".utf8), in: .root)
            #expect(run.engine.uploads.map(\.currentState) == [.cancelled, .cancelled])
        }
    }

    @Test("A file that was uploaded after it was kept here, and is overwritten at a kill, is not there as an empty one")
    func aPromiseEndsWithItsVersion() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            try await run.finish("notes.txt", [1, 2, 3])
            #expect(await run.rename("notes.txt", to: "a.mp4") == nil)
            await run.engine.untilIdle()
            let handle = try run.open("a.mp4", cutting: true)
            #expect(await run.rename("a.mp4", to: "b.mp4") == nil)
            try run.write([4], to: handle)
            try await run.journal.written(durably: false)
            let restored = try run.restore()
            #expect(throws: FuseErrno.noSuchFileOrDirectory) {
                try restored.namespace.lookup(Array("b.mp4".utf8), in: .root)
            }
        }
    }

    @Test("What was not finished and overwritten is given back, though it was promised to be on the disk")
    func anOverwrittenUnfinishedFileIsGivenBack() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.cut("a.mp4", to: 3, through: handle)
            try run.write([1], to: handle)
            let reader = try run.open("a.mp4")
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            await run.synchronize(reader)
            try run.write([4], to: reader)
            #expect(run.engine.uploads.map(\.currentState).contains(.cancelled))
            #expect(!run.engine.uploads.map(\.currentState).contains(.interrupted))
        }
    }

    @Test("What was kept here, is renamed while it is written, and cut off by a kill, never becomes an asset")
    func aLocalFileThatIsCutOffUnderAFinalNameIsUnfinished() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            try await run.finish("notes.txt", [1, 2, 3])
            let handle = try run.open("notes.txt")
            #expect(await run.rename("notes.txt", to: "a.mp4") == nil)
            try run.write([4], to: handle)
            try await run.journal.written(durably: false)
            let restored = try run.restore()
            let node = try restored.namespace.lookup(Array("a.mp4".utf8), in: .root).node
            let again = try restored.open(node, flags: FileOpenFlags(rawValue: 1), context: InProcess.caller(9)).handle
            _ = await run.answer { restored.committer.close(again, context: InProcess.caller(9), $0) }
            restored.committer.release(again)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) {
                try restored.namespace.lookup(Array("a.mp4".utf8), in: .root)
            }
        }
    }

    @Test("What is written while its directory leaves the trash, and cut off by a kill, never becomes an asset")
    func whatIsTakenOutOfTheTrashAndCutOffIsUnfinished() async throws {
        try await InProcess.run { run in
            let (trash, name) = (Array(".Trash-0".utf8), Array("a.mp4".utf8))
            let caller = InProcess.caller(1)
            let directory = try run.filesystem.namespace.makeDirectory(
                trash, in: .root, permissions: 0o755, context: caller
            ).node
            let (node, file) = try run.filesystem.namespace.createFile(
                name, in: directory, permissions: 0o644, context: caller)
            for bytes in [[1, 2, 3], [4]] as [[UInt8]] {
                let handle = try run.filesystem.content.openHandle(file, node: node, canWrite: true, context: caller)
                    .handle
                try run.write(bytes, to: handle)
                guard bytes.count > 1 else { continue }
                #expect(await run.close(handle) == nil)
                run.filesystem.committer.release(handle)
            }
            #expect(await run.rename(".Trash-0", to: "films") == nil)
            try await run.journal.written(durably: false)
            let restored = try run.restore()
            let films = try restored.namespace.lookup(Array("films".utf8), in: .root).node
            let left = try restored.namespace.lookup(name, in: films).node
            let again = try restored.open(left, flags: FileOpenFlags(rawValue: 1), context: InProcess.caller(9)).handle
            _ = await run.answer { restored.committer.close(again, context: InProcess.caller(9), $0) }
            restored.committer.release(again)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) { try restored.namespace.lookup(name, in: films) }
        }
    }

    @Test("What was committed last is there after a kill, though the file was opened again before the journal looked")
    func whatWasCommittedLastIsThere() async throws {
        try await InProcess.run { run in
            try await run.finish("a.mp4")
            let disk = DispatchSemaphore(value: 0)
            run.journal.enqueue {
                disk.wait()
                return []
            }
            do {
                defer { disk.signal() }
                try run.cut("a.mp4", to: 2, through: nil)
                try run.write([9], to: try run.open("a.mp4"))
            }
            try await run.journal.written(durably: false)
            #expect(try run.content("a.mp4", in: try run.restore()) == [1, 2])
        }
    }

    @Test("What was refused to a writer that heard of it is not missed when a finished file is cut by its path")
    func whatWasRefusedBeforeATruncationIsNotMissed() async throws {
        try await InProcess.run({ $0.maxFileSize = 4 }) { run in
            try await run.finish("a.mp4", [1, 2, 3])
            let handle = try run.open("a.mp4")
            #expect(throws: FuseErrno.fileTooLarge) { try run.write([5], to: handle, at: 4) }
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            try run.cut("a.mp4", to: 2, through: nil)
            await run.engine.untilIdle()
            #expect(try run.content("a.mp4") == [1, 2])
            #expect(run.engine.uploads.last?.currentState == .completed)
        }
    }

    @Test("What was refused beyond the size to which another cuts a finished file is not missed", arguments: [4, 3])
    func whatWasRefusedBeyondATruncationIsNotMissed(limit: Int64) async throws {
        try await InProcess.run({ $0.maxFileSize = limit }) { run in
            try await run.finish("a.mp4", [1, 2, 3])
            let handle = try run.open("a.mp4")
            #expect(throws: FuseErrno.fileTooLarge) { try run.write([5], to: handle, at: limit) }
            try run.cut("a.mp4", to: 2, through: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.last?.currentState == .completed)
        }
    }

    @Test("Of an empty file that stayed here, the next mount takes the size that is set first for what will be written")
    func anEmptyLocalFileHasNoContentAfterAKill() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            try await run.finish("notes.txt", [1])
            let emptied = try run.open("notes.txt", cutting: true)
            #expect(await run.close(emptied) == nil)
            run.filesystem.committer.release(emptied)
            #expect(await run.rename("notes.txt", to: "a.mp4") == nil)
            try await run.journal.written(durably: false)
            let restored = try run.restore()
            let caller = InProcess.caller(9)
            let node = try restored.namespace.lookup(Array("a.mp4".utf8), in: .root).node
            let handle = try restored.open(node, flags: FileOpenFlags(rawValue: 1), context: caller).handle
            var size = FileAttributeChanges()
            size.size = 2
            _ = try restored.setAttributes(of: node, size, handle: handle, context: caller)
            let written = [UInt8]([1])
            _ = try written.withUnsafeBytes {
                try restored.content.write($0, handle: handle, at: 1, context: caller)
            }
            // Its first byte was never written.
            #expect(await run.answer { restored.committer.close(handle, context: caller, $0) } == .ioError)
        }
    }

    @Test("A file that stays here is there, though a kill came just after its upload was forgotten")
    func aLocalFileWhoseUploadIsForgottenIsThere() async throws {
        try await InProcess.run({ $0.names = NamePolicy(otherFiles: .keep) }) { run in
            try await run.finish("a.mp4.part", [1, 2, 3])
            try await run.journal.written(durably: false)
            let number = try #require(run.engine.uploads.first?.number)
            let node = try run.node("a.mp4.part").rawValue
            run.journal.enqueue {
                [
                    .renameNode(node, parent: NodeID.root.rawValue, name: Array("notes.txt".utf8)),
                    .removeUpload(Int64(number)),
                ]
            }
            try await run.journal.written(durably: false)
            let restored = try run.restore()
            #expect(try run.content("notes.txt", in: restored) == [1, 2, 3])
        }
    }
}
