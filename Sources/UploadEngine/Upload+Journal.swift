import UploadCore
import UploadStore

// What the journal is told of an upload, and how an upload is made of it again.

extension UploadRecord {
    /// What there is to know of an upload besides its session and its chunks.
    init(
        number: Int, spool: String, machine: UploadStateMachine, identity: UploadIdentity, moments: Upload.Moments,
        boot: String, isSynced: Bool
    ) {
        self.init(
            number: Int64(number), spool: spool, path: identity.path, filename: identity.filename,
            type: identity.type, created: moments.created)
        writer = identity.writer
        state = machine.state
        scope = machine.commitScope
        size = machine.size
        self.boot = boot
        self.isSynced = isSynced
        closed = moments.closed
        completed = moments.completed
        failure = machine.failure
        assetURL = machine.assetURL
        assetStatus = machine.asset?.status
        assetError = machine.asset?.error
        superseded = identity.supersededUploadIDs
        abandoned = machine.abandonedUploadIDs
        retries = machine.retries
        givenUp = machine.givenUp
    }
}

extension SessionRecord {
    /// A session, with the end of its life by the time of day: the moment means nothing to another process.
    init(_ facts: SessionFacts, ofUpload number: Int, at now: Instant, wallTime: Timestamp) {
        self.init(
            upload: Int64(number), uploadID: facts.uploadID, assetID: facts.assetID, plan: facts.plan,
            headers: facts.headers, expiresAt: facts.expiresAt,
            deadline: facts.deadline.map { wallTime.advanced(by: $0 - now) }, sizeSource: facts.sizeSource)
    }

    /// A life that is over by our clock tells nothing: clocks are set. The platform is asked in any case.
    func facts(at now: Instant, wallTime: Timestamp) -> SessionFacts {
        let left = deadline?.duration(since: wallTime)
        return SessionFacts(
            uploadID: uploadID, assetID: assetID, plan: plan, headers: headers, expiresAt: expiresAt,
            deadline: left.flatMap { $0 > .zero ? now + $0 : nil }, sizeSource: sizeSource)
    }
}

extension JournalChange {
    /// What a fact of an upload's changes; nothing where the record itself says it all.
    static func changes(_ fact: UploadFact, upload number: Int, session: SessionRecord?) -> [JournalChange] {
        switch fact {
        case .sessionChanged: [session.map { .putSession($0) } ?? .removeSession(ofUpload: Int64(number))]
        case .stored(let uploadID, let index, let generation, let stored):
            [.putChunk(ChunkRecord(uploadID: uploadID, index: index, generation: generation, stored: stored))]
        case .unstored(let uploadID, let indices): [.removeChunks(uploadID: uploadID, indices)]
        case .claimed(let uploadID, let indices): [.claimChunks(uploadID: uploadID, indices, true)]
        case .unclaimed(let uploadID, let indices): [.claimChunks(uploadID: uploadID, indices, false)]
        case .changed: []
        }
    }
}

extension RestoredUpload {
    /// What the journal knows of an upload.
    ///
    /// - Parameter contentLoss: why its bytes cannot be sent any more, if they cannot.
    init(
        _ record: UploadRecord, session: SessionFacts?, chunks: [ChunkRecord], contentLoss: UploadFailure?
    ) {
        let standing: Standing
        switch record.state {
        case .completed: standing = .completed
        case .finishing, .staged:
            standing = record.scope.map { .committed($0) } ?? .ended(.interrupted, Self.writerDied)
        case .open: standing = .ended(.interrupted, Self.writerDied)
        case .interrupted, .failed, .cancelled:
            standing = .ended(record.state, record.failure ?? Self.writerDied)
        }
        self.init(standing, size: record.size)
        self.session = session
        self.chunks = chunks.map { Chunk(index: $0.index, etag: $0.stored.etag, isClaimed: $0.isClaimed) }
        abandonedUploadIDs = record.abandoned
        retries = record.retries
        givenUp = record.givenUp
        failure = record.state == .completed ? nil : record.failure
        if let session, record.assetStatus != nil {
            asset = Asset(
                id: session.assetID, status: record.assetStatus, url: record.assetURL, error: record.assetError)
        }
        assetURL = record.assetURL
        self.contentLoss = contentLoss
    }

    private static let writerDied = UploadFailure(
        .interrupted, message: "twelvefs ended while the file was being written",
        hint: "nothing was uploaded; the bytes are kept for a while, copy the file again")
}
