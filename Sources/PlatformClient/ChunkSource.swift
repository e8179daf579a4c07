import NIOCore

/// The bytes of one chunk, read piece by piece while they are sent.
public protocol ChunkSource: Sendable {
    /// How many bytes the chunk has; exactly as many are sent.
    var size: Int64 { get }

    /// Reads at most `count` bytes from `offset`, which counts from the chunk's beginning; at least one.
    ///
    /// What it throws ends the PUT: an ``UploadCore/UploadFailure`` is passed on as it is, anything else becomes `spoolFailed`.
    func read(at offset: Int64, count: Int) async throws -> ByteBuffer
}
