import Formats
import Glibc
import UploadCore
import UploadStore

// What the journal is told of an upload, and how an upload is made of it again.

extension UploadRecord {
    /// What there is to know of an upload besides its session and its chunks.
    init(
        number: Int, spool: String, machine: UploadStateMachine, identity: UploadIdentity, moments: Upload.Moments,
        boot: String, synced: Synced
    ) {
        self.init(
            number: Int64(number), spool: spool, path: identity.path, filename: identity.filename,
            type: identity.type, created: moments.created)
        typeRefusal = machine.typeRefusal?.message
        writer = identity.writer
        writerExit = identity.writerExit
        isUndecided = identity.isUndecided
        (state, failure) = machine.standingToKeep
        if machine.isWithdrawn { withdrawal = machine.mayBePromised ? .perhapsPromised : .unpromised }
        scope = machine.commitScope
        size = machine.size
        self.boot = boot
        self.synced = synced
        closed = moments.closed
        completed = moments.completed
        assetURL = machine.assetURL
        assetStatus = machine.asset?.status
        assetError = machine.asset?.issue?.text
        superseded = identity.supersededUploadIDs
        abandoned = machine.abandonedUploadIDs
        retries = machine.retries
        released = machine.released
    }
}

extension SessionRecord {
    /// A session, with the end of its life by the time of day: the moment means nothing to another process.
    init(_ snapshot: SessionSnapshot, ofUpload number: Int, at now: Instant, wallTime: Timestamp) {
        self.init(
            upload: Int64(number), uploadID: snapshot.uploadID, assetID: snapshot.assetID, plan: snapshot.plan,
            headers: snapshot.headers, expiresAt: snapshot.expiresAt,
            deadline: snapshot.deadline.map { wallTime.advanced(by: $0 - now) }, sizeSource: snapshot.sizeSource)
    }

    /// A life that is over by our clock tells nothing: clocks are set. The platform is asked in any case.
    package func snapshot(at now: Instant, wallTime: Timestamp) -> SessionSnapshot {
        let left = deadline?.duration(since: wallTime)
        return SessionSnapshot(
            uploadID: uploadID, assetID: assetID, plan: plan, headers: headers, expiresAt: expiresAt,
            deadline: left.flatMap { $0 > .zero ? now + $0 : nil }, sizeSource: sizeSource)
    }
}

