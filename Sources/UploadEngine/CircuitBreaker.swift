import UploadCore

/// Whether calls of one kind, the API's or the store's, may be made now: a value, asked before each call and told its
/// outcome.
///
/// Usually they may. After a 429 none may for a while, then one, and with each that is answered one more at a time: the limit
/// may not be over, or have another one beside it. After one that reached nobody, or whose key was refused, or
/// after several whose connections were lost one after another, none may for a while; then one of them goes ahead as the
/// probe: as soon as it gets through all may follow, and until then, or until it has taken too long, no other is made. So an
/// outage costs one attempt every
/// few seconds, however many uploads wait for its end.
package struct CircuitBreaker: Sendable {
    /// Leave to make one call, to be handed back with its outcome.
    package struct Permit: Sendable, Equatable {
        fileprivate let probe: Int?
        /// The return from a pause that it is part of.
        fileprivate var ramp: Int?

        /// Whether it goes ahead of all the others.
        package var isProbe: Bool { probe != nil }
    }

    private struct Outage: Sendable {
        var reason: UploadFailure
        var interval: Duration
        var nextProbe: Instant
        /// The probe under way, and until when it keeps others from following it.
        var probe: (number: Int, patience: Instant)?
    }

    /// The time after a pause in which calls are made in growing numbers.
    private struct Ramp: Sendable {
        var number: Int
        var reason: UploadFailure
        /// How many may be under way.
        var allowed = 1
        var underWay = 0
        /// When another one is made whatever became of those.
        var nextAnyway: Instant
    }

    private let policy: RetryPolicy
    private var pause: (reason: UploadFailure, end: Instant)?
    private var outage: Outage?
    private var lastProbe = 0
    private var ramp: Ramp?
    private var lastRamp = 0
    /// With so many at a time nothing is held back any more.
    private static let fullFlow = 16
    private static let rampInterval: Duration = .seconds(1)
    /// Connections that were lost one after another since there was an answer.
    private var lostInARow = 0

    /// All calls may be made.
    package init(policy: RetryPolicy) {
        self.policy = policy
    }

    /// Why calls have to wait; nil when they need not.
    package func reason(at now: Instant) -> UploadFailure? { hold(at: now)?.reason }

    /// Why calls have to wait, and until when: nil where only the end of another can tell.
    package func hold(at now: Instant) -> (reason: UploadFailure, until: Instant?)? {
        if let outage { return (outage.reason, outage.probe == nil ? opens : nil) }
        if let pause { return pause.end > now ? (pause.reason, pause.end) : nil }
        return ramp.flatMap { isFull($0, at: now) ? ($0.reason, nil) : nil }
    }

    /// Leave for one call; nil when it has to wait.
    package mutating func take(at now: Instant) -> Permit? {
        if let pause {
            if pause.end > now { return nil }
            lastRamp += 1
            ramp = Ramp(number: lastRamp, reason: pause.reason, nextAnyway: now)
            self.pause = nil
        }
        guard let outage else { return takeFromRamp(at: now) }
        guard outage.nextProbe <= now, outage.probe.map({ $0.patience <= now }) ?? true else { return nil }
        lastProbe += 1
        let number = lastProbe
        let patience = now + policy.limits.probePatience
        self.outage?.probe = (number, patience)
        return Permit(probe: number)
    }

    private mutating func takeFromRamp(at now: Instant) -> Permit? {
        guard let ramp else { return Permit(probe: nil) }
        if isFull(ramp, at: now) { return nil }
        self.ramp?.underWay += 1
        self.ramp?.nextAnyway = now + Self.rampInterval
        return Permit(probe: nil, ramp: ramp.number)
    }

    private func isFull(_ ramp: Ramp, at now: Instant) -> Bool {
        ramp.underWay >= ramp.allowed && ramp.nextAnyway > now
    }

    /// When the next call may be made; nil when that is now, or when only the end of another can tell.
    package var opens: Instant? {
        guard let outage else {
            return pause?.end ?? ramp.flatMap { $0.underWay >= $0.allowed ? $0.nextAnyway : nil }
        }
        let due = max(outage.nextProbe, outage.probe?.patience ?? outage.nextProbe)
        return max(due, pause?.end ?? due)
    }

    /// A call is over that was made after a pause.
    private mutating func leaveRamp(_ permit: Permit, isAnswered: Bool) {
        guard let number = permit.ramp, let ramp, ramp.number == number else { return }
        self.ramp?.underWay -= 1
        guard isAnswered else { return }
        self.ramp?.allowed += 1
        if ramp.allowed + 1 >= Self.fullFlow { self.ramp = nil }
    }

    /// The call was not made after all.
    package mutating func giveBack(_ permit: Permit) {
        if isProbe(permit) { outage?.probe = nil }
        leaveRamp(permit, isAnswered: false)
    }

    /// The call was answered.
    package mutating func succeeded(_ permit: Permit) {
        outage = nil
        lostInARow = 0
        leaveRamp(permit, isAnswered: true)
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
        leaveRamp(permit, isAnswered: failure.httpStatus != nil && failure.httpStatus != 429)
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
        permit.probe != nil && permit.probe == outage?.probe?.number
    }
}
