import Synchronization

/// What a request asked for. The names are those of the journal and of the faults.
public enum RequestKind: String, Sendable, CaseIterable, Codable {
    /// `POST /assets/multipart-uploads`
    case create
    /// `GET /assets/multipart-uploads`
    case list
    /// `GET /assets/multipart-uploads/{upload_id}`
    case status
    /// `POST /assets/multipart-uploads/{upload_id}`
    case report
    /// `POST /assets/multipart-uploads/{upload_id}/presigned-urls`
    case urls
    /// A chunk to the store.
    case put
    /// `GET /assets`
    case assets
    /// `GET /assets/{asset_id}`
    case asset
    /// `DELETE /assets/{asset_id}`
    case delete
    /// `PATCH /assets/{asset_id}/user-metadata`
    case metadata
    /// An asset's bytes from its `url`.
    case content
    /// Anything else, which is answered with 404 or 405.
    case unknown
}

/// One request, from its head's arrival to its answer.
public struct JournalEntry: Sendable, Equatable, Codable {
    /// Counts from 1.
    public var sequence: Int
    /// What was asked for.
    public var kind: RequestKind
    /// The HTTP method.
    public var method: String
    /// The path, without the query.
    public var path: String
    /// When the head arrived.
    public var started: WallTime
    /// Just before the answer was sent, or when the connection was lost; nil while under way.
    public var finished: WallTime?
    /// The answer's status; nil while under way, and when the connection ended without an answer.
    public var status: Int?
    /// The session.
    public var uploadID: String?
    /// The asset.
    public var assetID: String?
    /// The chunk of a PUT.
    public var chunkIndex: Int?
    /// The signature of the URL that a PUT was sent to: with it, a test can look for it where it must not be.
    public var signature: String?
    /// The chunks that a report named.
    public var chunkIndices: [Int]?
    /// Bytes of a PUT's body that arrived, or of an asset's content that were sent.
    public var bytes: Int64?
    /// Chunks that a report named again.
    public var duplicateChunks: Int?
    /// The assets that a list was asked for.
    public var assetIDs: [String]?
    /// The query of a call, as it was sent. Of the store's URLs it is not kept: it is what they are worth.
    public var query: String?
    /// The body of a call.
    public var body: String?
    /// The `Content-Type` of a call.
    public var contentType: String?
    /// The name of the first constraint of the specification that a call violated, whatever it was answered.
    public var violation: String?
    /// The `x-trace-id` that it was answered with.
    public var traceID: String?
    /// Whether `x-api-key` was sent.
    public var carriedAPIKey: Bool
    /// The name that *create* gave.
    public var filename: String?
    /// The size that *create* gave.
    public var totalSize: Int64?
    /// The fault that was played, as it was named.
    public var fault: String?
    /// Why there was no answer, or what was refused.
    public var error: String?

    var json: SandboxJSON {
        .object([
            "sequence": .integer(Int64(sequence)), "kind": .string(kind.rawValue), "method": .string(method),
            "path": .string(path), "started": .number(started.seconds),
            "finished": finished.map { .number($0.seconds) } ?? .null, "status": .optional(status),
            "upload_id": .optional(uploadID), "asset_id": .optional(assetID), "chunk_index": .optional(chunkIndex),
            "signature": .optional(signature),
            "chunk_indices": chunkIndices.map { .array($0.map { .integer(Int64($0)) }) } ?? .null,
            "chunk_count": .optional(chunkIndices?.count),
            "asset_ids": assetIDs.map { .array($0.map { .string($0) }) } ?? .null,
            "query": .optional(query), "body": .optional(body), "content_type": .optional(contentType),
            "violation": .optional(violation), "trace_id": .optional(traceID),
            "bytes": .optional(bytes), "duplicate_chunks": .optional(duplicateChunks),
            "carried_api_key": .bool(carriedAPIKey), "filename": .optional(filename),
            "total_size": .optional(totalSize), "fault": .optional(fault), "error": .optional(error),
        ])
    }
}

/// Every request, in memory, so that tests can prove what was sent and when; on disk as well where that is kept.
final class RequestJournal: Sendable {
    /// Beyond this the oldest entries are forgotten: half a million requests, some 150 MB.
    static let capacity = 500_000

    private struct State {
        var entries: [JournalEntry] = []
        /// The sequence number of the first entry that is kept.
        var first = 1
        var next = 1
        /// Requests that are under way, by kind.
        var concurrent: [RequestKind: Int] = [:]
        var peaks: [RequestKind: Int] = [:]
        var watchers: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextWatcher = 0
    }

