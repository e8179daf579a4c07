/// One upload's status document, as far as the table shows it. Unknown words and missing fields are fine: the mount may be
/// served by another version.
struct UploadDocument: Decodable, Equatable {
    struct Failure: Decodable, Equatable {
        var code: String?
        var message: String?
        var hint: String?
    }

    var uploadID: String?
    var assetID: String?
    var filename: String?
    var path: String?
    var state: String?
    var error: Failure?
    var totalSize: Int64?
    var bytesWritten: Int64?
    var bytesUploaded: Int64?
    var bytesPerSecond: Int64?
    var etaSeconds: Int64?
    var createdAt: String?
    var assetStatus: String?
    var assetError: String?
    var waitingFor: String?

    private enum CodingKeys: String, CodingKey {
        case uploadID = "upload_id"
        case assetID = "asset_id"
        case filename
        case path
        case state
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
    }

    /// Whether nothing will change in it unless somebody asks for it.
    var isSettled: Bool {
        switch state {
        case "completed": assetStatus == "ready" || assetStatus == "failed"
        case "failed", "interrupted", "cancelled": true
        default: false
        }
    }

    /// Whether it is still on its way.
    var isUnderWay: Bool {
        switch state {
        case "completed", "failed", "interrupted", "cancelled": false
        default: true
        }
    }
}

/// The mount's summary, as far as the table shows it.
struct SummaryFile: Decodable, Equatable {
    struct Upload: Decodable, Equatable {
        var id: String?
    }

    var counts: [String: Int]?
    var bytesPerSecond: Int64?
    var spoolUsed: Int64?
    var spoolLimit: Int64?
    var uploads: [Upload]?

    private enum CodingKeys: String, CodingKey {
        case counts
        case bytesPerSecond = "bytes_per_second"
        case spoolUsed = "spool_used"
        case spoolLimit = "spool_limit"
        case uploads
    }
}
