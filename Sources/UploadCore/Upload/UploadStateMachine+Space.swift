import Formats

/// Space in the spool: what a writer is held back by, and which stored chunks the spool may release.
extension UploadStateMachine {
    /// What an upload says about a write before it happens.
    public struct WriteTerms: Sendable, Equatable {
        /// What is believed of the final size.
        public var hint: SizeHint?
        /// The range whose space is to be there before the write: its chunks, so that two writers cannot fill the spool
        /// with halves that neither can finish.
        public var space: Range<Int64>
        /// Why the write can't be taken; nil when it can.
        public var objection: UploadFailure?
    }

    /// The terms for writing `range`.
    public func terms(forWriting range: Range<Int64>) -> WriteTerms {
        var terms = WriteTerms(hint: hint, space: range)
        if state == .failed { terms.objection = failure }
        if let refusal = sizeObjection(toWriting: range.upperBound) { terms.objection = refusal }
        guard let session else { return terms }
        let chunks = session.plan.chunks(touching: range)
        if let first = chunks.first, let last = chunks.last {
            let start = session.plan.range(of: first).lowerBound
            terms.space = min(start, range.lowerBound)..<max(session.plan.range(of: last).upperBound, range.upperBound)
        }
        if !released.isEmpty, range.upperBound > session.plan.totalSize || released.overlaps(range) {
            terms.objection = Self.cannotChange
        }
        return terms
    }

    /// Bytes that are whole chunks by now and not yet stored: how far the writer is ahead of the network.
    ///
    /// Zero while nothing can be sent anyway, so that nobody is held back by what he cannot change: without a known
    /// size, with only halves of chunks, after a session was refused.
    public var backlog: Int64 {
        guard state == .open, !waitsForCommit else { return 0 }
        guard let session else {
            if case .openSession = pendingCall?.call { return written.byteCount }
            return 0
        }
        let chunks = session.ready.byteCount + Int64(session.delayed.count) + Int64(session.uploadingCount)
        return session.plan.bytes(ofChunks: chunks)
    }

    /// How many bytes so many chunks of the session have; 0 while there is none.
    public func bytes(ofChunks count: Int) -> Int64 { session?.plan.bytes(ofChunks: Int64(count)) ?? 0 }

    /// Whether chunks may be released, now or once they are stored: the size is known for certain, and no close has
    /// promised anything.
    public var mayReleaseChunks: Bool {
        guard configuration.releasesChunks, state == .open, !waitsForCommit, let session, let hint, hint.source.isExact
        else { return false }
        return hint.size == session.plan.totalSize
    }

    /// Whether chunks that may be released are on their way.
    public var hasReleasableChunksComing: Bool {
        guard mayReleaseChunks, let session else { return false }
        return session.uploadingCount > 0 || !session.ready.isEmpty || !session.delayed.isEmpty
    }

    /// Why its bytes cannot be promised to be on this machine's disk; nil when they can. What was released is with the store
    /// alone, and goes with the session unless the platform confirms it.
    public var promiseRefusal: UploadFailure? { lacksBytes ? Self.cannotPromise : nil }

    /// Whether bytes are neither in the spool nor confirmed.
    public var lacksBytes: Bool { state != .completed && !released.isEmpty }

    /// The next stored chunk whose bytes the spool may release, as a range of bytes, which counts as released from now
    /// on; nil when there is none. The first and the last chunk are always kept: programs come back to them.
    public mutating func takeChunkToRelease() -> Range<Int64>? {
        guard mayReleaseChunks, let session else { return nil }
        for index in session.indices.dropFirst().dropLast() {
            let range = session.plan.range(of: index)
            guard session.holds(index), !released.covers(range) else { continue }
            released.insert(range)
            deltas.append(.changed)
            return range
        }
        return nil
    }

    /// The whole content of a completed upload leaves the spool: all of it counts as released from now on.
    public mutating func contentIsEvicted() {
        guard state == .completed, size > 0 else { return }
        released.insert(0..<size)
        deltas.append(.changed)
    }

    /// Ends an upload that would have to send bytes which the spool has released.
    mutating func failIfReleasedIsNeeded(_ cause: UploadFailure?, _ reaction: inout UploadReaction) {
        guard !released.isEmpty, state.isUnderWay else { return }
        var reason = Self.cannotStartOver
        if let cause { reason.message += ": \(cause.message)" }
        end(.failed, reason, &reaction)
    }

    static func tooLittleSpace(_ limit: Int64, chunkSize: Int64) -> UploadFailure {
        UploadFailure(
            .noSpace, code: "spool_limit_too_small",
            message: "the spool's limit of \(ByteCount(limit)) is below two chunks of \(ByteCount(chunkSize))",
            hint: "mount with a --spool-limit of at least \(ByteCount(chunkSize.multipliedClamped(by: 2)))")
    }

    private static let cannotChange = UploadFailure(
        .spoolFailed, code: "part_given_up",
        message: "this part of the file was uploaded and released to make space in the spool",
        hint: "write the file from front to back, or raise --spool-limit")

    private static let cannotPromise = UploadFailure(
        .noSpace, code: "part_released",
        message: "parts of the file were uploaded and released to make space in the spool, so that not all of it is on "
            + "this machine's disk before the platform has confirmed it",
        hint: "raise --spool-limit above the size of the file")

    static let cannotStartOver = UploadFailure(
        .spoolFailed, code: "cannot_start_over",
        message: "the upload would have to start over, but parts of the file were released to make space in the spool",
        hint: "copy the file again; with a larger --spool-limit all of it is kept until it is confirmed")
}
