import NIOCore
import PlatformClient
import UploadCore

/// The platform and its store, as an engine calls them: each method is one attempt. ``PlatformClient`` makes them over the
/// network; tests have a platform without one.
public protocol UploadPlatform: Sendable {
    /// What the answers so far say about how many calls are left.
    var rateLimits: RateLimits { get }

    /// Opens a session.
    func createSession(_ request: SessionRequest) async throws(UploadFailure) -> UploadSession

    /// URLs for `count` chunks from `start` on; perhaps fewer.
    func requestURLs(
        for uploadID: String, start: Int, count: Int
    ) async throws(UploadFailure) -> [Int: PresignedURL]

    /// Reports stored chunks.
    func report(_ chunks: [ChunkReport], for uploadID: String) async throws(UploadFailure) -> ReportAnswer

    /// The session, and one page of its chunks.
    func sessionStatus(_ uploadID: String, page: Int, limit: Int) async throws(UploadFailure) -> SessionStatus

    /// The state of every chunk of a session; `first` is the first page, where it is known already.
    func allChunkStatuses(
        _ uploadID: String, from first: SessionStatus?
    ) async throws(UploadFailure) -> [ChunkStatus]

    /// Stores one chunk; `onBytesSent` is told how many more bytes are on their way.
    func put(
        _ source: some ChunkSource, to url: PresignedURL, headers: [(String, String)],
        onBytesSent: @Sendable @escaping (Int) -> Void
    ) async throws(UploadFailure) -> StoredChunk

    /// Part of an asset's content, from where the platform serves it.
    func content(at url: String, range: Range<Int64>, totalSize: Int64) async throws(UploadFailure) -> ByteBuffer

    /// One asset.
    func asset(_ assetID: String) async throws(UploadFailure) -> Asset

    /// Several assets, at most 50.
    func assets(_ ids: [String]) async throws(UploadFailure) -> AssetList

    /// Deletes an asset to which nothing refers.
    func deleteAsset(_ assetID: String) async throws(UploadFailure)

    /// Returns when the platform accepts the key.
    func checkKey() async throws(UploadFailure)
}

extension PlatformClient: UploadPlatform {}
