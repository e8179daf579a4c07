/// One session and the asset that it makes. Its description on disk is its JSON.
struct SandboxUpload: Codable, Sendable {
    struct ReportedChunk: Codable, Sendable {
        var etag: String
        var size: Int64
        var at: WallTime
    }

    enum Status: String, Codable, Sendable { case active, completed, failed, expired }

    let uploadID: String
    let assetID: String
    let filename: String
    let type: String
    let totalSize: Int64
    let chunkSize: Int64
    let totalChunks: Int
    let createdAt: WallTime
    var expiresAt: WallTime
    var updatedAt: WallTime
    var options: SandboxJSON
    /// `active`, `completed` or `failed`; that a session is expired is told by the time.
    var storedStatus: Status = .active
    var reported: [Int: ReportedChunk] = [:]
    /// Chunks that the platform could not take although they were reported: why.
    var failed: [Int: String] = [:]
    var completedAt: WallTime?
    /// When the session reads `completed`; nil: as soon as it is.
    var confirmedAt: WallTime?
    /// When the asset can be found; nil: as soon as its id is given out.
    var visibleAt: WallTime?
    /// When the asset leaves `processing`.
    var processedAt: WallTime?
    /// The size that the asset says it has; nil: its own.
    var reportedSize: Int64?
    /// Why the asset failed; nil when it did not.
    var assetFailure: String?
    /// Something refers to the asset: it is deleted only with `force`.
    var isReferredTo = false
    var deleted = false
    var sha256: String?

    /// What is stored, by chunk; described in files of their own, beside the parts.
    var parts: [Int: StoredPart] = [:]
    /// Serials of URLs that were used; kept in a file of their own.
    var spentSerials: Set<String> = []

    /// All but what has files of its own.
    enum CodingKeys: String, CodingKey {
        case uploadID, assetID, filename, type, totalSize, chunkSize, totalChunks, createdAt, expiresAt, updatedAt
        case options, storedStatus, reported, failed, completedAt, confirmedAt, visibleAt, processedAt, reportedSize,
            assetFailure, isReferredTo, deleted
        case sha256
    }

    func status(at now: WallTime) -> Status {
        switch storedStatus {
        case .active: now >= expiresAt ? .expired : .active
        case .completed: confirmedAt.map { now < $0 } ?? false ? .active : .completed
        case .failed, .expired: storedStatus
        }
    }

    /// Whether the asset can be found: it was not deleted, and it is not too early.
    func isVisible(at now: WallTime) -> Bool {
        !deleted && (visibleAt.map { now >= $0 } ?? true)
    }

    /// Bytes that the chunk has to have; nil for a number that is none of this session's.
    func size(ofChunk index: Int) -> Int64? {
        guard index >= 1, index <= totalChunks else { return nil }
        return min(chunkSize, totalSize - Int64(index - 1) * chunkSize)
    }

    var isComplete: Bool { storedStatus == .completed }
}

/// A chunk that the store holds.
struct StoredPart: Codable, Sendable, Equatable {
    /// The file's name in the session's directory.
    var file: String
    /// Without quotes.
    var etag: String
    var size: Int64
}

/// An asset as `GET /_sandbox/assets` tells it.
public struct SandboxAsset: Sendable, Equatable {
    /// The asset.
    public var assetID: String
    /// Its session.
    public var uploadID: String
    /// The name that *create* gave.
    public var filename: String
    /// `video`, `audio` or `image`.
    public var type: String
    /// Bytes.
    public var size: Int64
    /// Of the whole content, hexadecimal; only of a complete asset that was not deleted.
    public var sha256: String?
    /// `processing`, `ready` or `failed`.
    public var status: String
    /// The session's status: `active`, `completed`, `failed` or `expired`.
    public var sessionStatus: String
    /// Whether every chunk was reported.
    public var complete: Bool
    /// Whether it was deleted.
    public var deleted: Bool
    /// The object that *create* gave as `user_metadata`, `enable_hls` and `enable_thumbnail`.
    public var options: SandboxJSON

    var json: SandboxJSON {
        var members: [String: SandboxJSON] = [
            "asset_id": .string(assetID), "upload_id": .string(uploadID), "filename": .string(filename),
            "type": .string(type), "size": .integer(size), "status": .string(status),
            "session_status": .string(sessionStatus), "complete": .bool(complete), "deleted": .bool(deleted),
            "options": options,
        ]
        if let sha256 { members["sha256"] = .string(sha256) }
        return .object(members)
    }
}
