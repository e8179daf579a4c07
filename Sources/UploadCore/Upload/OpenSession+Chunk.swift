extension OpenSession {
    /// What the network took of chunks, by their indices.
    struct SentBytes: Sendable {
        private var current: [Int: Int64] = [:]
        private var furthest: [Int: Int64] = [:]
        /// Bytes that it took for the first time, of all chunks together.
        private(set) var fresh: Int64 = 0

        /// It took so many more of a chunk that is under way.
        mutating func add(_ count: Int64, of index: Int) {
            let sent = current[index, default: 0] + count
            current[index] = sent
            fresh += max(0, sent - furthest[index, default: 0])
            furthest[index] = max(sent, furthest[index, default: 0])
        }

        /// The PUT is over: another one begins at the first byte.
        mutating func end(_ index: Int) { current[index] = nil }

        mutating func endAll() { current = [:] }
    }

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
