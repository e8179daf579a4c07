import Foundation
import Synchronization
import Testing
import UploadCore
import UploadEngine

/// What is found by which name.
@Suite struct UploadIndexTests {
    private let index = UploadIndex()

    private func names(
        _ path: String, sessions: [String] = [], isListed: Bool = true
    ) -> UploadIndex.Names {
        UploadIndex.Names(
            sessions: sessions, path: path.split(separator: "/").map { Array($0.utf8) },
            isListed: isListed)
    }

    private func directory(_ name: String, in directory: UploadIndex.Directory = .byName) -> UploadIndex.Directory? {
        guard case .directory(let found)? = index.meaning(of: Array(name.utf8), in: directory) else { return nil }
        return found
    }

    private func bearers(of path: String) -> [Int] {
        var names = path.split(separator: "/").map(String.init)
        let last = names.removeLast()
        var current = UploadIndex.Directory.byName
        for name in names {
            guard let next = directory(name, in: current) else { return [] }
            current = next
        }
        guard case .uploads(let bearers)? = index.meaning(of: Array(last.utf8), in: current) else { return [] }
        return Array(bearers.inOrder)
    }

    private func uploads(ofDocument name: String) -> [Int] { Array(index.uploads(ofDocument: Array(name.utf8))) }

    @Test func thoseThatAPathLeadsToComeFirst() {
        index.add(1, names("a.mp4"))
        index.add(2, names("a.mp4", isListed: false))
        index.add(3, names("a.mp4", isListed: false))
        #expect(bearers(of: "a.mp4.json") == [1, 3, 2])
        index.update(1, names("a.mp4", isListed: false))
        index.update(2, names("a.mp4"))
        #expect(bearers(of: "a.mp4.json") == [2, 3, 1])
    }

    @Test func whatIsGoneComesNotBack() {
        index.add(1, names("a.mp4"))
        index.update(1, names("c.mp4", sessions: ["s", "t"]))
        #expect(bearers(of: "c.mp4.json") == [1] && bearers(of: "a.mp4.json").isEmpty)
        #expect(uploads(ofDocument: "t.json") == [1])
        index.remove(1)
        index.update(1, names("d.mp4", sessions: ["u"]))
        #expect(bearers(of: "d.mp4.json").isEmpty && uploads(ofDocument: "u.json").isEmpty)
    }

    @Test func theNewestHasAnIDThatTheyShare() {
        index.add(1, names("a.mp4", sessions: ["s", "s"]))
        index.add(3, names("c.mp4", sessions: ["s"]))
        index.add(2, names("b.mp4", sessions: ["s"]))
        #expect(uploads(ofDocument: "s.json") == [3, 2, 1])
        index.remove(3)
        index.update(1, names("a.mp4", sessions: []))
        #expect(uploads(ofDocument: "s.json") == [2])
    }

    @Test func directoriesAreThereWhileSomethingIsInThem() throws {
        index.add(1, names("a/b/c.mp4"))
        index.add(2, names("a/d.mp4"))
        let a = try #require(directory("a"))
        let b = try #require(directory("b", in: a))
        #expect(index.has(b) && bearers(of: "a/b/c.mp4.json") == [1])
        // Into its own directory under another name: the directory stays.
        index.update(1, names("a/b/e.mp4"))
        #expect(directory("b", in: a) == b)
        index.update(1, names("f/g.mp4"))
        #expect(!index.has(b) && index.has(a) && index.size.directories == 3)
        index.remove(2)
        index.remove(1)
        #expect(index.size == (documents: 0, directories: 1))
        // It is another one when it comes again.
        index.add(3, names("a/d.mp4"))
        #expect(directory("a") != a)
    }

    @Test func aListingGoesOnWhereItWas() {
        for number in 1...100 { index.add(number, names("\(number).mp4")) }
        var listed: [Int] = []
        var cookie: Int64 = 0
        while true {
            let page = index.entries(of: .byName, after: cookie, atMost: 7)
            guard let last = page.last else { break }
            cookie = last.cookie
            for entry in page {
                if case .uploads(let bearers) = entry.value { listed += bearers.inOrder }
            }
            // What has been listed goes, and others come.
            for number in listed.suffix(7) where number <= 100 { index.remove(number) }
            if listed.count < 30 { index.add(100 + listed.count, names("\(100 + listed.count).mp4")) }
        }
        #expect(Set(listed).count == listed.count && Set(1...100).isSubset(of: listed))
    }

    @Test("Whoever is told an upload's path finds it by that")
    func whatIsToldIsFound() async throws {
        try await EngineStage.with { stage in
            let (index, upload) = (stage.engine.index, try stage.begin("0.mp4"))
            let isOver = Atomic(false)
            Thread.detachNewThread {
                for number in 1...20_000 { upload.updateIdentity { $0.path = [Array("\(number).mp4".utf8)] } }
                isOver.store(true, ordering: .relaxed)
            }
            let missed = await withCheckedContinuation { continuation in
                Thread.detachNewThread {
                    var missed = 0
                    while !isOver.load(ordering: .relaxed) {
                        let path = upload.identity.path
                        let isFound = index.meaning(of: StatusNames.link(for: path)[0], in: .byName) != nil
                        // No path comes twice: it was this one all the time.
                        if !isFound, upload.identity.path == path { missed += 1 }
                    }
                    continuation.resume(returning: missed)
                }
            }
            #expect(missed == 0)
        }
    }

    @Test("A thousand renames leave nothing behind")
    func renamesLeaveNothingBehind() {
        index.add(1, names("0/a.mp4", sessions: ["s"]))
        for round in 2...1000 { index.update(1, names("\(round)/a\(round).mp4", sessions: ["s"])) }
        #expect(index.size == (documents: 1, directories: 2))
        #expect(index.entries(of: .byName, after: 0, atMost: 10).map(\.name) == [Array("1000".utf8)])
    }
}
