extension ProcessTable {
    /// Whether a process is on its way out, and how it ended.
    public enum Exit: Sendable, Equatable {
        /// It is not.
        case running
        /// It called `exit` with that status, or returned from `main`.
        case exiting(status: Int32)
        /// A signal ended it.
        case killed(signal: Int32)
        /// It is on its way out; how it ended may be known to its own user only.
        case exitingUnknown
        /// There is no such process any more, or it is of another pid namespace.
        case unknown
    }

    /// How the process ended that a thread belongs to, while that thread closes what it had open.
    ///
    /// The thread counts, not its process's first one: that one may have ended long before the others. Source:
    /// `PF_EXITING` and `exit_code` in `stat`; `PF_SIGNALED` is not looked at, since threads that a normal exit ends bear it
    /// too. A zero `exit_code` is what the kernel prints for whoever may not know it, and is believed only where we may.
    public func exit(of thread: Int32) -> Exit {
        guard let own = stat(of: thread) else { return .unknown }
        guard own.isExiting else { return .running }
        if let code = own.exitCode, code != 0 { return Self.exit(code: code) }
        // Not every kernel prints the whole process's code for each of its threads.
        if let first = threadGroup(of: thread), first != thread, let stat = stat(of: first), stat.isExiting,
            let code = stat.exitCode, code != 0
        {
            return Self.exit(code: code)
        }
        return own.exitCode != nil && mayKnowExit(of: thread) ? .exiting(status: 0) : .exitingUnknown
    }

    private static func exit(code: Int32) -> Exit {
        let signal = code & 0x7f
        return signal == 0 ? .exiting(status: code >> 8 & 0xff) : .killed(signal: signal)
    }

    /// The kernel shows `exit_code` to whoever may trace the process; the link to its working directory, too.
    private func mayKnowExit(of thread: Int32) -> Bool {
        RawFile.link(at: path(thread, "cwd")) != nil
    }
}
