import FileTree
import Filesystem
import Foundation
import FuseLowLevel
import SandboxPlatform
import Synchronization
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// What changes a finished file, and what leaves it as it was.
@Suite(.timeLimit(.minutes(2)))
struct ChangeTests {
    @Test(
        "A change that is refused, or is none, leaves a finished file as it was, in this mount and the next",
        .shows("change-refused", "close-nothing-new", "fallocate-keep-size"))
    func refusedChangesChangeNothing() async throws {
        try await InProcess.run({ $0.maxFileSize = 100 }) { run in
            try await run.finish("a.mp4")
            let before = run.engine.uploads.map(\.number)
            #expect(throws: FuseErrno.fileTooLarge) { try run.cut("a.mp4", to: 101, through: nil) }
            try run.cut("a.mp4", to: 3, through: nil)
            let handle = try run.open("a.mp4")
            #expect(throws: FuseErrno.fileTooLarge) { try run.write([9], to: handle, at: 100) }
            #expect(throws: FuseErrno.fileTooLarge) {
                try run.filesystem.content.allocate(
                    handle, mode: [], offset: 0, length: 200, context: InProcess.caller(1))
            }
            try run.filesystem.content.allocate(
                handle, mode: .keepSize, offset: 0, length: 50, context: InProcess.caller(1))
            // What was refused is told at the close, as everywhere.
            #expect(await run.close(handle) == .ioError)
            run.filesystem.committer.release(handle)
            let idle = try run.open("a.mp4")
            #expect(await run.close(idle) == nil)
            run.filesystem.committer.release(idle)

            #expect(run.engine.uploads.map(\.number) == before)
            #expect(run.engine.uploads.allSatisfy { $0.currentState == .completed })
            #expect(try run.content("a.mp4") == [1, 2, 3])
            try await run.journal.written(durably: false)
            #expect(try run.content("a.mp4", in: try run.restore()) == [1, 2, 3])
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test(
        "A file that is emptied is an empty file, with nothing to upload, in this mount and the next",
        .shows("change-emptied"))
    func anEmptiedFileIsListedEmpty() async throws {
        try await InProcess.run { run in
            try await run.finish("a.mp4")
            let handle = try run.open("a.mp4", cutting: true)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.allSatisfy { $0.currentState != .open })
            #expect(try run.content("a.mp4") == [])
            try await run.journal.written(durably: false)
            #expect(try run.content("a.mp4", in: try run.restore()) == [])
        }
    }

