import Logging
import PlatformClient
import UploadCore
import UploadStore

// What an upload does: PUTs for the scheduler, calls, what follows from a change of state, and the time.

extension Upload: ChunkSender {
    var isUnderWay: Bool { currentState.isUnderWay }

    func chunksAreHeldBack(_ reason: UploadFailure?, until: Instant?) { apply(.chunksHeldBack(reason, until: until)) }

    /// The next chunk to send; nil when none can be sent now.
    func takeChunk() -> ChunkPut? {
        let now = services.clock.now()
        return state.withLock { $0.isStopped ? nil : $0.machine.takeChunk(at: now) }
    }

    /// Sends a chunk and tells the machine how it went.
    func send(_ put: ChunkPut, _ permit: CircuitBreaker.Permit) async {
        let chunk = SpoolChunk(spool: spool, range: put.range, threads: services.threads)
        let transfer = Task {
            do throws(UploadFailure) {
                let stored = try await services.client.put(
                    chunk, to: put.url, headers: put.headers,
                    onBytesSent: {
                        self.services.scheduler.moved(permit)
                        self.apply(.bytesSent(put, Int64($0)))
                    })
                self.services.scheduler.succeeded(permit)
                self.apply(.chunkStored(put, stored))
            } catch {
                self.services.scheduler.failed(permit, error)
                self.log(.debug, "a chunk was not stored", error, ["chunk": "\(put.chunkIndex)"])
                self.apply(.chunkFailed(put, error, random: self.services.configuration.random()))
            }
        }
        // A chunk is under way once at a time, so its index names the transfer; a session abandoned in between is
        // noticed here, since its machine has forgotten the put.
        let isWanted = state.withLock { state in
            state.transfers[put.chunkIndex] = transfer
            return !state.isStopped && state.machine.isUnderWay(put)
        }
        if !isWanted { transfer.cancel() }
        await transfer.value
        state.withLock { if $0.transfers[put.chunkIndex] == transfer { $0.transfers[put.chunkIndex] = nil } }
    }

}

extension Upload {
    // MARK: Acting

    /// Has whoever waits for the end of all uploads look at this one.
    func tellInFlight() {
        services.inFlight.changed(number) { currentState == .finishing }
    }

    func perform(_ action: UploadAction) {
        switch action {
        case .call(let id, let call):
            start(call, id)
        case .abandon(let assetID):
            services.cleaner.delete(assetID: assetID)
        case .stateChanged(let new):
            stateChanged(new)
        case .withdrawn:
            bytesAreNotNeeded()
        }
    }

    private func bytesAreNotNeeded() {
        dropPredecessors()
        services.scheduler.withdraw(self)
        let handlers = state.withLock { state in
            defer { state.withdrawalHandlers = [] }
            return state.withdrawalHandlers
        }
        for handler in handlers { handler() }
        services.space.spaceMayHaveCome()
    }

    func stateChanged(_ new: UploadState) {
        let failure = state.withLock { $0.machine.failure }
        switch new {
        case .completed:
            log(.info, "upload completed", nil)
            watchAsset()
        case .failed: log(.error, "upload failed", failure)
        case .interrupted: log(.warning, "upload interrupted", failure)
        case .cancelled: log(.info, "upload cancelled", failure)
        case .open, .staged, .finishing: log(.debug, "upload changed state", nil, ["state": "\(new.rawValue)"])
        }
        tellInFlight()
        services.backlog.tell()
        // Its content need not be kept any more, or no space is to be expected of it.
        services.space.spaceMayHaveCome()
        guard !new.isUnderWay else { return }
        dropPredecessors()
        services.scheduler.withdraw(self)
        let handlers = state.withLock { state in
            defer { (state.endHandlers, state.withdrawalHandlers) = ([], []) }
            return state.endHandlers
        }
        for handler in handlers { handler(new) }
    }

    func start(_ call: PlatformCall, _ id: CallID) {
        if case .openSession = call, let known = services.assetTypes.refusal(of: sessionType, at: services.clock.now())
        {
            return apply(.callFailed(id, known, random: 0))
        }
        let permit: CircuitBreaker.Permit
        if let inHand = state.withLock({ $0.permit.take() }) {
            permit = inHand
        } else {
            switch services.gate.take() {
            case .granted(let fresh): permit = fresh
            case .refused(let reason, let until): return apply(.callHeldBack(id, reason, until: until))
            }
        }
        let isMade = state.withLock { state in
            guard !state.isStopped else { return false }
            // Made under the lock, so that it is known before it can end.
            let task = Task {
                await self.make(call, id, permit)
                self.state.withLock { $0.calls[id] = nil }
            }
            // The asset of a session that opens too late is to be deleted.
            let outlivesSession = if case .openSession = call { true } else { false }
            state.calls[id] = (task, outlivesSession)
            return true
        }
        if !isMade { services.gate.giveBack(permit) }
    }

    /// Waits until calls may be made again. That may take long, and does not keep the upload.
    func awaitRelease() {
        Task { [weak self, gate = services.gate] in
            let permit = await gate.pass { [weak self] in self?.apply(.callHeldBack(nil, $0, until: $1)) }
            guard let permit else { return }
            if let self { self.callsAreReleased(permit) } else { gate.giveBack(permit) }
        }
    }

    private func callsAreReleased(_ permit: CircuitBreaker.Permit) {
        state.withLock { state in
            state.permit = permit
            state.isAwaitingRelease = false
        }
        apply(.callsReleased)
        if let unused = state.withLock({ $0.permit.take() }) { services.gate.giveBack(unused) }
    }

    func make(_ call: PlatformCall, _ id: CallID, _ permit: CircuitBreaker.Permit) async {
        // What is reported may be complete a moment later: then the journal must know that it was reported.
        if case .report = call { await services.journalIsWritten() }
        var identity = identity
        let wantedType = identity.type
        identity.type = sessionType
        do throws(UploadFailure) {
            let answer = try await services.answer(to: call, as: id, identity: identity)
            services.gate.succeeded(permit)
            if case .sessionOpened = answer { services.assetTypes.opened(as: identity.type, for: wantedType) }
            apply(answer)
        } catch {
            let (failure, isKeyAccepted) = await services.explain(error, of: call, permit)
            if isKeyAccepted {
                services.gate.succeeded(permit)
            } else {
                services.gate.failed(permit, failure)
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

    /// The timer does not keep the upload: a session may last a day, and the spool's space is wanted before.
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
