extension UploadStateMachine {
    /// What does not change during an upload.
    public struct Configuration: Sendable {
        /// The largest file that is uploaded, in bytes; a hint beyond it is not believed. 10 GiB unless told otherwise:
        /// the platform's "up to 10 GB" may mean that, or less, which it says then.
        public var sizeLimit: Int64
        /// How much must be written before a session is opened on a hint, in bytes: the smallest part that an S3
        /// store takes, so that small files cost one session of the right size and nothing else.
        public var writtenBeforeSession: Int64
        /// How long nothing may move before whoever waits in close is answered.
        public var stallTimeout: Duration
        /// Retry or not.
        public var retryPolicy: RetryPolicy
        /// Chunks in one report: at most 50, says the platform's specification (`completed_chunks: maxItems: 50`).
        public var reportBatch: Int
        /// Reports under way at a time. Each may take a round trip and the platform's time for 50 chunks; more of them at once
        /// would only crowd out the calls of other uploads.
        public var reportsAtOnce: Int
        /// URLs in one request: at most 50, says the platform.
        public var urlBatch: Int
        /// How many URLs to keep at hand: the PUTs that can be under way, and as many again.
        public var urlReserve: Int
        /// How many sessions of one version may end before their time (they expire, or fail at the platform) before
        /// it is abandoned.
        public var sessionLimit: Int
        /// What the spool may hold, in bytes; nil when only the disk bounds it. Less than two chunks is too little.
        public var spaceLimit: Int64?
        /// Whether stored chunks may leave the spool before they are confirmed. Not where a close promises this machine's
        /// disk: the store's copy goes with its session.
        public var releasesChunks: Bool

        /// The defaults of the design.
        public init(
            sizeLimit: Int64 = 10 << 30, writtenBeforeSession: Int64 = 5 << 20, stallTimeout: Duration = .seconds(300),
            retryPolicy: RetryPolicy = RetryPolicy(), reportBatch: Int = 50, reportsAtOnce: Int = 8, urlBatch: Int = 50,
            urlReserve: Int = 8,
            sessionLimit: Int = 8,
            spaceLimit: Int64? = nil, releasesChunks: Bool = true
        ) {
            self.sizeLimit = sizeLimit
            self.writtenBeforeSession = writtenBeforeSession
            self.stallTimeout = stallTimeout
            self.retryPolicy = retryPolicy
            self.reportBatch = reportBatch
            self.reportsAtOnce = reportsAtOnce
            self.urlBatch = urlBatch
            self.urlReserve = urlReserve
            self.sessionLimit = sessionLimit
            self.spaceLimit = spaceLimit
            self.releasesChunks = releasesChunks
        }
    }
}
