import Formats

/// Everything that is known of one upload, as people and scripts read it in `.status`.
///
/// Fields that exist in the API keep the API's names and meanings. No key and no presigned URL is ever in it.
public struct StatusDocument: Sendable, Equatable {
    /// The version of the document's format.
    public static let schema = 1
    /// Past so many chunks, the document lists only those that are not finished.
    public static let listedChunks = 1000

    /// Identifies the session; nil until there is one.
    public var uploadID: String?
    /// The asset that the upload becomes; nil until there is a session.
    public var assetID: String?
    /// What the session is called.
    public var filename: String
    /// Where the file is, from the root of the mount.
    public var path: String
    /// What the session is asked for.
    public var type: AssetKind?
    /// Why that is not what the file's name says that it is, in words.
    public var typeNote: String?
    /// How far it is.
    public var state: UploadState
    /// Why it has not succeeded, or not yet.
    public var error: StatusError?
    /// Size of the whole file in bytes, where it is known.
    public var totalSize: Int64?
    /// How the size became known.
    public var sizeSource: SizeSource?
    /// Bytes written into the file.
    public var bytesWritten: Int64
    /// Bytes that the store has of what was written.
    public var bytesUploaded: Int64
    /// Bytes a chunk; nil until there is a session.
    public var chunkSize: Int64?
    /// Number of chunks; nil until there is a session.
    public var totalChunks: Int?
    /// All chunks in order; which of them are listed is decided when the document is written.
    public var chunks: [StatusChunk]
    /// How many calls were repeated.
    public var retries: Int
    /// Bytes that are sent in a second, at present; nil while nothing moves.
    public var bytesPerSecond: Int64?
    /// How long it will take at that pace, in seconds; nil while nothing moves, or what is sent is lost again.
    public var etaSeconds: Int64?
    /// When the file was created.
    public var createdAt: Timestamp
    /// When its writer closed it.
    public var closedAt: Timestamp?
    /// When the platform confirmed it.
    public var completedAt: Timestamp?
    /// When the session ends.
    public var expiresAt: Timestamp?
    /// Where the asset can be read, where the platform said so.
    public var assetURL: String?
    /// What the platform makes of the asset.
    public var assetStatus: AssetState?
    /// Why the platform could make nothing of it.
    public var assetError: String?
    /// What the upload waits for.
    public var waitingFor: WaitingFor?
    /// When that is tried again, where it waits for a moment that is known.
    public var retryAt: Timestamp?
    /// Whether all its bytes are known to be on disk.
    public var durable: Bool
    /// Who writes, or wrote: `cp (pid 4242)`, `unknown`.
    public var writer: String?
    /// How that program failed after it had closed the file: `status 18`, `signal 9`. It may have closed less than it was to
    /// write.
    public var writerExit: String?
    /// Earlier versions of the name.
    public var supersededUploadIDs: [String]
    /// Sessions abandoned for this version.
    public var abandonedUploadIDs: [String]

    /// A document; everything that is not known at first has a default.
    public init(
        uploadID: String? = nil, assetID: String? = nil, filename: String, path: String, state: UploadState,
        error: StatusError? = nil, totalSize: Int64? = nil, sizeSource: SizeSource? = nil, bytesWritten: Int64 = 0,
        bytesUploaded: Int64 = 0, chunkSize: Int64? = nil, totalChunks: Int? = nil, chunks: [StatusChunk] = [],
        retries: Int = 0, bytesPerSecond: Int64? = nil, etaSeconds: Int64? = nil, createdAt: Timestamp,
        closedAt: Timestamp? = nil, completedAt: Timestamp? = nil, expiresAt: Timestamp? = nil,
        assetURL: String? = nil, assetStatus: AssetState? = nil, assetError: String? = nil,
        waitingFor: WaitingFor? = nil, retryAt: Timestamp? = nil, durable: Bool = false, writer: String? = nil,
        supersededUploadIDs: [String] = [], abandonedUploadIDs: [String] = []
    ) {
        self.uploadID = uploadID
        self.assetID = assetID
        self.filename = filename
        self.path = path
        self.state = state
        self.error = error
        self.totalSize = totalSize
        self.sizeSource = sizeSource
        self.bytesWritten = bytesWritten
        self.bytesUploaded = bytesUploaded
        self.chunkSize = chunkSize
        self.totalChunks = totalChunks
        self.chunks = chunks
        self.retries = retries
        self.bytesPerSecond = bytesPerSecond
        self.etaSeconds = etaSeconds
        self.createdAt = createdAt
        self.closedAt = closedAt
        self.completedAt = completedAt
        self.expiresAt = expiresAt
        self.assetURL = assetURL
        self.assetStatus = assetStatus
        self.assetError = assetError
        self.waitingFor = waitingFor
        self.retryAt = retryAt
        self.durable = durable
        self.writer = writer
        self.supersededUploadIDs = supersededUploadIDs
        self.abandonedUploadIDs = abandonedUploadIDs
    }
}

