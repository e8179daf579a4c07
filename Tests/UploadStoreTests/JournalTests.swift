import Foundation
import Synchronization
import Testing
import UploadCore
import UploadStore

@Suite struct JournalTests {
    @Test func whatIsWrittenIsReadAgainExactly() throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        #expect(journal.contents == JournalContents())
        #expect(journal.damage == nil)
        try journal.write(JournalFixture.directories + JournalFixture.changes())
        journal.close()

        let contents = try directory.journalContents()
        #expect(contents.uploads == [JournalFixture.upload()])
        #expect(contents.sessions == [try JournalFixture.session()])
        #expect(contents.chunks == (1...3).map { JournalFixture.chunk($0) })
        #expect(contents.nodes.map(\.id) == [1, 2, 101])
        #expect(contents.nodes[1].name == [0x64, 0xFF], "names are bytes")
        #expect(contents.nodes[2].content == .init(size: 35, spool: JournalFixture.upload().spool, upload: 1))
        #expect(contents.nodes[0].content == nil)
    }

    /// SQLite itself writes on into a file without a name, and says nothing.
    @Test(arguments: [false, true]) func aJournalWhoseFileIsGoneTakesNothing(isReplaced: Bool) throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        defer { journal.close() }
        try journal.write(JournalFixture.directories, durably: true)
        try FileManager.default.removeItem(atPath: "\(directory.path)/journal.sqlite")
        if isReplaced { try directory.put("", at: "journal.sqlite") }
        #expect(throws: JournalError.self) { try journal.waitUntilWritten(durably: true) }
        let failure = #expect(throws: JournalError.self) { try journal.write(JournalFixture.changes()) }
        #expect(failure?.uploadFailure.message.contains("removed or replaced") == true)
        #expect(journal.failure == failure)
    }

    @Test func anUploadGoesWithItsSessionAndItsChunks() throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        try journal.write(JournalFixture.changes(1) + JournalFixture.changes(2))
        try journal.write([.removeUpload(1)])
        journal.close()
        let contents = try directory.journalContents()
        #expect(contents.uploads.map(\.number) == [2])
        #expect(contents.sessions.map(\.upload) == [2])
        #expect(Set(contents.chunks.map(\.uploadID)) == ["session-2"])
    }

    @Test func anotherSessionTakesTheChunksOfTheFirstAway() throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        try journal.write(JournalFixture.changes())
        var other = try JournalFixture.session()
        other.uploadID = "another"
        try journal.write([.putSession(other)])
        journal.close()
        let contents = try directory.journalContents()
        #expect(contents.sessions == [other])
        #expect(contents.chunks.isEmpty)
    }

    @Test func chunksAreClaimedTakenBackAndRemoved() throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        try journal.write(JournalFixture.changes())
        try journal.write([
            .claimChunks(uploadID: "session-1", [1, 2, 9], true), .claimChunks(uploadID: "session-1", [1], false),
            .removeChunks(uploadID: "session-1", [3]), .removeNode(101),
        ])
        journal.close()
        let contents = try directory.journalContents()
        #expect(contents.chunks == [JournalFixture.chunk(1), JournalFixture.chunk(2, isClaimed: true)])
        #expect(contents.nodes.isEmpty)
    }

    @Test func itTellsWhetherThereIsSomethingToGoOnWith() throws {
        let directory = try StoreTestDirectory()
        #expect(!Journal.hasUploadsToResume(in: directory.path))
        let journal = try directory.journal()
        for state in UploadState.allCases {
            try journal.write([.putUpload(JournalFixture.upload(state: state))])
            #expect(
                Journal.hasUploadsToResume(in: directory.path) == (state == .finishing), "\(state)")
        }
        journal.close()
    }

    /// A number is never given twice, whatever was lost of the upload that had it.
    @Test func theLastNumberIsTheHighestThatAnythingBears() throws {
        var contents = JournalContents()
        #expect(contents.lastUploadNumber == 0)
        contents.uploads = [JournalFixture.upload(3)]
        #expect(contents.lastUploadNumber == 3)
        contents.sessions = [try JournalFixture.session(5)]
        #expect(contents.lastUploadNumber == 5)
        contents.nodes = [
            JournalFixture.node(101, in: 2, Array("a.mp4".utf8), content: .init(size: 1, spool: "a", upload: 7))
        ]
        #expect(contents.lastUploadNumber == 7)
    }

    @Test func itsFilesAreNobodyElses() throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        try journal.write(JournalFixture.changes())
        for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"] {
            #expect(directory.permissions(name) == 0o600, "\(name)")
        }
        journal.close()
    }

    @Test func whatASourceGivesIsAskedForWhenItIsWritten() throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        let asked = Mutex(0)
        journal.enqueue(canWait: true) {
            asked.withLock { $0 += 1 }
            return [.putUpload(JournalFixture.upload())]
        }
        try journal.waitUntilWritten(durably: false)
        #expect(asked.withLock { $0 } == 1)
        journal.close()
        #expect(try directory.journalContents().uploads.count == 1)
    }

    /// A chunk that is stored is written down soon, though nobody waits for it.
    @Test func whatCanWaitIsWrittenByItself() async throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        await withCheckedContinuation { continuation in
            journal.enqueue(canWait: true) {
                continuation.resume()
                return [.putChunk(JournalFixture.chunk(1))]
            }
        }
        journal.close()
        #expect(try directory.journalContents().chunks == [JournalFixture.chunk(1)])
    }

    @Test func afterItsEndWhoeverWaitsIsTold() throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        journal.close()
        #expect(throws: JournalError.self) { try journal.waitUntilWritten(durably: true) }
    }

    @Test(.enabled(if: StoreTestDirectory.canMount, "needs the right to mount"))
    func aFullDiskIsToldAndWhatWasNotWrittenIsWrittenLater() throws {
        let directory = try #require(try StoreTestDirectory(diskOf: .mebibytes(1)))
        let journal = try directory.journal()
        try journal.write(JournalFixture.changes(1), durably: true)
        try Self.fill(directory)
        let many = (1...400).map { JournalChange.putChunk(JournalFixture.chunk($0, upload: 2)) }
        #expect(throws: JournalError.noSpace) { try journal.write(many) }
        #expect(journal.failure == .noSpace)
        #expect(JournalError.noSpace.uploadFailure.kind == .noSpace)
        try FileManager.default.removeItem(atPath: directory.path + "/ballast")
        try journal.waitUntilWritten(durably: true)
        #expect(journal.failure == nil)
        journal.close()
        #expect(try directory.journalContents().chunks.count == 403)
    }

    private static func fill(_ directory: StoreTestDirectory) throws {
        let ballast = directory.path + "/ballast"
        #expect(FileManager.default.createFile(atPath: ballast, contents: nil))
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: ballast))
        defer { try? file.close() }
        for size in [1 << 16, 1 << 12] {
            while (try? file.write(contentsOf: Data(count: size))) != nil {}
        }
    }

    @Test func aJournalIsTrustedAboutBytesOnlyInItsBootUnlessTheyWereSynced() {
        var record = JournalFixture.upload()
        #expect(record.contentCanBeTrusted(inBoot: "another"))
        for synced in [UploadRecord.Synced.nothing, .part] {
            record.synced = synced
            #expect(record.contentCanBeTrusted(inBoot: "boot"))
            #expect(!record.contentCanBeTrusted(inBoot: "another"))
        }
        record.boot = ""
        #expect(!record.contentCanBeTrusted(inBoot: ""), "two boots that are not known are not the same")
    }
}
