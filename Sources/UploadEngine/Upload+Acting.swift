import Logging
import PlatformClient
import UploadCore
import UploadStore

// What an upload does: chunks for the scheduler, calls, what follows from a change of state, and the time.

extension Upload {
    // MARK: The scheduler's side

    /// The next chunk to send; nil when none can be sent now.
    func takeChunk() -> PutOrder? {
        let now = services.clock.now()
        return state.withLock { $0.isStopped ? nil : $0.machine.takeChunk(at: now) }
    }

    /// Sends a chunk and tells the machine how it went.
    func send(_ order: PutOrder, _ ticket: Passage.Ticket) async {
        let chunk = SpoolChunk(spool: spool, range: order.range, threads: services.threads)
        let transfer = Task {
            do throws(UploadFailure) {
                let stored = try await services.client.put(
                    chunk, to: order.url, headers: order.headers,
                    onBytesSent: {
                        self.services.scheduler.moved(ticket)
                        self.apply(.bytesSent(Int64($0)))
                    })
                self.services.scheduler.succeeded(ticket)
                self.apply(.chunkStored(order, stored))
            } catch {
                self.services.scheduler.failed(ticket, error)
                self.log(.debug, "a chunk was not stored", error, ["chunk": "\(order.chunkIndex)"])
                self.apply(.chunkFailed(order, error, random: self.services.configuration.random()))
            }
        }
        // A chunk is under way once at a time, so its index names the transfer; a session given up in between is
        // noticed here, since its machine has forgotten the order.
        let isWanted = state.withLock { state in
            state.transfers[order.chunkIndex] = transfer
            return !state.isStopped && state.machine.isUnderWay(order)
        }
        if !isWanted { transfer.cancel() }
        await transfer.value
        state.withLock { if $0.transfers[order.chunkIndex] == transfer { $0.transfers[order.chunkIndex] = nil } }
    }

    // MARK: Acting

    func perform(_ action: UploadAction) {
        switch action {
        case .call(let id, let call):
            start(call, id)
        case .abandon(let assetID):
            services.housekeeping.delete(assetID: assetID)
        case .answer, .stopTransfers:
            // Taken out under the lock.
            break
        case .stateChanged(let new):
            stateChanged(new)
        }
    }

    func stateChanged(_ new: UploadState) {
        let failure = state.withLock { $0.machine.failure }
        switch new {
        case .completed:
            log(.info, "upload completed", nil)
            dropPredecessors()
            watchAsset()
        case .failed: log(.error, "upload failed", failure)
        case .interrupted: log(.warning, "upload interrupted", failure)
        case .cancelled: log(.info, "upload cancelled", failure)
        case .open, .staged, .finishing: log(.debug, "upload changed state", nil, ["state": "\(new.rawValue)"])
        }
        services.activity.changed(self)
        services.movement.tell()
        guard !new.isUnderWay else { return }
        services.scheduler.withdraw(self)
        let handlers = state.withLock { state in
            defer { state.endHandlers = [] }
            return state.endHandlers
        }
        for handler in handlers { handler(new) }
    }

    func start(_ call: PlatformCall, _ id: CallID) {
        if case .openSession = call, let known = services.assetTypes.refusal(of: sessionType, at: services.clock.now())
        {
            return apply(.callFailed(id, known, random: 0))
        }
        let ticket: Passage.Ticket
        if let inHand = state.withLock({ $0.ticket.take() }) {
            ticket = inHand
        } else {
            switch services.restraint.take() {
            case .granted(let fresh): ticket = fresh
            case .refused(let reason, let until): return apply(.callHeldBack(id, reason, until: until))
            }
        }
        let isMade = state.withLock { state in
            guard !state.isStopped else { return false }
            // Made under the lock, so that it is known before it can end.
            let task = Task {
                await self.make(call, id, ticket)
                self.state.withLock { $0.calls[id] = nil }
            }
            // The asset of a session that opens too late is to be deleted.
            let outlivesSession = if case .openSession = call { true } else { false }
            state.calls[id] = (task, outlivesSession)
            return true
        }
        if !isMade { services.restraint.giveBack(ticket) }
    }

