import Formats

/// Something about an upload that a journal has to know, so that another process can continue it.
///
/// The machine collects them in their order; what else there is to know (state, size, failure) is looked up when they
/// are taken.
public enum JournalDelta: Sendable, Equatable {
    /// The session is another one now, or none.
    case sessionChanged
    /// The store has this chunk, with the content that the file has.
    case stored(uploadID: String, index: Int, generation: Int, StoredChunk)
    /// What the store has of these chunks is not what the file holds, or not what the platform took.
    case unstored(uploadID: String, [Int])
    /// These chunks are about to be named in a report.
    case claimed(uploadID: String, [Int])
    /// The report that named these chunks had no effect.
    case unclaimed(uploadID: String, [Int])
    /// Anything else: where the upload stands, or what is said of it.
    case changed
}

/// What is known of an upload's session, for a journal. Its URLs are credentials, and are not part of it.
public struct SessionSnapshot: Sendable {
    /// Identifies the session.
    public var uploadID: String
    /// The asset that the upload becomes.
    public var assetID: String
    /// How the file is cut into chunks.
    public var plan: ChunkPlan
    /// What each PUT has to carry.
    public var headers: [(String, String)]
    /// When it ends by the platform's clock, for people.
    public var expiresAt: Timestamp?
    /// When it ends.
    public var deadline: Instant?
    /// What its size was believed on; nil when that was known.
    public var sizeSource: SizeHint.Source?

    /// A session's facts.
    public init(
        uploadID: String, assetID: String, plan: ChunkPlan, headers: [(String, String)] = [],
        expiresAt: Timestamp? = nil, deadline: Instant? = nil, sizeSource: SizeHint.Source? = nil
    ) {
        self.uploadID = uploadID
        self.assetID = assetID
        self.plan = plan
        self.headers = headers
        self.expiresAt = expiresAt
        self.deadline = deadline
        self.sizeSource = sizeSource
    }
}

extension UploadStateMachine {
    /// What a journal has to know and has not been told; it is told now.
    public mutating func takeDeltas() -> [JournalDelta] {
        defer { deltas = [] }
        return deltas
    }

    /// Whether there is anything of it.
    public var hasDeltas: Bool { !deltas.isEmpty }

    /// The session, while there is one.
    public var sessionSnapshot: SessionSnapshot? {
        session.map {
            SessionSnapshot(
                uploadID: $0.uploadID, assetID: $0.assetID, plan: $0.plan, headers: $0.headers,
                expiresAt: $0.expiresAt, deadline: $0.deadline, sizeSource: sessionSource)
        }
    }

    /// How far the version may go; nil until the last descriptor is closed.
    public var commitScope: CommitScope? { scope }

    /// Notes a chunk of the session's.
    mutating func record(_ delta: (_ uploadID: String, _ chunks: [Int]) -> JournalDelta, _ chunks: [Int]) {
        guard let session, !chunks.isEmpty else { return }
        deltas.append(delta(session.uploadID, chunks))
    }

    /// A stored chunk whose content has changed since is to be sent again.
    mutating func resendIfStale(_ index: Int) {
        guard let before = session?[index].state else { return }
        session?.resendIfStale(index)
        if session?[index].state != before { record(JournalDelta.unstored, [index]) }
    }
}