extension JournalChange {
    /// What a fact of an upload's changes; nothing where the record itself says it all.
    static func changes(_ fact: JournalDelta, upload number: Int, session: SessionRecord?) -> [JournalChange] {
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

extension RecoveredUpload {
    /// What the journal knows of an upload.
    ///
    /// - Parameter contentLoss: why its bytes cannot be sent any more, if they cannot.
    package init(
        _ record: UploadRecord, session: SessionSnapshot?, chunks: [ChunkRecord], contentLoss: UploadFailure?
    ) {
        let standing: Standing
        switch record.state {
        case .completed: standing = .completed
        case .finishing, .staged:
            standing = record.scope.map { .committed($0) } ?? .ended(.interrupted, Self.writerDied(record), nil)
        case .open: standing = .ended(.interrupted, Self.writerDied(record), nil)
        case .cancelled where session != nil:
            standing = .withdrawn(
                record.failure ?? Self.writerDied(record), mayBePromised: record.withdrawal != .unpromised)
        case .interrupted, .failed, .cancelled:
            standing = .ended(record.state, record.failure ?? Self.writerDied(record), record.scope)
        }
        self.init(standing, size: record.size)
        self.session = session
        self.chunks = chunks.map { Chunk(index: $0.index, etag: $0.stored.etag, isClaimed: $0.isClaimed) }
        abandonedUploadIDs = record.abandoned
        retries = record.retries
        released = record.released
        failure = record.state == .completed ? nil : record.failure
        asset = record.assetStatus.map {
            AssetStanding($0, issue: record.assetError.map { AssetIssue(text: $0) })
        }
        assetURL = record.assetURL
        typeRefusal = record.typeRefusal.map { UploadFailure(.typeRefused, message: $0) }
        self.contentLoss = contentLoss
    }

    private static func writerDied(_ record: UploadRecord) -> UploadFailure {
        .unfinished("twelvefs ended while the file was being written", isOnDisk: record.synced != .nothing)
    }
}

// What is written down, and when.

extension Upload {
    /// Success is told when the journal knows of it: after it nobody may find that the file was never there.
    func give(_ result: Result<Void, UploadFailure>, to answer: @escaping Answer) {
        guard let journal = services.journal, case .success = result else { return answer(result) }
        journal.whenWritten(durably: false) { outcome in
            if case .failure(let failure) = outcome {
                self.log(.error, "the journal could not be written", failure.uploadFailure)
            }
            // The platform has confirmed it all the same.
            answer(result)
        }
    }

    static func enqueueDeltas(_ state: inout State, _ work: inout Work) {
        guard state.machine.hasDeltas, !state.isEnqueued, !state.isForgotten else { return }
        state.isEnqueued = true
        work.isNew = true
        // A chunk whose record is lost is sent again; everything else is waited for, or read after a crash.
        work.canWait = state.machine.deltas.allSatisfy { $0.canWait }
    }

    /// Has the journal ask for the record again.
    public func markDirty() {
        let isNew = state.withLock { state in
            guard !state.isEnqueued, !state.isForgotten else { return false }
            state.isEnqueued = true
            return true
        }
        if isNew { tellJournal(canWait: false) }
    }

    func tellJournal(canWait: Bool) {
        guard let journal = services.journal else {
            return state.withLock { state in
                state.isEnqueued = false
                _ = state.machine.takeDeltas()
            }
        }
        journal.enqueue(canWait: canWait) { [boot = journal.bootID] in self.takeChanges(boot: boot) }
    }

    /// What is new, as it is now.
    func takeChanges(boot: String) -> [JournalChange] {
        let (now, wallTime) = (services.clock.now(), services.clock.wallTime())
        return state.withLock { state in
            state.isEnqueued = false
            let deltas = state.machine.takeDeltas()
            guard !state.isForgotten else { return [] }
            // While it is written, and where it was cut short: whether something of it was ever promised.
            let isUnfinished = state.machine.state == .open || state.machine.state == .interrupted
            let synced: UploadRecord.Synced
            switch state.syncedMark {
            case nil: synced = .nothing
            case state.contentVersion: synced = .everything
            case _?: synced = isUnfinished ? .part : .nothing
            }
            let record = UploadRecord(
                number: number, spool: spool.name, machine: state.machine, identity: state.identity,
                moments: state.moments, boot: boot, synced: synced)
            let session = state.machine.sessionSnapshot.map {
                SessionRecord($0, ofUpload: number, at: now, wallTime: wallTime)
            }
            var changes: [JournalChange] = [.putUpload(record)]
            for delta in deltas { changes += JournalChange.changes(delta, upload: number, session: session) }
            if record.state == .completed, let session {
                changes.append(.removeAllChunks(uploadID: session.uploadID))
            }
            return changes
        }
    }

    /// Nothing is to be known of the upload any more: its bytes are gone.
    public func forgetInJournal() {
        guard let journal = services.journal else { return }
        state.withLock { $0.isForgotten = true }
        journal.enqueue { [number] in [.removeUpload(Int64(number))] }
    }

    /// Returns when the journal knows everything that it was told so far. Blocks on the disk.
    func waitForJournal() throws(SpoolError) {
        do throws(JournalError) {
            try services.journal?.waitUntilWritten(durably: false)
        } catch {
            switch error {
            case .noSpace: throw .noSpace
            case .failed: throw .failed(code: EIO, operation: "write the journal")
            }
        }
    }

    func addPredecessor(_ old: Upload, _ reason: UploadFailure) {
        state.withLock { $0.predecessors.append((old, reason)) }
    }

    /// Cancels the versions that this one took the place of, if it is as safe as they are, or nobody wants it any more; where it
    /// comes to nothing, those of them that wait for a name, which nobody can give them any more.
    func dropPredecessors() {
        let (replaced, left) = state.withLock { state -> (Predecessors, Predecessors) in
            guard !state.predecessors.isEmpty else { return ([], []) }
            switch state.machine.standingToKeep.state {
            case .completed, .cancelled: break
            case .finishing, .staged: guard state.durableMark == state.contentVersion else { return ([], []) }
            case .open: return ([], [])
            case .interrupted, .failed:
                defer { state.predecessors = [] }
                return ([], state.predecessors)
            }
            defer { state.predecessors = [] }
            return (state.predecessors, [])
        }
        let nameless = left.filter { $0.upload.inspect { $0.commitScope } != .whole }
        for (upload, reason) in replaced + nameless { upload.apply(.cancelled(reason)) }
    }

    typealias Predecessors = [(upload: Upload, reason: UploadFailure)]

    /// What it took the place of, which is another's to see to from now on.
    func takePredecessors() -> Predecessors {
        state.withLock { state in
            defer { state.predecessors = [] }
            return state.predecessors
        }
    }

    /// Whether the content, as it is, is known to be on disk.
    public var isWhollyDurable: Bool { state.withLock { $0.durableMark == $0.contentVersion } }
}

extension JournalDelta {
    /// Whether losing it only costs sending some bytes again.
    fileprivate var canWait: Bool {
        switch self {
        case .stored: true
        case .sessionChanged, .unstored, .claimed, .unclaimed, .changed: false
        }
    }
}
