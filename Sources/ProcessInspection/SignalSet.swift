import Glibc

/// A set of signals, as the masks in `/proc/<pid>/status` hold them: bit 0 is signal 1.
public struct SignalSet: OptionSet, Sendable, Hashable {
    /// The mask.
    public let rawValue: UInt64

    /// A set with that mask.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// A set of signal numbers; those that do not exist are left out.
    public init(signals: [Int32]) {
        self.init(rawValue: signals.reduce(0) { (1...64).contains($1) ? $0 | 1 << UInt64($1 - 1) : $0 })
    }

    /// The signals that people and shells end a program with.
    public static let ending = SignalSet(signals: [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGKILL])

    /// The signals that end no process which does not catch them: signal(7).
    static let harmlessByDefault = SignalSet(signals: [
        SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU,
    ])
}

/// The signals that wait for a thread, and what it will do about them.
public struct PendingSignals: Sendable, Equatable {
    /// Sent to the thread (`SigPnd`) or to its process (`ShdPnd`), and not taken yet.
    public var pending: SignalSet
    /// Not to be taken now (`SigBlk`).
    public var blocked: SignalSet
    /// Thrown away when taken (`SigIgn`): HUP under `nohup`, INT and QUIT of a shell's background jobs.
    public var ignored: SignalSet
    /// Handled by the program (`SigCgt`).
    public var caught: SignalSet

    /// Signals in the four states.
    public init(pending: SignalSet, blocked: SignalSet = [], ignored: SignalSet = [], caught: SignalSet = []) {
        self.pending = pending
        self.blocked = blocked
        self.ignored = ignored
        self.caught = caught
    }

    /// The signals for which the thread should be woken from a call that it waits in.
    ///
    /// Those are HUP, INT, QUIT, TERM and KILL, whether the program catches them (it wants to end in its own way, and
    /// cannot before the call returns) or dies of them; and every other signal that it would die of. Not those that
    /// are blocked or ignored: for the program it is as if nobody had sent them. Not a stop, a changed window size or
    /// a timer that the program catches: it goes on afterwards.
    ///
    /// In a program of several threads the kernel itself turns a deadly signal to the process into a KILL for each thread.
    public var endingTheWait: SignalSet {
        let deliverable = pending.subtracting(blocked).subtracting(ignored)
        let deadly = deliverable.subtracting(caught).subtracting(.harmlessByDefault)
        return deliverable.intersection(.ending).union(deadly)
    }

    /// From the contents of `/proc/<pid>/status`; nil when one of the masks is missing.
    package init?(parsing status: [UInt8]) {
        self.init(KeyedLines(status))
    }

    init?(_ lines: KeyedLines) {
        func mask(_ key: StaticString) -> SignalSet? {
            lines[key].flatMap { UInt64(hexadecimal: $0) }.map { SignalSet(rawValue: $0) }
        }
        guard let ofThread = mask("SigPnd"), let ofProcess = mask("ShdPnd"), let blocked = mask("SigBlk"),
            let ignored = mask("SigIgn"), let caught = mask("SigCgt")
        else { return nil }
        self.init(pending: ofThread.union(ofProcess), blocked: blocked, ignored: ignored, caught: caught)
    }
}
