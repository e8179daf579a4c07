import Synchronization

/// What can be told that its caller was interrupted.
protocol Interruptible: AnyObject, Sendable {
    func interrupted()
}

/// Runs interrupt handlers on a thread of its own, since libfuse calls back with a lock held.
///
/// ``DeferredReply`` has the list of races.
final class InterruptDispatcher: Sendable {
    /// Names a reply towards libfuse. A number rather than a pointer: libfuse may call back when the reply is long gone.
    struct Ticket: Hashable, Sendable {
        let number: UInt
    }

    private struct Waiting: Sendable {
        /// Weak, so that a reply that everybody forgot can answer EIO.
        weak var target: (any Interruptible)?
    }

    private struct State: Sendable {
        var lastTicket: UInt = 0
        var waiting: [Ticket: Waiting] = [:]
        var posted: [Ticket] = []
        var isStopped = false
    }

    private let state = Monitor(State())
    private let thread = Mutex<NativeThread?>(nil)

    func start() throws(FuseError) {
        let started = try NativeThread(name: "fuse-interrupt") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Ends the thread; what is posted but not delivered is dropped.
    func stop() {
        state.update { $0.isStopped = true }
        thread.withLock { $0.take() }?.join()
    }

    func issueTicket(for target: some Interruptible) -> Ticket {
        state.update { state in
            state.lastTicket += 1
            let ticket = Ticket(number: state.lastTicket)
            state.waiting[ticket] = Waiting(target: target)
            return ticket
        }
    }

    func withdraw(_ ticket: Ticket) {
        state.update { _ = $0.waiting.removeValue(forKey: ticket) }
    }

    /// Called by libfuse's callback: takes no other lock and runs nothing.
    func post(_ ticket: Ticket) {
        state.update { $0.posted.append(ticket) }
    }

    private func run() {
        while let tickets = nextTickets() {
            for ticket in tickets {
                target(of: ticket)?.interrupted()
            }
        }
    }

    /// - Returns: nil once it is stopped.
    private func nextTickets() -> [Ticket]? {
        state.wait { state -> [Ticket]?? in
            if state.isStopped { return .some(nil) }
            if state.posted.isEmpty { return .none }
            defer { state.posted = [] }
            return .some(state.posted)
        }
    }

    /// The last reference to a reply may end here; its deinit answers EIO, which must not happen under the lock.
    private func target(of ticket: Ticket) -> (any Interruptible)? {
        state.update { $0.waiting[ticket]?.target }
    }
}
