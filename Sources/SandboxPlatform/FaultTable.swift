import Synchronization

/// The faults that are still to come, and the requests that hang.
final class FaultTable: Sendable {
    private struct Armed {
        var fault: InjectedFault
        /// Matching requests so far.
        var seen = 0
        var played = 0
    }

    private struct State {
        var armed: [Armed] = []
        var hanging: [Int: AsyncStream<Never>.Continuation] = [:]
        var nextHang = 0
        /// Counts how often the faults were cleared.
        var clearings = 0
    }

    /// A fault that a request has to play.
    struct Due: Sendable {
        var fault: InjectedFault
        /// How often the faults had been cleared when it was taken: a request that comes to hang only after the next
        /// clearing must not.
        fileprivate var clearings: Int
    }

    private let state = Mutex(State())

    init(_ faults: [InjectedFault]) {
        add(faults)
    }

    func add(_ faults: [InjectedFault]) {
        state.withLock { $0.armed += faults.map { Armed(fault: $0) } }
    }

    /// Forgets all faults; requests that hang go on.
    func clear() {
        let hanging = state.withLock { state in
            let hanging = Array(state.hanging.values)
            state.armed = []
            state.hanging = [:]
            state.clearings += 1
            return hanging
        }
        for continuation in hanging { continuation.finish() }
    }

    /// The faults that have not been played to the end.
    var remaining: [InjectedFault] { state.withLock { $0.armed.map(\.fault) } }

    /// The fault for a request, if one is due. The first that is due is taken; those after it do not count the request.
    /// - Parameter age: how long ago the last report was on what the request is about; nil when there was none.
    func take(_ route: Route, age: Duration?) -> Due? {
        state.withLock { state in
            for index in state.armed.indices {
                let fault = state.armed[index].fault
                guard fault.on.isEmpty || fault.on.contains(route.kind),
                    fault.uploadID == nil || fault.uploadID == route.uploadID,
                    fault.assetID == nil || fault.assetID == route.assetID,
                    fault.chunkIndex == nil || fault.chunkIndex == route.chunkIndex,
                    fault.within.map({ limit in age.map { $0 < limit } ?? false }) ?? true
                else { continue }
                state.armed[index].seen += 1
                let turn = state.armed[index].seen - fault.skip
                guard turn > 0, turn % fault.every == 0,
                    fault.probability >= 1 || Double.random(in: 0..<1) < fault.probability
                else { continue }
                state.armed[index].played += 1
                if let count = fault.count, state.armed[index].played >= count { state.armed.remove(at: index) }
                return Due(fault: fault, clearings: state.clearings)
            }
            return nil
        }
    }

    /// Returns when the faults are cleared. Throws `CancellationError` when the task is cancelled first.
    func hang(_ due: Due) async throws {
        let (stream, continuation) = AsyncStream<Never>.makeStream()
        let number = state.withLock { state -> Int? in
            guard state.clearings == due.clearings else { return nil }
            state.nextHang += 1
            state.hanging[state.nextHang] = continuation
            return state.nextHang
        }
        guard let number else { return }
        defer { state.withLock { $0.hanging[number] = nil } }
        for await _ in stream {}
        try Task.checkCancellation()
    }

    /// Returns after a time, or when the faults are cleared. Throws `CancellationError` when the task is cancelled first.
    func delay(_ due: Due, for duration: Duration, by clock: any SandboxClock) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await clock.sleep(for: duration) }
            group.addTask { try await self.hang(due) }
            try await group.next()
            group.cancelAll()
        }
    }
}
