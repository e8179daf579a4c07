import UploadCore

/// Whether calls of one kind, the API's or the store's, may be made now: a value, asked before each call and told its
/// outcome.
///
/// Usually they may. After a 429 none may for a while, then all. After one that reached nobody, or whose key was refused, or
/// after several whose connections were lost one after another, none may for a while; then one of them goes ahead as the
/// probe: as soon as it gets through all may follow, and until then no other is made. So an outage costs one attempt every
/// few seconds, however many uploads wait for its end.
package struct CircuitBreaker: Sendable {
    /// Leave to make one call, to be handed back with its outcome.
    package struct Permit: Sendable, Equatable {
        fileprivate let probe: Int?

        /// Whether it goes ahead of all the others.
        package var isProbe: Bool { probe != nil }
    }

    private struct Outage: Sendable {
        var reason: UploadFailure
        var interval: Duration
        var nextProbe: Instant
        /// The probe under way.
        var probe: Int?
    }

    private let policy: RetryPolicy
    private var pause: (reason: UploadFailure, end: Instant)?
    private var outage: Outage?
    private var lastProbe = 0
    /// Connections that were lost one after another since there was an answer.
    private var lostInARow = 0

    /// All calls may be made.
    package init(policy: RetryPolicy) {
        self.policy = policy
    }

    /// Why calls have to wait; nil when they need not.
    package func reason(at now: Instant) -> UploadFailure? { hold(at: now)?.reason }

    /// Why calls have to wait, and until when: nil where only the end of the probe can tell.
    package func hold(at now: Instant) -> (reason: UploadFailure, until: Instant?)? {
        if let outage { return (outage.reason, opens) }
        return pause.flatMap { $0.end > now ? ($0.reason, $0.end) : nil }
    }

    /// Leave for one call; nil when it has to wait.
    package mutating func take(at now: Instant) -> Permit? {
        if let end = pause?.end {
            if end > now { return nil }
            pause = nil
        }
        guard let outage else { return Permit(probe: nil) }
        guard outage.probe == nil, outage.nextProbe <= now else { return nil }
        lastProbe += 1
        self.outage?.probe = lastProbe
        return Permit(probe: lastProbe)
    }

    /// When the next call may be made; nil when that is now, or when only the end of the probe can tell.
    package var opens: Instant? {
        guard let outage else { return pause?.end }
        guard outage.probe == nil else { return nil }
        return max(outage.nextProbe, pause?.end ?? outage.nextProbe)
    }

    /// The call was not made after all.
    package mutating func giveBack(_ permit: Permit) {
        if isProbe(permit) { outage?.probe = nil }
    }

    /// The call was answered.
    package mutating func succeeded(_ permit: Permit) {
        outage = nil
        lostInARow = 0
    }

    /// Bytes of the call are on their way: somebody can be reached again, though there is no answer yet.
    package mutating func moved(_ permit: Permit) {
        guard isProbe(permit), outage?.reason.kind == .unreachable else { return }
        outage = nil
        // Who that is, the answer tells: until then one more connection that is lost is enough.
        lostInARow = policy.limits.lostConnections - 1
    }

    /// The call failed.
    package mutating func failed(_ permit: Permit, _ failure: UploadFailure, at now: Instant) {
        let wasProbe = isProbe(permit)
        count(failure, wasProbe: wasProbe)
        switch policy.backpressure(after: failure, lostInARow: lostInARow) {
        case .pause(let wait):
            let end = now + wait
            // What asked for the longest wait is the reason for it.
            if pause.map({ $0.end < end }) ?? true { pause = (failure, end) }
        case .probe(let interval) where outage == nil || wasProbe:
            outage = Outage(reason: failure, interval: interval, nextProbe: now + interval)
            return
        case .probe, nil:
            break
        }
        guard let lasting = outage else { return }
        if policy.isOver(lasting.reason, after: failure) {
            outage = nil
        } else if wasProbe {
            // It tells nothing. The next one is due no sooner for that.
            outage?.nextProbe = now + lasting.interval
            outage?.probe = nil
        }
    }

    private mutating func count(_ failure: UploadFailure, wasProbe: Bool) {
        if failure.kind == .connectionLost {
            // Where nobody could be reached before, one is as good as many.
            let isOutageStill = wasProbe && outage?.reason.kind == .unreachable
            lostInARow = isOutageStill ? policy.limits.lostConnections : lostInARow + 1
        } else if failure.httpStatus != nil {
            lostInARow = 0
        }
    }

    /// What calls wait for may be over: the next one may try it now.
    package mutating func expectsSuccess(at now: Instant) {
        outage?.nextProbe = now
    }

    private func isProbe(_ permit: Permit) -> Bool {
        permit.probe != nil && permit.probe == outage?.probe
    }
}
