import UploadCore

// What the state machine has asked for, and no answer has come to yet.

extension RandomUpload {
    struct Call {
        var id: CallID
        var call: PlatformCall
        /// What comes back, where the platform has acted already.
        var outcome: UploadEvent?

        var isReport: Bool { if case .report = call { true } else { false } }
    }

    struct Put {
        var order: ChunkPut
        var isBegun = false
        /// The first bytes, as they were when they were read.
        var head: [Int] = []
        /// Abandoned meanwhile: it may still reach the store, and nobody awaits its answer.
        var isStopped = false
    }
}
