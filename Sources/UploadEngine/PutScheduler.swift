import Synchronization
import UploadCore

/// Hands out the mount's few places for PUTs, fairly: a free place goes to the upload that has the fewest of them, and
/// among equals to the one that was served longest ago. So a small file passes a large one instead of queueing behind it.
final class PutScheduler: Sendable {
    private struct Share: Sendable {
        var upload: Upload
        var isWaiting = false
        var underWay = 0
        var lastServed = 0
    }

    private struct State: Sendable {
        var freePlaces: Int
        var shares: [Int: Share] = [:]
        var turn = 0
        /// No PUT begins before: the store wants fewer requests.
        var heldBackUntil: Instant?
    }

    private let state: Mutex<State>
    private let policy: RetryPolicy
    private let clock: EngineClock

    /// - Parameter places: PUTs at a time, for the whole mount; at least 1.
    init(places: Int, policy: RetryPolicy, clock: EngineClock) {
        state = Mutex(State(freePlaces: max(1, places)))
        self.policy = policy
        self.clock = clock
    }

    /// Lets no PUT begin for a while after a failure that tells all of them to wait.
    func holdBack(after failure: UploadFailure) {
        guard let wait = policy.holdBack(after: failure) else { return }
        let end = clock.now() + wait
        let isLonger = state.withLock { state in
            if let held = state.heldBackUntil, held >= end { return false }
            state.heldBackUntil = end
            return true
        }
        guard isLonger else { return }
        Task { [weak self, clock] in
            do { try await clock.sleep(end) } catch { return }
            self?.endHoldingBack(end)
        }
    }

    private func endHoldingBack(_ end: Instant) {
        state.withLock { if $0.heldBackUntil == end { $0.heldBackUntil = nil } }
        fillPlaces()
    }

    /// `upload` has chunks that may be sent.
    func offer(_ upload: Upload) {
        state.withLock { $0.shares[upload.number, default: Share(upload: upload)].isWaiting = true }
        fillPlaces()
    }

    /// Gives away free places for as long as there are both places and chunks.
    private func fillPlaces() {
        while let upload = state.withLock({ Self.reserve(&$0) }) {
            if let order = upload.takeChunk() {
                state.withLock { $0.shares[upload.number]?.isWaiting = true }
                Task {
                    await upload.send(order)
                    self.state.withLock { Self.release(upload, &$0) }
                    self.fillPlaces()
                }
            } else {
                state.withLock { Self.release(upload, &$0) }
            }
        }
    }

    /// Takes a place for the upload whose turn it is, which is asked for a chunk outside of the lock.
    private static func reserve(_ state: inout State) -> Upload? {
        guard state.freePlaces > 0, state.heldBackUntil == nil else { return nil }
        let next = state.shares.values.filter(\.isWaiting).min { one, other in
            (one.underWay, one.lastServed) < (other.underWay, other.lastServed)
        }
        guard let upload = next?.upload else { return nil }
        state.freePlaces -= 1
        state.turn += 1
        let turn = state.turn
        state.shares[upload.number]?.isWaiting = false
        state.shares[upload.number]?.underWay += 1
        state.shares[upload.number]?.lastServed = turn
        return upload
    }

    private static func release(_ upload: Upload, _ state: inout State) {
        state.freePlaces += 1
        guard var share = state.shares[upload.number] else { return }
        share.underWay -= 1
        state.shares[upload.number] = share.underWay > 0 || share.isWaiting ? share : nil
    }
}
