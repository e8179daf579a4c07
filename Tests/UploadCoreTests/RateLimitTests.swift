import Formats
import Testing
import UploadCore

@Suite struct RateLimitTests {
    private let now = Timestamp(millisecondsSince1970: 1_700_000_000_000)

    private func later(_ seconds: Int64) -> Timestamp { now.advanced(by: .seconds(seconds)) }

    @Test func theLimitThatIsReachedFirstCounts() {
        var limits = RateLimits()
        #expect(limits.tightest(at: now) == nil)
        let few = RateLimit(limit: 50, remaining: 3, resetsAt: later(60))
        limits.record(few, of: "create")
        limits.record(RateLimit(limit: 100, remaining: 90, resetsAt: later(3600)), of: "report")
        #expect(limits.tightest(at: now) == few)
        // A newer answer to the same kind of call takes its place.
        limits.record(RateLimit(limit: 50, remaining: 49, resetsAt: later(120)), of: "create")
        #expect(limits.tightest(at: now)?.remaining == 49)
    }

    @Test func aWindowThatHasEndedTellsNothing() {
        var limits = RateLimits()
        limits.record(RateLimit(remaining: 0, resetsAt: later(60)), of: "create")
        limits.record(RateLimit(remaining: 7, resetsAt: later(90)), of: "report")
        #expect(limits.tightest(at: later(59))?.remaining == 0)
        #expect(limits.tightest(at: later(60))?.remaining == 7)
        #expect(limits.tightest(at: later(90)) == nil)
    }

    @Test func whatTellsNoEndCountsUntilAnotherAnswerTellsMore() {
        var limits = RateLimits()
        limits.record(RateLimit(remaining: 1), of: "create")
        #expect(limits.tightest(at: .latest)?.remaining == 1)
        limits.record(RateLimit(remaining: 9), of: "report")
        #expect(limits.tightest(at: now)?.remaining == 9)
    }

    @Test func ofTwoThatAreAsTightTheOneThatLastsCounts() {
        var limits = RateLimits()
        limits.record(RateLimit(remaining: 0, resetsAt: later(60)), of: "a")
        limits.record(RateLimit(remaining: 0, resetsAt: later(86_400)), of: "b")
        #expect(limits.tightest(at: now)?.resetsAt == later(86_400))
    }
}
