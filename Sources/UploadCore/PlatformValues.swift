import Formats

// What the platform's calls take and give. Names follow the API's fields; what the platform may leave out is optional.

/// What kind of asset a file becomes: the `type` of a session.
public enum AssetKind: String, Sendable, CaseIterable {
    /// Moving pictures.
    case video
    /// Sound alone.
    case audio
    /// A still picture.
    case image
}

/// What a multipart upload session is created with.
public struct SessionRequest: Sendable {
    /// Base name of the file, 1 to 255 characters.
    public let filename: String
    /// What the file becomes.
    public var type: AssetKind
    /// Size of the whole file in bytes. It cannot be changed later.
    public var totalSize: Int64
    /// Whether to prepare the asset for streaming; not sent when nil.
    public var enableHLS: Bool?
    /// Whether to make a thumbnail; not sent when nil.
    public var enableThumbnail: Bool?
    /// The asset's `user_metadata`, in the order given; not sent when empty.
    public var metadata: [(key: String, value: MetadataValue)]

    /// A request for a session. Of a name that none may bear, what ``NamePolicy/sessionFilename(for:)`` makes of it is sent.
    public init(
        filename: String, type: AssetKind, totalSize: Int64, enableHLS: Bool? = nil, enableThumbnail: Bool? = nil,
        metadata: [(key: String, value: MetadataValue)] = []
    ) {
        self.filename = NamePolicy.sessionFilename(for: Array(filename.utf8))
        self.type = type
        self.totalSize = totalSize
        self.enableHLS = enableHLS
        self.enableThumbnail = enableThumbnail
        self.metadata = metadata
    }
}

/// An open multipart upload session.
public struct UploadSession: Sendable {
    /// Identifies the session.
    public var uploadID: String
    /// The asset that the upload becomes. Reserved at once.
    public var assetID: String
    /// The first URLs, by chunk index; maybe not for all chunks.
    public var urls: [Int: PresignedURL]
    /// Headers that each PUT to a presigned URL must carry, in the order given.
    public var uploadHeaders: [(String, String)]
    /// How the file is cut into chunks.
    public var plan: ChunkPlan
    /// How long the session lives: `expires_at` minus the answer's own `Date`. Nil when the platform did not say.
    public var expiresAfter: Duration?
    /// When the session ends by the platform's clock: for people to read, not to measure with.
    public var expiresAt: Timestamp?

    /// A session.
    public init(
        uploadID: String, assetID: String, urls: [Int: PresignedURL], uploadHeaders: [(String, String)],
        plan: ChunkPlan, expiresAfter: Duration? = nil, expiresAt: Timestamp? = nil
    ) {
        self.uploadID = uploadID
        self.assetID = assetID
        self.urls = urls
        self.uploadHeaders = uploadHeaders
        self.plan = plan
        self.expiresAfter = expiresAfter
        self.expiresAt = expiresAt
    }
}

/// A chunk that the store has, as the store answered.
public struct StoredChunk: Sendable, Equatable {
    /// The `ETag` without its quotes; the proof to report.
    public var etag: String
    /// MD5 of the bytes that were sent, in 32 hex digits.
    public var md5: String
    /// How many bytes were sent.
    public var size: Int64

    /// A stored chunk.
    public init(etag: String, md5: String, size: Int64) {
        self.etag = etag
        self.md5 = md5
        self.size = size
    }
}

/// One chunk in a report to the platform: `{chunk_index, proof, proof_type: "etag", chunk_size}`.
public struct ChunkReport: Sendable, Equatable {
    /// From 1.
    public var chunkIndex: Int
    /// The `proof`.
    public var etag: String
    /// The `chunk_size`: how many bytes this chunk has.
    public var size: Int64

    /// A chunk to report.
    public init(chunkIndex: Int, etag: String, size: Int64) {
        self.chunkIndex = chunkIndex
        self.etag = etag
        self.size = size
    }
}

/// The answer to a report of chunks.
public struct ReportAnswer: Sendable, Equatable {
    /// The asset.
    public var assetID: String?
    /// How many chunks of this report were new.
    public var processedChunks: Int?
    /// How many of them had been reported before; harmless.
    public var duplicateChunks: Int?
    /// How many chunks have been reported altogether.
    public var totalCompleted: Int?
    /// Where the asset can be read; present only when the upload is complete.
    public var url: String?

    /// An answer to a report.
    public init(
        assetID: String? = nil, processedChunks: Int? = nil, duplicateChunks: Int? = nil, totalCompleted: Int? = nil,
        url: String? = nil
    ) {
        self.assetID = assetID
        self.processedChunks = processedChunks
        self.duplicateChunks = duplicateChunks
        self.totalCompleted = totalCompleted
        self.url = url
    }
}

/// The status of a session, in the API's words.
public enum SessionState: Sendable, Equatable {
    /// Chunks can be sent and reported.
    case active
    /// All chunks were reported.
    case completed
    /// The platform failed it; only a new session helps.
    case failed
    /// The session's time is over; only a new session helps.
    case expired
    /// A word that this version does not know.
    case unknown(String)

