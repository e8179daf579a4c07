import Foundation
import GRDB
import Glibc
import UploadCore

/// The journal's file: opened, read whole, written in transactions. Calls block on the disk.
struct JournalDatabase: Sendable {
    /// In the state directory; SQLite's log and index are beside it, with `-wal` and `-shm` appended.
    static let fileName = "journal.sqlite"

    private let queue: DatabaseQueue
    private let path: String
    /// Which file it was when it was opened.
    private let identity: FileIdentity

    /// What an earlier journal came to that could not be read whole.
    struct Damage: Sendable {
        /// Under which name it was set aside.
        var setAside: String
        /// What was wrong with it.
        var reason: String
    }

    /// Opens the journal of a state directory, and makes it where there is none. One that cannot be read whole is set
    /// aside, and what is sound in it goes into a new one.
    static func open(
        in stateDirectory: String
    ) throws(JournalError) -> (database: JournalDatabase, contents: JournalContents, damage: Damage?) {
        let path = "\(stateDirectory)/\(fileName)"
        let replaced: String?
        // An earlier process may have been killed when it had found out what is sound and had not put it in place yet.
        do { replaced = try JournalRepair.finish(in: stateDirectory) } catch { throw JournalError(error) }
        do {
            // Before SQLite takes it up: it would throw away what it cannot read, and say nothing.
            if let damage = JournalLog.damage(ofDatabase: path) { throw JournalError.failed(damage) }
            let database = try JournalDatabase(path: path)
            let contents = try database.queue.read(readAll)
            try database.nameIsOnDisk(in: stateDirectory)
            return (database, contents, replaced.map { Damage(setAside: $0, reason: "it was found to be damaged") })
        } catch {
            let reason = JournalError(error)
            // A disk that is full or cannot be read tells nothing of the journal's own state.
            if let error = error as? DatabaseError, !isDamage(error) { throw reason }
            guard FileManager.default.fileExists(atPath: path) else { throw reason }
            do {
                return try repair(in: stateDirectory, because: reason)
            } catch {
                throw JournalError(error)
            }
        }
    }

    private static func repair(
        in stateDirectory: String, because reason: JournalError
    ) throws -> (JournalDatabase, JournalContents, Damage?) {
        let (name, sound) = try JournalRepair.replace(in: stateDirectory)
        let database = try JournalDatabase(path: "\(stateDirectory)/\(fileName)")
        try database.nameIsOnDisk(in: stateDirectory)
        let text: String
        switch reason {
        case .noSpace: text = "its disk is full"
        case .failed(let words): text = words
        }
        return (database, sound, Damage(setAside: name, reason: text))
    }

