import UploadCore

// A version that takes another's place. What was promised to be safe is dropped only when what follows it is.

extension Upload {
    /// Cancels an earlier version of the file: at once, or, where that was promised to be on disk and is not confirmed,
    /// when this version is.
    public func takePlace(of old: Upload, reason: UploadFailure) {
        guard old.isWhollyDurable, old.currentState.isUnderWay else { return old.apply(.cancelled(reason)) }
        addPredecessor(old, reason)
        dropPredecessors()
    }
}