extension StatusDocument {
    /// How the size became known, from the strongest hint to none.
    public enum SizeSource: String, Sendable, CaseIterable {
        /// The writer said so: `ftruncate`, `fallocate`, or the xattr.
        case declared
        /// The file that cp, mv or install has open.
        case copiedSource = "copied-source"
        /// The file that another writer has open.
        case readSource = "read-source"
        /// `fallocate` that kept the size: a guess.
        case preallocated
        /// Nobody said; known since the file was closed.
        case close
    }

    /// What an upload waits for.
    public enum WaitingFor: String, Sendable, CaseIterable {
        /// The program that writes the file.
        case writer
        /// Space in the spool.
        case space = "room"
        /// A network that can be reached.
        case network
        /// A key that is not refused.
        case key
        /// The end of a rate limit.
        case rateLimit = "rate-limit"
    }

    /// How many chunks are in a state.
    public func count(of state: StatusChunk.State) -> Int {
        chunks.count { $0.state == state }
    }

    /// The document as JSON, every field in its place, `null` where nothing is known.
    public func json() -> String {
        var json = JSONWriter()
        json.object { json in
            writeIdentity(&json)
            writeChunks(&json)
            writeProgress(&json)
        }
        return json.document
    }

    private func writeIdentity(_ json: inout JSONWriter) {
        json.field("schema", Self.schema)
        json.field("upload_id", uploadID)
        json.field("asset_id", assetID)
        json.field("filename", filename)
        json.field("path", path)
        json.field("type", type?.rawValue)
        json.field("type_note", typeNote)
        json.field("state", state.rawValue)
        if let error {
            json.object("error") { error.write(to: &$0) }
        } else {
            json.null("error")
        }
        json.field("total_size", totalSize)
        json.field("size_source", sizeSource?.rawValue)
        json.field("bytes_written", bytesWritten)
        json.field("bytes_uploaded", bytesUploaded)
    }

    private func writeChunks(_ json: inout JSONWriter) {
        json.field("chunk_size", chunkSize)
        json.field("total_chunks", totalChunks)
        for state in StatusChunk.State.allCases {
            json.field("chunks_" + state.rawValue, count(of: state))
        }
        let listed = chunks.count > Self.listedChunks ? chunks.filter { $0.state != .completed } : chunks
        json.array("chunks", listed) { json, chunk in json.line { chunk.write(to: &$0) } }
    }

    private func writeProgress(_ json: inout JSONWriter) {
        json.field("retries", retries)
        json.field("bytes_per_second", bytesPerSecond)
        json.field("eta_seconds", etaSeconds)
        json.field("created_at", createdAt)
        json.field("closed_at", closedAt)
        json.field("completed_at", completedAt)
        json.field("expires_at", expiresAt)
        json.field("asset_url", assetURL)
        json.field("asset_status", assetStatus?.word)
        json.field("asset_error", assetError)
        json.field("waiting_for", waitingFor?.rawValue)
        json.field("retry_at", retryAt)
        json.field("durable", durable)
        json.field("writer", writer)
        json.field("writer_exit", writerExit)
        json.field("superseded_upload_ids", supersededUploadIDs)
        json.field("abandoned_upload_ids", abandonedUploadIDs)
    }
}
