import Synchronization

/// All sessions, in memory; `SandboxStateDirectory` keeps their descriptions on disk.
final class SessionStore: Sendable {
    private struct State {
        var records: [String: SandboxUpload] = [:]
        /// Upload ids, oldest first.
        var order: [String] = []
        var uploadIDs: [String: String] = [:]
        /// Counts changes, so that an older description never replaces a newer one on disk.
        var changes: UInt64 = 0
    }

    /// A record as it was after a change.
    struct Snapshot: Sendable {
        var record: SandboxUpload
        var change: UInt64
    }

    private let state = Mutex(State())

    init(_ records: [SandboxUpload]) {
        state.withLock { state in
            for record in records.sorted(by: { $0.createdAt < $1.createdAt }) { Self.insert(record, into: &state) }
        }
    }

    func insert(_ record: SandboxUpload) -> Snapshot {
        state.withLock { state in
            Self.insert(record, into: &state)
            state.changes += 1
            return Snapshot(record: record, change: state.changes)
        }
    }

    private static func insert(_ record: SandboxUpload, into state: inout State) {
        state.records[record.uploadID] = record
        state.order.append(record.uploadID)
        state.uploadIDs[record.assetID] = record.uploadID
    }

    /// Nil when there is no such session.
    func record(_ uploadID: String) -> SandboxUpload? {
        state.withLock { $0.records[uploadID] }
    }

    /// Nil when there is no such asset.
    func record(ofAsset assetID: String) -> SandboxUpload? {
        state.withLock { state in state.uploadIDs[assetID].flatMap { state.records[$0] } }
    }

    /// Oldest first.
    var all: [SandboxUpload] {
        state.withLock { state in state.order.compactMap { state.records[$0] } }
    }

    /// Changes a record under the lock; when `body` throws, nothing is changed.
    /// Throws what `body` throws, and `unknown` when there is no such session.
    func change<Result: Sendable>(
        _ uploadID: String, orThrow unknown: Refusal, _ body: (inout SandboxUpload) throws(Refusal) -> Result
    ) throws(Refusal) -> (Result, Snapshot) {
        let outcome = state.withLock { state -> Swift.Result<(Result, Snapshot), Refusal> in
            guard var record = state.records[uploadID] else { return .failure(unknown) }
            do throws(Refusal) {
                let result = try body(&record)
                state.records[uploadID] = record
                state.changes += 1
                return .success((result, Snapshot(record: record, change: state.changes)))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }
}
