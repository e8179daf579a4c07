import FileTree
import Filesystem
import Formats
import FuseLowLevel
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// What another process finds in the journal is the tree as this one left it.
@Suite(.timeLimit(.minutes(2))) struct RecoveredTreeTests {
    private static let names = ["a.mp4", "b.mp4", ".DS_Store", "c", "d"]
    private static let depth = 3

    /// A file system, and what is done to it at random.
    private struct Player {
        let run: InProcess
        var generator: SplitMix64

        mutating func pick<Value>(_ values: [Value]) -> Value {
            values[Int.random(in: values.indices, using: &generator)]
        }

        /// A directory that there is, the root more often than others.
        mutating func directory() -> NodeID {
            var here = NodeID.root
            for _ in 1..<RecoveredTreeTests.depth {
                guard Bool.random(using: &generator),
                    let found = try? run.filesystem.namespace.lookup(
                        Array(pick(RecoveredTreeTests.names).utf8), in: here),
                    found.attributes.kind == .directory
                else { break }
                here = found.node
            }
            return here
        }

        mutating func act() async {
            let (parent, name) = (directory(), Array(pick(RecoveredTreeTests.names).utf8))
            switch Int.random(in: 0..<10, using: &generator) {
            case 0...2: await write(name, in: parent)
            case 3:
                _ = try? run.filesystem.namespace.makeDirectory(
                    name, in: parent, permissions: 0o750, context: InProcess.caller(1))
            case 4: try? run.filesystem.namespace.removeFile(name, in: parent)
            case 5: try? run.filesystem.namespace.removeDirectory(name, in: parent)
            case 6...7:
                let (newParent, newName) = (directory(), Array(pick(RecoveredTreeTests.names).utf8))
                _ = await run.answer {
                    run.filesystem.committer.rename(name, in: parent, to: newName, in: newParent, flags: [], pid: 1, $0)
                }
            default: change(name, in: parent)
            }
        }

        private mutating func write(_ name: [UInt8], in parent: NodeID) async {
            let caller = InProcess.caller(1)
            guard
                let (node, file) = try? run.filesystem.namespace.createFile(
                    name, in: parent, permissions: 0o644, context: caller),
                let handle = try? run.filesystem.content.openHandle(file, node: node, canWrite: true, context: caller)
                    .handle
            else { return }
            let content = (0..<Int.random(in: 0..<50, using: &generator)).map { _ in UInt8.random(in: 0...255) }
            _ = try? run.write(content, to: handle)
            _ = await run.close(handle)
            run.filesystem.committer.release(handle)
        }

        private mutating func change(_ name: [UInt8], in parent: NodeID) {
            guard let node = try? run.filesystem.namespace.lookup(name, in: parent).node else { return }
            var changes = FileAttributeChanges()
            changes.permissions = UInt16.random(in: 0...0o777, using: &generator)
            changes.modificationTime = .at(
                FileTime(seconds: Int64.random(in: -9...9_999_999_999, using: &generator), nanoseconds: 7))
            _ = try? run.filesystem.setAttributes(of: node, changes, handle: nil, context: InProcess.caller(1))
        }
    }

    @Test(.shows("restart-tree")) func aTreeThatWasChangedAtRandomIsFoundAgain() async throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed: \(seed)")
        try await InProcess.run { run in
            var player = Player(run: run, generator: SplitMix64(seed: seed))
            var compared = 0
            for round in 1...120 {
                await player.act()
                guard round % 20 == 0 else { continue }
                try await run.journal.written(durably: false)
                let restored = try run.restore()
                compared += try Self.compare(run.filesystem, restored, .root, "/", depth: Self.depth, "seed \(seed)")
            }
            #expect(compared > 0, "seed \(seed)")
        }
    }

    /// Of what has no upload nothing else would tell before its writer closes it.
    @Test(.shows("fsync", "restart-local")) func aFileThatStaysHereIsFoundAgainOnceFsyncWasAnswered() async throws {
        try await InProcess.run { run in
            let empty = try run.create("empty.mp4")
            #expect(await run.synchronize(empty) == nil)
            let note = try run.create(".DS_Store")
            try run.write([1, 2, 3], to: note)
            #expect(await run.synchronize(note) == nil)
            try run.write([4, 5], to: note, at: 3)
            let restored = try run.restore()
            let found = try restored.namespace.lookup(Array("empty.mp4".utf8), in: .root)
            #expect(found.attributes.size == 0)
            let node = try restored.namespace.lookup(Array(".DS_Store".utf8), in: .root).node
            #expect(try Self.content(restored, node).starts(with: [1, 2, 3]))
        }
    }

    @Test(.shows("restart-local"), arguments: [CloseMode.upload, .spool])
    func aFileThatStaysHereIsFoundAgainOnceItsCloseWasAnswered(mode: CloseMode) async throws {
        try await InProcess.run({ $0.closeMode = mode }) { run in
            let empty = try run.create("empty.mp4")
            #expect(await run.close(empty) == nil)
            let note = try run.create(".DS_Store")
            try run.write([1, 2, 3], to: note)
            #expect(await run.close(note) == nil)
            // Nothing was released: the server may be killed before it hears of that.
            let restored = try run.restore()
            #expect(try restored.namespace.lookup(Array("empty.mp4".utf8), in: .root).attributes.size == 0)
            let node = try restored.namespace.lookup(Array(".DS_Store".utf8), in: .root).node
            #expect(try Self.content(restored, node) == [1, 2, 3])
        }
    }

    @Test(.shows("change-emptied")) func aFileThatWasEmptiedIsFoundEmpty() async throws {
        try await InProcess.run { run in
            let video = try run.create("video.mp4")
            try run.write([1, 2, 3], to: video)
            #expect(await run.close(video) == nil)
            run.filesystem.committer.release(video)
            let again = try run.open("video.mp4", cutting: true)
            try run.cut("video.mp4", to: 0, through: again)
            #expect(await run.close(again) == nil)
            run.filesystem.committer.release(again)
            try await run.journal.written(durably: false)
            #expect(try run.restore().namespace.lookup(Array("video.mp4".utf8), in: .root).attributes.size == 0)
        }
    }

    /// A shell closes the file that it has just made for `cat a > b`, for good before `cat` begins.
    @Test func aFileIsNotLeftWhileAnotherDescriptorOfItIsOpen() async throws {
        try await InProcess.run { run in
            let video = try run.create("video.mp4")
            let same = try run.open("video.mp4")
            run.writers.change { $0.holder = .process(1) }
            #expect(await run.close(video) == nil)
            try await run.journal.written(durably: false)
            #expect(throws: (any Error).self) { try run.restore().namespace.lookup(Array("video.mp4".utf8), in: .root) }
            run.writers.change { $0.holder = .nobody }
            #expect(await run.close(same) == nil)
            #expect(try run.restore().namespace.lookup(Array("video.mp4".utf8), in: .root).attributes.size == 0)
        }
    }

    @Test(.shows("rename-to-media")) func aFileThatBecomesAVideoWhileItIsOpenIsUploaded() async throws {
        try await InProcess.run { run in
            let file = try run.create(".DS_Store")
            try run.write([1, 2, 3], to: file)
            #expect(await run.rename(".DS_Store", to: "video.mp4") == nil)
            try run.write([4], to: file, at: 3)
            #expect(await run.close(file) == nil)
            // Confirmed, as any other.
            #expect(try await run.onlyAsset() == [1, 2, 3, 4])
            run.filesystem.committer.release(file)
        }
    }

    @Test(.shows("asset-declared-holes")) func whatWasDeclaredBeforeItBecameAVideoCounts() async throws {
        try await InProcess.run { run in
            let file = try run.create(".DS_Store")
            let inode = InodeNumber(rawValue: try run.node(".DS_Store").rawValue)
            try run.filesystem.attributes.setExtendedAttribute(
                Array("user.twelvelabs.total_size".utf8), to: Array("10".utf8), flags: [], of: inode)
            try run.write([1, 2, 3], to: file)
            #expect(await run.rename(".DS_Store", to: "video.mp4") == nil)
            #expect(await run.close(file) == .ioError)
            run.filesystem.committer.release(file)
            #expect(try await run.sandbox.completeAssets().isEmpty)
        }
    }

    /// Expects the same below a directory of both; returns how many nodes there were.
    private static func compare(
        _ one: FilesystemService, _ other: FilesystemService, _ directory: NodeID, _ path: String, depth: Int,
        _ comment: Comment
    ) throws -> Int {
        guard depth > 0 else { return 0 }
        var count = 0
        for name in names {
            let bytes = Array(name.utf8)
            let (mine, its) = (
                try? one.namespace.lookup(bytes, in: directory), try? other.namespace.lookup(bytes, in: directory)
            )
            #expect((mine == nil) == (its == nil), "\(path)\(name), \(comment)")
            guard let mine, let its else { continue }
            count += 1
            #expect(mine.node == its.node)
            let (left, right) = (mine.attributes, its.attributes)
            #expect(left.kind == right.kind, "\(path)\(name), \(comment)")
            #expect(left.permissions == right.permissions, "\(path)\(name), \(comment)")
            #expect(left.size == right.size, "\(path)\(name), \(comment)")
            #expect(left.modificationTime == right.modificationTime, "\(path)\(name), \(comment)")
            #expect(left.linkCount == right.linkCount, "\(path)\(name), \(comment)")
            if left.kind == .directory {
                count += try compare(one, other, mine.node, "\(path)\(name)/", depth: depth - 1, comment)
            } else {
                #expect(try content(one, mine.node) == content(other, its.node), "\(path)\(name), \(comment)")
            }
        }
        return count
    }

    private static func content(_ filesystem: FilesystemService, _ node: NodeID) throws -> [UInt8] {
        let handle = try filesystem.open(node, flags: FileOpenFlags(rawValue: 0), context: InProcess.caller(1)).handle
        defer { filesystem.committer.release(handle) }
        return try filesystem.content.read(handle, at: 0, count: 1000)
    }
}
