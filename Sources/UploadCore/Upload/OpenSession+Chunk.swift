extension OpenSession {
    /// The network took so many more bytes of a chunk that is under way.
    mutating func sent(_ count: Int64, of order: ChunkPut) { bytesSent[order.chunkIndex, default: 0] += count }

    /// How many bytes it took of the chunk under way of which it took most.
    var mostBytesSent: Int64 { bytesSent.values.max() ?? 0 }

    /// One chunk. `generation` rises each time its bytes change.
    struct Chunk: Sendable {
        enum State: Sendable, Equatable {
            /// Not stored, nothing under way.
            case waiting
            /// A PUT of that generation is under way.
            case uploading(generation: Int)
            /// Stored, not yet reported.
            case uploaded(etag: String, generation: Int)
            /// Stored and reported.
            case completed(etag: String, generation: Int)
        }

        var state: State = .waiting
        var generation = 0
        var attempts = 0
        var retry = RetryState()
        /// The report that it is part of, until that is answered: under way, or waiting to be made again.
        var report: Int?
        /// Named in a report that the platform may have accepted: its proof can't be changed any more.
        var isClaimed = false
        /// Named in a report that the platform did accept.
        var isAccepted = false
        /// How often the platform accepted it and called it failed afterwards.
        var rejections = 0

        /// Whether what is stored, or under way, is older than the content.
        var isStale: Bool {
            switch state {
            case .waiting: false
            case .uploading(let sent), .uploaded(_, let sent), .completed(_, let sent): sent != generation
            }
        }
    }
}