    @Test("What was written and emptied before its close is an empty file, whose upload ends in its status")
    func anUploadOfWhatWasEmptiedEnds() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            try run.cut("a.mp4", to: 0, through: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(run.engine.uploads.map(\.currentState) == [.cancelled])
            try await run.journal.written(durably: false)
            #expect(try run.content("a.mp4", in: try run.restore()) == [])
            // Written again, it is uploaded as any other.
            let again = try run.open("a.mp4")
            try run.write([4, 5], to: again)
            #expect(await run.close(again) == nil)
            #expect(try await run.onlyAsset() == [4, 5])
        }
    }

    @Test(
        "A file that was removed while it is written goes on without a name, and its close is none of the upload's",
        .shows("remove-open"))
    func aFileWithoutANameIsNotUploaded() async throws {
        try await InProcess.run { run in
            let handle = try run.create("a.mp4")
            try run.write([1, 2, 3], to: handle)
            try run.filesystem.namespace.removeFile(Array("a.mp4".utf8), in: .root)
            try run.write([4], to: handle, at: 3)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test(
        "What is closed under a name that tells nothing is staged, and found by the next mount",
        .shows("restart-staged"))
    func aNamelessDownloadSurvives() async throws {
        try await InProcess.run { run in
            try await run.finish("Unconfirmed 7.crdownload")
            #expect(run.engine.uploads.map(\.currentState) == [.staged])
            #expect(try await run.sandbox.completeAssets().isEmpty)
            let next = try run.restore()
            #expect(try run.content("Unconfirmed 7.crdownload", in: next) == [1, 2, 3])
            #expect(await run.rename("Unconfirmed 7.crdownload", to: "a.mp4") == nil)
            try await eventually("the file is uploaded under its name") {
                run.engine.uploads.first?.currentState == .completed
            }
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test("A temporary file whose upload was refused can be written anew", .shows("change-refused-upload"))
    func whatWasRefusedCanBeWrittenAnew() async throws {
        try await InProcess.run { run in
            run.sandbox.add(
                InjectedFault(on: [.create], .status(400, body: #"{"code":"parameter_invalid","message":"no"}"#)))
            let handle = try run.create("a.mp4.part")
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == .invalidArgument)
            run.filesystem.committer.release(handle)
            let again = try run.open("a.mp4.part", cutting: true)
            try run.write([4, 5], to: again)
            #expect(await run.close(again) == nil)
            run.filesystem.committer.release(again)
            #expect(await run.rename("a.mp4.part", to: "a.mp4") == nil)
            #expect(try await run.onlyAsset() == [4, 5])
        }
    }

    @Test("What waits for its name is changed only when the journal knows that it is", arguments: [nil, 1 as Int64])
    func theJournalKnowsOfAChangeBeforeTheBytesAreOthers(size: Int64?) async throws {
        let state = Mutex("")
        try await InProcess.run(prepare: { path in state.withLock { $0 = path } }) { run in
            try await run.finish("a.mp4.part")
            try await run.journal.written(durably: false)
            let handle = try run.open("a.mp4.part")
            // Nothing can be written into a journal that has lost its name.
            let journal = "\(state.withLock { $0 })/journal.sqlite"
            try FileManager.default.moveItem(atPath: journal, toPath: journal + ".away")
            #expect(throws: FuseErrno.ioError) {
                if let size {
                    try run.cut("a.mp4.part", to: size, through: handle)
                } else {
                    try run.write([9], to: handle)
                }
            }
            #expect(try run.content("a.mp4.part") == [1, 2, 3])
            try FileManager.default.moveItem(atPath: journal + ".away", toPath: journal)
            try run.write([9], to: handle)
            #expect(try run.content("a.mp4.part") == [9, 2, 3])
        }
    }

    @Test("A file that aria2 left beside it means nothing for what another program writes", .shows("name-aria2"))
    func aLeftoverControlFileMeansNothing() async throws {
        try await InProcess.run { run in
            let control = try run.create("a.mp4.aria2", by: 5)
            try run.write([0], to: control, by: 5)
            run.filesystem.committer.release(control)
            run.writers.change { $0.commands[1] = "cp" }
            try await run.finish("a.mp4")
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test("What aria2 has not completed waits over a restart as well", .shows("name-aria2"))
    func whatAria2HasNotCompletedWaits() async throws {
        try await InProcess.run { run in
            run.writers.change { $0.commands[1] = "aria2c" }
            try await run.finish("a.mp4.aria2")
            try await run.finish("a.mp4")
            try await run.journal.written(durably: false)
            let restored = try run.restore()
            restored.resume()
            let inode = InodeNumber(rawValue: try run.node("a.mp4").rawValue)
            try await eventually("it is staged") {
                try restored.attributes.extendedAttribute(Array("user.twelvelabs.state".utf8), of: inode)
                    == Array("staged".utf8)
            }
        }
    }

    @Test("What aria2 writes waits until it has removed its own file beside it", .shows("name-aria2"))
    func aria2SaysWhenItIsDone() async throws {
        try await InProcess.run { run in
            run.writers.change { $0.commands[1] = "aria2c" }
            let control = try run.create("a.mp4.aria2")
            try run.write([0], to: control)
            run.filesystem.committer.release(control)
            try await run.finish("a.mp4")
            #expect(run.engine.uploads.map(\.currentState) == [.staged])
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    @Test("A directory's new name is looked at for each file in it", .shows("name-rsync-directory", "rename-directory"))
    func aRenamedDirectoryCommitsWhatWaited() async throws {
        try await InProcess.run { run in
            let caller = InProcess.caller(1)
            let folder = Array(".rsync-partial".utf8)
            let parent = try run.filesystem.namespace.makeDirectory(
                folder, in: .root, permissions: 0o755, context: caller
            ).node
            let (node, file) = try run.filesystem.namespace.createFile(
                Array("a.mp4".utf8), in: parent, permissions: 0o644, context: caller)
            let handle = try run.filesystem.content.openHandle(file, node: node, canWrite: true, context: caller).handle
            try run.write([1, 2, 3], to: handle)
            #expect(await run.close(handle) == nil)
            run.filesystem.committer.release(handle)
            #expect(try await run.sandbox.completeAssets().isEmpty)
            #expect(await run.rename(".rsync-partial", to: "day1") == nil)
            try await eventually("the file is uploaded") { run.engine.uploads.first?.currentState == .completed }
            #expect(try await run.onlyAsset() == [1, 2, 3])
        }
    }

    @Test("An exchange of names is looked at from either side", .shows("rename-exchange"))
    func anExchangeCommitsWhatWaited() async throws {
        try await InProcess.run { run in
            try await run.finish("a.mp4.part", [4, 5])
            try await run.finish("a.mp4", [1, 2, 3])
            let exchanged = await run.answer {
                run.filesystem.committer.rename(
                    Array("a.mp4".utf8), in: .root, to: Array("a.mp4.part".utf8), in: .root, flags: .exchange, pid: 1,
                    $0)
            }
            #expect(exchanged == nil)
            try await eventually("both are uploaded") {
                run.engine.uploads.allSatisfy { $0.currentState == .completed }
            }
            #expect(try run.content("a.mp4") == [4, 5])
            #expect(try await run.sandbox.completeAssets().count == 2)
        }
    }

    /// Whoever is first: what is completed is whole, or was emptied and begun anew.
    @Test(
        "A rename beside an open that truncates never completes half a file", .shows("rename-open-truncate"),
        arguments: 0..<40)
    func renameAgainstTruncation(_ round: Int) async throws {
        try await InProcess.run { run in
            let whole = [UInt8](repeating: 1, count: 9000)
            let half = [UInt8](repeating: 2, count: 100)
            for _ in 0..<10 {
                try await run.finish("a.mp4.part", whole)
                async let renamed = run.rename("a.mp4.part", to: "a.mp4")
                // The open that truncates names the file as it is found: under either name.
                let name = (try? run.node("a.mp4.part")) != nil ? "a.mp4.part" : "a.mp4"
                if let handle = try? run.open(name, cutting: true, by: 2) {
                    try run.write(half, to: handle, by: 2)
                    _ = await renamed
                    _ = await run.close(handle, by: 2)
                    run.filesystem.committer.release(handle)
                } else {
                    _ = await renamed
                }
                try await eventually("nothing is on its way") {
                    run.engine.uploads.allSatisfy { $0.currentState != .finishing }
                }
                for asset in try await run.sandbox.completeAssets() {
                    let bytes = try await run.sandbox.content(ofAsset: asset.assetID).map {
                        Array($0.readableBytesView)
                    }
                    #expect(bytes == whole || bytes == half)
                }
                for name in ["a.mp4", "a.mp4.part"] {
                    try? run.filesystem.namespace.removeFile(Array(name.utf8), in: .root)
                }
            }
        }
    }

    @Test("Many overwrites of one name leave few of its earlier uploads behind")
    func earlierUploadsOfANameAreBounded() async throws {
        try await InProcess.run { run in
            try await run.finish("a.mp4")
            for number in 0..<40 {
                let handle = try run.open("a.mp4", cutting: true)
                try run.write([UInt8(number)], to: handle)
                #expect(await run.close(handle) == nil)
                run.filesystem.committer.release(handle)
            }
            let told = try #require(run.engine.uploads.last?.status().supersededUploadIDs)
            #expect((1...16).contains(told.count))
        }
    }
}
