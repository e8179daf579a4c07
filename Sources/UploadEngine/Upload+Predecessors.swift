import UploadCore

// A version that takes another's place. What was promised to be safe is dropped only when what follows it is.

extension Upload {
    /// Cancels an earlier version of the file: at once, or, where that was promised to be on disk and is not confirmed,
    /// when this version is.
    public func takePlace(of old: Upload, reason: UploadFailure) {
        for earlier in old.takePredecessors() { addPredecessor(earlier.upload, earlier.reason) }
        if old.isWhollyDurable, old.currentState.isUnderWay {
            addPredecessor(old, reason)
        } else {
            old.apply(.cancelled(reason))
        }
        dropPredecessors()
    }

    /// Whether it, or one whose place it took, was promised to be safe, and is under way: it is not to end before what follows it
    /// is safe.
    public var isToOutlive: Bool {
        state.withLock { state in
            guard state.machine.standingToKeep.state.isUnderWay else { return false }
            return state.durableMark == state.contentVersion || !state.predecessors.isEmpty
        }
    }
}
