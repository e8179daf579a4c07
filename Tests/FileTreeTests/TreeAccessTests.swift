import FileTree
import Formats
import Testing

/// Which files a visitor could have found and read by themselves.
@Suite struct TreeAccessTests {
    private let owner = TreeVisitor(userID: 1000, groupIDs: [1000])
    private let member = TreeVisitor(userID: 1001, groupIDs: [1001, 50])
    private let other = TreeVisitor(userID: 1002, groupIDs: [1002])
    /// May be in the group.
    private let stranger = TreeVisitor(userID: 1002, groupIDs: [1002], areAllKnown: false)
    private let path = ["a", "b", "v.mp4"].map { Array($0.utf8) }

    /// `a/b/v.mp4`, all of the user 1000 and the group 50.
    private func tree(root: UInt32 = 0o755, a: UInt32, b: UInt32, file: UInt32) throws -> FileTree<String> {
        let time = FileTime(seconds: 0)
        func attributes(_ mode: UInt32) -> NodeAttributes {
            NodeAttributes(mode: mode, userID: 1000, groupID: 50, time: time)
        }
        var tree = FileTree<String>(root: NodeAttributes(mode: root, userID: 0, groupID: 0, time: time))
        let a = try tree.makeDirectory(FileName("a"), in: .root, attributes: attributes(a), at: time)
        let b = try tree.makeDirectory(FileName("b"), in: a, attributes: attributes(b), at: time)
        _ = try tree.createFile(FileName("v.mp4"), in: b, attributes: attributes(file), file: "v", at: time)
        return tree
    }

    @Test(
        "Every directory on the way and the file itself have a say, each as the kernel reads modes",
        arguments: [
            // Root, a, b, the file; whether the owner, a member of the group and another see it.
            (0o755, 0o755, 0o755, 0o644, [true, true, true]), (0o755, 0o700, 0o755, 0o644, [true, false, false]),
            (0o755, 0o755, 0o700, 0o644, [true, false, false]), (0o700, 0o755, 0o755, 0o644, [false, false, false]),
            (0o755, 0o750, 0o750, 0o640, [true, true, false]), (0o755, 0o755, 0o755, 0o600, [true, false, false]),
            // May be entered, and not listed: only who made the file knows of it.
            (0o711, 0o711, 0o711, 0o644, [true, false, false]), (0o755, 0o744, 0o755, 0o644, [true, false, false]),
            // Owner and group are asked for as such, whatever others may.
            (0o755, 0o077, 0o755, 0o644, [false, true, true]), (0o755, 0o705, 0o755, 0o604, [true, false, true]),
            (0o755, 0o755, 0o755, 0o044, [true, true, true]),
        ] as [(UInt32, UInt32, UInt32, UInt32, [Bool])])
    func modesDecide(root: UInt32, a: UInt32, b: UInt32, file: UInt32, seen: [Bool]) throws {
        let tree = try tree(root: root, a: a, b: b, file: file)
        #expect([owner, member, other].map { tree.file(at: path, visibleTo: $0) == "v" } == seen)
    }

    @Test(
        "Who may be in the group sees what the group and others may see",
        arguments: [
            (0o755, 0o644, true), (0o755, 0o604, false), (0o705, 0o644, false), (0o750, 0o644, false),
            (0o755, 0o640, false), (0o077, 0o044, true),
        ] as [(UInt32, UInt32, Bool)])
    func unknownGroupsAreAskedForBoth(directory: UInt32, file: UInt32, isSeen: Bool) throws {
        let tree = try tree(a: directory, b: 0o755, file: file)
        #expect((tree.file(at: path, visibleTo: stranger) != nil) == isSeen)
    }

    @Test func whatIsNoFileIsNotSeen() throws {
        let tree = try tree(a: 0o755, b: 0o755, file: 0o644)
        for path in [[], Array(path.dropLast()), path + [[1]], [path[0], path[2]], [Array("..".utf8)], [[]]] {
            #expect(tree.file(at: path, visibleTo: owner) == nil)
        }
    }

    @Test func theWayToWhatIsGoneHasToBeOpen() throws {
        let tree = try tree(a: 0o755, b: 0o700, file: 0o644)
        let gone = Array(path.dropLast()) + [Array("gone.mp4".utf8)]
        #expect(tree.maySearch(theWayTo: gone, owner))
        #expect(!tree.maySearch(theWayTo: gone, other))
        #expect(tree.maySearch(theWayTo: [gone[2]], other))
        // Whose directory it is now, nobody knows any more.
        #expect(!tree.maySearch(theWayTo: [Array("gone".utf8), gone[2]], owner))
        #expect(!tree.maySearch(theWayTo: path + [gone[2]], owner))
    }
}
