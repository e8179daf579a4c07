import Synchronization
import UploadCore

/// Hands out the mount's few places for PUTs, fairly: a free place goes to the sender, an upload, that has the fewest of
/// them, and among equals to the one that was served longest ago. So a small file passes a large one instead of queueing behind it.
final class PutScheduler: Sendable {
    private struct Share: Sendable {
        var sender: any ChunkSender
        var isWaiting = false
        var underWay = 0
        var lastServed = 0
    }

    private struct State: Sendable {
        var freePlaces: Int
        var shares: [Int: Share] = [:]
        var turn = 0
        var breaker: CircuitBreaker
    }

    private let state: Mutex<State>
    private let clock: EngineClock
    private let alarm: Alarm

    /// - Parameter places: PUTs at a time, for the whole mount; at least 1.
    init(places: Int, policy: RetryPolicy, clock: EngineClock) {
        state = Mutex(State(freePlaces: max(1, places), breaker: CircuitBreaker(policy: policy)))
        self.clock = clock
        alarm = Alarm(clock: clock)
    }

    /// The chunk is stored.
    func succeeded(_ permit: CircuitBreaker.Permit) { change { $0.succeeded(permit) } }

    /// Bytes of the chunk are on their way.
    func moved(_ permit: CircuitBreaker.Permit) {
        // Asked once or more for each chunk, and of use for the probe alone.
        if permit.isProbe { change { $0.moved(permit) } }
    }

    /// The chunk was not stored; said before its upload offers it again.
    func failed(_ permit: CircuitBreaker.Permit, _ failure: UploadFailure) {
        let now = clock.now()
        change { $0.failed(permit, failure, at: now) }
    }

    /// Tells those that wait when the reason for it is another.
    private func change(_ change: (inout CircuitBreaker) -> Void) {
        let now = clock.now()
        let (hold, told) = state.withLock { state in
            let before = state.breaker.hold(at: now)
            change(&state.breaker)
            let hold = state.breaker.hold(at: now)
            let isSame = hold?.reason.kind == before?.reason.kind && hold?.until == before?.until
            return (hold, isSame ? [] : state.shares.values.filter(\.isWaiting).map(\.sender))
        }
        for sender in told { sender.chunksAreHeldBack(hold?.reason, until: hold?.until) }
        fillPlaces()
    }

    /// `sender` has chunks that may be sent.
    func offer(_ sender: any ChunkSender) {
        let now = clock.now()
        let hold = state.withLock { state in
            let wasWaiting = state.shares[sender.number]?.isWaiting ?? false
            state.shares[sender.number, default: Share(sender: sender)].isWaiting = true
            return wasWaiting ? nil : state.breaker.hold(at: now)
        }
        if let hold { sender.chunksAreHeldBack(hold.reason, until: hold.until) }
        fillPlaces()
    }

    /// Nothing of `sender` is to be sent any more: not kept until PUTs are made again.
    func withdraw(_ sender: any ChunkSender) {
        state.withLock { state in
            // Looked up here: it may be tried again at this moment.
            guard !sender.isUnderWay else { return }
            state.shares[sender.number]?.isWaiting = false
            if state.shares[sender.number]?.underWay == 0 { state.shares[sender.number] = nil }
        }
    }

    /// Gives away free places for as long as there are both places and chunks, and PUTs may be made.
    private func fillPlaces() {
        let now = clock.now()
        while let (sender, permit) = state.withLock({ Self.reserve(&$0, at: now) }) {
            if let put = sender.takeChunk() {
                state.withLock { $0.shares[sender.number]?.isWaiting = true }
                Task {
                    await sender.send(put, permit)
                    self.state.withLock { Self.release(sender, &$0) }
                    self.fillPlaces()
                }
            } else {
                state.withLock { state in
                    state.breaker.giveBack(permit)
                    Self.release(sender, &state)
                }
            }
        }
        setAlarm()
    }

    /// Comes back when the next PUT may be made, if one waits for that.
    private func setAlarm() {
        let opens = state.withLock { state in
            state.freePlaces > 0 && state.shares.values.contains(where: \.isWaiting) ? state.breaker.opens : nil
        }
        if let opens { alarm.set(to: opens) { [weak self] in self?.fillPlaces() } }
    }

    /// Takes a place for the upload whose turn it is, which is asked for a chunk outside of the lock.
    private static func reserve(_ state: inout State, at now: Instant) -> (any ChunkSender, CircuitBreaker.Permit)? {
        guard state.freePlaces > 0 else { return nil }
        let next = state.shares.values.filter(\.isWaiting).min { one, other in
            (one.underWay, one.lastServed) < (other.underWay, other.lastServed)
        }
        guard let sender = next?.sender, let permit = state.breaker.take(at: now) else { return nil }
        state.freePlaces -= 1
        state.turn += 1
        let turn = state.turn
        state.shares[sender.number]?.isWaiting = false
        state.shares[sender.number]?.underWay += 1
        state.shares[sender.number]?.lastServed = turn
        return (sender, permit)
    }

    private static func release(_ sender: any ChunkSender, _ state: inout State) {
        state.freePlaces += 1
        guard var share = state.shares[sender.number] else { return }
        share.underWay -= 1
        state.shares[sender.number] = share.underWay > 0 || share.isWaiting ? share : nil
    }
}
