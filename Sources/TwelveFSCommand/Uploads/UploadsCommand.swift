import ArgumentParser
import Formats
import FoundationEssentials
import Logging
import PlatformClient
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// `twelvefs uploads`.
struct UploadsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "uploads",
        abstract: "List the upload sessions that the platform still holds open.",
        discussion:
            "They may belong to a mount, or to anything else that uses the account. What nobody finishes expires by itself."
    )

    @OptionGroup(title: "Platform") var platform: PlatformOptions

    @Flag(name: .customLong("json"), help: "Print one JSON document.")
    var isJSON = false

    func run() throws {
        let environment = ProcessInfo.processInfo.environment
        let access = try platform.access(environment: environment)
        let logger = Logger(label: "twelvefs") { _ in LineLogHandler(sink: StandardErrorSink(), level: .error) }
        let client = try PlatformProbe.client(
            apiURL: platform.baseURL(environment: environment), access, logger)
        let uploads = try waitFor {
            do throws(UploadFailure) {
                let uploads = try await client.allIncompleteUploads()
                await client.shutdown()
                return uploads
            } catch {
                await client.shutdown()
                throw error
            }
        }
        Terminal.say(
            isJSON
                ? try UploadsTable.json(uploads)
                : UploadsTable.text(uploads, width: Terminal.size(STDOUT_FILENO)?.columns))
    }
}

/// The platform's open sessions, for people and for scripts.
package enum UploadsTable {
    package static func text(_ uploads: [IncompleteUpload], width: Int?) -> String {
        guard !uploads.isEmpty else { return "no open uploads\n" }
        var table = TextTable(columns: [
            .init(title: "UPLOAD", givesWay: true), .init(title: "STATE"), .init(title: "SIZE", isNumber: true),
            .init(title: "CHUNKS", isNumber: true), .init(title: "CREATED"), .init(title: "EXPIRES"),
        ])
        table.rows = uploads.map { upload in
            .init(cells: [
                upload.uploadID, upload.status.map(\.word) ?? "",
                upload.totalSize.map { ByteCount($0).description } ?? "",
                upload.totalChunks.map(String.init) ?? "", upload.createdAt?.rfc3339 ?? "",
                upload.expiresAt?.rfc3339 ?? "",
            ])
        }
        return table.lines(width: width).joined(separator: "\n") + "\n"
    }

    /// `{"uploads":[{…}]}`, fields as the API names them, those that it left out left out.
    package static func json(_ uploads: [IncompleteUpload]) throws -> String {
        let document = Document(uploads: uploads.map(Document.Upload.init))
        return String(decoding: try StateFile.encoded(document), as: UTF8.self)
    }

    private struct Document: Encodable {
        var uploads: [Upload]

        struct Upload: Encodable {
            var uploadID: String
            var status: String?
            var totalSize: Int64?
            var chunkSize: Int64?
            var totalChunks: Int?
            var createdAt: String?
            var expiresAt: String?

            init(_ upload: IncompleteUpload) {
                uploadID = upload.uploadID
                status = upload.status?.word
                totalSize = upload.totalSize
                chunkSize = upload.chunkSize
                totalChunks = upload.totalChunks
                createdAt = upload.createdAt?.rfc3339
                expiresAt = upload.expiresAt?.rfc3339
            }

            private enum CodingKeys: String, CodingKey {
                case uploadID = "upload_id"
                case status
                case totalSize = "total_size"
                case chunkSize = "chunk_size"
                case totalChunks = "total_chunks"
                case createdAt = "created_at"
                case expiresAt = "expires_at"
            }
        }
    }
}

extension SessionState {
    /// The API's word.
    fileprivate var word: String {
        switch self {
        case .active: "active"
        case .completed: "completed"
        case .failed: "failed"
        case .expired: "expired"
        case .unknown(let word): word
        }
    }
}
