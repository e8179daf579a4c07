import Formats
import Foundation
import GRDB
import UploadCore

// How each record becomes a row, and back. The columns are those of JournalSchema.

/// What numbers in rows may be: what is counted from stays far below what there is no number after.
private enum Bounds {
    static let uploads: ClosedRange<Int64> = 1...1 << 53
    /// Numbers from 2^48 on are not the tree's, and new ones begin below 2^47.
    static let nodes: ClosedRange<Int64> = 1...3 << 46
    static let sizes: ClosedRange<Int64> = 0...Int64.max
    static let retries: ClosedRange<Int64> = 0...Int64(Int32.max)
    static let nanoseconds: ClosedRange<Int64> = 0...999_999_999
}

extension UploadRecord: JournalRow {
    package static let table = "uploads"
    package static let columns = [
        "number", "spool", "path", "filename", "type", "writer", "state", "scope", "size", "boot", "is_synced",
        "created", "closed", "completed", "failure_kind", "failure_code", "failure_message", "failure_hint",
        "failure_status", "asset_url", "asset_status", "asset_error", "superseded", "abandoned", "retries", "given_up",
        "type_refusal", "failure_trace", "writer_exit", "withdrawal", "is_undecided",
    ]
    package static let keyCount = 1
    package static let laterCount = 5

    package var values: [DatabaseValue] {
        [
            number.databaseValue, spool.databaseValue, Data(path.joined(separator: [UInt8(ascii: "/")])).databaseValue,
            filename.databaseValue, type.rawValue.databaseValue, writer.databaseValue, state.rawValue.databaseValue,
            scope.map { $0.journalName }.databaseValue, size.databaseValue,
            boot.databaseValue, synced.rawValue.databaseValue, created.millisecondsSince1970.databaseValue,
            (closed?.millisecondsSince1970).databaseValue, (completed?.millisecondsSince1970).databaseValue,
            (failure?.kind.rawValue).databaseValue, (failure?.code).databaseValue, (failure?.message).databaseValue,
            (failure?.hint).databaseValue, (failure?.httpStatus).databaseValue, assetURL.databaseValue,
            (assetStatus?.journalName).databaseValue, assetError.databaseValue,
            superseded.joined(separator: "\n").databaseValue, abandoned.joined(separator: "\n").databaseValue,
            retries.databaseValue,
            released.ranges.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: " ").databaseValue,
            typeRefusal.databaseValue, (failure?.traceID).databaseValue, writerExit.databaseValue,
            (withdrawal?.rawValue).databaseValue, (isUndecided ? 1 : nil).databaseValue,
        ]
    }

    package init?(_ row: RowReader) {
        number = row.integer(in: Bounds.uploads)
        guard let spool = row.optionalFileName() else { return nil }
        self.spool = spool
        path = row.bytes().split(separator: UInt8(ascii: "/")).map { Array($0) }
        filename = row.text()
        type = row.choice(AssetKind.self) ?? .video
        writer = row.optionalText()
        state = row.choice(UploadState.self) ?? .failed
        if let name = row.optionalText() {
            guard let known = CommitScope(journalName: name) else { return nil }
            scope = known
        }
        size = row.integer(in: Bounds.sizes)
        boot = row.text()
        synced = Synced(rawValue: Int(row.integer())) ?? .nothing
        created = Timestamp(millisecondsSince1970: row.integer())
        closed = row.optionalInteger().map { Timestamp(millisecondsSince1970: $0) }
        completed = row.optionalInteger().map { Timestamp(millisecondsSince1970: $0) }
        let kind = row.optionalChoice(UploadFailure.Kind.self)
        let (code, message, hint) = (row.optionalText(), row.optionalText(), row.optionalText())
        let status = row.optionalInteger().map { Int($0) }
        failure = kind.map {
            UploadFailure($0, code: code, message: message ?? "", hint: hint, httpStatus: status)
        }
        assetURL = row.optionalText()
        assetStatus = row.optionalText().map { AssetState(journalName: $0) }
        assetError = row.optionalText()
        superseded = row.text().split(separator: "\n").map(String.init)
        abandoned = row.text().split(separator: "\n").map(String.init)
        retries = Int(row.integer(in: Bounds.retries))
        for range in row.text().split(separator: " ") {
            let bounds = range.split(separator: "-").compactMap { Int64($0) }
            guard bounds.count == 2, bounds[0] < bounds[1] else { return nil }
            released.insert(bounds[0]..<bounds[1])
        }
        typeRefusal = row.optionalText()
        let trace = row.optionalText()
        failure?.traceID = trace
        writerExit = row.optionalText()
        if let number = row.optionalInteger() {
            guard let known = Withdrawal(rawValue: Int(number)) else { return nil }
            withdrawal = known
        }
        isUndecided = row.optionalInteger() != nil
        guard row.isSound else { return nil }
    }
}

extension SessionRecord: JournalRow {
    package static let table = "sessions"
    package static let columns = [
        "upload", "upload_id", "asset_id", "total_size", "chunk_size", "total_chunks", "headers", "expires_at",
        "deadline", "size_source",
    ]
    package static let keyCount = 1

    package var values: [DatabaseValue] {
        // Neither a name nor a value can have a line's end: the client refuses such headers.
        let headers = headers.flatMap { [$0.0, $0.1] }.joined(separator: "\n")
        return [
            upload.databaseValue, uploadID.databaseValue, assetID.databaseValue, plan.totalSize.databaseValue,
            plan.chunkSize.databaseValue, plan.totalChunks.databaseValue, headers.databaseValue,
            (expiresAt?.millisecondsSince1970).databaseValue, (deadline?.millisecondsSince1970).databaseValue,
            (sizeSource?.rawValue).databaseValue,
        ]
    }

