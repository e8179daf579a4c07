import Synchronization
import UploadCore

/// Holds back the calls of all uploads when the platform says that there are too many of them.
///
/// A rate limit is the account's: whoever got the 429 waits by itself, all others wait here.
final class Restraint: Sendable {
    private let policy: RetryPolicy
    private let clock: EngineClock
    private let end = Mutex<Instant?>(nil)

    init(policy: RetryPolicy, clock: EngineClock) {
        self.policy = policy
        self.clock = clock
    }

    /// Takes note of a failure that tells all calls to wait.
    func holdBack(after failure: UploadFailure) {
        guard let wait = policy.holdBack(after: failure) else { return }
        let until = clock.now() + wait
        end.withLock { $0 = max($0 ?? until, until) }
    }

    /// Returns when calls may be made; false when the task was cancelled before that.
    func passes() async -> Bool {
        while let until = end.withLock({ $0 }), until > clock.now() {
            do { try await clock.sleep(until) } catch { return false }
        }
        return !Task.isCancelled
    }
}
