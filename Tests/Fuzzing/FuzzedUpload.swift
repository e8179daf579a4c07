import Formats
import UploadCore

/// An upload whose platform says what an input says: what follows from that must not trap either.
enum FuzzedUpload {
    /// A whole file of that size is written, and its session is the given one.
    static func run(size: Int64, with session: UploadSession) {
        let now = ContinuousClock.now
        let configuration = UploadStateMachine.Configuration(
            sizeLimit: .max, writtenBeforeSession: 1, spaceLimit: 64 << 20)
        for spaceLimit in [nil, configuration.spaceLimit] {
            var configuration = configuration
            configuration.spaceLimit = spaceLimit
            var machine = UploadStateMachine(configuration: configuration, at: now)
            _ = machine.apply(.hinted(SizeHint(size: size, source: .declared)), at: now)
            let reaction = machine.apply(.wrote(0..<size), at: now)
            for case .call(let id, .openSession) in reaction.actions {
                _ = machine.apply(.sessionOpened(id, session), at: now)
            }
            play(&machine, at: now)
            _ = machine.apply(.committed(.whole), at: now)
            play(&machine, at: now)
        }
    }

    /// What another process left.
    static func run(_ left: RecoveredUpload) {
        let now = ContinuousClock.now
        var machine = UploadStateMachine(configuration: .init(), restoring: left, at: now)
        let reaction = machine.apply(.tick, at: now)
        play(&machine, at: now, reaction)
        _ = machine.apply(.retried, at: now)
        play(&machine, at: now)
    }

    /// A chunk is sent and stored, another one fails, and every call fails.
    private static func play(_ machine: inout UploadStateMachine, at now: Instant, _ first: UploadReaction? = nil) {
        if let put = machine.takeChunk(at: now) {
            look(at: machine, now)
            let size = put.range.upperBound - put.range.lowerBound
            _ = machine.apply(.bytesSent(put, size), at: now)
            _ = machine.apply(.chunkStored(put, StoredChunk(etag: "e", md5: "m", size: size)), at: now)
        }
        let ill = UploadFailure(.storeUnavailable, message: "it is ill", retryAfter: .seconds(86_400))
        if let put = machine.takeChunk(at: now) { _ = machine.apply(.chunkFailed(put, ill, random: 0.5), at: now) }
        var reaction = first ?? machine.apply(.tick, at: now)
        for _ in 0..<3 {
            let calls = reaction.actions.compactMap { if case .call(let id, _) = $0 { id } else { nil } }
            guard let id = calls.first else { break }
            reaction = machine.apply(
                .callFailed(id, UploadFailure(.platformUnavailable, message: "it is ill"), random: 0), at: now)
        }
        look(at: machine, now)
    }

    private static func look(at machine: UploadStateMachine, _ now: Instant) {
        _ = machine.statusDocument(at: now).json()
        _ = machine.nextDeadline
        _ = machine.sessionSnapshot
        _ = machine.terms(forWriting: 0..<1)
        _ = machine.backlog > machine.bytes(ofChunks: 9)
        _ = machine.hasReleasableChunksComing
    }
}
