/// What the writer does.
extension UploadStateMachine {
    mutating func wrote(_ range: Range<Int64>, _ reaction: inout UploadReaction) {
        guard !range.isEmpty, state.isUnderWay else { return }
        reopen(&reaction)
        written.insert(range)
        size = max(size, range.upperBound)
        if released.overlaps(range) { return failIfReleasedIsNeeded(nil, &reaction) }
        contentChanged(in: range, &reaction)
    }

    mutating func truncated(to newSize: Int64, _ reaction: inout UploadReaction) {
        guard state.isUnderWay, newSize != size else { return }
        reopen(&reaction)
        let touched = min(size, newSize)..<max(size, newSize)
        written.remove(newSize..<Int64.max)
        size = newSize
        progress.startOver()
        if newSize == 0 { released = SegmentMap() }
        if released.overlaps(newSize..<Int64.max) { return failIfReleasedIsNeeded(nil, &reaction) }
        contentChanged(in: touched, &reaction)
    }

    /// A weaker hint does not replace a stronger one, unless the file has outgrown that.
    mutating func hinted(_ newHint: SizeHint?) {
        if let newHint, let hint, newHint.source < hint.source, hint.size >= size { return }
        hint = newHint
    }

    /// A staged version that is written again is open again; what has ended stays so.
    mutating func reopen(_ reaction: inout UploadReaction) {
        guard state.isUnderWay, let scope, scope != .whole else { return }
        if state == .finishing {
            let reason = UploadFailure(.replaced, message: "the file was written again before it was confirmed")
            reaction.answer(with: .failure(reason))
        }
        self.scope = nil
        state = .open
        dissolveIdleReports()
    }

    mutating func contentChanged(in range: Range<Int64>, _ reaction: inout UploadReaction) {
        guard let session else { return }
        var hitReportedChunk = false
        for index in session.plan.chunks(touching: range) {
            if self.session?.contentChanged(index) == true { hitReportedChunk = true }
            if scope != nil {
                // Told late: the commit has looked at this chunk already.
                resendIfStale(index)
                self.session?.offer(index)
            } else if written.covers(session.plan.range(of: index)) {
                if !(self.session?[index].isStale ?? true) { self.session?.offer(index) }
            } else {
                self.session?.withdraw(index)
            }
        }
        if hitReportedChunk { abandonSession(&reaction) }
    }

    mutating func committed(_ newScope: CommitScope, at now: Instant, _ reaction: inout UploadReaction) {
        guard state.isUnderWay, scope != .whole else { return }
        scope = newScope
        state = .finishing
        waitsForCommit = false
        stall = nil
        progress.begin(at: now)
        deltas.append(.changed)
        if let refusal = sizeObjection(toSize: size) { return end(.failed, refusal, &reaction) }
        guard let session else { return }
        for index in session.indices {
            resendIfStale(index)
            self.session?.offer(index)
        }
    }

    mutating func end(_ final: UploadState, _ reason: UploadFailure, _ reaction: inout UploadReaction) {
        // What ended badly is kept for another try; removing it ends that too.
        let isKept = state == .failed || state == .interrupted
        guard state.isUnderWay || (isKept && final == .cancelled) else { return }
        failure = reason
        state = final
        switch final {
        case .interrupted, .cancelled:
            // Of one that was withdrawn the asset has been seen to.
            let isSeenTo = withdrawal != nil
            withdrawal = nil
            abandonSession(&reaction, isComplete: isSeenTo ? true : nil)
        case .failed:
            pendingCall = nil
            reports = []
            doubt = nil
            reaction.stopsTransfers = true
        case .open, .staged, .finishing, .completed: break
        }
        reaction.answer(with: .failure(reason))
    }
}
