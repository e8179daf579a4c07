import FileTree
import Filesystem
import FuseLowLevel
import Synchronization
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// What a look into `.status` costs, counted in uploads that are looked at, and what it leaves.
@Suite(.timeLimit(.minutes(2))) struct StatusCostTests {
    private func visitor(_ run: InProcess, _ user: UInt32) -> StatusVisitor {
        run.filesystem.visitor(FuseRequestContext(pid: 9, uid: user, gid: user, umask: 0))
    }

    /// As `ls -l` does by READDIRPLUS, LOOKUP, GETATTR and READLINK, a page of 20 entries at a time.
    private func listLong(_ run: InProcess, _ directory: StatusDirectory.Node, _ visitor: StatusVisitor) throws -> Int {
        let status = run.filesystem.status
        var cookie: Int64 = 0
        var count = 0
        while true {
            var page: [StatusDirectory.Entry] = []
            try status.list(directory, after: cookie, for: visitor) { entry in
                guard page.count < 20 else { return false }
                page.append(entry)
                return true
            }
            guard let last = page.last else { return count }
            cookie = last.cookie
            count += page.count
            for entry in page {
                let node = try status.lookup(entry.name, in: directory, for: visitor)
                #expect(node == entry.node)
                _ = try status.attributes(of: node.inode, for: visitor)
                if node.kind == .symbolicLink { _ = try status.target(of: node, for: visitor) }
            }
        }
    }

    @Test("Each entry of a listing costs a look at its upload, however many there are", arguments: [0, 1234])
    func listingIsLinear(user: UInt32) async throws {
        try await InProcess.run { run in
            let count = 300
            for number in 1...count {
                let handle = try run.create("\(number).mp4")
                try run.write([1], to: handle)
            }
            #expect(run.engine.uploads.count == count)
            let visitor = visitor(run, user)
            let status = run.filesystem.status
            func looked(_ body: () throws -> Int) rethrows -> (found: Int, looks: Int) {
                let before = status.looks.load(ordering: .relaxed)
                return (try body(), status.looks.load(ordering: .relaxed) - before)
            }
            let byName = try looked { try listLong(run, .byName(.byName), visitor) }
            #expect(byName.found == count && byName.looks <= 6 * count)
            // A page is looked at as a whole, and the two summaries look at all.
            let all = try looked { try listLong(run, .root, visitor) }
            #expect(all.found == count + 3 && all.looks <= 16 * count)
            // One name is one look.
            let one = try looked {
                _ = try run.filesystem.status.lookup(Array("7.mp4.json".utf8), in: .byName(.byName), for: visitor)
                _ = try run.filesystem.status.lookup(Array("pending-7.json".utf8), in: .root, for: visitor)
                return 2
            }
            #expect(one.looks == 2)
        }
    }

    @Test("What is in a directory that may not be entered is not looked at")
    func aHiddenDirectoryIsNotLookedThrough() async throws {
        try await InProcess.run { run in
            let parent = try run.filesystem.namespace.makeDirectory(
                Array("d".utf8), in: .root, permissions: 0o700, context: InProcess.caller(1)
            ).node
            for number in 1...100 {
                let (node, file) = try run.filesystem.namespace.createFile(
                    Array("\(number).mp4".utf8), in: parent, permissions: 0o644, context: InProcess.caller(1))
                let open = try run.filesystem.content.openHandle(
                    file, node: node, canWrite: true, context: InProcess.caller(1))
                try run.write([1], to: open.handle)
            }
            let before = run.filesystem.status.looks.load(ordering: .relaxed)
            #expect(try listLong(run, .byName(.byName), visitor(run, 1234)) == 0)
            let index = run.engine.index
            guard case .directory(let hidden)? = index.meaning(of: Array("d".utf8), in: .byName) else {
                throw FuseErrno.notDirectory
            }
            #expect(try listLong(run, .byName(hidden), visitor(run, 1234)) == 0)
            #expect(run.filesystem.status.looks.load(ordering: .relaxed) == before)
            #expect(try listLong(run, .byName(.byName), visitor(run, 0)) == 1)
        }
    }

    @Test("A thousand renames with looks leave no more than one")
    func renamesLeaveNothing() async throws {
        try await InProcess.run { run in
            try await run.finish("0.mp4")
            let visitor = visitor(run, 0)
            let before = run.engine.index.size
            var inodes: Set<InodeNumber> = []
            for number in 1...1000 {
                #expect(await run.rename("\(number - 1).mp4", to: "\(number).mp4") == nil)
                let node = try run.filesystem.status.lookup(
                    Array("\(number).mp4.json".utf8), in: .byName(.byName), for: visitor)
                _ = try run.filesystem.status.attributes(of: node.inode, for: visitor)
                inodes.insert(node.inode)
            }
            #expect(inodes.count == 1)
            #expect(run.engine.index.size == before)
            let gone = Array("999.mp4.json".utf8)
            #expect(throws: FuseErrno.noSuchFileOrDirectory) {
                try run.filesystem.status.lookup(gone, in: .byName(.byName), for: visitor)
            }
        }
    }

    @Test("Every inode stands for one thing, and says for which")
    func inodesSayWhatTheyStandFor() throws {
        let nodes: [StatusDirectory.Node] =
            [.root, .summary, .metrics, .byName(.byName), .byName(UploadIndex.Directory(number: 7))]
            + [1, 2, 7, 1 << 40].flatMap { [.document($0), .alias($0), .link($0)] }
        #expect(Set(nodes.map(\.inode)).count == nodes.count)
        for node in nodes { #expect(try StatusDirectory.Node(node.inode) == node) }
        #expect(throws: FuseErrno.noSuchFileOrDirectory) {
            try StatusDirectory.Node(InodeNumber(rawValue: .max))
        }
    }
}
