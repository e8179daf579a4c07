/// What the writer does.
extension UploadStateMachine {
    mutating func wrote(_ range: Range<Int64>, _ actions: inout [UploadAction]) {
        guard !range.isEmpty, state.isUnderWay else { return }
        reopen(&actions)
        written.insert(range)
        size = max(size, range.upperBound)
        contentChanged(in: range, &actions)
    }

    mutating func truncated(to newSize: Int64, _ actions: inout [UploadAction]) {
        guard state.isUnderWay, newSize != size else { return }
        reopen(&actions)
        let touched = min(size, newSize)..<max(size, newSize)
        written.remove(newSize..<Int64.max)
        size = newSize
        contentChanged(in: touched, &actions)
    }

    /// A staged version that is written again is open again.
    mutating func reopen(_ actions: inout [UploadAction]) {
        guard scope == .allButLast else { return }
        if state == .finishing {
            let reason = UploadFailure(.replaced, message: "the file was written again before it was confirmed")
            actions.append(.answer(.failure(reason)))
        }
        scope = nil
        state = .open
    }

    mutating func contentChanged(in range: Range<Int64>, _ actions: inout [UploadAction]) {
        guard let session else { return }
        var hitReportedChunk = false
        for index in session.plan.chunks(touching: range) {
            if self.session?.contentChanged(index) == true { hitReportedChunk = true }
            if written.covers(session.plan.range(of: index)) {
                if !(self.session?[index].isStale ?? true) { self.session?.offer(index) }
            } else {
                self.session?.withdraw(index)
            }
        }
        if hitReportedChunk { giveUpSession(&actions) }
    }

    mutating func committed(_ newScope: CommitScope, at now: Instant, _ actions: inout [UploadAction]) {
        guard state.isUnderWay else { return }
        scope = newScope
        state = .finishing
        waitsForCommit = false
        hasAnsweredStall = false
        lastMovement = now
        guard let session else { return }
        if session.plan.totalSize != size { return giveUpSession(&actions) }
        for index in session.indices {
            self.session?.resendIfStale(index)
            self.session?.offer(index)
        }
    }

    mutating func end(_ final: UploadState, _ reason: UploadFailure, _ actions: inout [UploadAction]) {
        guard state.isUnderWay else { return }
        failure = reason
        state = final
        switch final {
        case .interrupted, .cancelled: giveUpSession(&actions)
        case .failed: actions.append(.stopTransfers)
        case .open, .staged, .finishing, .completed: break
        }
        actions.append(.answer(.failure(reason)))
    }
}
