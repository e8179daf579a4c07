import FuseLowLevel
import UploadCore

// Closes: what they are answered, and when.

extension ModelRun {
    /// A duplicate of the descriptor is closed: the process has the file open still.
    func flush(_ slot: Int) throws {
        guard let handle = handles[slot], !handle.isClosing, handle.canWrite else { return }
        let answer = mount.flush(handle.number, by: handle.pid)
        let verdict = handle.file.flush(by: handle.pid, isDying: false, isHeld: true)
        // It would wait, as a close does, and hold up everything that comes after it.
        if waits(verdict) { try letGo() }
        try answered(try answer.get(), verdict)
    }

    func close(_ slot: Int, isKilled: Bool = false) throws {
        guard let handle = handles[slot], !handle.isClosing else { return }
        guard handle.canWrite else { return release(slot) }
        let (file, pid) = (handle.file, handle.pid)
        mount.writers.closed(handle.node.rawValue, by: pid)
        if isKilled { mount.writers.setDying(pid, true) }
        let isHeld = handles.contains { other, open in
            other != slot && open.file === file && open.canWrite && !open.isClosing
        }
        let answer = mount.flush(handle.number, by: pid)
        let verdict = file.flush(by: pid, isDying: isKilled, isHeld: isHeld)
        if case .commits(let commit) = verdict { commits.append(commit) }
        if !isKilled, waits(verdict) {
            handles[slot]?.isClosing = true
            pending.append(Pending(slot: slot, answer: answer, verdict: verdict, changes: file.changes))
            return
        }
        let errno = try answer.get()
        // Nobody hears what a killed process is answered.
        try answered(errno, verdict, isHeard: !isKilled)
        mount.writers.setDying(pid, false)
        release(slot)
    }

    /// Whether a close with that verdict waits for the platform while that answers nothing.
    private func waits(_ verdict: ModelFile.Verdict) -> Bool {
        guard platform.isHeld, settings.closeMode == .upload else { return false }
        switch verdict {
        case .answered: return false
        case .commits, .stages, .joins: return true
        }
    }

    /// What an answer has to be, and what follows from it.
    func answered(_ errno: FuseErrno?, _ verdict: ModelFile.Verdict, isHeard: Bool = true) throws {
        switch verdict {
        case .answered(let isError): try check((errno != nil) == isError, "it was answered \(text(errno))")
        case .commits(let commit): try decided(errno, commit, isHeard: isHeard)
        case .joins(let commit?): try decided(errno, commit, isHeard: isHeard)
        case .stages, .joins(nil):
            try check(errno == nil, "it was answered \(text(errno))")
        }
    }

    private func decided(_ errno: FuseErrno?, _ commit: ModelCommit, isHeard: Bool) throws {
        guard let errno else {
            guard isHeard, settings.closeMode == .upload else { return }
            commit.isConfirmed = true
            let file = files.values.first { $0.commit === commit }
            file?.knownPath = file?.path
            return
        }
        try check(commit.isOptional, "what was committed was answered \(errno)")
    }

    private func text(_ errno: FuseErrno?) -> String { errno.map { "\($0)" } ?? "with success" }

    /// The platform answers again: every close that waits is answered.
    func letGo() throws {
        platform.letGo()
        let waiting = pending
        pending = []
        for close in waiting {
            let errno = try close.answer.get()
            // Who waits for what is only sent, and is written again or removed meanwhile, waits for nothing.
            let isObsolete = handles[close.slot].map { $0.file.changes != close.changes } ?? true
            if case .commits = close.verdict {
                try answered(errno, close.verdict)
            } else if case .joins(_?) = close.verdict {
                try answered(errno, close.verdict)
            } else if !isObsolete {
                try answered(errno, close.verdict)
            }
            release(close.slot)
        }
    }

    func release(_ slot: Int) {
        guard let handle = handles.removeValue(forKey: slot) else { return }
        let file = handle.file
        mount.release(handle.number)
        file.handles -= 1
        if handle.canWrite {
            file.writeHandles -= 1
            if file.writeHandles == 0 { lastWriterReleased(file) }
        }
        dropIfInterrupted(file)
    }

    func lastWriterReleased(_ file: ModelFile) {
        if case .commits(let commit)? = file.lastWriterReleased() { commits.append(commit) }
        dropIfInterrupted(file)
    }

    /// What came to nothing leaves the listing when nobody has it open.
    private func dropIfInterrupted(_ file: ModelFile) {
        guard file.handles == 0, file.phase == .interrupted, let path = file.path else { return }
        files[path] = nil
        file.remove()
    }
}
