import Formats

/// What a mount is doing, as people and scripts read it in `.status/summary.json`. It names no files: everybody may read it.
public struct SummaryDocument: Sendable, Equatable {
    /// One upload that is under way.
    public struct Upload: Sendable, Equatable {
        /// What its own document is called in `.status`, without `.json`: the session's id, or `pending-<n>` before
        /// there is one.
        public var id: String
        /// Identifies the session; nil until there is one.
        public var uploadID: String?
        /// How far it is.
        public var state: UploadState
        /// Size of the whole file in bytes, where it is known.
        public var totalSize: Int64?
        /// Bytes that the store has.
        public var bytesUploaded: Int64
        /// Bytes that are sent in a second, at present; nil while nothing moves.
        public var bytesPerSecond: Int64?
        /// What it waits for.
        public var waitingFor: StatusDocument.WaitingFor?

        /// An upload under way.
        public init(
            id: String, uploadID: String? = nil, state: UploadState, totalSize: Int64? = nil,
            bytesUploaded: Int64 = 0, bytesPerSecond: Int64? = nil, waitingFor: StatusDocument.WaitingFor? = nil
        ) {
            self.id = id
            self.uploadID = uploadID
            self.state = state
            self.totalSize = totalSize
            self.bytesUploaded = bytesUploaded
            self.bytesPerSecond = bytesPerSecond
            self.waitingFor = waitingFor
        }

        /// How much of it the store has, from 0 to 100, rounded down: 100 means all of it. Nil while the size is not known.
        public var percent: Int? {
            guard let totalSize, totalSize > 0 else { return nil }
            let done = min(max(bytesUploaded, 0), totalSize)
            return Int(totalSize.dividingFullWidth(done.multipliedFullWidth(by: 100)).quotient)
        }
    }

    /// The version of the document's format. The first told paths, which not everybody may know.
    public static let schema = 2

    /// Where the file system is mounted.
    public var mountpoint: String
    /// What a close promises: `upload` or `spool`.
    public var closeMode: String
    /// How many uploads are in each state; none where a state is missing.
    public var counts: [UploadState: Int]
    /// What became of the assets of completed uploads.
    public var assets: AssetCounts
    /// Bytes written into the mount since it was mounted. Never falls.
    public var bytesWritten: Int64
    /// Bytes that the store took since then, those sent again counted again. Never falls.
    public var bytesUploaded: Int64
    /// Bytes that all uploads together send in a second, at present; nil while nothing moves.
    public var bytesPerSecond: Int64?
    /// How many calls were repeated since it was mounted. Never falls.
    public var retries: Int
    /// Bytes that the spool takes on its disk.
    public var spoolUsed: Int64
    /// Bytes that it may take: the limit that was set, or what it takes and may still take of the disk.
    public var spoolLimit: Int64?
    /// How many calls are left before the platform asks to wait; nil where it does not tell.
    public var rateLimit: RateLimit?
    /// How many writers were refused since it was mounted, and why the last one was; nil when none was.
    public var refusedWriters: RefusedWriters?
    /// The uploads that are under way.
    public var uploads: [Upload]

    /// A summary.
    public init(
        mountpoint: String, closeMode: String, counts: [UploadState: Int] = [:], assets: AssetCounts = AssetCounts(),
        bytesWritten: Int64 = 0,
        bytesUploaded: Int64 = 0, bytesPerSecond: Int64? = nil, retries: Int = 0, spoolUsed: Int64 = 0,
        spoolLimit: Int64? = nil, rateLimit: RateLimit? = nil, uploads: [Upload] = []
    ) {
        self.mountpoint = mountpoint
        self.closeMode = closeMode
        self.counts = counts
        self.assets = assets
        self.bytesWritten = bytesWritten
        self.bytesUploaded = bytesUploaded
        self.bytesPerSecond = bytesPerSecond
        self.retries = retries
        self.spoolUsed = spoolUsed
        self.spoolLimit = spoolLimit
        self.rateLimit = rateLimit
        self.uploads = uploads
        refusedWriters = nil
    }

    /// The document as JSON.
    public func json() -> String {
        var json = JSONWriter()
        json.object { json in
            json.field("schema", Self.schema)
            json.field("mountpoint", mountpoint)
            json.field("close_mode", closeMode)
            json.object("counts") { json in
                for state in UploadState.allCases {
                    json.field(state.rawValue, counts[state, default: 0])
                }
            }
            json.object("assets") { json in
                for (status, count) in assets.byStatus { json.field(status, count) }
                json.field(AssetIssue.sizeDiffers, assets.sizeDiffers)
            }
            json.field("bytes_written", bytesWritten)
            json.field("bytes_uploaded", bytesUploaded)
            json.field("bytes_per_second", bytesPerSecond)
            json.field("retries", retries)
            json.field("spool_used", spoolUsed)
            json.field("spool_limit", spoolLimit)
            if let rateLimit {
                json.object("rate_limit") { json in
                    json.field("remaining", rateLimit.remaining)
                    json.field("limit", rateLimit.limit)
                    json.field("resets_at", rateLimit.resetsAt)
                }
            } else {
                json.null("rate_limit")
            }
            if let refusedWriters {
                json.object("refused_writers") { json in
                    json.field("count", refusedWriters.count)
                    json.field("reason", refusedWriters.last.refusal.message)
                    json.field("hint", refusedWriters.last.hint)
                }
            } else {
                json.null("refused_writers")
            }
            json.array("uploads", uploads) { json, upload in json.line { upload.write(to: &$0) } }
        }
        return json.document
    }
}

/// Writers that were refused, since nobody could have told whether they were killed half-way.
public struct RefusedWriters: Sendable, Equatable {
    /// How many.
    public var count: Int
    /// Why the last one was.
    public var last: UnseenWriter

    /// So many, the last one for this reason.
    public init(count: Int, last: UnseenWriter) {
        self.count = count
        self.last = last
    }
}

/// How many assets stand how.
public struct AssetCounts: Sendable, Equatable {
    /// Not usable yet, as far as is known.
    public private(set) var processing = 0
    /// Usable.
    public private(set) var ready = 0
    /// The platform could not process them.
    public private(set) var failed = 0
    /// The platform does not tell what became of them.
    public private(set) var unknown = 0
    /// Usable, but of another size than the file.
    public private(set) var sizeDiffers = 0

    /// None.
    public init() {}

    /// Counts the asset of a completed upload; nil stands for one of which nothing is known yet.
    public mutating func count(_ standing: AssetStanding?) {
        switch standing?.status {
        case .ready: ready += 1
        case .failed: failed += 1
        case .unknown where standing?.isDecided ?? false: unknown += 1
        case .processing, .unknown, nil: processing += 1
        }
        if standing?.issue?.code == AssetIssue.sizeDiffers { sizeDiffers += 1 }
    }

    /// The counts by `asset_status`.
    var byStatus: [(status: String, count: Int)] {
        [("processing", processing), ("ready", ready), ("failed", failed), ("unknown", unknown)]
    }
}

extension SummaryDocument.Upload {
    fileprivate func write(to json: inout JSONWriter) {
        json.field("id", id)
        json.field("upload_id", uploadID)
        json.field("state", state.rawValue)
        json.field("total_size", totalSize)
        json.field("bytes_uploaded", bytesUploaded)
        json.field("percent", percent)
        json.field("bytes_per_second", bytesPerSecond)
        json.field("waiting_for", waitingFor?.rawValue)
    }
}