    /// Reads the API's word.
    public init(_ word: String) {
        switch word {
        case "active": self = .active
        case "completed": self = .completed
        case "failed": self = .failed
        case "expired": self = .expired
        default: self = .unknown(word)
        }
    }
}

/// The status of a chunk, in the API's words.
public enum ChunkState: Sendable, Equatable {
    /// Not reported; it may be stored all the same.
    case pending
    /// Stored and reported.
    case completed
    /// To be sent and reported again.
    case failed
    /// A word that this version does not know.
    case unknown(String)

    /// Reads the API's word.
    public init(_ word: String) {
        switch word {
        case "pending": self = .pending
        case "completed": self = .completed
        case "failed": self = .failed
        default: self = .unknown(word)
        }
    }
}

/// One chunk in a session's status.
public struct ChunkStatus: Sendable, Equatable {
    /// From 1.
    public var index: Int
    /// What the platform knows of it.
    public var status: ChunkState
    /// When it was reported.
    public var uploadedAt: Timestamp?
    /// When its status last changed.
    public var updatedAt: Timestamp?
    /// Why it failed.
    public var error: String?

    /// A chunk's status.
    public init(
        index: Int, status: ChunkState, uploadedAt: Timestamp? = nil, updatedAt: Timestamp? = nil, error: String? = nil
    ) {
        self.index = index
        self.status = status
        self.uploadedAt = uploadedAt
        self.updatedAt = updatedAt
        self.error = error
    }
}

/// Where in a paged list an answer stands; pages are counted from 1.
public struct PageInfo: Sendable, Equatable {
    /// Entries a page.
    public var limitPerPage: Int?
    /// This page.
    public var page: Int?
    /// Number of pages.
    public var totalPage: Int?
    /// Number of entries on all pages.
    public var totalResults: Int?

    /// A place in a list.
    public init(limitPerPage: Int? = nil, page: Int? = nil, totalPage: Int? = nil, totalResults: Int? = nil) {
        self.limitPerPage = limitPerPage
        self.page = page
        self.totalPage = totalPage
        self.totalResults = totalResults
    }
}

/// One page of a list.
public struct Page<Item: Sendable>: Sendable {
    /// The page's entries; empty past the last page.
    public var items: [Item]
    /// Where in the list the page stands.
    public var info: PageInfo

    /// A page.
    public init(items: [Item], info: PageInfo = PageInfo()) {
        self.items = items
        self.info = info
    }
}

extension Page: Equatable where Item: Equatable {}

/// A session as the platform sees it.
public struct SessionStatus: Sendable, Equatable {
    /// Identifies the session.
    public var uploadID: String?
    /// Whether it lives.
    public var status: SessionState
    /// The chunks on this page.
    public var uploadedChunks: [ChunkStatus]
    /// Chunks stored and reported.
    public var chunksCompleted: Int?
    /// Chunks to be sent again.
    public var chunksFailed: Int?
    /// Chunks not reported.
    public var chunksPending: Int?
    /// Where in the list of chunks this page stands.
    public var pageInfo: PageInfo
    /// Size of the whole file in bytes.
    public var totalSize: Int64?
    /// Bytes of the chunks that were reported.
    public var uploadedSize: Int64?
    /// When the session was created.
    public var createdAt: Timestamp?
    /// When it last changed.
    public var updatedAt: Timestamp?

    /// A session's status.
    public init(
        uploadID: String? = nil, status: SessionState, uploadedChunks: [ChunkStatus] = [], chunksCompleted: Int? = nil,
        chunksFailed: Int? = nil, chunksPending: Int? = nil, pageInfo: PageInfo = PageInfo(), totalSize: Int64? = nil,
        uploadedSize: Int64? = nil, createdAt: Timestamp? = nil, updatedAt: Timestamp? = nil
    ) {
        self.uploadID = uploadID
        self.status = status
        self.uploadedChunks = uploadedChunks
        self.chunksCompleted = chunksCompleted
        self.chunksFailed = chunksFailed
        self.chunksPending = chunksPending
        self.pageInfo = pageInfo
        self.totalSize = totalSize
        self.uploadedSize = uploadedSize
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// A session that the platform still holds open.
public struct IncompleteUpload: Sendable, Equatable {
    /// Identifies the session.
    public var uploadID: String
    /// Whether it lives.
    public var status: SessionState?
    /// Size of the whole file in bytes.
    public var totalSize: Int64?
    /// Bytes a chunk.
    public var chunkSize: Int64?
    /// Number of chunks.
    public var totalChunks: Int?
    /// When the session was created.
    public var createdAt: Timestamp?
    /// When it ends.
    public var expiresAt: Timestamp?

    /// An incomplete upload.
    public init(
        uploadID: String, status: SessionState? = nil, totalSize: Int64? = nil, chunkSize: Int64? = nil,
        totalChunks: Int? = nil, createdAt: Timestamp? = nil, expiresAt: Timestamp? = nil
    ) {
        self.uploadID = uploadID
        self.status = status
        self.totalSize = totalSize
        self.chunkSize = chunkSize
        self.totalChunks = totalChunks
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }
}
