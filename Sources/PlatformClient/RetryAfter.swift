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

    /// A number from 0 to a year's seconds; more than that is nonsense, and capped.
    private static func number(_ text: String) -> Double? {
        guard let value = Double(text.trimmed), value >= 0, value.isFinite else { return nil }
        return min(value, 31_536_000)
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
