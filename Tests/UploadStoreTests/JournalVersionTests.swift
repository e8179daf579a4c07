import Foundation
import GRDB
import Testing
import UploadCore
import UploadStore

import struct TestSupport.ShownStatements

/// Journals that an earlier version wrote.
@Suite struct JournalVersionTests {
    /// A journal with uploads, as the first version of the tables would hold them, and what it knows.
    private func earlier(in directory: StoreTestDirectory) throws -> JournalContents {
        let journal = try directory.journal()
        try journal.write(JournalFixture.directories)
        for number: Int64 in [1, 3, 4] { try journal.write(JournalFixture.changes(number)) }
        journal.close()
        let contents = try directory.journalContents()
        let database = try DatabaseQueue(path: directory.path + "/journal.sqlite")
        try database.write { database in
            try database.execute(
                sql: """
                    ALTER TABLE uploads DROP COLUMN type_refusal;
                    ALTER TABLE uploads DROP COLUMN failure_trace;
                    ALTER TABLE uploads DROP COLUMN writer_exit;
                    DELETE FROM grdb_migrations
                    WHERE identifier IN ('refused types', 'names of failed calls', 'ends of writers');
                    """)
        }
        try database.close()
        return contents
    }

    @Test func areReadAndWrittenOnWith() throws {
        let directory = try StoreTestDirectory()
        let contents = try earlier(in: directory)
        let journal = try directory.journal()
        #expect(journal.damage == nil)
        #expect(journal.contents == contents)
        #expect(contents.uploads.count == 3)
        try journal.write(JournalFixture.changes(2), durably: true)
        journal.close()
        let again = try directory.journalContents()
        #expect(again.uploads.count == 4)
        #expect(again.uploads.first { $0.number == 2 } == JournalFixture.upload(2))
        #expect(JournalFixture.upload(2).typeRefusal != nil && JournalFixture.upload(2).failure?.traceID != nil)
        #expect(JournalFixture.upload(2).writerExit != nil)
    }

    @Test(.shows("journal-damaged")) func areSalvagedWhereTheyAreDamaged() throws {
        let directory = try StoreTestDirectory()
        let contents = try earlier(in: directory)
        let path = directory.path + "/journal.sqlite"
        // A row that is not what was written: the journal is taken for damaged, the others are sound.
        let database = try DatabaseQueue(path: path)
        try database.write { try $0.execute(sql: "UPDATE uploads SET size = size + 1 WHERE number = 3") }
        try database.close()
        let journal = try directory.journal()
        defer { journal.close() }
        #expect(journal.damage != nil)
        #expect(journal.contents.uploads == contents.uploads.filter { $0.number != 3 })
    }

    @Test(arguments: ["type_refusal", "failure_trace"])
    func aLaterColumnThatWasLostIsNoticed(column: String) throws {
        let directory = try StoreTestDirectory()
        let journal = try directory.journal()
        for number: Int64 in [1, 2] { try journal.write(JournalFixture.changes(number)) }
        journal.close()
        let database = try DatabaseQueue(path: directory.path + "/journal.sqlite")
        try database.write { try $0.execute(sql: "UPDATE uploads SET \(column) = NULL WHERE number = 2") }
        try database.close()
        let again = try directory.journal()
        defer { again.close() }
        #expect(again.damage != nil)
        #expect(again.contents.uploads.map(\.number) == [1])
    }
}
