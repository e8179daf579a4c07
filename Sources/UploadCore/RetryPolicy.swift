/// Whether a failed call is repeated, and when: one table over ``UploadFailure/Kind``, the only place that decides it.
///
/// A value without clock or randomness: both come in with the question. How long an upload may go without any progress
/// (the stall timeout) is decided by whoever watches all of its calls.
public struct RetryPolicy: Sendable {
    /// The numbers of the policy.
    public struct Limits: Sendable, Equatable {
        /// The longest wait after the first failure.
        public var base: Duration
        /// The longest wait after any failure, unless the answer asks for more.
        public var cap: Duration
        /// How many attempts answers get that may be wrong for good (unreadable, a checksum that differs, a redirect of the
        /// store, or a conflict with something else that is done to the same upload).
        public var doubtfulAttempts: Int
        /// How long after their first failure the last of those attempts may begin; redirects have no such limit.
        public var doubtfulWindow: Duration
        /// The longest `Retry-After` that is honoured. An account's limit may be counted in days, and is over after one at the
        /// latest: asking before would only be refused, and may count. More than that tells of nonsense. (That clocks differ does
        /// not matter: what an answer asks for is measured against its own `Date`.)
        public var retryAfterCap: Duration
        /// How long an outage is waited for before one call tries again, for all.
        public var outageInterval: Duration
        /// How many connections of a kind, lost one after another without any answer, are an outage: more than one event is
        /// likely to cut at once.
        public var lostConnections: Int
        /// How long such an outage is waited for before one call tries again, for all.
        public var lostInterval: Duration
        /// How long that one may take before another one tries as well: a report of chunks may take minutes.
        public var probePatience: Duration
        /// How long a refused key is waited for before one call tries it again, for all.
        public var keyInterval: Duration

        /// The given limits, each with its default.
        public init(
            base: Duration = .milliseconds(500), cap: Duration = .seconds(15), doubtfulAttempts: Int = 5,
            doubtfulWindow: Duration = .seconds(30), retryAfterCap: Duration = .seconds(86_400),
            outageInterval: Duration = .seconds(3), lostConnections: Int = 8, lostInterval: Duration = .seconds(6),
            probePatience: Duration = .seconds(15), keyInterval: Duration = .seconds(5)
        ) {
            self.base = base
            self.cap = cap
            self.doubtfulAttempts = doubtfulAttempts
            self.doubtfulWindow = doubtfulWindow
            self.retryAfterCap = retryAfterCap
            self.outageInterval = outageInterval
            self.lostConnections = lostConnections
            self.lostInterval = lostInterval
            self.probePatience = probePatience
            self.keyInterval = keyInterval
        }
    }

    /// What to do after a failure.
    public enum Decision: Sendable, Equatable {
        /// Repeat the call after a wait: the backoff, or `Retry-After` when that is longer.
        case again(after: Duration)
        /// Nothing can be reached: repeat the call when it can be again, which one call finds out for all
        /// (``RetryPolicy/Backpressure/probe(every:)``); whoever is alone asks again after this wait. Not counted as an attempt.
        case awaitNetwork(after: Duration)
        /// The key was refused: repeat the call when there is a good one. Not counted as an attempt either.
        case awaitKey
        /// The session is gone: open another one and send the spool again.
        case newSession
        /// Repeating cannot help, or has not.
        case fail
    }

    /// What a failure of one call tells all calls of its kind to do.
    public enum Backpressure: Sendable, Equatable {
        /// There are too many: wait so long, then they may be made again, a few at first.
        case pause(Duration)
        /// None can succeed: wait so long, then make one of them, whose outcome tells about all.
        case probe(every: Duration)
    }

    /// The numbers in force.
    public let limits: Limits

