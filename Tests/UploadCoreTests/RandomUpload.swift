import TestSupport
import UploadCore

/// One upload with a random writer, platform, network and clock. It executes what the state machine asks for.
final class RandomUpload {
    private(set) var machine: UploadStateMachine
    private let platform: ModelPlatform
    private var rng: SplitMix64
    private var now = ContinuousClock.now
    private var trouble = true
    private let oneFailureIn: Int
    private let oneRewriteIn: Int

    // The writer.
    private var file: [Int] = []
    private var lastWrite = 0
    private var committed: [Int]?
    private var wasAnswered = false
    /// Whether several reports were under way at a time.
    private(set) var hadParallelReports = false
    /// Whether it was completed without the session being asked.
    private(set) var wasCompletedByReport = false
    /// Whether it was ended from outside, whatever the platform had of it by then.
    private var wasStopped = false

    // What is under way.
    private var calls: [Call] = []
    private var puts: [Put] = []
    private var liveCall: CallID?
    /// The reports under way, of the session that there is, with their chunks.
    private var liveReports: [CallID: [Int]] = [:]
    private let reportsAtOnce: Int
    private var deliveredSessions: Set<String> = []
    private var lastEvent: UploadEvent?
    /// The smallest size that the upload was told to be too large, since a user last wanted it tried again.
    private var refusedSize: Int64 = .max
    private var log: [String] = []
    private var problems: [String] = []

    init(seed: UInt64) {
        rng = SplitMix64(seed: seed)
        platform = ModelPlatform(seed: rng.next())
        reportsAtOnce = Int.random(in: 1...8, using: &rng)
        var policy = RetryPolicy.Limits()
        policy.doubtfulAttempts = 50
        policy.doubtfulWindow = .seconds(1_000_000)
        let configuration = UploadStateMachine.Configuration(
            sizeLimit: 200, writtenBeforeSession: Int64.random(in: 1...20, using: &rng), stallTimeout: .seconds(300),
            retryPolicy: RetryPolicy(limits: policy), reportBatch: Int.random(in: 1...5, using: &rng),
            reportsAtOnce: reportsAtOnce,
            urlBatch: Int.random(in: 1...50, using: &rng), urlReserve: Int.random(in: 1...8, using: &rng),
            sessionLimit: 1000)
        oneFailureIn = Int.random(in: 3...40, using: &rng)
        oneRewriteIn = Int.random(in: 2...60, using: &rng)
        machine = UploadStateMachine(configuration: configuration, at: now)
    }

    /// What went wrong, with how it came to that.
    var complaints: [String] {
        let all = problems + platform.violations
        return all.isEmpty ? [] : all + ["the last steps: " + log.suffix(60).joined(separator: ", ")]
    }

