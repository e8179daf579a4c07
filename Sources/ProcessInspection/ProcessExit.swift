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
        /// There is no such process any more, or it is not to be seen: in another pid namespace, or hidden (`hidepid`).
        case unknown
        /// The look failed; the next one may not.
        case failed
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
        let status: KeyedLines
        switch lookAtStatus(of: thread) {
        case .found(let lines): status = lines
        case .absent, .hidden: return .unknown
        case .failed: return .failed
        }
        guard let descriptors = status["FDSize"].flatMap({ Int(decimal: $0) }) else { return .unknown }
        if descriptors > 0 {
            let hasProgram = status["VmExe"].map { !$0.elementsEqual("0 kB".utf8) } ?? true
            return hasProgram ? .running : .startingProgram
        }
        let own: ProcessStat
        switch stat(of: thread) {
        case .found(let stat): own = stat
        case .absent, .hidden: return .unknown
        case .failed: return .failed
        }
        guard own.isExiting else { return .running }
        if let code = own.exitCode, code != 0 { return Self.exit(code: code) }
        // Not every kernel prints the whole process's code for each of its threads.
        if let first = Self.id("Tgid", in: status), first != thread, let stat = stat(of: first).value, stat.isExiting,
            let code = stat.exitCode, code != 0
        {
            return Self.exit(code: code)
        }
        return own.exitCode != nil && mayKnowExit(of: thread) ? .exiting(status: 0) : .exitingUnknown
    }

    /// How much of a process is to be seen.
    public enum Sight: Sendable, Equatable {
        /// What it has open, and how it ends.
        case descriptors
        /// Whether it is on its way out.
        case status
        /// Nothing.
        case nothing
        /// The look failed; the next one may not.
        case failed
    }

    /// How much is to be seen of a thread's process, which runs.
    public func sight(of thread: Int32) -> Sight {
        switch lookAtStatus(of: thread) {
        case .found: break
        case .absent, .hidden: return .nothing
        case .failed: return .failed
        }
        switch lookAtDescriptors(of: thread) {
        case .found: return .descriptors
        case .hidden: return .status
        case .absent: return .nothing
        case .failed: break
        }
        switch threads.run({ [self] _ in lookAtDescriptors(of: thread) }) {
        case .found: return .descriptors
        case .hidden: return .status
        case .absent: return .nothing
        case .failed, nil: return .failed
        }
    }

    /// Whether what a process has open can be told. Some may list the descriptors of others and may not see what they are
    /// (root without `CAP_SYS_PTRACE`): the first one shows.
    private func lookAtDescriptors(of thread: Int32) -> Look<Void> {
        var shown: Look<Void> = .found(())
        let listed = eachDescriptor(of: thread) { holder, number in
            shown = RawFile.lookAtStart(of: "\(holder)/fdinfo/\(number)", count: 64).flatMap { _ in .found(()) }
            // Closed meanwhile: the next one shows as well.
            if case .absent = shown { return true }
            return false
        }
        guard case .found = listed else { return listed }
        if case .absent = shown { return .found(()) }
        return shown
    }

    private static func exit(code: Int32) -> Exit {
        let signal = code & 0x7f
        return signal == 0 ? .exiting(status: code >> 8 & 0xff) : .killed(signal: signal)
    }

    private func stat(of pid: Int32) -> Look<ProcessStat> {
        contents(of: path(pid, "stat"), limit: 4096).compactMap { ProcessStat(parsing: $0) }
    }

    /// The kernel shows `exit_code` to whoever may trace the process; the link to its working directory, too.
    private func mayKnowExit(of thread: Int32) -> Bool {
        RawFile.link(at: path(thread, "cwd")) != nil
    }
}
