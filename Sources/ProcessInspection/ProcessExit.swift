extension ProcessTable {
    /// Whether a process is on its way out, and how it ended.
    public enum Exit: Sendable, Equatable {
        /// It is not.
        case running
        /// It is in the middle of `exec`, which closes descriptors: nobody reads the answer of such a close. While it waits,
        /// so does everybody who looks at the process, `ps` and `top` among them: it is to be answered at once.
        case startingProgram
        /// It called `exit` with that status, or returned from `main`.
        case exiting(status: Int32)
        /// A signal ended it.
        case killed(signal: Int32)
        /// It is on its way out; how it ended may be known to its own user only.
        case exitingUnknown
        /// There is no such process any more, or it is of another pid namespace.
        case unknown
    }

    /// What the process is about that a thread belongs to, while that thread closes a descriptor.
    ///
    /// The thread counts, not its process's first one: that one may have ended long before the others.
    ///
    /// `status` tells first whether `stat` may be read: a thread that exits has closed its descriptors before they are
    /// closed (`FDSize` 0), and then nobody of its process can be in the middle of `exec`. One that is in it has an
    /// address space already (`Vm…`), with no program in it yet (`VmExe` 0).
    ///
    /// How it ended is told by `exit_code` in `stat`; `PF_SIGNALED` is not looked at, since threads that a normal exit
    /// ends bear it too. A zero is what the kernel prints for whoever may not know, and is believed only where we may.
    public func exit(of thread: Int32) -> Exit {
        guard let status = status(of: thread), let descriptors = status["FDSize"].flatMap({ Int(decimal: $0) })
        else { return .unknown }
        if descriptors > 0 {
            let hasProgram = status["VmExe"].map { !$0.elementsEqual("0 kB".utf8) } ?? true
            return hasProgram ? .running : .startingProgram
        }
        guard let own = stat(of: thread) else { return .unknown }
        guard own.isExiting else { return .running }
        if let code = own.exitCode, code != 0 { return Self.exit(code: code) }
        // Not every kernel prints the whole process's code for each of its threads.
        if let first = Self.id("Tgid", in: status), first != thread, let stat = stat(of: first), stat.isExiting,
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

    private func stat(of pid: Int32) -> ProcessStat? {
        RawFile.contents(of: path(pid, "stat"), limit: 4096).flatMap { ProcessStat(parsing: $0) }
    }

    /// The kernel shows `exit_code` to whoever may trace the process; the link to its working directory, too.
    private func mayKnowExit(of thread: Int32) -> Bool {
        RawFile.link(at: path(thread, "cwd")) != nil
    }
}
