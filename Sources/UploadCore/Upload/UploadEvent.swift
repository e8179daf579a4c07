/// What happens to an upload, as the state machine is told it.
///
/// Events hold plain values; the time they happened comes beside them, and so does randomness where a decision wants it.
public enum UploadEvent: Sendable {
    // The writer.

    /// These bytes of the file, already in the spool, are new.
    case wrote(Range<Int64>)
    /// The file was cut or extended to this size, in bytes.
    case truncated(to: Int64)
    /// What waits for a name is about to be written again.
    case reopened
    /// What is believed of the final size; nil takes an earlier belief back.
    case hinted(SizeHint?)
    /// The last descriptor is closed: the content is final and is to become an asset, or to be held ready to become one.
    case committed(CommitScope)
    /// The writer did not finish: nothing becomes of these bytes.
    case interrupted(UploadFailure)
    /// The file was removed or replaced before it was confirmed. It is withdrawn first where all of it may have been reported.
    case cancelled(UploadFailure)
    /// A user wants what ended badly tried once more.
    case retried

    // The platform's answers, each to the call of that serial.

    /// A session is open.
    case sessionOpened(CallID, UploadSession)
    /// More presigned URLs, by chunk index; perhaps fewer than asked for.
    case urlsReceived(CallID, [Int: PresignedURL])
    /// The report of these chunks was accepted.
    case reported(CallID, [ChunkReport], ReportAnswer)
    /// The session's status, with the indices of chunks that it does not call completed.
    case sessionChecked(CallID, SessionVerdict)
    /// What the platform says of the asset of a session that does not tell whether it is complete.
    case assetChecked(CallID, AssetState?)
    /// The call was not made, and none is before ``callsReleased``: no upload makes any, for this reason, and until that
    /// moment where it is known. Without an id, calls that are held back already are so for this reason now.
    case callHeldBack(CallID?, UploadFailure, until: Instant? = nil)
    /// Calls may be made again; at least one.
    case callsReleased
    /// The asset of an upload that is withdrawn was deleted.
    case assetDeleted(CallID)
    /// Something new became known of the asset of a completed upload.
    case assetLearned(AssetStanding)
    /// A call failed; `random` in 0..<1 spreads the retries.
    case callFailed(CallID, UploadFailure, random: Double)

    // The store's answers.

    /// The network took so many more bytes of the chunk. They may be lost again.
    case bytesSent(ChunkPut, Int64)
    /// The chunk is stored.
    case chunkStored(ChunkPut, StoredChunk)
    /// The PUT failed; `random` in 0..<1 spreads the retries.
    case chunkFailed(ChunkPut, UploadFailure, random: Double)

    /// No chunk is sent, of no upload, for this reason, and until that moment where it is known; nil: chunks are sent again.
    case chunksHeldBack(UploadFailure?, until: Instant? = nil)

    /// Time passed: ``UploadStateMachine/nextDeadline`` was reached.
    case tick
}

/// How far a committed version may go.
public enum CommitScope: Sendable, Hashable {
    /// All the way to a finished asset.
    case whole
    /// The name is temporary and does not tell the final one: nothing is sent before a later `whole`.
    case untilNamed
    /// The name is temporary: everything is sent, and all but the last chunk reported; a later `whole` finishes it.
    case allButLast
}

/// Identifies one call, so that an answer that comes after its session was abandoned is recognised.
public struct CallID: Sendable, Hashable {
    /// Rises with each call of an upload.
    public var serial: Int
}

/// What the platform says of a session, once all of it was reported or a call about it was refused.
public struct SessionVerdict: Sendable, Equatable {
    /// The session's status.
    public var status: SessionState
    /// Chunks that the platform calls failed: they have to be sent and reported again.
    public var failedChunks: [Int]
    /// Chunks that the platform still waits for: they have to be reported again.
    public var pendingChunks: [Int]

    /// A verdict.
    public init(status: SessionState, failedChunks: [Int] = [], pendingChunks: [Int] = []) {
        self.status = status
        self.failedChunks = failedChunks
        self.pendingChunks = pendingChunks
    }
}

/// A call to the platform that an upload wants made. At most one is under way for each upload, and a few reports beside it;
/// calls whose session was abandoned meanwhile do not count.
public enum PlatformCall: Sendable, Equatable {
    /// Open a session for this many bytes.
    case openSession(totalSize: Int64)
    /// Ask for `count` presigned URLs, from chunk `start` on.
    case requestURLs(uploadID: String, start: Int, count: Int)
    /// Report these chunks as stored.
    case report(uploadID: String, [ChunkReport])
    /// Ask whether the session is completed.
    case checkSession(uploadID: String)
    /// Ask for the asset, where the session does not tell.
    case checkAsset(assetID: String)
    /// Delete the asset of an upload that was withdrawn before it was confirmed.
    case deleteAsset(assetID: String)

    /// Whether it is about a session that is open: refused, it may only mean that the session is over.
    var needsSession: Bool {
        switch self {
        case .requestURLs, .report: true
        case .openSession, .checkSession, .checkAsset, .deleteAsset: false
        }
    }
}

/// A chunk that may be sent now: the scheduler takes it when it has a place for it.
public struct ChunkPut: Sendable {
    /// Which session it belongs to.
    public var uploadID: String
    /// The chunk's number, from 1.
    public var chunkIndex: Int
    /// The generation of its content when the order was given.
    public var generation: Int
    /// Where the chunk's bytes are in the file.
    public var range: Range<Int64>
    /// Where to put them. Spent as soon as one byte of the request was sent.
    public var url: PresignedURL
    /// What the platform wants sent with each PUT.
    public var headers: [(String, String)]
}

/// What follows from an event.
public struct UploadReaction: Sendable {
    /// To be carried out, in this order, after the lock that guards the machine is released.
    public internal(set) var actions: [UploadAction] = []
    /// Whether to stop every PUT under way: its outcome no longer matters, nor that of the calls under way, except for a
    /// session that is still being opened. They are to be taken under the lock: another session's may begin soon after.
    public internal(set) var stopsTransfers = false
    /// What to answer those who wait in close. They are to be taken under the lock: whoever comes to wait later waits for
    /// another answer.
    public private(set) var answer: Result<Void, UploadFailure>?

    /// One event answers once: what follows from the first answer finds nobody who waits.
    mutating func answer(with result: Result<Void, UploadFailure>) {
        if answer == nil { answer = result }
    }
}

/// What the state machine wants done.
public enum UploadAction: Sendable {
    /// Make this call and tell its outcome with the same id.
    case call(CallID, PlatformCall)
    /// A session was opened and abandoned: delete its reserved asset, best effort.
    case abandon(assetID: String)
    /// The state that people see has changed.
    case stateChanged(UploadState)
    /// Its file was removed when all of it may have become an asset: only that is seen to from now on.
    case withdrawn
}
