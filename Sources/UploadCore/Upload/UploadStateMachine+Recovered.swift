/// An upload as another process left it: what its machine is made of again.
public struct RecoveredUpload: Sendable {
    /// Where it stood.
    public enum Standing: Sendable {
        /// Its writer had closed it: it is recovered.
        case committed(CommitScope)
        /// The platform had confirmed it.
        case completed
        /// Its file was removed when all of it may have become an asset, and what the platform has is still to be asked. Where
        /// that `mayBePromised`, one process has told that it is completed, or may have.
        case withdrawn(UploadFailure, mayBePromised: Bool)
        /// It ended otherwise, or its writer died with it: nothing becomes of it, unless it is tried once more as far as it
        /// was committed.
        case ended(UploadState, UploadFailure, CommitScope?)
    }

    /// A chunk that the store has.
    public struct Chunk: Sendable {
        /// From 1.
        public var index: Int
        /// The proof to report.
        public var etag: String
        /// Whether it was named in a report, whatever became of that.
        public var isClaimed: Bool

        /// A chunk.
        public init(index: Int, etag: String, isClaimed: Bool) {
            self.index = index
            self.etag = etag
            self.isClaimed = isClaimed
        }
    }

    /// Where it stood.
    public var standing: Standing
    /// In bytes.
    public var size: Int64
    /// The session that it had.
    public var session: SessionSnapshot?
    /// What the store has with the content that was committed.
    public var chunks: [Chunk] = []
    /// Sessions that were abandoned for it.
    public var abandonedUploadIDs: [String] = []
    /// Attempts beyond the first, so far.
    public var retries = 0
    /// What was wrong last.
    public var failure: UploadFailure?
    /// What became of the asset, as far as was known.
    public var asset: AssetStanding?
    /// Where the platform serves it.
    public var assetURL: String?
    /// Why the platform took no session of the type that the file's name tells.
    public var typeRefusal: UploadFailure?
    /// Bytes that are stored at the platform and no longer in the spool.
    public var released = SegmentMap()
    /// Why the bytes cannot be sent any more, if they cannot: all that is left to do is to ask, and to report.
    public var contentLoss: UploadFailure?

    /// What was left of an upload of `size` bytes.
    public init(_ standing: Standing, size: Int64) {
        self.standing = standing
        self.size = size
    }

    /// Whether bytes were released of which it is not known any more that the store has them, such as when the journal has lost a row:
    /// what is in their place in the spool are zeros.
    var lacksReleased: Bool {
        guard !released.isEmpty else { return false }
        guard let plan = session?.plan, plan.totalSize == size else { return true }
        let stored = Set(chunks.map(\.index))
        return (1...plan.totalChunks).contains { !stored.contains($0) && released.overlaps(plan.range(of: $0)) }
    }
}

extension UploadStateMachine {
    /// An upload that another process began.
    ///
    /// Nothing is sent before the platform has said whether its session lives: that is the first thing asked. Then only
    /// chunks are sent that are not known to be stored, and reports repeated of which it is not known what became.
    public init(configuration: Configuration, restoring left: RecoveredUpload, at now: Instant) {
        self.init(configuration: configuration, at: now)
        size = left.size
        abandonedUploadIDs = left.abandonedUploadIDs
        retries = left.retries
        failure = left.failure
        asset = left.asset
        assetURL = left.assetURL
        typeRefusal = left.typeRefusal
        contentLoss = left.contentLoss ?? (left.lacksReleased ? Self.cannotStartOver : nil)
        released = left.released
        sessionSource = left.session?.sizeSource
        if size > 0 { written.insert(0..<size) }
        switch left.standing {
        case .committed(let committed):
            scope = committed
            state = .finishing
            guard let snapshot = left.session, snapshot.plan.totalSize == size else { return }
            var session = OpenSession(snapshot)
            for chunk in left.chunks { session.restore(chunk) }
            for index in session.indices { session.offer(index) }
            self.session = session
            isUnverified = true
            isInherited = true
            progress.settle(at: position)
        case .completed:
            scope = .whole
            state = .completed
            isConfirmed = true
            guard let snapshot = left.session, snapshot.plan.totalSize == size else { return }
            var session = OpenSession(snapshot)
            session.restoreAll()
            self.session = session
        case .withdrawn(let reason, let mayBePromised):
            scope = .whole
            guard let snapshot = left.session else {
                state = .cancelled
                failure = reason
                return
            }
            failure = nil
            state = .finishing
            withdrawal = Withdrawal(reason: reason)
            session = OpenSession(snapshot)
            isInherited = mayBePromised
        case .ended(let end, let reason, let committed):
            state = end
            failure = reason
            scope = committed
            // A failed upload keeps its session for another try.
            guard end == .failed, let snapshot = left.session, snapshot.plan.totalSize == size else { return }
            var session = OpenSession(snapshot)
            for chunk in left.chunks { session.restore(chunk) }
            self.session = session
            isInherited = true
        }
    }

    /// Whether the bytes that another process wrote are not to be had any more.
    public var contentIsLost: Bool { contentLoss != nil }

    /// What the platform said of the session that another process opened. False when the usual course is to be taken.
    ///
    /// A session that is complete was reported in full, though the last of it may not have reached the journal. Only
    /// content that was final ever was: so this version's content is what it has.
    mutating func verifySession(
        _ verdict: SessionVerdict, at now: Instant, _ reaction: inout UploadReaction
    ) -> Bool {
        switch verdict.status {
        case .completed:
            guard scope == .whole else { return false }
            isUnverified = false
            session?.restoreAll()
            isConfirmed = true
            return true
        case .active, .unknown:
            guard refusal == nil else { return false }
            isUnverified = false
            for index in verdict.failedChunks where index >= 1 && index <= (session?.plan.totalChunks ?? 0) {
                if let session, released.overlaps(session.plan.range(of: index)) {
                    failIfReleasedIsNeeded(nil, &reaction)
                    return true
                }
                session?.sendAgain(index)
                record(JournalDelta.unstored, [index])
            }
            for index in session?.indices ?? 1...1 { session?.offer(index) }
            return true
        case .failed, .expired: return false
        }
    }

    /// Ends an upload that needs bytes which are lost: nothing could be sent but lies.
    mutating func endIfContentIsMissed(_ reaction: inout UploadReaction) {
        guard let contentLoss, state.isUnderWay, !isUnverified, withdrawal == nil else { return }
        guard let session else { return end(.interrupted, contentLoss, &reaction) }
        if !session.isFullyStored { end(.interrupted, contentLoss, &reaction) }
    }
}
