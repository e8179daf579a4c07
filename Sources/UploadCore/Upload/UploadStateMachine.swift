/// The upload of one version of a file, as a value: events in, reactions out.
///
/// It holds no clock, no socket, no file and no lock; time and randomness come in with the events. Whoever runs it
/// applies an event under a lock, takes what the reaction says is to be taken there, and carries out its actions after
/// the lock is released. Chunks are not pushed but taken (``takeChunk(at:)``), so that a scheduler can share a few PUTs
/// fairly between many uploads.
///
/// A version goes from `open` to `finishing` when it is committed, and to `completed` when the platform has confirmed
/// it. The session may be opened long before, when the size can be guessed; a guess is checked at commit, and a session
/// of another size is abandoned for a new one.
public struct UploadStateMachine: Sendable {
    /// The call under way, other than a report.
    struct PendingCall: Sendable {
        var id: CallID
        var call: PlatformCall
    }

    /// Why nothing of a kind is sent, of no upload.
    struct Hold: Sendable {
        var reason: UploadFailure
        /// When that is tried again, where it is known.
        var until: Instant?
    }

    /// A refusal that is being looked into.
    struct Refusal: Sendable {
        var reason: UploadFailure
        /// Whether nothing is left to try where the session lives and is not complete.
        var isFinal: Bool
    }

    // What people see.

    /// Where the upload stands.
    public internal(set) var state: UploadState = .open
    /// The file's size so far, in bytes.
    public internal(set) var size: Int64 = 0
    /// What is believed of the final size.
    public internal(set) var hint: SizeHint?
    /// What last went wrong and has not been cured; the reason of the end where it ended badly.
    public internal(set) var failure: UploadFailure?
    /// What became of the asset, as far as is known; nil until the platform has said something of it.
    public internal(set) var asset: AssetStanding?
    /// Where the platform serves the asset, where it said so.
    public internal(set) var assetURL: String?
    /// What whoever waits in close was answered because it does not get any further; nil while it does.
    public internal(set) var stall: UploadFailure?
    /// Sessions that were opened for this version and abandoned.
    public internal(set) var abandonedUploadIDs: [String] = []
    /// Attempts beyond the first, of calls and PUTs.
    public internal(set) var retries = 0
    /// Bytes sent a second, lately.
    public internal(set) var rate = TransferRate()
    /// Why the platform takes no session of the type that the file's name tells: it is asked for a video instead.
    public internal(set) var typeRefusal: UploadFailure?
    /// The session's books, while there is one.
    var session: OpenSession?

    /// What the session's size was believed on; nil when it was known, at commit.
    var sessionSource: SizeHint.Source?

    // What decides.

    let configuration: Configuration
    var written = SegmentMap()
    var scope: CommitScope?
    var pendingCall: PendingCall?
    var callRetry = RetryState()
    /// The reports that are not answered yet, in the order in which they were put together.
    var reports: [PendingReport] = []
    var lastReport = 0
    /// How many of them may be under way, or wait to be repeated.
    var reportsAtOnce: Int
    var lastSerial = 0
    var sessionsLost = 0
    /// A session could not be opened, or was lost for good, while the writer was at work: try again at commit.
    var waitsForCommit = false
    /// The smallest size that the platform has refused to open a session for, in bytes, and in what words.
    var sizeRefusal: (size: Int64, reason: UploadFailure)?
    /// Why no call is made before ``UploadEvent/callsReleased``.
    var callsHeldBack: Hold?
    /// Why no chunk is sent, of no upload.
    var chunksHeldBack: Hold?
    /// How far it has got since it was committed.
    var progress: NetProgress
    /// Bytes that are stored at the platform and no longer in the spool.
    public internal(set) var released = SegmentMap()
    var isConfirmed = false
    /// All of it may be complete, and its session does not tell.
    var doubt: CompletionDoubt?
    /// It is not wanted any more, and all of it may have become an asset.
    var withdrawal: Withdrawal?
    /// A refusal that may only mean that the session is over: the session is asked before anything is abandoned.
    var refusal: Refusal?
    /// The session was opened by another process or in a failed attempt, and it has not been asked since whether it lives.
    var isUnverified = false
    /// It was another process that reported to the session; perhaps more than the journal knows, since nothing was asked since.
    var isInherited = false
    /// Why the bytes that are not stored yet are lost, if they are.
    var contentLoss: UploadFailure?
    /// What a journal has not been told.
    public internal(set) var deltas: [JournalDelta] = []

    /// How long to wait before the session is asked again whether it is completed.
    var sessionPollInterval = pollInterval
    static let pollInterval: Duration = .milliseconds(200)
    static let longestPollInterval: Duration = .seconds(60)

    /// An upload of which nothing is written yet.
    public init(configuration: Configuration, at now: Instant) {
        self.configuration = configuration
        reportsAtOnce = configuration.reportsAtOnce
        progress = NetProgress(at: now)
    }

    // MARK: Events

    /// Takes in what happened and tells what is to be done about it.
    public mutating func apply(_ event: UploadEvent, at now: Instant) -> UploadReaction {
        var reaction = UploadReaction()
        let before = state
        handle(event, at: now, &reaction)
        recordProgress(at: now)
        advance(at: now, &reaction)
        // Only now: a session of another size has just been abandoned, and counts for nothing.
        progress.settle(at: position)
        if state != before {
            reaction.actions.append(.stateChanged(state))
            deltas.append(.changed)
        }
        return reaction
    }

    mutating func handle(_ event: UploadEvent, at now: Instant, _ reaction: inout UploadReaction) {
        switch event {
        case .wrote(let range): wrote(range, &reaction)
        case .truncated(let newSize): truncated(to: newSize, &reaction)
        case .reopened: reopen(&reaction)
        case .hinted(let newHint): hinted(newHint)
        case .committed(let newScope): committed(newScope, at: now, &reaction)
        case .interrupted(let reason): if withdrawal == nil { end(.interrupted, reason, &reaction) }
        case .cancelled(let reason): cancelled(reason, &reaction)
        case .retried: retried(at: now)
        case .sessionOpened(let id, let opened): sessionOpened(id, opened, at: now, &reaction)
        case .urlsReceived(let id, let urls): urlsReceived(id, urls, at: now, &reaction)
        case .reported(let id, _, let answer): reported(id, answer, at: now)
        case .sessionChecked(let id, let verdict): sessionChecked(id, verdict, at: now, &reaction)
        case .assetChecked(let id, let status): assetChecked(id, status, at: now, &reaction)
        case .assetDeleted(let id): assetDeleted(id, &reaction)
        case .assetLearned(let standing): assetLearned(standing)
        case .callFailed(let id, let failure, let random): callFailed(id, failure, random, at: now, &reaction)
        case .callHeldBack(let id, let reason, let until): callHeldBack(id, Hold(reason: reason, until: until))
        case .callsReleased: callsHeldBack = nil
        case .chunksHeldBack(let reason, let until): chunksHeldBack = reason.map { Hold(reason: $0, until: until) }
        case .bytesSent(let order, let count):
            rate.add(count, at: now)
            if isUnderWay(order) { session?.sentBytes.add(count, of: order.chunkIndex) }
        case .chunkStored(let order, let stored): chunkStored(order, stored, at: now)
        case .chunkFailed(let order, let failure, let random): chunkFailed(order, failure, random, at: now, &reaction)
        case .tick: break
        }
    }
}
