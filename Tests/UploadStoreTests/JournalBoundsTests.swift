import Foundation
import GRDB
import Testing
import UploadCore
import UploadStore

import struct TestSupport.ShownStatements

/// Rows that are what somebody wrote, checksum and all, and that no version of twelvefs would have written.
@Suite struct JournalBoundsTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let table: String
        let column: String
        let value: DatabaseValue
        var testDescription: String { "\(table).\(column) \(value)" }

        init(_ table: String, _ column: String, _ value: some DatabaseValueConvertible) {
            (self.table, self.column, self.value) = (table, column, value.databaseValue)
        }
    }

    private static let rows = [
        Row("uploads", "number", Int64.max), Row("uploads", "retries", Int64.max), Row("uploads", "retries", -1),
        Row("uploads", "size", -1), Row("uploads", "given_up", "20-10"), Row("uploads", "spool", "../lock"),
        Row("uploads", "spool", ".."), Row("uploads", "spool", ""),
        Row("sessions", "total_chunks", 35), Row("sessions", "chunk_size", 0), Row("sessions", "total_size", -35),
        Row("chunks", "chunk_index", 0), Row("chunks", "chunk_index", 10_001), Row("chunks", "chunk_index", Int64.max),
        Row("nodes", "id", -1), Row("nodes", "id", 1 << 48), Row("nodes", "parent", -1), Row("nodes", "size", -1),
        Row("nodes", "mtime_ns", 1_000_000_000), Row("nodes", "ctime_ns", -1), Row("nodes", "spool", "/etc/passwd"),
        Row("nodes", "upload", Int64.max),
    ]

    private static func journal(_ directory: StoreTestDirectory) throws -> JournalContents {
        let journal = try directory.journal()
        try journal.write(JournalFixture.directories)
        for number: Int64 in [1, 3] { try journal.write(JournalFixture.changes(number)) }
        journal.close()
        return try directory.journalContents()
    }

    @Test(.shows("journal-damaged"), arguments: rows)
    func aRowThatMakesNoSenseIsSetAsideAndNothingElse(_ row: Row) throws {
        let directory = try StoreTestDirectory()
        let before = try Self.journal(directory)
        try directory.forge(row.table, row.column, row.value)
        let journal = try directory.journal()
        let (contents, damage) = (journal.contents, journal.damage)
        journal.close()
        #expect(damage != nil)
        let path = try directory.path + "/" + #require(damage?.setAside)
        #expect(FileManager.default.fileExists(atPath: path))
        let lost = [
            before.uploads.count - contents.uploads.count, before.sessions.count - contents.sessions.count,
            before.chunks.count - contents.chunks.count, before.nodes.count - contents.nodes.count,
        ]
        let tables = ["uploads", "sessions", "chunks", "nodes"]
        #expect(lost == tables.map { $0 == row.table ? 1 : 0 }, "the forged row alone is missing")
        #expect(contents.uploads.allSatisfy { before.uploads.contains($0) })
        #expect(contents.nodes.allSatisfy { before.nodes.contains($0) })
    }

    @Test func aPlanOfTooManyChunksIsNotTaken() throws {
        let directory = try StoreTestDirectory()
        let before = try Self.journal(directory)
        for (column, value) in [("total_size", Int64(300_000_000)), ("chunk_size", 1), ("total_chunks", 300_000_000)] {
            try directory.forge("sessions", column, value.databaseValue)
        }
        let journal = try directory.journal()
        defer { journal.close() }
        #expect(journal.damage != nil)
        #expect(journal.contents.sessions == before.sessions.filter { $0.upload != 1 })
        #expect(journal.contents.uploads == before.uploads)
    }

    /// What is forged is what it is taken for: with the value that was there, nothing is damaged.
    @Test func aRowThatIsWrittenAgainIsSound() throws {
        let directory = try StoreTestDirectory()
        let before = try Self.journal(directory)
        try directory.forge("uploads", "retries", 7.databaseValue)
        try directory.forge("sessions", "chunk_size", 10.databaseValue)
        let journal = try directory.journal()
        defer { journal.close() }
        #expect(journal.damage == nil)
        #expect(journal.contents == before)
    }
}

extension StoreTestDirectory {
    /// Puts a value into the first row of a table, with the checksum that belongs to it.
    func forge(_ table: String, _ column: String, _ value: DatabaseValue) throws {
        let types: [any JournalRow.Type] = [UploadRecord.self, SessionRecord.self, ChunkRecord.self, NodeRecord.self]
        let type = try #require(types.first { $0.table == table })
        let database = try DatabaseQueue(path: path + "/journal.sqlite")
        try database.write { database in
            let key = type.columns.prefix(type.keyCount)
            // The root is no file.
            let condition = table == "nodes" ? "WHERE upload IS NOT NULL" : ""
            let query =
                "SELECT \(type.columns.joined(separator: ", ")) FROM \(table) \(condition) ORDER BY \(key.joined(separator: ", "))"
            let before = Array(try #require(try GRDB.Row.fetchOne(database, sql: query)).databaseValues)
            var values = before
            values[try #require(type.columns.firstIndex(of: column))] = value
            try database.execute(
                sql: "UPDATE \(table) SET \(column) = ?, checksum = ? WHERE "
                    + key.map { "\($0) = ?" }.joined(separator: " AND "),
                arguments: StatementArguments([value, type.checksum(values)] + before.prefix(type.keyCount)))
        }
        try database.close()
    }
}
