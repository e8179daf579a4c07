import Formats

// What the platform's calls tell of assets. Names follow the API's fields; what the platform may leave out is optional.

/// The status of an asset, in the API's words.
public enum AssetState: Sendable, Equatable {
    /// Not usable yet.
    case processing
    /// Usable.
    case ready
    /// The platform could not make use of the file.
    case failed
    /// A word that this version does not know.
    case unknown(String)

    /// Reads the API's word.
    public init(_ word: String) {
        switch word {
        case "processing": self = .processing
        case "ready": self = .ready
        case "failed": self = .failed
        default: self = .unknown(word)
        }
    }

    /// The API's word.
    public var word: String {
        switch self {
        case .processing: "processing"
        case .ready: "ready"
        case .failed: "failed"
        case .unknown(let word): word
        }
    }
}

/// What the platform made, or is making, of an upload.
public struct Asset: Sendable, Equatable {
    /// The `_id`.
    public var id: String
    /// How it came to the platform: `multipart` for ours.
    public var method: String?
    /// Whether it can be used.
    public var status: AssetState?
    /// The session's `filename`.
    public var filename: String?
    /// Its MIME type.
    public var fileType: String?
    /// When it was created.
    public var createdAt: Timestamp?
    /// Size in bytes; known once it is ready.
    public var size: Int64?
    /// Size of the file that it was made from, in bytes: `technical_metadata.file_size_bytes`.
    public var sourceSize: Int64?
    /// Playing time in seconds; known once it is ready.
    public var duration: Double?
    /// Why processing failed: the `message` of the API's `error`.
    public var error: String?

    /// An asset.
    public init(
        id: String, method: String? = nil, status: AssetState? = nil, filename: String? = nil, fileType: String? = nil,
        createdAt: Timestamp? = nil, size: Int64? = nil, sourceSize: Int64? = nil, duration: Double? = nil,
        error: String? = nil
    ) {
        self.id = id
        self.method = method
        self.status = status
        self.filename = filename
        self.fileType = fileType
        self.createdAt = createdAt
        self.size = size
        self.sourceSize = sourceSize
        self.duration = duration
        self.error = error
    }
}

/// What the platform knows of the assets that were asked for.
public struct AssetList: Sendable, Equatable {
    /// Those that can be read, perhaps more than were asked for.
    public var assets: [Asset]

    /// A list.
    public init(assets: [Asset]) {
        self.assets = assets
    }
}