    /// A policy with the given numbers.
    public init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// What to do after a failure of one call.
    ///
    /// - Parameters:
    ///   - failure: what happened.
    ///   - attempt: how often the call has failed in this way since it last succeeded, this one included: 1 for the
    ///     first failure. Failures of other kinds, an outage above all, do not count.
    ///   - sinceFirst: the time since the first of those failures.
    ///   - random: a number in `0..<1`, drawn anew for each question.
    public func decide(
        _ failure: UploadFailure, attempt: Int, sinceFirst: Duration, random: Double
    ) -> Decision {
        switch failure.kind {
        case .platformUnavailable, .storeUnavailable, .rateLimited, .connectionLost, .accessUnclear:
            return .again(after: wait(failure, backoff(attempt: attempt, random: random)))
        case .unreadableAnswer, .checksumMismatch, .conflict:
            let wait = wait(failure, backoff(attempt: attempt, random: random))
            let isWorthIt = attempt < limits.doubtfulAttempts && sinceFirst + wait <= limits.doubtfulWindow
            return isWorthIt ? .again(after: wait) : .fail
        case .storeRedirected:
            // A store that was moved redirects until its new name is known everywhere; a fresh URL may name the right place.
            guard attempt < limits.doubtfulAttempts else { return .fail }
            return .again(after: wait(failure, backoff(attempt: attempt, random: random)))
        case .urlExpired:
            // A fresh URL is all that is needed. When those keep coming back expired, a clock is wrong somewhere: slow down.
            let backoff = attempt < 3 ? .zero : backoff(attempt: attempt - 2, random: random)
            return .again(after: wait(failure, backoff))
        case .unreachable:
            return .awaitNetwork(after: limits.outageInterval)
        case .keyRefused:
            return .awaitKey
        case .sessionGone:
            return .newSession
        case .spoolFailed where failure.code == UploadFailure.outOfDescriptors:
            return .again(after: backoff(attempt: attempt, random: random))
        case .accessRefused, .sessionRefused, .sizeRefused, .typeRefused, .requestRefused, .storeRefused:
            return .fail
        case .tooLarge, .noSpace, .spoolFailed, .stalled, .interrupted, .cancelled, .replaced, .invalidConfiguration:
            return .fail
        }
    }

    /// What to do after a failed attempt to delete an asset that nobody needs: it expires by itself, so that only what passes is
    /// waited for. A conflict says that something refers to it.
    public func decideOnDelete(
        _ failure: UploadFailure, attempt: Int, sinceFirst: Duration, random: Double
    ) -> Decision {
        if failure.kind == .conflict { return .fail }
        return decide(failure, attempt: attempt, sinceFirst: sinceFirst, random: random)
    }

    /// Whether the next PUT of a chunk needs another URL: one is spent as soon as a byte of its request was sent.
    ///
    /// True whenever a byte may have been sent. A URL too many costs one call; one too few, an attempt.
    public func needsFreshURL(after failure: UploadFailure) -> Bool {
        switch failure.kind {
        case .unreachable:
            return false
        case .connectionLost, .unreadableAnswer, .urlExpired, .storeRefused, .storeRedirected, .storeUnavailable,
            .checksumMismatch:
            return true
        case .keyRefused, .accessRefused, .accessUnclear, .sessionRefused, .sizeRefused, .typeRefused, .requestRefused,
            .sessionGone, .conflict, .rateLimited, .platformUnavailable:
            return true
        case .tooLarge, .noSpace, .spoolFailed, .stalled, .interrupted, .cancelled, .replaced, .invalidConfiguration:
            return true
        }
    }

    /// Whether a call that failed so may have taken effect at the platform all the same: its answer was lost, or says
    /// nothing.
    public func mayHaveTakenEffect(_ failure: UploadFailure) -> Bool {
        switch failure.kind {
        case .connectionLost, .unreadableAnswer, .platformUnavailable, .conflict, .sessionGone, .accessUnclear:
            return true
        case .unreachable, .keyRefused, .accessRefused, .sessionRefused, .sizeRefused, .typeRefused, .requestRefused,
            .rateLimited:
            return false
        case .urlExpired, .storeRefused, .storeRedirected, .storeUnavailable, .checksumMismatch:
            return false
        case .tooLarge, .noSpace, .spoolFailed, .stalled, .interrupted, .cancelled, .replaced, .invalidConfiguration:
            return true
        }
    }

    /// What a failure tells all calls of its kind, of the API or of the store; nil when it concerns nobody else.
    ///
    /// - Parameter lostInARow: how many connections were lost one after another, this one included, since there was an answer.
    public func backpressure(after failure: UploadFailure, lostInARow: Int) -> Backpressure? {
        switch failure.kind {
        case .connectionLost: return lostInARow < limits.lostConnections ? nil : .probe(every: limits.lostInterval)
        case .rateLimited: return .pause(wait(failure, limits.base))
        case .storeUnavailable: return failure.httpStatus == 429 ? .pause(wait(failure, limits.base)) : nil
        case .unreachable: return .probe(every: limits.outageInterval)
        case .keyRefused: return .probe(every: limits.keyInterval)
        case .unreadableAnswer, .urlExpired, .storeRefused, .storeRedirected, .checksumMismatch, .sessionRefused,
            .sizeRefused, .typeRefused,
            .requestRefused, .sessionGone, .conflict, .platformUnavailable, .accessRefused, .accessUnclear:
            return nil
        case .tooLarge, .noSpace, .spoolFailed, .stalled, .interrupted, .cancelled, .replaced, .invalidConfiguration:
            return nil
        }
    }

