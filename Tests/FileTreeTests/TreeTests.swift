import FileTree
import Formats
import Testing

private func at(_ seconds: Int64) -> FileTime { FileTime(seconds: seconds) }
private let attributes = NodeAttributes(mode: 0o644, userID: 1000, groupID: 1000, time: at(0))

private func emptyTree() -> FileTree<String> {
    FileTree(root: NodeAttributes(mode: 0o755, userID: 0, groupID: 0, time: at(0)))
}

extension FileTree<String> {
    @discardableResult
    fileprivate mutating func directory(_ name: String, in parent: NodeID = .root, at time: Int64 = 1) throws -> NodeID
    {
        try makeDirectory(FileName(name), in: parent, attributes: attributes, at: FileTime(seconds: time))
    }

    @discardableResult
    fileprivate mutating func newFile(_ name: String, in parent: NodeID = .root, at time: Int64 = 1) throws -> NodeID {
        try createFile(
            FileName(name), in: parent, attributes: attributes, file: name, at: FileTime(seconds: time))
    }

    fileprivate func names(in directory: NodeID = .root, after cookie: UInt64 = 0) throws -> [String] {
        try entries(in: directory, after: cookie).map(\.name.description)
    }

    fileprivate func text(of id: NodeID) -> String? {
        path(of: id).map { path in path.map { "/" + String(decoding: $0, as: UTF8.self) }.joined() }
    }
}

struct TreeTests {
    @Test func namesAreCheckedBytes() throws {
        for name in ["", ".", "..", "a/b", "/", "a\0"] {
            #expect(throws: TreeError.invalidName) { try FileName(name) }
        }
        #expect(throws: TreeError.nameTooLong) { try FileName([UInt8](repeating: 1, count: 256)) }
        #expect(try FileName([UInt8](repeating: 0xFF, count: 255)).bytes.count == 255)
        // One letter, composed and decomposed: equal as strings, different as names.
        #expect(try FileName("\u{e9}") != FileName("e\u{301}"))
    }

    // MARK: Coming and going

    @Test func whatWasMadeIsFound() throws {
        var tree = emptyTree()
        let shoot = try tree.directory("shoot", at: 5)
        let clip = try tree.newFile("a.mp4", in: shoot, at: 6)
        #expect(try tree.lookup(FileName("shoot"), in: .root) == shoot)
        #expect(try tree.lookup(path: [Array("shoot".utf8), Array("a.mp4".utf8)]) == clip)
        #expect(try tree.file(clip) == "a.mp4")
        #expect(tree.text(of: clip) == "/shoot/a.mp4")
        #expect(tree.path(of: .root) == [])
        #expect(try tree.node(clip).linkCount == 1)
        #expect(try tree.node(clip).location?.parent == shoot)
        #expect(try tree.node(shoot).linkCount == 2)
        #expect(try tree.node(.root).linkCount == 3)
        #expect(try tree.node(.root).attributes.modificationTime == at(5))
        #expect(try tree.node(.root).attributes.changeTime == at(5))
        #expect(try tree.node(.root).attributes.accessTime == at(0))
        #expect(try tree.node(shoot).attributes.modificationTime == at(6))
        #expect(tree.count == 3 && tree.allNodes.count == 3)
    }

    @Test func refusalsSayWhyAndChangeNothing() throws {
        var tree = emptyTree()
        let folder = try tree.directory("d")
        let file = try tree.newFile("f", in: folder)
        #expect(throws: TreeError.exists) { try tree.newFile("d") }
        #expect(throws: TreeError.exists) { try tree.directory("f", in: folder) }
        #expect(throws: TreeError.notDirectory) { try tree.newFile("x", in: file) }
        #expect(throws: TreeError.notDirectory) { try tree.lookup(FileName("x"), in: file) }
        #expect(throws: TreeError.notDirectory) { try tree.entries(in: file) }
        #expect(throws: TreeError.notFound) { try tree.newFile("x", in: NodeID(99)) }
        #expect(throws: TreeError.notFound) { try tree.lookup(FileName("x"), in: folder) }
        #expect(throws: TreeError.notFound) { try tree.node(NodeID(99)) }
        #expect(throws: TreeError.isDirectory) { try tree.file(folder) }
        #expect(throws: TreeError.isDirectory) { try tree.removeFile(FileName("d"), in: .root, at: at(9)) }
        #expect(throws: TreeError.notDirectory) { try tree.removeDirectory(FileName("f"), in: folder, at: at(9)) }
        #expect(throws: TreeError.notEmpty) { try tree.removeDirectory(FileName("d"), in: .root, at: at(9)) }
        #expect(throws: TreeError.notFound) { try tree.removeFile(FileName("x"), in: .root, at: at(9)) }
        #expect(throws: TreeError.notFound) { try tree.updateAttributes(of: NodeID(99)) { $0.mode = 0 } }
        #expect(try tree.node(.root).attributes.modificationTime == at(1))
        #expect(try tree.names() == ["d"] && tree.names(in: folder) == ["f"])
        #expect(tree.path(of: NodeID(99)) == nil)
        #expect(tree.count == 3)
    }

