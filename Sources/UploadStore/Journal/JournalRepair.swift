import Foundation
import GRDB
import Glibc
import UploadCore

/// Puts a new journal in the place of a damaged one: with what is sound in it, which is set aside and not deleted.
///
/// A process may be killed at this as at everything else. So what is sound is read from a copy, since SQLite changes what
/// it opens; the new journal is made beside the damaged one, and gets its name (`journal-sound.sqlite`) when it is whole;
/// only then is the damaged one moved away. Whoever finds that name goes on from there.
enum JournalRepair {
    private static let companions = ["", "-wal", "-shm"]

    private static func path(_ name: String, in stateDirectory: String) -> String {
        "\(stateDirectory)/journal\(name).sqlite"
    }

    /// Replaces the journal of a state directory; returns the name under which the damaged one is kept, and what is
    /// sound in it.
    static func replace(in stateDirectory: String) throws -> (setAside: String, sound: JournalContents) {
        let sound = try salvage(in: stateDirectory)
        let building = path("-building", in: stateDirectory)
        remove(building)
        let database = try JournalDatabase(path: building)
        try database.write(
            sound.uploads.map { .putUpload($0) } + sound.sessions.map { .putSession($0) }
                + sound.chunks.map { .putChunk($0) } + sound.nodes.map { .putNode($0) }, durably: true)
        try database.nameIsOnDisk(in: stateDirectory)
        // All of it is in one file then.
        database.close()
        try move(building, to: path("-sound", in: stateDirectory))
        guard let name = try finish(in: stateDirectory) else { throw JournalError.failed("its replacement is gone") }
        return (name, sound)
    }

    /// Puts a new journal that is whole in its place, if there is one; returns the name under which the damaged one is
    /// kept.
    static func finish(in stateDirectory: String) throws -> String? {
        let new = path("-sound", in: stateDirectory)
        guard FileManager.default.fileExists(atPath: new) else { return nil }
        let journal = "\(stateDirectory)/\(JournalDatabase.fileName)"
        let name = try setAside(journal, in: stateDirectory)
        try move(new, to: journal)
        return name
    }

    /// Gives the journal's files names that no others have; returns the first one's.
    private static func setAside(_ journal: String, in stateDirectory: String) throws -> String {
        var number = 1
        while FileManager.default.fileExists(atPath: path("-damaged-\(number)", in: stateDirectory)) { number += 1 }
        // The database goes last: while that is missing, files of the number are its log's, moved by a process that was
        // killed then; and when it is not here any more, the number before is its.
        if !FileManager.default.fileExists(atPath: journal) { number -= 1 }
        let target = path("-damaged-\(number)", in: stateDirectory)
        for companion in companions.reversed() { try move(journal + companion, to: target + companion) }
        return "journal-damaged-\(number).sqlite"
    }

    /// Nothing happens when there is no such file.
    private static func move(_ path: String, to target: String) throws {
        guard rename(path, target) != 0, errno != ENOENT else { return }
        throw JournalError.failed("it could not be replaced: \(String(cString: strerror(errno)))")
    }

    private static func remove(_ path: String) {
        for companion in companions { unlink(path + companion) }
    }

    // MARK: What is sound

    /// What can be read of a damaged journal and is what was written.
    private static func salvage(in stateDirectory: String) throws -> JournalContents {
        let journal = "\(stateDirectory)/\(JournalDatabase.fileName)"
        let copy = path("-salvage", in: stateDirectory)
        remove(copy)
        defer { remove(copy) }
        // Not the index of the log: SQLite makes that anew.
        for companion in ["", "-wal"] where FileManager.default.fileExists(atPath: journal + companion) {
            try FileManager.default.copyItem(atPath: journal + companion, toPath: copy + companion)
        }
        try JournalLog.overlookDamage(ofDatabase: copy)
        return soundContents(ofDatabase: copy)
    }

    private static func soundContents(ofDatabase path: String) -> JournalContents {
        var configuration = Configuration()
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA trusted_schema = OFF") }
        guard let queue = try? DatabaseQueue(path: path, configuration: configuration) else { return JournalContents() }
        defer { try? queue.close() }
        var contents = JournalContents()
        // A table that cannot be read at all says nothing of the next.
        contents.uploads = soundRows(queue)
        contents.sessions = soundRows(queue)
        contents.chunks = soundRows(queue)
        contents.nodes = soundRows(queue)
        return contents
    }

    /// From the front up to the first page that cannot be read, and from the back down to it.
    private static func soundRows<Record: JournalRow>(_ queue: DatabaseQueue) -> [Record] {
        var records: [Record] = []
        for order in ["ASC", "DESC"] {
            _ = try? queue.read { database in
                let key = Record.columns.prefix(Record.keyCount).map { "\($0) \(order)" }.joined(separator: ", ")
                // Nothing is changed in what is damaged, so that it may be as an earlier version left it.
                let rows = try Row.fetchCursor(
                    database, sql: "\(try Record.selectAll(in: database)) ORDER BY \(key)")
                while let row = try rows.next() {
                    if let record = Record.decode(row) { records.append(record) }
                }
            }
        }
        var seen: Set<[DatabaseValue]> = []
        return records.filter { seen.insert(Array($0.values.prefix(Record.keyCount))).inserted }
    }
}