    /// Whether a call that failed so shows that what `reason` told all calls to wait for is over.
    public func isOver(_ reason: UploadFailure, after failure: UploadFailure) -> Bool {
        switch failure.kind {
        case .unreachable, .connectionLost, .keyRefused:
            // Whoever takes a connection and drops it may not be the platform.
            return false
        case .platformUnavailable, .unreadableAnswer, .accessUnclear:
            // Perhaps answered before anybody looked at the key.
            return reason.kind != .keyRefused
        case .accessRefused, .rateLimited, .sessionRefused, .sizeRefused, .typeRefused, .requestRefused, .sessionGone,
            .conflict,
            .urlExpired, .storeRefused, .storeRedirected, .storeUnavailable, .checksumMismatch:
            return true
        case .tooLarge, .noSpace, .spoolFailed, .stalled, .interrupted, .cancelled, .replaced, .invalidConfiguration:
            return false
        }
    }

    /// What a failed call about assets says of them.
    public enum AssetVerdict: Sendable, Equatable {
        /// Nothing: ask again, and not before this wait where the answer named one.
        case again(after: Duration?)
        /// The platform does not know them, or not yet.
        case notFound
        /// It will not tell.
        case refused
    }

    /// What a failed call about assets says of them.
    ///
    /// Just after an upload's completion the platform may answer 404, or 400 `resource_not_exist`. A 403
    /// `read_not_allowed` is about the asset, whatever else a 403 may mean.
    public func verdict(onAssetCallThatFailed failure: UploadFailure) -> AssetVerdict {
        if failure.code == "read_not_allowed" || failure.code == "identifier_malformed" { return .refused }
        switch failure.kind {
        case .requestRefused, .sessionGone, .sizeRefused, .sessionRefused, .accessUnclear:
            return .notFound
        case .accessRefused: return .refused
        case .keyRefused, .typeRefused, .conflict, .rateLimited, .platformUnavailable, .unreachable, .connectionLost,
            .unreadableAnswer, .urlExpired, .storeRefused, .storeRedirected, .storeUnavailable, .checksumMismatch,
            .tooLarge, .noSpace,
            .spoolFailed, .stalled, .interrupted, .cancelled, .replaced, .invalidConfiguration:
            return .again(after: failure.retryAfter.map { min($0, limits.retryAfterCap) })
        }
    }

    /// Whether a failed call about an asset says that the platform knows none of that name: not when it will not tell, which
    /// says nothing of the asset.
    public func saysThatAssetIsMissing(_ failure: UploadFailure) -> Bool {
        guard failure.kind == .requestRefused else { return false }
        return failure.httpStatus == 404 || failure.httpStatus == 410 || failure.code == "resource_not_exist"
    }

    /// Whether a URL that an asset's content was to be read from is good for nothing any more: it expired, or what it
    /// led to is gone.
    public func isContentURLDead(after failure: UploadFailure) -> Bool {
        switch failure.kind {
        case .urlExpired: return true
        case .storeRefused, .sessionGone: return [401, 403, 404, 410].contains(failure.httpStatus)
        case .keyRefused, .accessRefused, .accessUnclear, .sessionRefused, .sizeRefused, .typeRefused, .requestRefused,
            .conflict, .rateLimited, .platformUnavailable, .unreachable, .connectionLost, .unreadableAnswer,
            .storeRedirected,
            .storeUnavailable,
            .checksumMismatch, .tooLarge, .noSpace, .spoolFailed, .stalled, .interrupted, .cancelled, .replaced,
            .invalidConfiguration:
            return false
        }
    }

    /// Exponential backoff with full jitter: `random` × min(`cap`, `base` × 2^(`attempt` − 1)).
    ///
    /// With 0.5 s and 15 s the wait is drawn from zero up to
    ///
    ///     attempt   1     2    3    4    5    6 and later
    ///     seconds   0.5   1    2    4    8    15
    ///
    /// so that clients which failed together do not come back together.
    private func backoff(attempt: Int, random: Double) -> Duration {
        var longest = limits.base
        // 62 doublings pass any cap; more would only count.
        for _ in 1..<min(max(attempt, 1), 63) where longest < limits.cap {
            longest = longest * 2
        }
        return min(longest, limits.cap) * min(max(random, 0), 1)
    }

    private func wait(_ failure: UploadFailure, _ backoff: Duration) -> Duration {
        guard let asked = failure.retryAfter else { return backoff }
        return max(backoff, min(asked, limits.retryAfterCap))
    }
}
