/// How often something failed since it last succeeded, and until when it is held back.
///
/// Each kind of failure is counted for itself: an outage that was waited out must not use up the few attempts that an
/// unreadable answer gets.
struct RetryState: Sendable {
    private var runs: [UploadFailure.Kind: (count: Int, first: Instant)] = [:]
    var notBefore: Instant?
    /// What failed, where that is why nothing is tried before that moment.
    private(set) var cause: UploadFailure?

    /// Whether it failed since it last succeeded.
    var hasFailed: Bool { !runs.isEmpty }

    /// Counts a failure and asks the policy what to do about it.
    mutating func failed(
        _ failure: UploadFailure, policy: RetryPolicy, random: Double, at now: Instant
    ) -> RetryPolicy.Decision {
        var run = runs[failure.kind] ?? (0, now)
        run.count += 1
        runs[failure.kind] = run
        return policy.decide(failure, attempt: run.count, sinceFirst: now - run.first, random: random)
    }

    mutating func succeeded() { self = RetryState() }

    /// Nothing is tried before that moment, since something failed.
    mutating func wait(until moment: Instant, because failure: UploadFailure) {
        notBefore = moment
        cause = failure
    }

    /// It is tried now.
    mutating func begin() {
        notBefore = nil
        cause = nil
    }
}
