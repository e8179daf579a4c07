import FileTree
import Filesystem
import Foundation
import FuseLowLevel
import Synchronization
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// Who sees which uploads in `.status`.
@Suite(.timeLimit(.minutes(2))) struct StatusVisitorTests {
    private static let (mountOwner, alice, bob): (UInt32, UInt32, UInt32) = (1000, 1001, 1002)
    /// Bob's process, which is in alice's group as well.
    private static let member: Int32 = 77

    private func visitor(_ run: InProcess, _ user: UInt32, pid: Int32 = 9) -> StatusVisitor {
        run.filesystem.visitor(FuseRequestContext(pid: pid, uid: user, gid: user, umask: 0))
    }

    /// All that a visitor finds by looking: paths below `by-name`, and the names of documents.
    private func found(_ run: InProcess, _ visitor: StatusVisitor) throws -> (links: [String], documents: Set<String>) {
        var links: [String] = []
        var directories: [(String, StatusDirectory.Node)] = [("", .byName(.byName))]
        while let (path, directory) = directories.popLast() {
            try run.filesystem.status.list(directory, after: 0, for: visitor) { entry in
                let name = path + String(decoding: entry.name, as: UTF8.self)
                switch entry.node {
                case .byName: directories.append((name + "/", entry.node))
                case .link: links.append(name)
                case .root, .summary, .metrics, .document, .alias: links.append("?" + name)
                }
                return true
            }
        }
        var documents: Set<String> = []
        try run.filesystem.status.list(.root, after: 0, for: visitor) { entry in
            documents.insert(String(decoding: entry.name, as: UTF8.self))
            return true
        }
        return (links.sorted(), documents.subtracting(["by-name", "summary.json", "metrics"]))
    }

    /// What looking up a path below `.status` leads to, and reading it.
    private func text(_ run: InProcess, _ path: String, _ visitor: StatusVisitor) throws -> String {
        let status = run.filesystem.status
        var node = StatusDirectory.Node.root
        for name in path.split(separator: "/") {
            node = try status.lookup(Array(name.utf8), in: node, for: visitor)
            _ = try status.attributes(of: node.inode, for: visitor)
        }
        switch node {
        case .link, .alias:
            let target = String(decoding: try status.target(of: node, for: visitor), as: UTF8.self)
            return try text(run, target.replacing("../", with: ""), visitor)
        case .root, .byName, .summary, .metrics, .document: break
        }
        let open = try status.open(node.inode, flags: FileOpenFlags(rawValue: 0), for: visitor)
        defer { status.release(open.handle) }
        return String(decoding: try status.read(open.handle, at: 0, count: 1 << 20), as: UTF8.self)
    }

    private func change(_ run: InProcess, _ path: String, _ mode: UInt16, owner: UInt32? = nil) throws {
        let namespace = run.filesystem.namespace
        var node = NodeID.root
        for name in path.split(separator: "/") { node = try namespace.lookup(Array(name.utf8), in: node).node }
        var changes = FileAttributeChanges()
        (changes.permissions, changes.uid, changes.gid) = (mode, owner, owner)
        _ = try run.filesystem.setAttributes(of: node, changes, handle: nil, context: InProcess.caller(1))
    }

    private func moveIntoDirectory(_ run: InProcess, _ name: String, _ directory: String) async throws {
        let made = try? run.filesystem.namespace.makeDirectory(
            Array(directory.utf8), in: .root, permissions: 0o755, context: InProcess.caller(1))
        let parent = try made?.node ?? run.node(directory)
        let outcome = await run.answer {
            run.filesystem.committer.rename(
                Array(name.utf8), in: .root, to: Array(name.utf8), in: parent, flags: [], pid: 1, $0)
        }
        #expect(outcome == nil)
    }

    private func withFiles(_ body: (InProcess) async throws -> Void) async throws {
        try await InProcess.run({ ($0.uid, $0.gid) = (Self.mountOwner, Self.mountOwner) }) { run in
            for name in ["open.mp4", "closed.mp4", "private.mp4", "shared.mp4"] { try await run.finish(name) }
            try change(run, "closed.mp4", 0o600, owner: Self.alice)
            for (name, directory, mode) in [
                ("private.mp4", "private", 0o700), ("shared.mp4", "shared", 0o750),
            ] as [(String, String, UInt16)] {
                try await moveIntoDirectory(run, name, directory)
                try change(run, directory, mode, owner: Self.alice)
            }
            run.writers.change { $0.groups[Self.member] = [Self.alice] }
            try await body(run)
        }
    }

    @Test("Others see what they could read, in listings, by name, by number and by id", .shows("status-others"))
    func othersSeeWhatTheyCouldRead() async throws {
        try await withFiles { run in
            let all = ["closed.mp4.json", "open.mp4.json", "private/private.mp4.json", "shared/shared.mp4.json"]
            let expected: [(StatusVisitor, [String])] = [
                (visitor(run, 0), all), (visitor(run, Self.mountOwner), all), (visitor(run, Self.alice), all),
                (visitor(run, Self.bob), ["open.mp4.json"]),
                (visitor(run, Self.bob, pid: Self.member), ["open.mp4.json", "shared/shared.mp4.json"]),
            ]
            for (visitor, links) in expected {
                let found = try found(run, visitor)
                #expect(found.links == links)
                #expect(found.documents.count == 2 * links.count)
                for link in all where links.contains(link) {
                    #expect(try text(run, "by-name/" + link, visitor).contains("\"/\(link.dropLast(5))\""))
                }
                for link in all where !links.contains(link) {
                    #expect(throws: FuseErrno.noSuchFileOrDirectory) { try text(run, "by-name/" + link, visitor) }
                }
                for upload in run.engine.uploads {
                    let isSeen = links.contains { $0.hasSuffix(upload.identity.filename + ".json") }
                    let id = try #require(upload.inspect { $0.uploadID })
                    for name in ["pending-\(upload.number).json", id + ".json"] {
                        #expect(found.documents.contains(name) == isSeen)
                        #expect(((try? text(run, name, visitor)) != nil) == isSeen)
                    }
                    // Whoever has kept the number of an inode.
                    for node in [
                        StatusDirectory.Node.document(upload.number), .alias(upload.number), .link(upload.number),
                    ] {
                        let told = try? run.filesystem.status.attributes(of: node.inode, for: visitor)
                        #expect((told != nil) == isSeen)
                    }
                }
            }
        }
    }

    @Test("A name opens the upload of the file that has it, and no other's", .shows("status-others"))
    func aNameIsThatOfOneFile() async throws {
        try await withFiles { run in
            // Bob makes a file of his own where a hidden one was before its directory was closed.
            let hidden = try #require(run.engine.uploads.first { $0.identity.filename == "private.mp4" })
            hidden.updateIdentity { $0.path = [Array("open.mp4".utf8)] }
            let bob = visitor(run, Self.bob)
            #expect(!bob.maySee(hidden))
            #expect(try !text(run, "by-name/open.mp4.json", bob).contains("private"))
        }
    }

    @Test("Of a file that is not listed any more, its owner sees what became of it", .shows("status-others"))
    func ownersSeeWhatBecameOfTheirs() async throws {
        try await withFiles { run in
            try await run.finish("bobs.mp4")
            try change(run, "bobs.mp4", 0o600, owner: Self.bob)
            let handle = try run.create("cut.mp4", by: 5)
            try change(run, "cut.mp4", 0o600, owner: Self.bob)
            try run.write([1, 2], to: handle, by: 5)
            run.writers.change { $0.dying[5] = "its writer was killed by signal 9" }
            _ = await run.close(handle, by: 5)
            run.filesystem.committer.release(handle)
            try run.filesystem.namespace.removeFile(Array("bobs.mp4".utf8), in: .root)
            try run.filesystem.namespace.removeFile(Array("closed.mp4".utf8), in: .root)

            let bob = visitor(run, Self.bob)
            #expect(try found(run, bob).links == ["bobs.mp4.json", "cut.mp4.json", "open.mp4.json"])
            #expect(try text(run, "by-name/cut.mp4.json", bob).contains("interrupted"))
            // Nor does it help to make a file of that name.
            try await run.finish("closed.mp4")
            #expect(try text(run, "by-name/closed.mp4.json", bob).contains("superseded"))
            try run.filesystem.namespace.removeFile(Array("closed.mp4".utf8), in: .root)
            #expect(try found(run, bob).links == ["bobs.mp4.json", "cut.mp4.json", "open.mp4.json"])
            // Where they may not enter any more, they are told nothing.
            try change(run, "", 0o700)
            #expect(try found(run, bob).links == [])
            #expect(try found(run, visitor(run, Self.mountOwner)).links.count == 6)
        }
    }

    @Test("Whose groups are not known sees what both the group and others may see", .shows("status-others"))
    func unknownGroupsCountForNothing() async throws {
        try await withFiles { run in
            try change(run, "open.mp4", 0o604, owner: Self.alice)
            #expect(try found(run, visitor(run, Self.bob)).links == [])
            run.writers.change { $0.groups[9] = [Self.bob] }
            #expect(try found(run, visitor(run, Self.bob)).links == ["open.mp4.json"])
        }
    }

    @Test("Where all files are one user's, whoever made one sees what became of it", .shows("status-others"))
    func creatorsSeeWhatBecameOfTheirs() async throws {
        try await InProcess.run({ ($0.uid, $0.fixedUID) = (Self.mountOwner, Self.mountOwner) }) { run in
            let caller = FuseRequestContext(pid: 5, uid: Self.alice, gid: Self.alice, umask: 0)
            for name in ["cut.mp4", "removed.mp4"] {
                let (node, file) = try run.filesystem.namespace.createFile(
                    Array(name.utf8), in: .root, permissions: 0o600, context: caller)
                let handle = try run.filesystem.content.openHandle(file, node: node, canWrite: true, context: caller)
                    .handle
                try run.write([1, 2], to: handle, by: 5)
                if name == "cut.mp4" {
                    run.writers.change { $0.dying[5] = "its writer was killed by signal 9" }
                    _ = await run.close(handle, by: 5)
                } else {
                    try run.filesystem.namespace.removeFile(Array(name.utf8), in: .root)
                }
                run.filesystem.committer.release(handle)
            }
            let alice = visitor(run, Self.alice)
            #expect(try found(run, alice).links == ["cut.mp4.json", "removed.mp4.json"])
            #expect(try text(run, "by-name/cut.mp4.json", alice).contains("interrupted"))
            #expect(try found(run, visitor(run, Self.bob)).links == [])
        }
    }

    @Test("An upload that comes into a file after that was removed is not found as if it were listed")
    func whatComesAfterTheRemovalIsNotListed() async throws {
        try await InProcess.run { run in
            let handle = try run.create("late.mp4")
            run.clock.onWallTime.withLock {
                $0 = { try? run.filesystem.namespace.removeFile(Array("late.mp4".utf8), in: .root) }
            }
            try run.write([1, 2, 3], to: handle)
            let upload = try #require(run.engine.uploads.first)
            #expect(upload.currentState == .cancelled && !upload.identity.isListed)
        }
    }

    @Test("The path that a document tells is the one that was judged", .shows("status-others"), .timeLimit(.minutes(1)))
    func noHiddenPathIsTold() async throws {
        try await withFiles { run in
            let upload = try #require(run.engine.uploads.first { $0.identity.filename == "open.mp4" })
            let hidden = try run.node("private")
            let isOver = Atomic(false)
            let hasStopped = Atomic(false)
            let renames = Atomic(0)
            Thread.detachNewThread {
                let name = Array("open.mp4".utf8)
                var places = (NodeID.root, hidden)
                while !isOver.load(ordering: .relaxed) {
                    run.filesystem.committer.rename(
                        name, in: places.0, to: name, in: places.1, flags: [], pid: 1,
                        CloseWait(reply: { _ in }, whenInterrupted: { _ in }))
                    places = (places.1, places.0)
                    renames.add(1, ordering: .relaxed)
                    usleep(50)
                }
                hasStopped.store(true, ordering: .relaxed)
            }
            while renames.load(ordering: .relaxed) == 0 { usleep(50) }
            var told: Set<Bool> = []
            // At one go, so that it is soon over for whoever else runs.
            for _ in 0..<400 {
                guard let text = try? text(run, "pending-\(upload.number).json", visitor(run, Self.bob)) else {
                    continue
                }
                told.insert(text.contains("/private"))
            }
            isOver.store(true, ordering: .relaxed)
            try await eventually("nothing is renamed any more") { hasStopped.load(ordering: .relaxed) }
            #expect(!told.contains(true))
        }
    }

    @Test("The summary and the metrics name nothing, whoever asks", .shows("status-summary"))
    func theSummaryNamesNothing() async throws {
        try await withFiles { run in
            let handle = try run.create("writing.mp4")
            try run.write([1, 2], to: handle)
            for visitor in [visitor(run, 0), visitor(run, Self.bob)] {
                for name in ["summary.json", "metrics"] {
                    let text = try text(run, name, visitor)
                    #expect(!text.contains("mp4") && !text.contains("private"))
                }
                #expect(try text(run, "summary.json", visitor).contains(#""id": "pending-5""#))
            }
        }
    }
}
