import Foundation
import Testing
import UploadCore
import UploadStore

import struct TestSupport.SplitMix64

/// Journals as a crash or a dying disk leaves them.
@Suite struct JournalDamageTests {
    private static let files = ["journal.sqlite", "journal.sqlite-wal"]
    /// A page, and a page with what the log puts before it.
    private static let (page, frame) = (4096, 4120)

    /// A journal's files at a moment, and what it knew.
    private struct Moment {
        var files: [String: Data]
        var contents: JournalContents

        init(_ directory: StoreTestDirectory) throws {
            files = [:]
            for name in JournalDamageTests.files {
                files[name] = try? Data(contentsOf: URL(fileURLWithPath: directory.path + "/" + name))
            }
            contents = try Self.contents(files)
        }

        private static func contents(_ files: [String: Data]) throws -> JournalContents {
            let directory = try StoreTestDirectory()
            for (name, data) in files { try data.write(to: URL(fileURLWithPath: directory.path + "/" + name)) }
            return try directory.journalContents()
        }
    }

    /// A journal in which uploads came and went in many transactions, as it was after each of some of them.
    private static func history() throws -> [Moment] {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        try journal.write(JournalFixture.directories)
        var moments: [Moment] = []
        for number in Int64(1)...30 {
            try journal.write(JournalFixture.changes(number))
            try journal.write([
                .putUpload(JournalFixture.upload(number, state: number % 3 == 0 ? .completed : .finishing))
            ])
            if number % 7 == 0 { try journal.write([.removeUpload(number - 1)], durably: true) }
            if number % 10 == 0 { moments.append(try Moment(directory)) }
        }
        journal.close()
        // And once more with everything in the database itself.
        moments.append(try Moment(directory))
        return moments
    }

