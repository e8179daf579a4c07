import FuseLowLevel
import Glibc
import Synchronization

/// Ctrl-C, and what else asks a program to end, while `twelvefs mount` waits for the process in the background.
///
/// That process has a session of its own and hears of no terminal. So the signals are taken here and passed on to it, and
/// the command ends, by the same signal, when it has ended.
final class StartInterrupt: Sendable {
    private struct State: Sendable {
        var child: pid_t?
        var caught: Int32?
        var isOver = false
    }

    /// What the signal mask was, for the child.
    let formerMask: sigset_t
    private let state = Mutex(State())

    /// Takes the signals from here on.
    ///
    /// - Throws: a ``CommandFailure`` when there is no thread to be had.
    init() throws {
        var taken = sigset_t()
        sigemptyset(&taken)
        // What is ignored (HUP under nohup, INT of a shell's background job) stays so.
        for number in [SIGINT, SIGTERM, SIGHUP] where !Self.isIgnored(number) { sigaddset(&taken, number) }
        var former = sigset_t()
        pthread_sigmask(SIG_BLOCK, &taken, &former)
        formerMask = former
        let signals = taken
        do {
            try NativeThread(name: "mount-signals") { [self] in
                var signals = signals
                var number: Int32 = 0
                while sigwait(&signals, &number) == 0 { pass(number) }
            }.detach()
        } catch {
            throw CommandFailure(error.message)
        }
    }

    /// The child is there: it gets what comes, and what has come.
    func begin(_ child: pid_t) {
        state.withLock { state in
            state.child = child
            if state.caught != nil { kill(child, SIGTERM) }
        }
    }

    /// The child has said its word, or ended. If it was told to end, waits for that and ends this process likewise.
    func end() {
        let (child, caught) = state.withLock { state in
            state.isOver = true
            return (state.child, state.caught)
        }
        guard let caught else { return }
        if let child { while waitpid(child, nil, 0) < 0 && errno == EINTR {} }
        Self.die(by: caught)
    }

    private func pass(_ number: Int32) {
        let isOver = state.withLock { state in
            if !state.isOver {
                state.caught = number
                if let child = state.child { kill(child, SIGTERM) }
            }
            return state.isOver && state.caught == nil
        }
        if isOver { Self.die(by: number) }
    }

    /// As if nobody had taken it, so that a shell sees what happened.
    private static func die(by number: Int32) {
        signal(number, SIG_DFL)
        var only = sigset_t()
        sigemptyset(&only)
        sigaddset(&only, number)
        pthread_sigmask(SIG_UNBLOCK, &only, nil)
        raise(number)
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
            == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}
