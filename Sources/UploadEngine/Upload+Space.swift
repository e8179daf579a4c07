import UploadCore
import UploadStore

// Space in the spool, and how far a writer is ahead of the network.

extension Upload {
    /// Whether any of these bytes are gone from the spool. To be asked after they were read: bytes count as released
    /// before they are.
    public func hasReleased(_ range: Range<Int64>) -> Bool {
        inspect { $0.released.overlaps(range) }
    }

    /// A write is held until there is space in the spool.
    public func writeWaitsForSpace() { state.withLock { $0.writesWaitingForSpace += 1 } }

    /// It is tried again, or its caller does not wait any more.
    public func writeWaitedForSpace() { state.withLock { $0.writesWaitingForSpace -= 1 } }

    /// Whether chunks are on their way whose bytes the spool may release then.
    public var bringsSpace: Bool {
        state.withLock { !$0.keepsItsBytes && $0.machine.hasReleasableChunksComing }
    }

    /// Its bytes are about to be promised to be on the disk: none is released until ``promiseEnds()``, nor ever if that goes
    /// well.
    ///
    /// - Throws: `noSpace` where some have been released.
    public func promiseBegins() throws(UploadFailure) {
        let refusal = state.withLock { state in
            if let refusal = state.machine.promiseRefusal { return refusal as UploadFailure? }
            state.promisesUnderWay += 1
            return nil
        }
        if let refusal { throw refusal }
    }

    /// Whether such a promise is being made good.
    public var isBeingPromised: Bool { state.withLock { $0.promisesUnderWay > 0 } }

    /// The promise is made, or could not be.
    public func promiseEnds() { state.withLock { $0.promisesUnderWay -= 1 } }

    /// Gives one stored chunk's bytes back to the disk; tells whether there was one to give. Blocks on the disk.
    ///
    /// Not once its bytes were promised to be on the disk.
    public func releaseChunk() throws(SpoolError) -> Bool {
        guard let range = takeChunkToRelease() else { return false }
        // What reads as zeros from now on must never be taken for content, whoever continues the upload.
        try waitForJournal()
        try spool.punchHole(range)
        return true
    }

    /// Gives the content of a completed upload back to the disk. Blocks on the disk.
    public func evictContent() throws(SpoolError) {
        state.withLock { $0.machine.contentIsEvicted() }
        markDirty()
        // As above: a hole that ends within a page of the disk leaves zeros there, which look like content to the next mount.
        try waitForJournal()
        try spool.punchEverything()
    }

    /// Whether the writer is further ahead of what is stored than `window` bytes, or a few chunks where that is more.
    public func isAhead(of window: Int64, chunks: Int) -> Bool {
        inspect { $0.backlog > max(window, $0.bytes(ofChunks: chunks)) }
    }
}

extension Upload.State {
    /// Whether all of the content was promised to be on the disk, or is about to be.
    var keepsItsBytes: Bool { syncedMark != nil || promisesUnderWay > 0 }

    /// Whether the spool may release its stored chunks.
    var mayReleaseChunks: Bool { !keepsItsBytes && machine.mayReleaseChunks }
}