    private static func isDamage(_ error: DatabaseError) -> Bool {
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR, .SQLITE_CONSTRAINT, .SQLITE_MISMATCH, .SQLITE_FORMAT,
            .SQLITE_SCHEMA, .SQLITE_PROTOCOL, .SQLITE_RANGE, .SQLITE_TOOBIG:
            true
        // A file that ends where it should not.
        case .SQLITE_IOERR: error.extendedResultCode == .SQLITE_IOERR_SHORT_READ
        default: false
        }
    }

    init(path: String) throws {
        // SQLite gives the files beside it the same mode.
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode_t(0o600))
        guard descriptor >= 0 else { throw JournalError(SpoolError(errno: errno, operation: "open \(path)")) }
        Glibc.close(descriptor)
        guard let identity = FileIdentity(at: path) else { throw Self.gone }
        self.path = path
        self.identity = identity
        var configuration = Configuration()
        configuration.label = "twelvefs.journal.sqlite"
        // Somebody may look at it with a tool of his own.
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { database in
            // A commit is in the log at once, where a killed process leaves it; on disk it is when that is asked for.
            try database.execute(
                sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF")
        }
        queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.read { database in
            let verdict = try String.fetchAll(database, sql: "PRAGMA quick_check(1)")
            guard verdict == ["ok"] else { throw JournalError.failed(verdict.first ?? "it fails SQLite's own check") }
        }
        try JournalSchema.migrator.migrate(queue)
    }

    /// Returns once the names of the journal's files are on disk.
    func nameIsOnDisk(in stateDirectory: String) throws {
        try write([], durably: true)
        let directory = Glibc.open(stateDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw JournalError(SpoolError(errno: errno, operation: "open")) }
        defer { Glibc.close(directory) }
        guard fsync(directory) == 0 else { throw JournalError(SpoolError(errno: errno, operation: "fsync")) }
    }

    // MARK: Reading

    private static func readAll(_ database: Database) throws -> JournalContents {
        var contents = JournalContents()
        contents.uploads = try readAll(database)
        contents.sessions = try readAll(database)
        contents.chunks = try readAll(database)
        contents.nodes = try readAll(database)
        return contents
    }

    private static func readAll<Record: JournalRow>(_ database: Database) throws -> [Record] {
        try Row.fetchAll(database, sql: Record.selectAll).map { row in
            guard let record = Record.decode(row) else {
                throw JournalError.failed("a row of \(Record.table) is not what was written")
            }
            return record
        }
    }

    /// How many uploads the journal of a state directory has to recover; 1 where it may have some: one that is damaged is left as
    /// it is, and opening it will tell.
    static func uploadsToResume(in stateDirectory: String) -> Int {
        let path = "\(stateDirectory)/\(fileName)"
        guard FileManager.default.fileExists(atPath: path) else { return 0 }
        // SQLite tidies up after itself: of what it does not read of the log nothing would be left to be told of.
        if JournalLog.damage(ofDatabase: path) != nil { return 1 }
        do {
            return try DatabaseQueue(path: path).read { database in
                let query = "SELECT COUNT(*) FROM uploads WHERE state = ?"
                return try Int.fetchOne(database, sql: query, arguments: [UploadState.finishing.rawValue]) ?? 0
            }
        } catch {
            return 0
        }
    }

    // MARK: Writing

    private static let gone = JournalError.failed("its file was removed or replaced while the mount ran")

    /// Throws when the journal is not where the next mount would look for it: SQLite writes on into a file without a
    /// name, and says nothing.
    func checkPlace() throws(JournalError) {
        guard FileIdentity(at: path) == identity else { throw Self.gone }
    }

    /// Writes changes down in one transaction: all of them, or none. When it returns they are in the log, and on disk
    /// with everything before them where that is asked for.
    func write(_ changes: [JournalChange], durably: Bool) throws(JournalError) {
        do {
            try queue.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA synchronous = \(durably ? "FULL" : "NORMAL")")
                try database.inTransaction(.immediate) {
                    // There is something to commit, and so to sync, in any case.
                    if durably { try database.execute(sql: "UPDATE commits SET number = number + 1") }
                    for change in changes { try Self.apply(change, to: database) }
                    return .commit
                }
            }
        } catch {
            throw JournalError(error)
        }
    }

    /// Puts what was committed on disk, beside whatever is committed meanwhile: what SQLite does itself with `synchronous =
    /// FULL`, but not while it keeps others from writing.
    func synchronizeLog(_ synchronize: (Int32) -> Int32) throws(JournalError) {
        // SQLite has its locks on the database and its index, not on the log: another descriptor of that does no harm.
        let descriptor = Glibc.open("\(path)-wal", O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw JournalError(SpoolError(errno: errno, operation: "open \(path)-wal")) }
        defer { Glibc.close(descriptor) }
        guard synchronize(descriptor) == 0 else {
            throw JournalError(SpoolError(errno: errno, operation: "fsync \(path)-wal"))
        }
    }

    /// Moves everything that was committed from the log into the database, on disk. For when the log could not be put on
    /// disk: the kernel may have dropped what it could not write, and a second `fsync` would say that all is well.
    func emptyLog() throws(JournalError) {
        do {
            try queue.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA synchronous = FULL")
                let isBusy = try Int.fetchOne(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)") ?? 1
                if isBusy != 0 {
                    throw JournalError.failed("somebody else reads it, so that its log cannot be emptied")
                }
            }
        } catch {
            throw JournalError(error)
        }
    }

    private static func apply(_ change: JournalChange, to database: Database) throws {
        switch change {
        case .putUpload(let record): try record.put(in: database)
        case .removeUpload(let number):
            try removeSession(ofUpload: number, in: database)
            try UploadRecord.remove([number], in: database)
        case .putSession(let record):
            try removeSession(ofUpload: record.upload, unless: record.uploadID, in: database)
            try record.put(in: database)
        case .removeSession(let upload): try removeSession(ofUpload: upload, in: database)
        case .putChunk(let record): try record.put(in: database)
        case .removeChunks(let uploadID, let indices):
            for index in indices { try ChunkRecord.remove([uploadID, index], in: database) }
        case .claimChunks(let uploadID, let indices, let isClaimed):
            for index in indices {
                guard var record = try ChunkRecord.find([uploadID, index], in: database) else { continue }
                record.isClaimed = isClaimed
                try record.put(in: database)
            }
        case .removeAllChunks(let uploadID): try ChunkRecord.remove([uploadID], in: database)
        case .putNode(let record): try record.put(in: database)
        case .renameNode(let id, let parent, let name):
            guard var record = try NodeRecord.find([Int64(bitPattern: id)], in: database) else { return }
            (record.parent, record.name) = (parent, name)
            try record.put(in: database)
        case .removeNode(let id): try NodeRecord.remove([Int64(bitPattern: id)], in: database)
        }
    }

    private static func removeSession(
        ofUpload number: Int64, unless kept: String? = nil, in database: Database
    ) throws {
        guard let session = try SessionRecord.find([number], in: database), session.uploadID != kept else { return }
        try ChunkRecord.remove([session.uploadID], in: database)
        try SessionRecord.remove([number], in: database)
    }

    /// Moves what is in the log into the database, and closes the files.
    func close() {
        // What cannot be moved now is moved when the journal is opened again.
        try? queue.close()
    }
}

extension JournalError {
    fileprivate init(_ error: SpoolError) {
        switch error {
        case .noSpace, .tooLarge: self = .noSpace
        case .failed, .released, .gone: self = .failed("\(error)")
        }
    }
}
