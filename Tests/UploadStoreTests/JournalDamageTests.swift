import Foundation
import Testing
import UploadCore
import UploadStore

/// Journals as a crash or a dying disk leaves them.
@Suite struct JournalDamageTests {
    private static let files = ["journal.sqlite", "journal.sqlite-wal"]

    /// A journal in which uploads came and went in many transactions, as its files were after each of some of them.
    private static func history() throws -> [[String: Data]] {
        let directory = try TemporaryDirectory()
        let journal = try directory.journal()
        try journal.write(JournalFixture.directories)
        var moments: [[String: Data]] = []
        for number in Int64(1)...30 {
            try journal.write(JournalFixture.changes(number))
            try journal.write([
                .putUpload(JournalFixture.upload(number, state: number % 3 == 0 ? .completed : .finishing))
            ])
            if number % 7 == 0 { try journal.write([.removeUpload(number - 1)], durably: true) }
            guard number % 10 == 0 else { continue }
            var moment: [String: Data] = [:]
            for name in files { moment[name] = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/" + name)) }
            moments.append(moment)
        }
        journal.close()
        // And once more with everything in the database itself.
        moments.append([files[0]: try Data(contentsOf: URL(fileURLWithPath: directory.path + "/" + files[0]))])
        return moments
    }

    /// Opens what `moment` says, and expects that whatever it knows was once written, and that nothing was deleted.
    @discardableResult
    private static func open(_ moment: [String: Data], _ comment: Comment) throws -> JournalContents {
        let directory = try TemporaryDirectory()
        for (name, data) in moment { try data.write(to: URL(fileURLWithPath: directory.path + "/" + name)) }
        let journal = try directory.journal()
        let contents = journal.contents
        for upload in contents.uploads {
            let once = [UploadState.finishing, .completed].map { JournalFixture.upload(upload.number, state: $0) }
            #expect(once.contains(upload), comment)
            if upload.state == .completed { #expect(upload.number % 3 == 0, comment) }
        }
        for session in contents.sessions { #expect(try session == JournalFixture.session(session.upload), comment) }
        for chunk in contents.chunks {
            let number = try #require(Int64(chunk.uploadID.dropFirst("session-".count)), comment)
            #expect(chunk == JournalFixture.chunk(chunk.index, upload: number), comment)
        }
        if let damage = journal.damage {
            #expect(!damage.reason.isEmpty, comment)
            let kept = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/" + damage.setAside))
            #expect(!kept.isEmpty || moment[files[0]]?.isEmpty == true, comment)
        }
        // It is a journal like any other again.
        try journal.write([.putUpload(JournalFixture.upload(99))], durably: true)
        journal.close()
        #expect(try directory.journalContents().uploads.contains { $0.number == 99 }, comment)
        return contents
    }

    @Test func aCopyOfARunningJournalHasEverythingThatWasWritten() throws {
        for (index, moment) in try Self.history().enumerated() {
            let contents = try Self.open(moment, "moment \(index)")
            let written = index < 3 ? (index + 1) * 10 : 30
            let removed = written / 7
            #expect(contents.uploads.count == written - removed)
        }
    }

    @Test func aJournalThatIsCutAtAnyPageOpens() throws {
        for (index, moment) in try Self.history().enumerated() {
            for name in Self.files {
                guard let whole = moment[name] else { continue }
                // The log's frames are a page and a header long; halves of pages are met on the way.
                for cut in stride(from: 0, to: whole.count, by: name == Self.files[0] ? 4096 : 4120) {
                    var damaged = moment
                    damaged[name] = whole.prefix(cut)
                    try Self.open(damaged, "moment \(index): \(name) cut at \(cut)")
                }
            }
        }
    }

    /// What the log lost was never promised: what is left is a state that the journal was in.
    @Test func aCutLogLosesOnlyWhatCameLast() throws {
        let moment = try #require(try Self.history().first)
        let log = try #require(moment[Self.files[1]])
        var before = 0
        for cut in stride(from: 0, through: log.count, by: 4120) {
            var damaged = moment
            damaged[Self.files[1]] = log.prefix(cut)
            let known = try Self.open(damaged, "cut at \(cut)").uploads.count
            #expect(known >= before - 1, "one upload was removed on the way")
            before = known
        }
        #expect(before > 0)
    }

    @Test func aJournalWithFlippedBitsTellsNothingThatWasNeverWritten() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed: \(seed)")
        var generator = SplitMix(seed: seed)
        let history = try Self.history()
        var losses = 0
        for _ in 0..<200 {
            let index = Int.random(in: history.indices, using: &generator)
            var damaged = history[index]
            let names = damaged.keys.sorted()
            let name = names[Int.random(in: names.indices, using: &generator)]
            var data = try #require(damaged[name])
            let place = Int.random(in: data.indices, using: &generator)
            data[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            damaged[name] = data
            let known = try Self.open(damaged, "seed \(seed), moment \(index): \(name), byte \(place)")
            if known.uploads.isEmpty { losses += 1 }
        }
        // One bit seldom takes everything with it.
        #expect(losses < 100, "seed \(seed)")
    }

    @Test func whatIsNoJournalAtAllIsSetAside() throws {
        let directory = try TemporaryDirectory()
        try directory.put("this is no database", at: "journal.sqlite")
        let journal = try directory.journal()
        #expect(journal.damage?.setAside == "journal-damaged-1.sqlite")
        journal.close()
        #expect(try directory.text(at: "journal-damaged-1.sqlite") == "this is no database")
        try directory.put("nor is this", at: "journal.sqlite")
        let second = try directory.journal()
        #expect(second.damage?.setAside == "journal-damaged-2.sqlite", "never over another")
        second.close()
    }
}

/// Sebastiano Vigna's small generator, for tests that can be repeated.
private struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
