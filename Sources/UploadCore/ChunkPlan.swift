import Formats

/// How the platform cuts a file into chunks: all of `chunkSize` bytes but the last, numbered from 1.
///
/// The platform chooses the chunk size when a session is created. What it says is checked once, here, so that all
/// arithmetic behind it is safe.
public struct ChunkPlan: Sendable, Equatable {
    /// Size of the whole file in bytes, at least 1.
    public let totalSize: Int64
    /// Size of every chunk but the last in bytes, at least 1.
    public let chunkSize: Int64
    /// Number of chunks: the total size divided by the chunk size, rounded up.
    public let totalChunks: Int

    /// The most chunks that an upload may have: as many as S3 takes parts of one object. Whatever is kept for each chunk is
    /// bounded by it.
    public static let maximumChunks = 10_000

    /// Checks the platform's numbers.
    ///
    /// - Throws: an `unreadableAnswer` naming the field that makes no sense.
    public init(totalSize: Int64, chunkSize: Int64, totalChunks: Int) throws(UploadFailure) {
        guard totalSize > 0 else {
            throw Self.nonsense("total_size is \(totalSize); a positive number was expected")
        }
        guard chunkSize > 0 else {
            throw Self.nonsense("chunk_size is \(chunkSize); a positive number was expected")
        }
        let expected = (totalSize - 1) / chunkSize + 1
        guard expected == Int64(totalChunks) else {
            throw Self.nonsense(
                "total_chunks is \(totalChunks), but \(totalSize) bytes in chunks of \(chunkSize) make \(expected)")
        }
        guard totalChunks <= Self.maximumChunks else {
            throw Self.nonsense(
                "chunk_size is \(chunkSize), which cuts \(totalSize) bytes into \(totalChunks) chunks; "
                    + "an upload has at most \(Self.maximumChunks)")
        }
        self.totalSize = totalSize
        self.chunkSize = chunkSize
        self.totalChunks = totalChunks
    }

    /// The bytes of a chunk, as offsets within the file.
    ///
    /// - Precondition: `chunkIndex` is in `1...totalChunks`.
    public func range(of chunkIndex: Int) -> Range<Int64> {
        precondition((1...totalChunks).contains(chunkIndex), "no such chunk")
        let start = Int64(chunkIndex - 1) * chunkSize
        return start..<start + min(chunkSize, totalSize - start)
    }

    /// How many bytes a chunk has.
    ///
    /// - Precondition: `chunkIndex` is in `1...totalChunks`.
    public func size(of chunkIndex: Int) -> Int64 {
        let range = range(of: chunkIndex)
        return range.upperBound - range.lowerBound
    }

    /// How many bytes so many chunks have, all of full size; never more than the file. A chunk may be called larger than the file is.
    public func bytes(ofChunks count: Int64) -> Int64 {
        min(count.multipliedClamped(by: chunkSize), totalSize)
    }

    /// Indices of the chunks that share a byte with the range; empty when the range is, or when it lies outside the file.
    public func chunks(touching range: Range<Int64>) -> Range<Int> {
        let inside = range.clamped(to: 0..<totalSize)
        guard !inside.isEmpty else { return 1..<1 }
        return Int(inside.lowerBound / chunkSize) + 1..<Int((inside.upperBound - 1) / chunkSize) + 2
    }

    private static func nonsense(_ what: String) -> UploadFailure {
        UploadFailure(.unreadableAnswer, message: "The platform's answer makes no sense: \(what).")
    }
}
