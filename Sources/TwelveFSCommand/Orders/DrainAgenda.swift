import Synchronization

/// How a mount is to end.
public struct DrainOrder: Sendable {
    /// How long it may take.
    public let timeout: Duration
    /// Whether it ends even if somebody is in it by then.
    public var isForced: Bool
    /// Who asks for it, and may take it back; nil for a signal.
    public var client: OrderClient?

    /// More than anybody waits, and little enough to be added to a moment: an order may come with any time.
    private static let longestTimeout: Duration = .seconds(100 * 365 * 86_400)

    /// An order; by force, as a signal is one.
    public init(timeout: Duration, isForced: Bool = true, client: OrderClient? = nil) {
        self.timeout = min(max(timeout, .zero), Self.longestTimeout)
        self.isForced = isForced
        self.client = client
    }
}

/// The orders that a mount is ended for. More may come while it ends, and each has its own time and its own answers: the
/// first whose time is over decides where it is by force, and otherwise has its answer, and the others are waited for.
public final class DrainAgenda: Sendable {
    private struct Entry {
        let client: OrderClient?
        let deadline: ContinuousClock.Instant
        let isForced: Bool
    }

    private struct State {
        var entries: [Entry] = []
        /// Who is in the mount, as was told last.
        var users: [String] = []
    }

    private let state = Mutex(State())

    /// An empty one.
    public init() {}

    /// One order more.
    package func add(_ order: DrainOrder, at now: ContinuousClock.Instant = .now) {
        let users = state.withLock { state in
            state.entries.append(
                Entry(client: order.client, deadline: now + order.timeout, isForced: order.isForced))
            return state.users
        }
        order.client?.answer(.waiting(users: ServerAnswer.told(users)))
    }

    /// The client with this id has taken its order back.
    package func withdraw(_ client: Int) {
        state.withLock { $0.entries.removeAll { $0.client?.id == client } }
    }

    /// Whether nobody asks for the end.
    package var isEmpty: Bool { state.withLock { $0.entries.isEmpty } }

    /// What is to be done next. Tells those who wait who is in the mount, and takes those off whose time is over.
    package func step(
        users: [String], isIdle: Bool, at now: ContinuousClock.Instant = .now
    ) -> EndRule.Step {
        let (step, told) = state.withLock { state -> (EndRule.Step, [(OrderClient, ServerAnswer)]) in
            let steps = state.entries.map { entry in
                EndRule.next(
                    EndRule.Situation(
                        isUsed: !users.isEmpty, isIdle: isIdle, isLate: now >= entry.deadline, isForced: entry.isForced)
                )
            }
            for step in [EndRule.Step.force, .detach] where steps.contains(step) {
                return (step, [])
            }
            var told: [(OrderClient, ServerAnswer)] = []
            for (entry, step) in zip(state.entries, steps) {
                guard let client = entry.client else { continue }
                if step == .stayBusy {
                    told.append((client, .busy(users: ServerAnswer.told(users))))
                } else if users != state.users {
                    told.append((client, .waiting(users: ServerAnswer.told(users))))
                }
            }
            state.users = users
            state.entries = zip(state.entries, steps).filter { $0.1 != .stayBusy }.map(\.0)
            return (state.entries.isEmpty ? .stayBusy : .wait, told)
        }
        for (client, answer) in told { client.answer(answer) }
        return step
    }

    /// How long nothing is over, `limit` at most.
    package func pause(atMost limit: Duration, at now: ContinuousClock.Instant = .now) -> Duration {
        state.withLock { state in
            state.entries.reduce(limit) { min($0, max(.zero, $1.deadline - now)) }
        }
    }

    /// The mount has ended: everybody who waits is told.
    package func end(_ outcome: DrainOutcome) {
        let clients = state.withLock { state in
            defer { state = State() }
            return state.entries.compactMap(\.client)
        }
        for client in clients { client.answer(.ended(outcome)) }
    }
}
