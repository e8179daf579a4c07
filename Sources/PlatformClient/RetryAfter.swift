import Formats
import NIOHTTP1
import UploadCore

/// How long an answer asks to wait.
package enum RetryAfter {
    /// Reads `retry-after-ms`, then `Retry-After` in seconds or as an HTTP date, which counts from the answer's own `Date` so that
    /// the difference between the two clocks does not matter. Nil when there is none that makes sense.
    package static func wait(asked headers: HTTPHeaders, now: () -> Timestamp) -> Duration? {
        if let text = headers.first(name: "retry-after-ms"), let milliseconds = number(text) {
            return .seconds(milliseconds / 1000)
        }
        guard let text = headers.first(name: "retry-after") else { return nil }
        if let seconds = number(text) { return .seconds(seconds) }
        guard let moment = Timestamp(httpDate: text.trimmed) else { return nil }
        return max(.zero, moment.duration(since: headers.date ?? now()))
    }

    /// How long it is until the window of a rate limit ends (`x-ratelimit-reset`), also from the answer's own `Date`. Nil when that
    /// is not told.
    package static func wait(untilReset headers: HTTPHeaders, now: () -> Timestamp) -> Duration? {
        guard let text = headers.first(name: "x-ratelimit-reset")?.trimmed, let seconds = Int64(text),
            epochSeconds.contains(seconds)
        else { return nil }
        let reset = Timestamp(millisecondsSince1970: seconds * 1000)
        return min(max(.zero, reset.duration(since: headers.date ?? now())), .seconds(aYear))
    }

    /// What may be seconds since 1970: from 2001 to 2286. Anything else is something else, a number of seconds from now or
    /// milliseconds, which nothing tells apart from nonsense.
    private static let epochSeconds: ClosedRange<Int64> = 1_000_000_000...9_999_999_999
    private static let aYear = 31_536_000

    /// A number from 0 to a year's seconds; more than that is nonsense, and capped.
    private static func number(_ text: String) -> Double? {
        guard let value = Double(text.trimmed), value >= 0, value.isFinite else { return nil }
        return min(value, Double(aYear))
    }
}

extension RateLimit {
    /// What an answer's `x-ratelimit-remaining`, `-limit` and `-reset` say; nil without the first.
    package init?(_ headers: HTTPHeaders, now: () -> Timestamp) {
        func count(_ name: String) -> Int64? {
            headers.first(name: name).flatMap { Int64($0.trimmed) }.flatMap { $0 >= 0 ? $0 : nil }
        }
        guard let remaining = count("x-ratelimit-remaining") else { return nil }
        self.init(
            limit: count("x-ratelimit-limit"), remaining: remaining,
            // On our clock, which is the one that people compare it with.
            resetsAt: RetryAfter.wait(untilReset: headers, now: now).map { now().advanced(by: $0) })
    }
}

extension HTTPHeaders {
    /// When the answer says that it was made.
    var date: Timestamp? { first(name: "date").flatMap { Timestamp(httpDate: $0.trimmed) } }
}

extension String {
    /// Without the white space that may surround a header's value.
    var trimmed: String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        guard let first = firstIndex(where: { !isSpace($0) }), let last = lastIndex(where: { !isSpace($0) }) else {
            return ""
        }
        return String(self[first...last])
    }
}