    @Test func aRemovedFileStaysUntilItIsDiscarded() throws {
        var tree = emptyTree()
        let file = try tree.newFile("f")
        #expect(tree.discard(file) == nil)
        #expect(try tree.removeFile(FileName("f"), in: .root, at: at(7)) == file)
        #expect(try tree.node(file).isUnlinked)
        #expect(try tree.node(file).attributes.changeTime == at(7))
        #expect(try tree.file(file) == "f")
        #expect(tree.path(of: file) == nil)
        try tree.updateAttributes(of: file) { $0.mode = 0o600 }
        #expect(try tree.node(file).attributes.mode == 0o600)
        #expect(try tree.replaceFile(file, with: "g") == "f")

        let successor = try tree.newFile("f")
        #expect(successor != file)
        #expect(tree.discard(file) == "g")
        #expect(throws: TreeError.notFound) { try tree.node(file) }
        #expect(tree.discard(file) == nil)
        #expect(try tree.newFile("later") > successor && successor > file)
    }

    @Test func aRemovedDirectoryListsNothingAndTakesNothing() throws {
        var tree = emptyTree()
        let folder = try tree.directory("d")
        try tree.newFile("f")
        #expect(try tree.removeDirectory(FileName("d"), in: .root, at: at(3)) == folder)
        #expect(try tree.node(.root).linkCount == 2)
        #expect(try tree.node(folder).linkCount == 0)
        #expect(try tree.names(in: folder) == [])
        #expect(throws: TreeError.notFound) { try tree.newFile("x", in: folder) }
        #expect(throws: TreeError.notFound) {
            try tree.rename(FileName("f"), in: .root, to: FileName("f"), in: folder, at: at(4))
        }
        tree.discard(folder)
        #expect(tree.count == 2)
        #expect(throws: TreeError.notFound) { try tree.entries(in: folder) }
    }

    // MARK: Renaming

    @Test func aRenameReplacesWhatBoreTheName() throws {
        var tree = emptyTree()
        let folder = try tree.directory("d")
        let new = try tree.newFile(".a.mp4.x")
        let old = try tree.newFile("a.mp4", in: folder)
        let result = try tree.rename(
            FileName(".a.mp4.x"), in: .root, to: FileName("a.mp4"), in: folder, at: at(8))
        #expect(result.moved == new && result.replaced == old && result.exchanged == nil)
        #expect(tree.text(of: new) == "/d/a.mp4")
        #expect(try tree.node(old).isUnlinked)
        #expect(try tree.names() == ["d"] && tree.names(in: folder) == ["a.mp4"])
        for id in [.root, folder] { #expect(try tree.node(id).attributes.modificationTime == at(8)) }
        #expect(try tree.node(new).attributes.changeTime == at(8))
        #expect(try tree.node(new).attributes.modificationTime == at(0))
    }

    @Test func directoriesCarryTheirContentAndTheirLink() throws {
        var tree = emptyTree()
        let a = try tree.directory("a")
        let b = try tree.directory("b")
        let inner = try tree.directory("inner", in: a)
        let file = try tree.newFile("f", in: inner)
        _ = try tree.rename(FileName("inner"), in: a, to: FileName("moved"), in: b, at: at(2))
        #expect(tree.text(of: file) == "/b/moved/f")
        #expect(try tree.node(a).linkCount == 2 && tree.node(b).linkCount == 3)
        // Over an empty directory, which loses its links.
        let result = try tree.rename(FileName("b"), in: .root, to: FileName("a"), in: .root, at: at(2))
        #expect(result.replaced == a)
        #expect(try tree.node(a).linkCount == 0 && tree.node(.root).linkCount == 3)
        #expect(tree.text(of: file) == "/a/moved/f")
    }

    @Test func renamesAreRefusedAsRenameat2Does() throws {
        var tree = emptyTree()
        let d = try tree.directory("d")
        let e = try tree.directory("e", in: d)
        let f = try tree.newFile("f")
        func rename(
            _ old: String, _ parent: NodeID, _ new: String, _ newParent: NodeID, _ rule: RenameRule = .replace
        ) throws {
            _ = try tree.rename(FileName(old), in: parent, to: FileName(new), in: newParent, rule: rule, at: at(9))
        }
        #expect(throws: TreeError.loop) { try rename("d", .root, "x", d) }
        #expect(throws: TreeError.loop) { try rename("d", .root, "x", e) }
        #expect(throws: TreeError.loop) { try rename("d", .root, "e", d, .exchange) }
        #expect(throws: TreeError.loop) { try rename("e", d, "d", .root, .exchange) }
        #expect(throws: TreeError.notEmpty) { try rename("e", d, "d", .root) }
        #expect(throws: TreeError.isDirectory) { try rename("f", .root, "e", d) }
        #expect(throws: TreeError.notDirectory) { try rename("e", d, "f", .root) }
        #expect(throws: TreeError.exists) { try rename("f", .root, "e", d, .noReplace) }
        #expect(throws: TreeError.exists) { try rename("f", .root, "f", .root, .noReplace) }
        #expect(throws: TreeError.notFound) { try rename("f", .root, "x", .root, .exchange) }
        #expect(throws: TreeError.notFound) { try rename("x", .root, "f", .root) }
        #expect(throws: TreeError.notDirectory) { try rename("f", .root, "x", f) }
        try rename("f", .root, "f", .root)
        try rename("f", .root, "f", .root, .exchange)
        #expect(try tree.node(.root).attributes.modificationTime == at(1))
        #expect(try tree.names() == ["d", "f"])
    }

    @Test func anExchangeSwapsPlaces() throws {
        var tree = emptyTree()
        let a = try tree.directory("a")
        let inner = try tree.directory("inner", in: a)
        let file = try tree.newFile("f")
        let result = try tree.rename(
            FileName("f"), in: .root, to: FileName("inner"), in: a, rule: .exchange, at: at(4))
        #expect(result.moved == file && result.exchanged == inner && result.replaced == nil)
        #expect(tree.text(of: file) == "/a/inner" && tree.text(of: inner) == "/f")
        #expect(try tree.node(a).linkCount == 2 && tree.node(.root).linkCount == 4)
        #expect(try tree.entries(in: .root).map(\.isDirectory) == [true, true])
        #expect(try tree.entries(in: a).map(\.isDirectory) == [false])
    }

    // MARK: Listing

    @Test func cookiesLeaveRoomForDotAndDotDot() throws {
        var tree = emptyTree()
        try tree.newFile("first")
        let entry = try #require(Array(try tree.entries(in: .root, after: 2)).first)
        #expect(entry.cookie > 2 && entry.name.description == "first" && !entry.isDirectory)
        #expect(try tree.names(after: entry.cookie) == [])
        #expect(try tree.names(after: .max) == [])
    }

    @Test func aDirectoryOfManyIsEmptiedWhileItIsListed() throws {
        var tree = emptyTree()
        let many = 100_000
        for number in 0..<many { try tree.newFile("file \(number)") }

        // As rm -r does: some entries, removed, then those after them.
        var cookie: UInt64 = 0
        var removed = 0
        while let (batch, last) = try batch(of: 100, from: tree, after: cookie) {
            for entry in batch {
                tree.discard(try tree.removeFile(entry.name, in: .root, at: at(2)))
                removed += 1
            }
            cookie = last
        }
        #expect(removed == many)
        #expect(tree.count == 1)
    }

    private func batch(
        of count: Int, from tree: FileTree<String>, after cookie: UInt64
    ) throws -> (entries: [TreeEntry], last: UInt64)? {
        let batch = Array(try tree.entries(in: .root, after: cookie).prefix(count))
        return batch.last.map { (batch, $0.cookie) }
    }

    @Test func renamingWhileListingMeetsEachEntryOnce() throws {
        var tree = emptyTree()
        for number in 0..<1000 { try tree.newFile("\(number)") }
        var cookie: UInt64 = 0
        var met = 0
        while let (batch, last) = try batch(of: 1, from: tree, after: cookie) {
            for entry in batch {
                _ = try tree.rename(entry.name, in: .root, to: FileName("\(entry.name).done"), in: .root, at: at(2))
                met += 1
            }
            cookie = last
        }
        #expect(met == 1000)
        #expect(try tree.names().allSatisfy { $0.hasSuffix(".done") })
    }

    @Test func aNameThatIsReplacedWhileItIsListedIsMetOnce() throws {
        var tree = emptyTree()
        try tree.newFile("a")
        let b = try tree.newFile("b")
        try tree.newFile("c")
        let cookie = try #require(try batch(of: 1, from: tree, after: 0)).last
        let new = try tree.newFile(".b.tmp")
        _ = try tree.rename(FileName(".b.tmp"), in: .root, to: FileName("b"), in: .root, at: at(2))
        #expect(try tree.names(after: cookie) == ["b", "c"])
        #expect(try tree.lookup(FileName("b"), in: .root) == new && new != b)
    }
}
