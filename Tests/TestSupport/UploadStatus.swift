import Foundation

/// A document of `.status/`, as a reader of it sees it.
package struct UploadStatus: Sendable, Decodable {
    package struct Failure: Sendable, Decodable {
        package let code: String
        package let message: String
        package let hint: String?
        package let httpStatus: Int?
    }

    package struct Chunk: Sendable, Decodable {
        package let chunkIndex: Int
        package let size: Int
        package let state: String
        package let etag: String?
        package let attempts: Int
    }

    package let schema: Int
    package let uploadId: String?
    package let assetId: String?
    package let filename: String
    package let path: String
    package let type: String?
    package let typeNote: String?
    package let state: String
    package let error: Failure?
    package let totalSize: Int?
    package let sizeSource: String?
    package let bytesWritten: Int
    package let bytesUploaded: Int
    package let chunkSize: Int?
    package let totalChunks: Int?
    package let chunksPending: Int
    package let chunksUploading: Int
    package let chunksUploaded: Int
    package let chunksCompleted: Int
    package let chunksFailed: Int
    package let chunks: [Chunk]
    package let retries: Int
    package let bytesPerSecond: Int?
    package let etaSeconds: Int?
    package let createdAt: String
    package let closedAt: String?
    package let completedAt: String?
    package let expiresAt: String?
    package let assetUrl: String?
    package let assetStatus: String?
    package let waitingFor: String?
    package let retryAt: String?
    package let durable: Bool
    package let writer: String?
    package let writerExit: String?
    package let supersededUploadIds: [String]
    package let abandonedUploadIds: [String]

    /// Reads a document.
    package static func decode(_ data: Data) throws -> UploadStatus {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(UploadStatus.self, from: data)
    }
}
