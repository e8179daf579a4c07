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
    struct Token: Hashable, Sendable {
        let number: UInt
    }

    private struct Waiting: Sendable {
        /// Weak, so that a reply that everybody forgot can answer EIO.
        weak var target: (any Interruptible)?
    }

    private struct State: Sendable {
        var lastToken: UInt = 0
        var waiting: [Token: Waiting] = [:]
        var posted: [Token] = []
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

    func issueToken(for target: some Interruptible) -> Token {
        state.update { state in
            state.lastToken += 1
            let token = Token(number: state.lastToken)
            state.waiting[token] = Waiting(target: target)
            return token
        }
    }

    func withdraw(_ token: Token) {
        state.update { _ = $0.waiting.removeValue(forKey: token) }
    }

    /// Called by libfuse's callback: takes no other lock and runs nothing.
    func post(_ token: Token) {
        state.update { $0.posted.append(token) }
    }

    private func run() {
        while let tokens = nextTokens() {
            for token in tokens {
                target(of: token)?.interrupted()
            }
        }
    }

    /// - Returns: nil once it is stopped.
    private func nextTokens() -> [Token]? {
        state.wait { state -> [Token]?? in
            if state.isStopped { return .some(nil) }
            if state.posted.isEmpty { return .none }
            defer { state.posted = [] }
            return .some(state.posted)
        }
    }

    /// The last reference to a reply may end here; its deinit answers EIO, which must not happen under the lock.
    private func target(of token: Token) -> (any Interruptible)? {
        state.update { $0.waiting[token]?.target }
    }
}
