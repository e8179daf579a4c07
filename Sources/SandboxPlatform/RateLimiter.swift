import Synchronization

/// Counts the calls of the account, as the platform does when it limits them: so many in a window that begins with the
/// first.
final class RateLimiter: Sendable {
    /// What the `x-ratelimit-…` headers tell.
    struct Standing: Sendable, Equatable {
        var limit: Int
        var used: Int
        var reset: WallTime
        var window: Duration

        /// The limit in words: `100req/1day`.
        var words: String { "\(limit)req/\(window.inWords)" }

        var headers: [(name: String, value: String)] {
            [
                ("x-ratelimit-limit", "\(limit)"), ("x-ratelimit-remaining", "\(max(0, limit - used))"),
                ("x-ratelimit-used", "\(used)"), ("x-ratelimit-reset", "\(Int64(reset.seconds.rounded(.up)))"),
            ]
        }

        /// The answer to a call that is one too many.
        func refusal(at now: WallTime) -> Refusal {
            let wait = Int64(max(1, (reset.seconds - now.seconds).rounded(.up)))
            var refusal = Refusal(
                style: .api, status: 429, code: "too_many_requests",
                message: "You have exceeded the rate limit (\(words)). Please try again later after \(reset.rfc3339).")
            refusal.headers = headers + [("retry-after", "\(wait)")]
            return refusal
        }
    }

    private struct Window {
        var end: WallTime
        var used = 0
    }

    private let window = Mutex<Window?>(nil)

    /// Counts a call. Throws when it is one too many, which is not counted.
    func count(_ settings: SandboxSettings, at now: WallTime) throws(Refusal) {
        guard let limit = settings.rateLimit else { return }
        let isAllowed = window.withLock { window in
            var current =
                window.flatMap { now < $0.end ? $0 : nil }
                ?? Window(end: now.advanced(by: settings.rateLimitWindow))
            let isAllowed = current.used < limit
            if isAllowed { current.used += 1 }
            window = current
            return isAllowed
        }
        if !isAllowed, let standing = standing(settings, at: now) { throw standing.refusal(at: now) }
    }

    /// Nil where nothing is limited.
    func standing(_ settings: SandboxSettings, at now: WallTime) -> Standing? {
        settings.rateLimit.map { limit in
            let current = window.withLock { $0 }.flatMap { now < $0.end ? $0 : nil }
            return Standing(
                limit: limit, used: current?.used ?? 0,
                reset: current?.end ?? now.advanced(by: settings.rateLimitWindow), window: settings.rateLimitWindow)
        }
    }
}

extension Duration {
    /// In the largest unit that it is a whole number of: `1day`, `5min`, `90s`.
    var inWords: String {
        let seconds = components.seconds
        for (unit, size) in [("day", 86400), ("hour", 3600), ("min", 60)] as [(String, Int64)]
        where seconds > 0 && seconds % size == 0 {
            return "\(seconds / size)\(unit)"
        }
        return "\(seconds)s"
    }
}