    /// Waits until calls may be made again. That may take long, and does not keep the upload.
    func awaitRelease() {
        Task { [weak self, restraint = services.restraint] in
            let ticket = await restraint.pass { [weak self] in self?.apply(.callHeldBack(nil, $0, until: $1)) }
            guard let ticket else { return }
            if let self { self.callsAreReleased(ticket) } else { restraint.giveBack(ticket) }
        }
    }

    private func callsAreReleased(_ ticket: Passage.Ticket) {
        state.withLock { state in
            state.ticket = ticket
            state.isAwaitingRelease = false
        }
        apply(.callsReleased)
        if let unused = state.withLock({ $0.ticket.take() }) { services.restraint.giveBack(unused) }
    }

    func make(_ call: PlatformCall, _ id: CallID, _ ticket: Passage.Ticket) async {
        // What is reported may be complete a moment later: then the journal must know that it was reported.
        if case .report = call { await services.journalIsWritten() }
        var identity = identity
        let wantedType = identity.type
        identity.type = sessionType
        do throws(UploadFailure) {
            let answer = try await services.answer(to: call, as: id, identity: identity)
            services.restraint.succeeded(ticket)
            if case .sessionOpened = answer { services.assetTypes.opened(as: identity.type, for: wantedType) }
            apply(answer)
        } catch {
            let (failure, isKeyAccepted) = await services.explain(error, of: call, ticket)
            if isKeyAccepted {
                services.restraint.succeeded(ticket)
            } else {
                services.restraint.failed(ticket, failure)
            }
            services.assetTypes.refused(failure, at: services.clock.now())
            log(.debug, "a call failed", failure)
            apply(.callFailed(id, failure, random: services.configuration.random()))
        }
    }

    func log(
        _ level: Logger.Level, _ message: Logger.Message, _ failure: UploadFailure?,
        _ more: Logger.Metadata = [:]
    ) {
        var metadata = more
        let identity = identity
        metadata["path"] = "/\(identity.path.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/"))"
        if let failure {
            metadata["code"] = "\(failure.code)"
            metadata["reason"] = "\(failure.message)"
            if let hint = failure.hint { metadata["hint"] = "\(hint)" }
            if let traceID = failure.traceID { metadata["trace_id"] = "\(traceID)" }
        }
        services.logger.log(level: level, message, metadata: metadata)
    }

    // MARK: Time

    /// Keeps one timer: for the moment at which the machine wants to be asked again, and none when it does not.
    static func updateTimer(_ state: inout State, _ work: inout Work) {
        let deadline = state.machine.nextDeadline
        // What did not follow from a deadline that has passed will not follow from it a second time.
        if let deadline, let last = state.lastTimer, deadline <= last { return }
        // One that goes off early does no harm: it is cheaper than a new one for each byte that moves.
        if let timer = state.timer, let deadline, timer.deadline <= deadline { return }
        work.obsolete += [state.timer?.task].compactMap { $0 }
        state.timer = deadline.map { ($0, nil) }
        work.timer = deadline
    }

    /// The timer does not keep the upload: a session may last a day, and the spool's room is wanted before.
    func setTimer(_ deadline: Instant) {
        let task = Task { [weak self, clock = services.clock] in
            do { try await clock.sleep(deadline) } catch { return }
            self?.timerWentOff(deadline)
        }
        let isWanted = state.withLock { state in
            guard state.timer?.deadline == deadline, state.timer?.task == nil else { return false }
            state.timer?.task = task
            return true
        }
        if !isWanted { task.cancel() }
    }

    func timerWentOff(_ deadline: Instant) {
        state.withLock { state in
            if state.timer?.deadline == deadline { state.timer = nil }
            state.lastTimer = max(state.lastTimer ?? deadline, deadline)
        }
        apply(.tick)
    }
}
