import FileTree
import Formats
import Foundation
import GRDB
import UploadCore
import UploadEngine
import UploadStore

// What the next process finds in the journal.

extension FuzzedDecoder {
    static let journal = [journalRows, journalLog]

    // MARK: Rows

    private static let tables: [any JournalRow.Type] = [
        UploadRecord.self, SessionRecord.self, ChunkRecord.self, NodeRecord.self,
    ]

    private static let journalRows = FuzzedDecoder(
        "journal-rows",
        samples: FuzzedJournal.samples.map { rows in
            var input = InputWriter()
            for row in rows {
                input.byte(UInt8(tables.firstIndex { $0 == type(of: row) } ?? 0))
                for value in row.values { input.value(value) }
            }
            return input.bytes
        }
    ) { input in
        var reader = InputReader(input)
        var contents = JournalContents()
        while !reader.isAtEnd {
            let table = tables[Int(reader.byte()) % tables.count]
            let row = RowReader(table.columns.map { _ in reader.value() })
            switch table.init(row) {
            case let record as UploadRecord: contents.uploads.append(record)
            case let record as SessionRecord: contents.sessions.append(record)
            case let record as ChunkRecord: contents.chunks.append(record)
            case let record as NodeRecord: contents.nodes.append(record)
            default: break
            }
        }
        FuzzedJournal.recover(contents)
    }

    // MARK: The log

    private static let journalLog = FuzzedDecoder(
        "journal-log", samples: [FuzzedJournal.log]
    ) { input in
        FuzzedJournal.withDatabase(log: input) { path in
            _ = JournalLog.damage(ofDatabase: path)
            try? JournalLog.overlookDamage(ofDatabase: path)
            _ = JournalLog.damage(ofDatabase: path)
        }
    }
}

extension InputWriter {
    fileprivate mutating func value(_ value: DatabaseValue) {
        switch value.storage {
        case .null: byte(0)
        case .int64(let number):
            byte(1)
            integer(number)
        case .double(let number):
            byte(2)
            integer(Int64(bitPattern: number.bitPattern))
        case .string(let text):
            byte(3)
            bytes(Array(text.utf8))
        case .blob(let data):
            byte(4)
            bytes(Array(data))
        }
    }
}

extension InputReader {
    fileprivate mutating func value() -> DatabaseValue {
        switch byte() % 5 {
        case 1: integer().databaseValue
        case 2: Double(bitPattern: UInt64(bitPattern: integer())).databaseValue
        case 3: text().databaseValue
        case 4: Data(bytes()).databaseValue
        default: .null
        }
    }
}

/// Journals that inputs are made of, and what a start makes of one.
private enum FuzzedJournal {
    static var samples: [[any JournalRow]] {
        var upload = UploadRecord(
            number: 1, spool: "aaaaaaaaaaaaaaa1", path: [Array("video.mp4".utf8)], filename: "video.mp4", type: .video,
            created: Timestamp(millisecondsSince1970: 1_767_225_600_000))
        (upload.state, upload.scope, upload.size, upload.boot, upload.synced) = (
            .finishing, .whole, 35, "boot", .everything
        )
        upload.failure = UploadFailure(.platformUnavailable, message: "it is ill", httpStatus: 503)
        upload.retries = 7
        upload.released.insert(10..<20)
        let time = FileTime(seconds: 1_767_225_600, nanoseconds: 1)
        let node = NodeRecord(
            id: 2, parent: 1, name: Array("video.mp4".utf8),
            content: .init(size: 35, spool: upload.spool, upload: 1), mode: 0o644, userID: 0, groupID: 0,
            accessTime: time, modificationTime: time, changeTime: time)
        guard let plan = try? ChunkPlan(totalSize: 35, chunkSize: 10, totalChunks: 4) else { return [] }
        let session = SessionRecord(
            upload: 1, uploadID: "u", assetID: "a", plan: plan, headers: [("x-amz-a", "1")],
            deadline: Timestamp(millisecondsSince1970: 1_767_312_000_000))
        let chunk = ChunkRecord(
            uploadID: "u", index: 1, generation: 0, stored: StoredChunk(etag: "e", md5: "m", size: 10), isClaimed: true)
        var ended = upload
        (ended.state, ended.scope) = (.failed, nil)
        return [[upload, session, chunk, node], [ended, session], [node], [chunk, session, upload]]
    }

    /// A start, as far as it can be had without a spool.
    static func recover(_ contents: JournalContents) {
        let (now, wallTime) = (ContinuousClock.now, Timestamp(millisecondsSince1970: 1_767_225_600_000))
        for record in contents.uploads {
            let session = contents.sessions.last { $0.upload == record.number }
            let chunks = contents.chunks.filter { $0.uploadID == session?.uploadID }
            FuzzedUpload.run(
                RecoveredUpload(
                    record, session: session?.snapshot(at: now, wallTime: wallTime), chunks: chunks, contentLoss: nil))
        }
        // The next numbers.
        _ = Int(contents.uploads.map(\.number).max() ?? 0) + 1
        var tree = FileTree<Int64>(root: NodeAttributes(mode: 0o755, userID: 0, groupID: 0, time: FileTime(seconds: 0)))
        for record in contents.nodes {
            let attributes = NodeAttributes(
                mode: record.mode, userID: record.userID, groupID: record.groupID, time: record.changeTime)
            try? tree.restore(
                NodeID(record.id), FileName(record.name), in: NodeID(record.parent), file: record.content?.size,
                attributes: attributes)
        }
        let attributes = NodeAttributes(mode: 0o644, userID: 0, groupID: 0, time: FileTime(seconds: 0))
        _ = try? tree.createFile(
            FileName("another"), in: .root, attributes: attributes, file: 0, at: FileTime(seconds: 0))
        for node in tree.allNodes { precondition((node.file ?? 0) >= 0, "a size is negative") }
    }

    // MARK: The log

    /// SQLite's log of a small database.
    static let log: [UInt8] = withFolder { folder in
        let path = folder + "/journal.sqlite"
        guard let queue = try? DatabaseQueue(path: path) else { return [] }
        try? queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL; CREATE TABLE a (b); INSERT INTO a VALUES (1)")
        }
        defer { try? queue.close() }
        return (try? Data(contentsOf: URL(fileURLWithPath: path + "-wal"))).map { Array($0) } ?? []
    }

    static func withDatabase(log: [UInt8], _ body: (_ path: String) -> Void) {
        withFolder { folder in
            let path = folder + "/journal.sqlite"
            for (name, bytes) in [(path, [1]), (path + "-wal", log)] {
                try? Data(bytes).write(to: URL(fileURLWithPath: name))
            }
            body(path)
        }
    }

    private static func withFolder<Value>(_ body: (String) -> Value) -> Value {
        // In memory, where there is such a place: thousands of them come and go.
        let memory = "/dev/shm"
        let base = FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
        let folder = "\(base)/twelvefs-fuzzing-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return body(folder)
    }
}
