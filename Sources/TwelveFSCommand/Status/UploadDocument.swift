import FoundationEssentials
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// One upload's status document, as far as the table shows it. Unknown words and missing fields are fine: the mount may be
/// served by another version.
package struct UploadDocument: Decodable, Equatable {
    package struct Failure: Decodable, Equatable {
        package var code: String?
        package var message: String?
        package var hint: String?
    }

    package var uploadID: String?
    package var assetID: String?
    package var filename: String?
    package var path: String?
    package var state: String?
    package var typeNote: String?
    package var writerExit: String?
    package var error: Failure?
    package var totalSize: Int64?
    package var bytesWritten: Int64?
    package var bytesUploaded: Int64?
    package var bytesPerSecond: Int64?
    package var etaSeconds: Int64?
    package var createdAt: String?
    package var assetStatus: String?
    package var assetError: String?
    package var waitingFor: String?
    package var retryAt: String?

    private enum CodingKeys: String, CodingKey {
        case uploadID = "upload_id"
        case assetID = "asset_id"
        case filename
        case path
        case state
        case typeNote = "type_note"
        case writerExit = "writer_exit"
        case error
        case totalSize = "total_size"
        case bytesWritten = "bytes_written"
        case bytesUploaded = "bytes_uploaded"
        case bytesPerSecond = "bytes_per_second"
        case etaSeconds = "eta_seconds"
        case createdAt = "created_at"
        case assetStatus = "asset_status"
        case assetError = "asset_error"
        case waitingFor = "waiting_for"
        case retryAt = "retry_at"
    }

    /// Whether nothing will change in it unless somebody asks for it.
    package var isSettled: Bool {
        switch state {
        case "completed": assetStatus == "ready" || assetStatus == "failed" || assetStatus == "unknown"
        case "failed", "interrupted", "cancelled": true
        default: false
        }
    }

    /// Whether it is still on its way.
    package var isUnderWay: Bool {
        switch state {
        case "completed", "failed", "interrupted", "cancelled": false
        default: true
        }
    }
}

/// The mount's summary, as far as the table shows it.
package struct SummaryFile: Decodable, Equatable {
    package struct Upload: Decodable, Equatable {
        package var id: String?
    }

    package var counts: [String: Int]?
    package var bytesPerSecond: Int64?
    package var spoolUsed: Int64?
    package var spoolLimit: Int64?
    package var uploads: [Upload]?

    private enum CodingKeys: String, CodingKey {
        case counts
        case bytesPerSecond = "bytes_per_second"
        case spoolUsed = "spool_used"
        case spoolLimit = "spool_limit"
        case uploads
    }
}

extension UploadDocument {
    /// Reads the document of what a user called `path`.
    ///
    /// - Throws: a ``CommandFailure`` when there is none, or when it makes no sense.
    static func read(_ document: String, of path: String) throws -> UploadDocument {
        do {
            let descriptor = try FileDescriptor.open(FilePath(document), .readOnly, options: .closeOnExec)
            let bytes = try descriptor.closeAfter { try descriptor.readAll(atMost: 64 << 20) }
            return try JSONDecoder().decode(UploadDocument.self, from: Data(bytes))
        } catch Errno.noSuchFileOrDirectory, Errno.notDirectory {
            throw CommandFailure.noUpload(of: path, document: document)
        } catch let error as Errno {
            throw CommandFailure("\(document) cannot be read: \(error.words)")
        } catch is DecodingError {
            throw CommandFailure("\(document) makes no sense", hint: "Is another version mounted there?")
        }
    }
}

extension CommandFailure {
    /// What a user called `path` has no status document, or none that they are shown.
    static func noUpload(of path: String, document: String) -> CommandFailure {
        let mount = document.firstRange(of: "/.status/").map { document[..<$0.lowerBound] }
        let isOfAnother = mount.map { MountPoint.isOfAnother(statusDirectory: "\($0)/.status") } ?? false
        return CommandFailure(
            isOfAnother ? "there is no upload of \(path) that you may see" : "there is no upload of \(path)",
            hint: "Has anything been written into it, and is it a video's name?"
                + (isOfAnother ? " Uploads of files that you may not read are shown to the mount's owner alone" : ""))
    }
}

extension MountPoint {
    /// Whether a mount belongs to another user, who may see more in its `.status`.
    static func isOfAnother(statusDirectory: String) -> Bool {
        guard geteuid() != 0, let owner = try? PathStatus(at: statusDirectory).owner else { return false }
        return owner != geteuid()
    }
}