    package init?(_ row: RowReader) {
        upload = row.integer(in: Bounds.uploads)
        uploadID = row.text()
        assetID = row.text()
        let (total, chunk, count) = (row.integer(), row.integer(), row.integer())
        guard let plan = try? ChunkPlan(totalSize: total, chunkSize: chunk, totalChunks: Int(count)) else { return nil }
        self.plan = plan
        let lines = row.text().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        headers = stride(from: 0, to: lines.count - 1, by: 2).map { (lines[$0], lines[$0 + 1]) }
        expiresAt = row.optionalInteger().map { Timestamp(millisecondsSince1970: $0) }
        deadline = row.optionalInteger().map { Timestamp(millisecondsSince1970: $0) }
        sizeSource = row.optionalChoice(SizeHint.Source.self)
        guard row.isSound else { return nil }
    }
}

extension AssetState {
    fileprivate var journalName: String {
        switch self {
        case .processing: "processing"
        case .ready: "ready"
        case .failed: "failed"
        case .unknown(let word): word
        }
    }

    fileprivate init(journalName: String) {
        let known: [AssetState] = [.processing, .ready, .failed]
        self = known.first { $0.journalName == journalName } ?? .unknown(journalName)
    }
}

extension ChunkRecord: JournalRow {
    package static let table = "chunks"
    package static let columns = ["upload_id", "chunk_index", "size", "generation", "etag", "md5", "is_claimed"]
    package static let keyCount = 2

    package var values: [DatabaseValue] {
        [
            uploadID.databaseValue, index.databaseValue, stored.size.databaseValue, generation.databaseValue,
            stored.etag.databaseValue, stored.md5.databaseValue, isClaimed.databaseValue,
        ]
    }

    package init?(_ row: RowReader) {
        uploadID = row.text()
        index = Int(row.integer(in: 1...Int64(ChunkPlan.maximumChunks)))
        let size = row.integer(in: Bounds.sizes)
        generation = Int(row.integer())
        let etag = row.text()
        stored = StoredChunk(etag: etag, md5: row.text(), size: size)
        isClaimed = row.integer() != 0
        guard row.isSound else { return nil }
    }
}

extension NodeRecord: JournalRow {
    /// What `is_plain` holds. An earlier version of twelvefs takes what is tainted for a partial file, which is not uploaded
    /// either.
    private static func standing(of content: Content?) -> Int64 {
        (content?.isLocalOnly ?? false ? 1 : 0) | (content?.isTainted ?? false ? 2 : 0)
    }

    package static let table = "nodes"
    package static let columns = [
        "id", "parent", "name", "is_directory", "mode", "uid", "gid", "atime", "atime_ns", "mtime", "mtime_ns",
        "ctime", "ctime_ns", "size", "spool", "upload", "is_plain",
    ]
    package static let keyCount = 1

    package var values: [DatabaseValue] {
        [
            Int64(bitPattern: id).databaseValue, Int64(bitPattern: parent).databaseValue, Data(name).databaseValue,
            (content == nil).databaseValue, mode.databaseValue, userID.databaseValue, groupID.databaseValue,
            accessTime.seconds.databaseValue, accessTime.nanoseconds.databaseValue,
            modificationTime.seconds.databaseValue, modificationTime.nanoseconds.databaseValue,
            changeTime.seconds.databaseValue, changeTime.nanoseconds.databaseValue,
            (content?.size).databaseValue, (content?.spool).databaseValue, (content?.upload).databaseValue,
            Self.standing(of: content).databaseValue,
        ]
    }

    package init?(_ row: RowReader) {
        id = UInt64(row.integer(in: Bounds.nodes))
        // The root's is 0.
        parent = UInt64(row.integer(in: 0...Bounds.nodes.upperBound))
        name = row.bytes()
        let isDirectory = row.integer() != 0
        let (mode, uid, gid) = (row.integer(), row.integer(), row.integer())
        (self.mode, userID, groupID) = (
            UInt32(truncatingIfNeeded: mode), UInt32(truncatingIfNeeded: uid), UInt32(truncatingIfNeeded: gid)
        )
        (accessTime, modificationTime, changeTime) = (Self.time(row), Self.time(row), Self.time(row))
        let (size, spool, upload) = (row.optionalInteger(), row.optionalFileName(), row.optionalInteger())
        let standing = row.integer()
        content =
            isDirectory
            ? nil
            : Content(
                size: size ?? 0, spool: spool, upload: upload, isLocalOnly: standing & 1 != 0,
                isTainted: standing & 2 != 0)
        guard row.isSound, Bounds.sizes.contains(size ?? 0), upload.map(Bounds.uploads.contains) ?? true else {
            return nil
        }
    }

    private static func time(_ row: RowReader) -> FileTime {
        FileTime(seconds: row.integer(), nanoseconds: row.integer(in: Bounds.nanoseconds))
    }
}

extension Optional where Wrapped: DatabaseValueConvertible {
    fileprivate var databaseValue: DatabaseValue { self?.databaseValue ?? .null }
}

extension CommitScope {
    /// As the journal's `scope` column has it.
    var journalName: String {
        switch self {
        case .whole: "whole"
        case .allButLast: "all-but-last"
        case .untilNamed: "until-named"
        }
    }

    /// Nil for what no version of the journal has written.
    init?(journalName: String) {
        switch journalName {
        case "whole": self = .whole
        case "all-but-last": self = .allButLast
        case "until-named": self = .untilNamed
        default: return nil
        }
    }
}
