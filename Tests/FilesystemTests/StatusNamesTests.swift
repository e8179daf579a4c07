import FileTree
import Testing
import UploadCore

private func name(_ text: String) -> [UInt8] { Array(text.utf8) }
private func text(_ name: some Sequence<UInt8>) -> String { String(decoding: Array(name), as: UTF8.self) }

struct StatusNamesTests {
    // MARK: Documents

    @Test func anUploadsDocumentIsCalledByItsID() {
        let id = "6a1b2c3d-0123_abc.DEF"
        #expect(text(StatusNames.document(uploadID: id)) == "6a1b2c3d-0123_abc.DEF.json")
        #expect(StatusNames.entry(named: name("\(id).json")) == .document(uploadID: id))
    }

    @Test(arguments: [
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.json"), (".", "%2E.json"), ("..", "%2E..json"), ("", "%.json"),
        ("a\0b", "a%00b.json"), ("a\nb\u{1b}", "a%0Ab%1B.json"), ("a%2Fb", "a%252Fb.json"), ("é", "%C3%A9.json"),
        ("summary", "%73ummary.json"), ("pending-7", "%70ending-7.json"), ("a~b c", "a%7Eb%20c.json"),
    ])
    func aHostileIDBecomesAnOrdinaryName(id: String, expected: String) throws {
        let document = StatusNames.document(uploadID: id)
        #expect(text(document) == expected)
        #expect(throws: Never.self) { try FileName(document) }
        #expect(StatusNames.entry(named: document) == .document(uploadID: id))
    }

    @Test func idsThatAreTooLongAreCutAndStayDifferent() {
        for filler in ["x", "/", "é", "\u{1}"] {
            let long = String(repeating: filler, count: 5000)
            let documents = [long + "1", long + "2", long].map(StatusNames.document(uploadID:))
            #expect(Set(documents).count == 3)
            for document in documents {
                #expect(throws: Never.self) { try FileName(document) }
                #expect(text(document).hasSuffix(".json"))
                #expect(StatusNames.entry(named: document) == .document(uploadID: nil))
            }
        }
    }

    @Test func anIDThatImitatesACutNameHasAnother() {
        let cut = StatusNames.document(uploadID: String(repeating: "x", count: 300))
        #expect(StatusNames.document(uploadID: text(cut.dropLast(5))) != cut)
    }

    @Test func everyNameInTheDirectoryIsReadBack() {
        #expect(StatusNames.entry(named: StatusNames.summary) == .summary)
        #expect(StatusNames.entry(named: StatusNames.metrics) == .metrics)
        #expect(StatusNames.entry(named: StatusNames.byName) == .byName)
        #expect(text(StatusNames.pending(12)) == "pending-12.json")
        #expect(StatusNames.entry(named: StatusNames.pending(.max)) == .pending(.max))
    }

    @Test(arguments: [
        "", ".json", "x", "%2.json", "%zz.json", "%+F.json", "a b.json", "é.json", "%61.json", "%C3.json", "%%.json",
        "x%2e.json", "summary", "metrics.jso",
    ])
    func namesThatWeDoNotGiveStandForNothing(stranger: String) {
        #expect(StatusNames.entry(named: name(stranger)) == nil)
    }

    @Test func aNumberWrittenOtherwiseIsAnID() {
        #expect(StatusNames.entry(named: name("pending-007.json")) == .document(uploadID: "pending-007"))
        #expect(StatusNames.entry(named: name("pending-.json")) == .document(uploadID: "pending-"))
        #expect(text(StatusNames.document(uploadID: "pending-007")) == "pending-007.json")
    }

    // MARK: Links

    @Test func aLinkLiesWhereItsFileDoesAndLeadsToTheDocument() {
        let link = StatusNames.link(for: [name("shoot"), name("a.mp4")])
        #expect(link.map { text($0) } == ["shoot", "a.mp4.json"])
        #expect(text(StatusNames.linkTarget(depth: link.count, document: name("id.json"))) == "../../id.json")
        #expect(StatusNames.link(for: [name("v.mp4")]) == [name("v.mp4.json")])
        #expect(text(StatusNames.linkTarget(depth: 1, document: name("id.json"))) == "../id.json")
        #expect(StatusNames.link(for: []) == [])
    }

    @Test func aDirectoryThatIsCalledLikeALinkIsMarked() {
        // The file `a`, and the file `b` in a directory `a.json` beside it.
        #expect(StatusNames.link(for: [name("a")]) == [name("a.json")])
        #expect(StatusNames.link(for: [name("a.json"), name("b")]) == [name("a.json.d"), name("b.json")])
        #expect(StatusNames.link(for: [name("a.json.d"), name("b")]) == [name("a.json.d.d"), name("b.json")])
        #expect(StatusNames.link(for: [name("conf.d"), name("b")]) == [name("conf.d"), name("b.json")])
    }

    @Test(arguments: ["x", "é", "漢", "🎬"])
    func namesThatAreTooLongAreCutBetweenCharacters(filler: String) throws {
        let long = String(repeating: filler, count: 255 / filler.utf8.count)
        let link = try #require(StatusNames.link(for: [name(long)]).first)
        #expect(link.count <= 255 && link.count >= 250)
        #expect(String(validating: link, as: UTF8.self) != nil)
        #expect(text(link).hasSuffix(".json"))
        #expect(StatusNames.linkName(link) == .cut)
    }

    @Test func bytesThatAreNotUTF8AreKept() {
        #expect(StatusNames.link(for: [[0xFF, 0xFE]]) == [[0xFF, 0xFE] + name(".json")])
        #expect(StatusNames.linkName([0xFF] + name(".json")) == .file([0xFF]))
        #expect(StatusNames.link(for: [[UInt8](repeating: 0x80, count: 255)]).first?.count == 255)
    }

    @Test func differentNamesHaveDifferentLinksThatAreReadBack() {
        let hash = "~0123456789abcdef"
        let ends =
            ["", ".d", ".json", ".json.d", ".json.d.d"] + ["", ".d", ".d.d", ".json", ".json.d"].map { hash + $0 }
        let beginnings =
            ["", "é", "b.json", "c.d"] + (1...3).map { String(repeating: "x", count: $0) }
            + (220...255).map { String(repeating: "x", count: $0) }
        let plain = beginnings.flatMap { beginning in ends.map { name(beginning + $0) } }
        var names = Set(plain.filter { (1...255).contains($0.count) })
        // What cut ones became is a possible name as well.
        for name in names { names.formUnion(StatusNames.link(for: [name, name])) }

        var takenBy: [[UInt8]: [UInt8]] = [:]
        for name in names {
            let links = StatusNames.link(for: [name, name])
            let meanings: [StatusNames.LinkName] = [.directory(name), .file(name)]
            for (link, meaning) in zip(links, meanings) {
                #expect(throws: Never.self) { try FileName(link) }
                #expect(takenBy.updateValue(name, forKey: link) == nil, "\(text(link)) is taken")
                let readBack = StatusNames.linkName(link)
                #expect(readBack == meaning || readBack == .cut, "\(text(link))")
                if name.count < 100, !text(name).contains("~") { #expect(readBack == meaning, "\(text(link))") }
            }
        }
        #expect(takenBy.count == 2 * names.count)
    }
}