    private func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &rng) }

    private func chance(_ oneIn: Int) -> Bool { random(1...oneIn) == 1 }

    private func fails() -> Bool { trouble && chance(oneFailureIn) }

    // MARK: A life

    /// Random things happen, in any order.
    func liveThroughTrouble() {
        if chance(2) { hint() }
        for _ in 0..<random(20...250) {
            guard complaints.isEmpty else { return }
            switch random(0...20) {
            case 0...3: write()
            case 4: machine.state == .open && chance(4) ? cut() : write()
            case 5...8: if !calls.isEmpty { advanceCall(random(0...calls.count - 1)) }
            case 9...12: takeChunk()
            case 13...16: if !puts.isEmpty { advancePut(random(0...puts.count - 1)) }
            case 17: passTime()
            case 18: if chance(3) || machine.state == .staged { commit() }
            case 19: if chance(20) { hint() }
            default: interfere()
            }
        }
    }

    /// From now on nothing fails: the upload has to end.
    func comeToAnEnd() {
        trouble = false
        for _ in 0..<1000 where file.isEmpty && mayWrite && complaints.isEmpty { write() }
        for _ in 0..<3000 where complaints.isEmpty {
            if machine.state == .open || machine.state == .staged { commit(.whole) }
            if !calls.isEmpty {
                advanceCall(0)
            } else if !puts.isEmpty {
                advancePut(0)
            } else if takeChunk() {
                continue
            } else if !machine.state.isUnderWay {
                return checkEnd()
            } else if machine.areCallsHeldBack {
                apply(.callsReleased, "release")
            } else if let deadline = machine.nextDeadline {
                now = max(now, deadline)
                apply(.tick, "tick")
            } else {
                return problems.append("nothing is awaited, in state \(machine.state)")
            }
        }
        if complaints.isEmpty { problems.append("it does not end, in state \(machine.state)") }
    }

    private func checkEnd() {
        if machine.state == .failed, machine.failure?.kind == .sizeRefused, file.count <= platform.largest {
            problems.append("a file that fits is called too large")
        }
        if machine.state == .failed, machine.failure?.kind == .typeRefused {
            problems.append("it was no video at last")
        }
        let isWithdrawn = wasStopped && machine.state == .completed
        if machine.state == .completed, !wasAnswered, !isWithdrawn { problems.append("completed without an answer") }
        if machine.state == .completed, machine.uploadID.flatMap(platform.content(of:)) == nil {
            problems.append("completed, and there is no asset")
        }
        let complete = deliveredSessions.filter { platform.content(of: $0) != nil }
        if machine.state == .cancelled, machine.failure?.message == "removed", !complete.isEmpty {
            problems.append("cancelled, and there is an asset")
        }
        if !wasStopped, complete.count > 1 { problems.append("\(complete.count) assets of one file") }
        for uploadID in deliveredSessions where uploadID != machine.uploadID {
            guard let session = platform.sessions[uploadID] else { continue }
            if !machine.abandonedUploadIDs.contains(uploadID) { problems.append("\(uploadID) is forgotten") }
            if !session.isDeleted, session.claimed.count < session.totalChunks {
                problems.append("\(uploadID)'s asset is left")
            }
        }
    }

    // MARK: The state machine

    private func apply(_ event: UploadEvent, _ what: String) {
        let isRetry = if case .retried = event { true } else { false }
        let wasOver = !machine.state.isUnderWay && !isRetry
        let before = machine.state
        lastEvent = event
        let reaction = machine.apply(event, at: now)
        log.append("\(what) [\(machine.state)]")
        if reaction.stopsTransfers {
            log.append("→ stop")
            liveCall = nil
            liveReports = [:]
            for index in puts.indices { puts[index].isStopped = true }
        }
        if let result = reaction.answer { answered(result) }
        for action in reaction.actions {
            switch action {
            case .call(let id, let call):
                log.append("→ \(call)")
                if case .openSession(let size) = call, size >= refusedSize {
                    problems.append("a session of a size that was refused")
                }
                begin(id, call)
                calls.append(Call(id: id, call: call))
                platform.claim(call)
                if wasOver, before != .completed { problems.append("a call after the end") }
            case .abandon(let assetID):
                log.append("→ delete \(assetID)")
                platform.delete(assetID: assetID)
            case .withdrawn:
                if machine.state != .finishing { problems.append("withdrawn, and nothing is seen to") }
            case .stateChanged(let state):
                let wasKept = before == .failed || before == .interrupted
                if wasOver, !(wasKept && state == .cancelled) { problems.append("\(before) became \(state)") }
            }
        }
    }

    /// Reports may be under way together, as long as they differ; anything else, and a question to the session above all, is
    /// alone.
    private func begin(_ id: CallID, _ call: PlatformCall) {
        guard case .report(_, let reports) = call else {
            if liveCall != nil { problems.append("a call while another is under way") }
            switch call {
            case .checkSession, .checkAsset, .deleteAsset:
                if !liveReports.isEmpty { problems.append("a question beside reports") }
            case .openSession, .requestURLs, .report: break
            }
            return liveCall = id
        }
        let chunks = reports.map(\.chunkIndex)
        if liveReports.values.contains(where: { !Set($0).isDisjoint(with: chunks) }) {
            problems.append("a chunk in two reports at a time")
        }
        liveReports[id] = chunks
        if liveReports.count > reportsAtOnce { problems.append("too many reports at a time") }
        if liveReports.count > 1 { hadParallelReports = true }
    }

    private func answered(_ result: Result<Void, UploadFailure>) {
        log.append("→ answer \(result)")
        guard case .success = result else { return }
        if machine.state == .staged { return }
        wasAnswered = true
        guard let uploadID = machine.uploadID, let content = platform.content(of: uploadID) else {
            return problems.append("success without a complete asset")
        }
        if case .reported = lastEvent { wasCompletedByReport = true }
        if content != committed { problems.append("\(content) was confirmed, \(committed ?? []) was committed") }
    }

    // MARK: The writer

    private var mayWrite: Bool {
        switch machine.state {
        case .open, .staged: committed == nil
        case .finishing: committed == nil
        case .completed, .interrupted, .failed, .cancelled: false
        }
    }

    private func hint() {
        let sources = SizeHint.Source.allCases
        let size = chance(2) ? random(1...60) : max(1, file.count)
        apply(.hinted(SizeHint(size: Int64(size), source: sources[random(0...sources.count - 1)])), "hint \(size)")
    }

    private func write() {
        guard mayWrite, machine.state == .open || chance(oneRewriteIn) else { return }
        let start = chance(2) && machine.state == .open ? min(file.count, 80) : random(0...min(file.count + 10, 80))
        let range = start..<start + random(1...15)
        if isRefused(range) { return }
        lastWrite += 1
        if file.count < range.upperBound { file += Array(repeating: 0, count: range.upperBound - file.count) }
        for index in range { file[index] = lastWrite }
        apply(.wrote(Int64(range.lowerBound)..<Int64(range.upperBound)), "write \(range)")
    }

    /// Whether the writer is told that the file gets too large; checks that it does.
    private func isRefused(_ range: Range<Int>) -> Bool {
        let terms = machine.terms(forWriting: Int64(range.lowerBound)..<Int64(range.upperBound))
        guard let objection = terms.objection else { return false }
        let aim = terms.hint.flatMap { $0.source.isExact ? Int($0.size) : nil } ?? 0
        if objection.kind != .sizeRefused || max(file.count, range.upperBound, aim) <= platform.largest {
            problems.append("a write is refused: \(objection.message)")
        }
        // It may have been wrong about its size; another hint may follow.
        if chance(3) { apply(.hinted(nil), "no hint") }
        return true
    }

    private func cut() {
        guard mayWrite else { return }
        let size = random(0...file.count + 10)
        if machine.sizeObjection(toSize: Int64(size)) != nil, size > file.count { return }
        file = Array(file.prefix(size)) + Array(repeating: 0, count: max(0, size - file.count))
        apply(.truncated(to: Int64(size)), "cut \(size)")
    }

    private func commit(_ scope: CommitScope? = nil) {
        guard machine.state == .open || machine.state == .staged, !file.isEmpty else { return }
        let chosen = scope ?? (chance(3) ? .whole : .allButLast)
        if chosen == .whole { committed = file }
        apply(.committed(chosen), "commit \(chosen)")
    }

    // MARK: The network

    private static let transient: [UploadFailure.Kind] = [
        .unreachable, .connectionLost, .unreadableAnswer, .platformUnavailable, .rateLimited, .keyRefused,
    ]

    /// A call reaches the platform, or its answer comes back, or one of the two does not.
    private func advanceCall(_ index: Int) {
        if calls[index].outcome == nil {
            let (id, call) = (calls[index].id, calls[index].call)
            if fails() {
                let kind = Self.transient[random(0...Self.transient.count - 1)]
                calls[index].outcome = .callFailed(id, UploadFailure(kind, message: "no effect"), random: 0.5)
            } else {
                do {
                    calls[index].outcome = try platform.execute(
                        call, type: machine.sessionType(for: .audio), as: id, isHostile: trouble, at: now)
                } catch {
                    let failure = error as? UploadFailure ?? UploadFailure(.unreadableAnswer, message: "\(error)")
                    calls[index].outcome = .callFailed(id, failure, random: 0.5)
                }
                if fails() {
                    var lost: [UploadFailure.Kind] = [.connectionLost, .unreadableAnswer, .platformUnavailable]
                    // Not of a deletion that took effect: that something refers to the asset.
                    if case .deleteAsset = call {} else { lost.append(.conflict) }
                    let failure = UploadFailure(lost[random(0...lost.count - 1)], message: "the answer was lost")
                    calls[index].outcome = .callFailed(id, failure, random: 0.5)
                }
            }
            if trouble { return }
        }
        let call = calls.remove(at: index)
        let isAwaited = call.id == liveCall
        if call.id == liveCall { liveCall = nil }
        liveReports[call.id] = nil
        guard let outcome = call.outcome else { return }
        if isAwaited, case .callFailed(_, let failure, _) = outcome, failure.kind == .sizeRefused,
            case .openSession(let size) = call.call
        {
            refusedSize = min(refusedSize, size)
        }
        if case .sessionOpened(_, let session) = outcome { deliveredSessions.insert(session.uploadID) }
        var words = "\(call.call)".prefix(12) + " answered"
        if case .callFailed(_, let failure, _) = outcome { words = "\(call.call)".prefix(12) + " \(failure.kind)" }
        apply(outcome, String(words))
        // Said twice, it means nothing more.
        if trouble, chance(10), call.isReport { apply(outcome, "again: \(words)") }
    }

    @discardableResult
    private func takeChunk() -> Bool {
        guard puts.count < 3, let order = machine.takeChunk(at: now) else { return false }
        log.append("take \(order.chunkIndex) of \(order.uploadID) at \(order.generation)")
        let isTwin = puts.contains {
            !$0.isStopped && $0.order.uploadID == order.uploadID && $0.order.chunkIndex == order.chunkIndex
        }
        if isTwin { problems.append("two PUTs of chunk \(order.chunkIndex) at a time") }
        if !machine.isUnderWay(order) { problems.append("a chunk was taken that is not wanted") }
        puts.append(Put(order: order))
        return true
    }

    /// A PUT reads and sends its first half, or its second, or fails.
    private func advancePut(_ index: Int) {
        let order = puts[index].order
        let range = Int(order.range.lowerBound)..<Int(order.range.upperBound)
        if !puts[index].isBegun {
            if fails() { return fail(index, .unreachable) }
            do {
                try platform.beginPut(order, at: now)
            } catch {
                return fail(index, (error as? UploadFailure)?.kind ?? .storeRefused)
            }
            guard file.count >= range.upperBound else { return fail(index, .spoolFailed) }
            puts[index].isBegun = true
            puts[index].head = Array(file[range].prefix(range.count / 2))
            return
        }
        if fails() { return fail(index, [.connectionLost, .storeUnavailable, .checksumMismatch][random(0...2)]) }
        guard file.count >= range.upperBound else { return fail(index, .spoolFailed) }
        let put = puts.remove(at: index)
        let stored = platform.endPut(order, content: put.head + file[range].dropFirst(put.head.count))
        if fails() {
            // Stored, but nobody learns of it.
            if !put.isStopped { failed(order, .connectionLost) }
            return
        }
        if put.isStopped, chance(2) { return }
        apply(.chunkStored(order, stored), "stored \(order.chunkIndex)")
    }

    private func fail(_ index: Int, _ kind: UploadFailure.Kind) {
        let put = puts.remove(at: index)
        if put.isStopped, chance(2) { return }
        failed(put.order, kind)
    }

    private func failed(_ order: ChunkPut, _ kind: UploadFailure.Kind) {
        apply(
            .chunkFailed(order, UploadFailure(kind, message: "as it goes"), random: 0.5),
            "PUT \(order.chunkIndex) \(kind)")
    }

    // MARK: Fate

    private func passTime() {
        let due = machine.nextDeadline.map { max(.zero, $0 - now) } ?? .zero
        now += chance(2) ? due : .seconds(random(0...(chance(10) ? 400 : 20)))
        if machine.areCallsHeldBack { apply(.callsReleased, "release") }
        apply(.tick, "tick")
    }

    private func retry() {
        // What was interrupted is taken as it is.
        if machine.state == .interrupted { committed = file }
        refusedSize = .max
        apply(.retried, "retry")
    }

    private func interfere() {
        if chance(8), let uploadID = machine.uploadID { platform.failSession(uploadID) }
        if chance(4), machine.retryRefusal(isDurable: true) == nil { retry() }
        guard chance(40) else { return }
        wasStopped = true
        if chance(2) {
            apply(.cancelled(UploadFailure(.cancelled, message: "removed")), "cancel")
        } else {
            apply(.interrupted(UploadFailure(.interrupted, message: "killed")), "interrupt")
        }
    }
}
