import UploadCore

/// What a ``PutScheduler`` gives places to: an upload, as far as its PUTs are concerned.
protocol ChunkSender: AnyObject, Sendable {
    /// Tells it from the others of the mount.
    var number: Int { get }
    /// Whether it has chunks to send, or may have some later.
    var isUnderWay: Bool { get }

    /// The next chunk to send; nil when none can be sent now.
    func takeChunk() -> ChunkPut?

    /// Sends a chunk; returns when it is stored or was not.
    func send(_ put: ChunkPut, _ permit: CircuitBreaker.Permit) async

    /// Why its chunks wait, and until when, as far as that is known; with nil they wait no more.
    func chunksAreHeldBack(_ reason: UploadFailure?, until: Instant?)
}