    /// Opens what there is of a journal, and expects that whatever it knows was once written, and that nothing was
    /// deleted.
    @discardableResult
    private static func open(
        _ damaged: [String: Data], _ comment: Comment
    ) throws -> (contents: JournalContents, damage: Journal.Damage?) {
        let directory = try StoreTestDirectory()
        for (name, data) in damaged { try data.write(to: URL(fileURLWithPath: directory.path + "/" + name)) }
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
            let kept = files.map { try? Data(contentsOf: URL(fileURLWithPath: directory.path + "/" + $0)) }
            #expect(kept.first??.isEmpty == false, "there is a new one, \(comment)")
            let path = "\(directory.path)/\(damage.setAside)"
            let database = try Data(contentsOf: URL(fileURLWithPath: path))
            let log = try? Data(contentsOf: URL(fileURLWithPath: path + "-wal"))
            // SQLite may have moved into the database what is sound in the log, and the log is gone then.
            if log?.isEmpty == false {
                #expect(database == damaged[files[0]] && log == damaged[files[1]], comment)
            } else {
                #expect(database.count >= damaged[files[0]]?.count ?? 0, comment)
            }
        }
        // It is a journal like any other again.
        try journal.write([.putUpload(JournalFixture.upload(99))], durably: true)
        journal.close()
        let again = try directory.journal()
        #expect(again.damage == nil, comment)
        #expect(again.contents.uploads.contains { $0.number == 99 }, comment)
        #expect(again.contents.uploads.count == contents.uploads.count + 1, comment)
        again.close()
        return (contents, journal.damage)
    }

    @Test func aCopyOfARunningJournalHasEverythingThatWasWritten() throws {
        for (index, moment) in try Self.history().enumerated() {
            let opened = try Self.open(moment.files, "moment \(index)")
            let written = index < 3 ? (index + 1) * 10 : 30
            #expect(opened.contents.uploads.count == written - written / 7)
            #expect(opened.damage == nil, "a crash is no damage")
        }
    }

    @Test func aDatabaseThatIsCutAtAnyPageOpensAndWhatIsMissingIsTold() throws {
        for (index, moment) in try Self.history().enumerated() {
            let whole = try #require(moment.files[Self.files[0]])
            for cut in stride(from: 0, to: whole.count, by: Self.page) {
                var damaged = moment.files
                damaged[Self.files[0]] = whole.prefix(cut)
                let opened = try Self.open(damaged, "moment \(index): cut at \(cut)")
                // An empty file without a log is what a crash leaves of a journal that was just being made.
                guard cut > 0 || damaged[Self.files[1]]?.isEmpty == false else { continue }
                if opened.contents != moment.contents {
                    #expect(opened.damage != nil, "moment \(index): cut at \(cut)")
                }
            }
        }
    }

    /// What the log lost was never promised: what is left is a state that the journal was in.
    @Test func aLogThatIsCutAnywhereLosesOnlyWhatCameLast() throws {
        for (index, moment) in try Self.history().enumerated() {
            guard let log = moment.files[Self.files[1]] else { continue }
            var before = 0
            // Between its records, which come after 32 bytes, and in the middle of some.
            let steps = [32, 40, 2000]
            let cuts = (0...(log.count / Self.frame)).map { $0 * Self.frame + steps[$0 % steps.count] }
            for cut in [0] + cuts.map({ min($0, log.count) }) {
                var damaged = moment.files
                damaged[Self.files[1]] = log.prefix(cut)
                let opened = try Self.open(damaged, "moment \(index): cut at \(cut)")
                #expect(opened.damage == nil, "moment \(index): a crash is no damage: cut at \(cut)")
                let known = opened.contents.uploads.count
                #expect(known >= before - 1, "one upload was removed on the way")
                before = known
            }
            #expect(before == moment.contents.uploads.count)
        }
    }

    @Test(.shows("journal-damaged")) func aJournalWithFlippedBitsSaysSoAndTellsNothingThatWasNeverWritten() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed: \(seed)")
        var generator = SplitMix64(seed: seed)
        let history = try Self.history()
        var (known, written) = (0, 0)
        for _ in 0..<200 {
            let moment = history[Int.random(in: history.indices, using: &generator)]
            let names = moment.files.keys.sorted()
            let name = names[Int.random(in: names.indices, using: &generator)]
            var data = try #require(moment.files[name])
            let place = Int.random(in: data.indices, using: &generator)
            data[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            var damaged = moment.files
            damaged[name] = data
            let comment: Comment = "seed \(seed): \(name), \(data.count) bytes, byte \(place)"
            let opened = try Self.open(damaged, comment)
            // The log's last record may as well be one that a crash kept from being whole.
            let isLast = name == Self.files[1] && place >= data.count - Self.frame
            if opened.contents != moment.contents, !isLast { #expect(opened.damage != nil, comment) }
            known += opened.contents.uploads.count
            written += moment.contents.uploads.count
        }
        print("of \(written) uploads \(known) were recovered")
        // One bit seldom takes everything with it.
        #expect(known > written * 3 / 4, "seed \(seed)")
    }

    /// Nearly everything is sound then, and all of that is recovered: also what was written after the damage.
    @Test func aBitOfTheLogTakesNoMoreThanItsRowWithIt() throws {
        let moment = try Self.history()[2]
        let log = try #require(moment.files[Self.files[1]])
        // In the text of a name, in the last page but one that has it.
        let name = Data("vidéo 17.mp4".utf8)
        var places: [Int] = []
        var from = log.startIndex
        while let found = log.range(of: name, in: from..<log.endIndex) {
            places.append(found.lowerBound)
            from = found.upperBound
        }
        let place = try #require(places.dropLast(4).last)
        var damaged = moment.files
        damaged[Self.files[1]]?[place + 1] ^= 4
        let opened = try Self.open(damaged, "byte \(place)")
        #expect(opened.damage?.reason.contains("its log is damaged after") == true)
        #expect(opened.contents.uploads.count >= moment.contents.uploads.count - 1)
        #expect(opened.contents.nodes.count >= moment.contents.nodes.count - 1)
        #expect(opened.contents.sessions == moment.contents.sessions)
        #expect(opened.contents.chunks == moment.contents.chunks)
    }

    /// A look at it beforehand must not tidy away what opening it would tell.
    @Test func damageIsStillToldAfterTheJournalWasAskedWhatThereIsToResume() throws {
        for moment in try Self.history() {
            let directory = try StoreTestDirectory()
            for (name, data) in moment.files { try data.write(to: URL(fileURLWithPath: directory.path + "/" + name)) }
            #expect(Journal.hasUploadsToResume(in: directory.path))
            guard var log = moment.files[Self.files[1]] else { continue }
            log[log.count / 2] ^= 1
            try log.write(to: URL(fileURLWithPath: directory.path + "/" + Self.files[1]))
            try moment.files[Self.files[0]]?.write(to: URL(fileURLWithPath: directory.path + "/" + Self.files[0]))
            #expect(Journal.hasUploadsToResume(in: directory.path), "it cannot be known")
            let journal = try directory.journal()
            #expect(journal.damage != nil)
            journal.close()
        }
    }

    /// When the log has grown for a while, SQLite begins it anew, over what is in it.
    @Test func whatIsLeftOfAnEarlierLogIsNoDamage() throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        func log() throws -> Data { try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/\(Self.files[1])")) }
        func salts(_ log: Data) -> Data { Data(log.dropFirst(16).prefix(8)) }
        try journal.write(JournalFixture.changes(1))
        let first = salts(try log())
        var number = Int64(1)
        while salts(try log()) == first {
            number += 1
            try #require(number < 5000, "the log did not begin anew")
            try journal.write(JournalFixture.changes(number))
        }
        var moment = try Moment(directory)
        #expect(moment.contents.uploads.count == Int(number))
        // Its next record's head is written, and then the process is killed: before it come whole ones, after it old ones.
        var data = try #require(moment.files[Self.files[1]])
        var ours = 32
        while data[(ours + 8)..<(ours + 16)] == salts(data) { ours += Self.frame }
        try #require(ours + 2 * Self.frame <= data.count)
        data.replaceSubrange((ours + 8)..<(ours + 16), with: salts(data))
        moment.files[Self.files[1]] = data
        let killed = try StoreTestDirectory()
        for (name, data) in moment.files { try data.write(to: URL(fileURLWithPath: killed.path + "/" + name)) }
        let opened = try killed.journal()
        #expect(opened.damage == nil)
        #expect(opened.contents == moment.contents)
        opened.close()
        journal.close()
    }

    @Test func whatIsNoJournalAtAllIsSetAside() throws {
        let directory = try StoreTestDirectory()
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

    /// A process may be killed while it puts a sound journal in the place of a damaged one: at each step of that.
    @Test(arguments: 0...4) func aRepairThatWasCutOffIsFinished(steps: Int) throws {
        let moment = try #require(try Self.history().first)
        let directory = try StoreTestDirectory()
        for (name, data) in moment.files { try data.write(to: URL(fileURLWithPath: directory.path + "/" + name)) }
        func move(_ name: String, _ target: String) throws {
            try FileManager.default.moveItem(
                atPath: "\(directory.path)/\(name)", toPath: "\(directory.path)/\(target)")
        }
        // What is sound has been found, and is being written, then is whole.
        let other = try StoreTestDirectory()
        let sound = try other.journal()
        try sound.write(JournalFixture.changes(7), durably: true)
        sound.close()
        try FileManager.default.copyItem(
            atPath: "\(other.path)/journal.sqlite", toPath: "\(directory.path)/journal-building.sqlite")
        try directory.put("the beginning of a copy", at: "journal-salvage.sqlite")
        if steps >= 1 { try move("journal-building.sqlite", "journal-sound.sqlite") }
        if steps >= 2 { try move("journal.sqlite-wal", "journal-damaged-1.sqlite-wal") }
        if steps >= 3 { try move("journal.sqlite", "journal-damaged-1.sqlite") }
        if steps >= 4 { try move("journal-sound.sqlite", "journal.sqlite") }
        let journal = try directory.journal()
        if steps == 0 {
            // Nothing was decided yet: here it is not even damaged.
            #expect(journal.contents == moment.contents)
        } else {
            #expect(journal.contents.uploads.map(\.number) == [7])
            #expect(journal.damage?.setAside == (steps < 4 ? "journal-damaged-1.sqlite" : nil))
            for name in Self.files {
                let kept = name.replacingOccurrences(of: "journal", with: "journal-damaged-1")
                #expect(try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/\(kept)")) == moment.files[name])
            }
        }
        journal.close()
    }
}
