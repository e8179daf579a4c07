import Formats
import UploadCore
import UploadStore

/// A journal's contents for tests: an upload of four chunks, three of them stored, and a tree that holds its file.
enum JournalFixture {
    static func upload(_ number: Int64 = 1, state: UploadState = .finishing) -> UploadRecord {
        var record = UploadRecord(
            number: number, spool: String(repeating: "a", count: 15) + "\(number % 10)",
            path: [[0x64, 0xFF], Array("vidéo \(number).mp4".utf8)], filename: "vidéo \(number).mp4", type: .video,
            created: Timestamp(millisecondsSince1970: 1_700_000_000_123))
        record.writer = "cp (pid 42)"
        record.state = state
        record.scope = state == .open ? nil : .whole
        record.size = 35
        record.boot = "boot"
        record.synced = .everything
        record.closed = Timestamp(millisecondsSince1970: 1_700_000_000_456)
        record.failure = UploadFailure(
            .platformUnavailable, code: "internal", message: "it is ill", hint: "wait", httpStatus: 503,
            traceID: number == 2 ? "trace-2" : nil)
        record.assetURL = "https://cdn.test/1"
        record.assetStatus = .unknown("indexing")
        record.superseded = ["old-1", "old-2"]
        record.abandoned = ["lost"]
        record.retries = 7
        record.typeRefusal = number == 2 ? "The type parameter is invalid." : nil
        record.writerExit = number == 2 ? "status 18" : nil
        record.released.insert(10..<20)
        record.released.insert(30..<35)
        return record
    }

    static func session(_ number: Int64 = 1) throws -> SessionRecord {
        SessionRecord(
            upload: number, uploadID: "session-\(number)", assetID: "asset-\(number)",
            plan: try ChunkPlan(totalSize: 35, chunkSize: 10, totalChunks: 4),
            headers: [("x-amz-meta", "a: b"), ("x-empty", "")],
            expiresAt: Timestamp(millisecondsSince1970: 1_700_000_100_000),
            deadline: Timestamp(millisecondsSince1970: 1_700_000_099_000), sizeSource: .copiedSource)
    }

    static func chunk(_ index: Int, upload number: Int64 = 1, isClaimed: Bool = false) -> ChunkRecord {
        ChunkRecord(
            uploadID: "session-\(number)", index: index, generation: 2,
            stored: StoredChunk(etag: "etag-\(number)-\(index)", md5: "md5-\(index)", size: 10), isClaimed: isClaimed)
    }

    static func node(
        _ id: UInt64, in parent: UInt64, _ name: [UInt8], content: NodeRecord.Content? = nil
    ) -> NodeRecord {
        NodeRecord(
            id: id, parent: parent, name: name, content: content, mode: 0o640, userID: 1000, groupID: .max,
            accessTime: .init(seconds: -5, nanoseconds: 999_999_999),
            modificationTime: .init(seconds: 1_700_000_000, nanoseconds: 1),
            changeTime: .init(seconds: 1_700_000_001, nanoseconds: 2))
    }

    /// What makes up upload `number`, with its file.
    static func changes(_ number: Int64 = 1, state: UploadState = .finishing) throws -> [JournalChange] {
        let record = upload(number, state: state)
        return [.putUpload(record), .putSession(try session(number))]
            + (1...3).map { .putChunk(chunk($0, upload: number)) }
            + [
                .putNode(
                    node(
                        UInt64(100 + number), in: 2, Array("vidéo \(number).mp4".utf8),
                        content: .init(size: 35, spool: record.spool, upload: number)))
            ]
    }

    static let directories: [JournalChange] = [.putNode(node(1, in: 0, [])), .putNode(node(2, in: 1, [0x64, 0xFF]))]
}

extension StoreTestDirectory {
    func journal(boot: String = "boot") throws -> Journal { try Journal(stateDirectory: path, bootID: boot) }

    /// A journal whose log is put on disk so.
    func journal(synchronize: @escaping @Sendable (Int32) -> Int32) throws -> Journal {
        try Journal(stateDirectory: path, bootID: "boot", synchronize: synchronize)
    }

    /// What a journal that is opened now knows.
    func journalContents() throws -> JournalContents {
        let journal = try journal()
        defer { journal.close() }
        return journal.contents
    }
}

extension Journal {
    func write(_ changes: [JournalChange], durably: Bool = false) throws {
        enqueue { changes }
        try waitUntilWritten(durably: durably)
    }
}
