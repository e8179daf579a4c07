/// How far an upload has ever got since its content became final: what a stall is measured by.
///
/// That something moves has three meanings, and each has a type of its own:
/// - *net progress*, this one: ``UploadStateMachine`` answers whoever waits in close when there is none for the stall timeout, and
///   tells no time left when there is none;
/// - *space that came*, `SpaceQueue` of the engine: writes that found no space wait for it, and for nothing else;
/// - *bytes that were sent*, ``TransferRate``: the pace that the status tells.
///
/// What is sent and lost again is no net progress: not a chunk that the store takes and refuses, not one that another session has
/// to get again. So neither a store that refuses everything nor sessions that expire one after another look like progress for ever.
struct NetProgress: Sendable {
    /// How far an upload is, at a moment.
    struct Position: Sendable, Equatable {
        /// Whether there is a session that is known to live.
        var hasSession = false
        /// Bytes that the store has.
        var stored: Int64 = 0
        /// Bytes that the network took for the first time in this session: a large chunk on a slow line takes longer than the stall
        /// timeout.
        var sent: Int64 = 0
        /// How many bytes the chunks under way have.
        var underWay: Int64 = 0
        /// Chunks that the platform has been told of.
        var reported = 0
    }

    /// When it last got further than ever.
    private(set) var last: Instant
    /// The furthest so far; nil until that is looked at.
    private var furthest: Position?
    /// Bytes that were sent for the first time since a chunk was stored.
    private var unstored: Int64 = 0

    /// For so long after it got further the time that is left can be told.
    private static let memory: Duration = .seconds(60)

    init(at now: Instant) { last = now }

    /// The content is final from now on, or somebody asks for another try: what was reached before does not matter.
    mutating func begin(at now: Instant) {
        last = now
        furthest = nil
    }

    /// The content is another: what was reached does not matter. That is no progress.
    mutating func startOver() { furthest = nil }

    /// Where it is measured from, where it was to start over.
    mutating func settle(at position: Position) {
        if furthest == nil { (furthest, unstored) = (position, 0) }
    }

    /// Takes in where the upload is now; tells whether it was never so far.
    ///
    /// Bytes that are on their way count as far as the chunks under way go: when more were sent, and none of them is stored, the
    /// store takes what it does not keep.
    mutating func advance(to position: Position, at now: Instant) -> Bool {
        guard let furthest else { return false }
        let fresh = max(0, position.sent - furthest.sent)
        unstored += fresh
        var isFurther =
            position.reported > furthest.reported || position.hasSession && !furthest.hasSession
            || fresh > 0 && unstored <= position.underWay
        if position.stored > furthest.stored { (isFurther, unstored) = (true, 0) }
        self.furthest = Position(
            hasSession: furthest.hasSession || position.hasSession, stored: max(furthest.stored, position.stored),
            sent: position.sent, reported: max(furthest.reported, position.reported))
        if isFurther { last = max(last, now) }
        return isFurther
    }

    /// Something was under way until that moment that counts as progress for as long.
    mutating func extend(to moment: Instant) { last = max(last, moment) }

    /// Whether so many reported chunks would be more than ever.
    func isBeyond(reported count: Int) -> Bool { furthest.map { count > $0.reported } ?? true }

    /// Whether it got further a moment ago.
    func isRecent(at now: Instant) -> Bool { now - last < Self.memory }
}

extension UploadStateMachine {
    /// How far it is now.
    var position: NetProgress.Position {
        guard let session else { return NetProgress.Position() }
        return NetProgress.Position(
            hasSession: !isUnverified, stored: session.storedBytes, sent: session.sentBytes.fresh,
            underWay: session.plan.bytes(ofChunks: Int64(session.uploadingCount)), reported: session.completedCount)
    }

    /// Net progress ends a stall.
    mutating func recordProgress(at now: Instant) {
        if progress.advance(to: position, at: now) { stall = nil }
    }
}
