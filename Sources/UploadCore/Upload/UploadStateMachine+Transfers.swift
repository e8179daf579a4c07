/// Chunks on their way to the store.
extension UploadStateMachine {
    /// Whether a chunk that was taken is still wanted.
    public func isUnderWay(_ order: ChunkPut) -> Bool {
        guard let session, session.uploadID == order.uploadID, state.isUnderWay, withdrawal == nil else {
            return false
        }
        return session[order.chunkIndex].state == .uploading(generation: order.generation)
    }

    /// The next chunk to send, now under way; nil when none can be sent at this moment.
    public mutating func takeChunk(at now: Instant) -> ChunkPut? {
        guard state.isUnderWay, withdrawal == nil, refusal == nil, let order = session?.take(at: now) else {
            return nil
        }
        chunksHeldBack = nil
        return order
    }

    mutating func chunkStored(_ order: ChunkPut, _ stored: StoredChunk, at now: Instant) {
        guard isUnderWay(order) else { return }
        failure = nil
        session?.stored(order, etag: stored.etag)
        if session?[order.chunkIndex].isStale == false {
            deltas.append(
                .stored(
                    uploadID: order.uploadID, index: order.chunkIndex, generation: order.generation, stored))
        }
        guard scope != nil else { return }
        resendIfStale(order.chunkIndex)
        session?.offer(order.chunkIndex)
    }

    mutating func chunkFailed(
        _ order: ChunkPut, _ reason: UploadFailure, _ random: Double, at now: Instant, _ reaction: inout UploadReaction
    ) {
        guard isUnderWay(order) else { return }
        if reason.kind == .spoolFailed, session?[order.chunkIndex].isStale ?? false {
            // The bytes went while they were read: the file was cut meanwhile.
            session?.failed(order, retryAt: nil, urlIsUnspent: false, at: now)
            if scope != nil || isWritten(order.chunkIndex) { session?.offer(order.chunkIndex) }
            return
        }
        failure = reason
        let policy = configuration.retryPolicy
        let decision = session?.updateRetry(of: order.chunkIndex) {
            $0.failed(reason, policy: policy, random: random, at: now)
        }
        let isUnspent = !policy.needsFreshURL(after: reason)
        switch decision {
        case .again(let wait):
            retries += 1
            session?.failed(order, retryAt: now + wait, urlIsUnspent: isUnspent, at: now)
        case .awaitNetwork, .awaitKey:
            session?.failed(order, retryAt: nil, urlIsUnspent: isUnspent, isAttempt: false, at: now)
            // To be sent again at once: all PUTs are held back until one of them gets through.
            if scope != nil || isWritten(order.chunkIndex) { session?.offer(order.chunkIndex) }
        case .newSession:
            replaceSession(reason, &reaction)
        case .fail where reason.kind == .storeRefused:
            session?.failed(order, retryAt: nil, urlIsUnspent: false, at: now)
            lookInto(reason)
        case .fail, nil:
            fail(reason, &reaction)
        }
    }
}
