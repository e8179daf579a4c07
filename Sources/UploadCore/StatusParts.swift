import Formats

/// The state of an upload as people see it.
public enum UploadState: String, Sendable, CaseIterable {
    /// Its writer has not closed it.
    case open
    /// It is closed under a temporary name, and waits for the rename.
    case staged
    /// It is closed; the platform has not confirmed it.
    case finishing
    /// The platform has all of it.
    case completed
    /// Its writer did not finish; nothing of it becomes an asset.
    case interrupted
    /// It was cancelled.
    case failed
    /// It was removed or replaced before it was confirmed.
    case cancelled

    /// Whether anything is still to be done for it.
    public var isUnderWay: Bool {
        switch self {
        case .open, .staged, .finishing: true
        case .completed, .interrupted, .failed, .cancelled: false
        }
    }
}

/// Why an upload has not succeeded, as its document tells it.
public struct StatusError: Sendable, Equatable {
    /// The platform's own code where it gave one, else a word of ours.
    public var code: String
    /// What happened.
    public var message: String
    /// What to do about it.
    public var hint: String?
    /// The HTTP status, where an answer came.
    public var httpStatus: Int?
    /// The platform's name for the call that failed, which its support asks for.
    public var traceID: String?

    /// An error.
    public init(
        code: String, message: String, hint: String? = nil, httpStatus: Int? = nil, traceID: String? = nil
    ) {
        self.code = code
        self.message = message
        self.hint = hint
        self.httpStatus = httpStatus
        self.traceID = traceID
    }

    /// What a failure tells people.
    public init(_ failure: UploadFailure) {
        self.init(
            code: failure.code, message: failure.message, hint: failure.hint, httpStatus: failure.httpStatus,
            traceID: failure.traceID)
    }

    func write(to json: inout JSONWriter) {
        json.field("code", code)
        json.field("message", message)
        json.field("hint", hint)
        json.field("http_status", httpStatus)
        json.field("trace_id", traceID)
    }
}

/// One chunk in an upload's document.
public struct StatusChunk: Sendable, Equatable {
    /// How far a chunk is, in the order of the document's counts.
    public enum State: String, Sendable, CaseIterable {
        /// Not being sent.
        case pending
        /// Being sent.
        case uploading
        /// Stored, its ETag in hand, not reported.
        case uploaded
        /// Stored and reported.
        case completed
        /// Refused, or abandoned.
        case failed
    }

    /// From 1.
    public var chunkIndex: Int
    /// In bytes.
    public var size: Int64
    /// How far it is.
    public var state: State
    /// The store's `ETag` without its quotes.
    public var etag: String?
    /// How many times it was begun to be sent.
    public var attempts: Int

    /// A chunk.
    public init(chunkIndex: Int, size: Int64, state: State, etag: String? = nil, attempts: Int = 0) {
        self.chunkIndex = chunkIndex
        self.size = size
        self.state = state
        self.etag = etag
        self.attempts = attempts
    }

    func write(to json: inout JSONWriter) {
        json.field("chunk_index", chunkIndex)
        json.field("size", size)
        json.field("state", state.rawValue)
        json.field("etag", etag)
        json.field("attempts", attempts)
    }
}