    private let state: Mutex<State>
    private let file: JournalFile?

    /// - Parameters:
    ///   - file: where entries are kept beyond the process's end; nil for nowhere.
    ///   - entries: those of earlier runs, in their order.
    init(keptIn file: JournalFile? = nil, after entries: [JournalEntry] = []) {
        self.file = file
        var initial = State()
        initial.entries = entries.suffix(Self.capacity)
        initial.first = initial.entries.first?.sequence ?? 1
        initial.next = (entries.last?.sequence ?? 0) + 1
        state = Mutex(initial)
    }

    /// Notes a request, which `describe` tells more of, and answers its sequence number.
    func begin(
        _ kind: RequestKind, method: String, path: String, at time: WallTime, carriedAPIKey: Bool,
        describe: (inout JournalEntry) -> Void
    ) -> Int {
        let (entry, watchers) = state.withLock { state in
            if state.entries.count >= Self.capacity {
                state.entries.removeFirst(Self.capacity / 2)
                state.first += Self.capacity / 2
            }
            var entry = JournalEntry(
                sequence: state.next, kind: kind, method: method, path: path, started: time,
                carriedAPIKey: carriedAPIKey)
            describe(&entry)
            state.next += 1
            state.entries.append(entry)
            let count = state.concurrent[kind, default: 0] + 1
            state.concurrent[kind] = count
            state.peaks[kind] = max(state.peaks[kind, default: 0], count)
            return (entry, Array(state.watchers.values))
        }
        file?.write(entry)
        for watcher in watchers { watcher.yield() }
        return entry.sequence
    }

    /// Adds to what is known of a request.
    func amend(_ sequence: Int, _ change: (inout JournalEntry) -> Void) {
        let watchers = state.withLock { state -> [AsyncStream<Void>.Continuation] in
            let index = sequence - state.first
            guard state.entries.indices.contains(index) else { return [] }
            change(&state.entries[index])
            return Array(state.watchers.values)
        }
        for watcher in watchers { watcher.yield() }
    }

    /// Notes that a request is over; later calls for the same request change nothing.
    func finish(_ sequence: Int, at time: WallTime, status: Int?, error: String? = nil) {
        let (entry, watchers) = state.withLock { state -> (JournalEntry?, [AsyncStream<Void>.Continuation]) in
            let index = sequence - state.first
            guard state.entries.indices.contains(index), state.entries[index].finished == nil else { return (nil, []) }
            state.entries[index].finished = time
            state.entries[index].status = status
            if let error { state.entries[index].error = error }
            return (state.entries[index], Array(state.watchers.values))
        }
        if let entry { file?.write(entry) }
        for watcher in watchers { watcher.yield() }
    }

    /// Has to be called once for every request that was begun.
    func ended(_ kind: RequestKind) {
        state.withLock { $0.concurrent[kind, default: 0] -= 1 }
    }

    var entries: [JournalEntry] { state.withLock { $0.entries } }

    /// The most requests of each kind that were under way at once.
    var peaks: [RequestKind: Int] { state.withLock { $0.peaks } }

    /// What `GET /_sandbox/journal` answers: every request, how many there are of each kind, and how many there were of
    /// each at once.
    var json: SandboxJSON {
        let (entries, peaks) = state.withLock { ($0.entries, $0.peaks) }
        func byKind(_ counts: [RequestKind: Int]) -> SandboxJSON {
            .object(
                Dictionary(
                    uniqueKeysWithValues: RequestKind.allCases.map { kind in
                        (kind.rawValue, .integer(Int64(counts[kind] ?? 0)))
                    }))
        }
        return .object([
            "requests": .array(entries.map(\.json)),
            "counts": byKind(Dictionary(grouping: entries, by: \.kind).mapValues(\.count)),
            "peak_concurrent": byKind(peaks), "peak_concurrent_puts": .integer(Int64(peaks[.put] ?? 0)),
        ])
    }

    /// Forgets everything; requests that are under way are not recorded again.
    func clear() {
        state.withLock { state in
            state.entries.removeAll()
            state.first = state.next
            state.peaks = state.concurrent
        }
        file?.clear()
    }

    /// Returns once the condition holds; it is looked at after every change.
    func wait(until condition: @Sendable ([JournalEntry]) -> Bool) async throws {
        let (changes, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let watcher = state.withLock { state in
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = continuation
            return state.nextWatcher
        }
        defer { state.withLock { $0.watchers[watcher] = nil } }
        if condition(entries) { return }
        for await _ in changes where condition(entries) { return }
        throw CancellationError()
    }
}
