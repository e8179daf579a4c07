import Formats

/// How many calls an answer says are left before its sender asks to wait.
public struct RateLimit: Sendable, Equatable {
    /// How many calls of a kind are allowed in a window of time; nil where that is not told.
    public var limit: Int64?
    /// How many of them are left.
    public var remaining: Int64
    /// When the window ends, and all are allowed again; nil where that is not told.
    public var resetsAt: Timestamp?

    /// What an answer says.
    public init(limit: Int64? = nil, remaining: Int64, resetsAt: Timestamp? = nil) {
        self.limit = limit
        self.remaining = remaining
        self.resetsAt = resetsAt
    }
}

/// The newest that is known of the limit on each kind of call. Whether the kinds share one limit or have one each, the answers do
/// not say; so both are reckoned with.
public struct RateLimits: Sendable, Equatable {
    private var newest: [String: RateLimit] = [:]
    private var last: String?

    /// Nothing is known.
    public init() {}

    /// Takes what an answer to a call of that kind says.
    public mutating func record(_ limit: RateLimit, of call: String) {
        newest[call] = limit
        last = call
    }

    /// The limit that is reached first: of those whose window has not ended, the one with the fewest calls left; of two such, the
    /// one that lasts longer. One that tells no end counts until another answer tells more.
    public func tightest(at now: Timestamp) -> RateLimit? {
        let lasting = newest.filter { call, limit in limit.resetsAt.map { $0 > now } ?? (call == last) }
        return lasting.values.min { one, other in
            if one.remaining != other.remaining { return one.remaining < other.remaining }
            return (one.resetsAt ?? .latest) > (other.resetsAt ?? .latest)
        }
    }
}
