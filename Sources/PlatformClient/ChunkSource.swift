public import NIOCore

/// The bytes of one chunk, read piece by piece while they are sent.
public protocol ChunkSource: Sendable {
    /// How many bytes the chunk has; exactly as many are sent.
    var size: Int64 { get }

    /// Reads at most `count` bytes from `offset`, which counts from the chunk's beginning; at least one.
    ///
    /// What it throws ends the PUT: an ``UploadCore/UploadFailure`` is passed on as it is, anything else becomes `spoolFailed`.
    func read(at offset: Int64, count: Int) async throws -> ByteBuffer
}

/// What the store took.
public struct StoredChunk: Sendable, Equatable {
    /// The store's ETag without its quotes: the proof to report.
    public var etag: String
    /// The MD5 of the bytes that were sent, 32 lowercase hex digits.
    public var md5: String
    /// How many bytes were sent.
    public var size: Int64

    /// What the store took.
    public init(etag: String, md5: String, size: Int64) {
        self.etag = etag
        self.md5 = md5
        self.size = size
    }
}
