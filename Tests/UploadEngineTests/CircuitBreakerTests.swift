import Testing
import UploadCore
import UploadEngine

import struct TestSupport.ShownStatements

/// When calls may be made, by the clock alone.
@Suite final class CircuitBreakerTests {
    private let start = ContinuousClock.now
    private var breaker = CircuitBreaker(policy: RetryPolicy())

    private static let outage = UploadFailure(.unreachable, message: "a test")
    private static let refusal = UploadFailure(.keyRefused, message: "a test", httpStatus: 401)
    private static let lost = UploadFailure(.connectionLost, message: "a test")

    private func take(at now: Instant) -> CircuitBreaker.Permit? { breaker.take(at: now) }

    private func reason(at now: Instant) -> UploadFailure? { breaker.reason(at: now) }

    private var opens: Instant? { breaker.opens }

    private func at(_ seconds: Double) -> Instant { start + .milliseconds(Int64(seconds * 1000)) }

    @Test func isOpenToAllAtFirst() throws {
        for _ in 1...3 { #expect(try #require(take(at: start)).isProbe == false) }
        #expect(reason(at: start) == nil)
        #expect(opens == nil)
    }

    @Test func oneGoesAheadAfterAnOutageAndAllFollowItsSuccess() throws {
        let first = try #require(take(at: start))
        breaker.failed(first, Self.outage, at: start)
        #expect(reason(at: start) == Self.outage)
        #expect(opens == at(3))
        #expect(take(at: at(2.9)) == nil)
        let probe = try #require(take(at: at(3)))
        #expect(probe.isProbe)
        #expect(take(at: at(17.9)) == nil, "one at a time")
        #expect(opens == at(18))
        #expect(breaker.hold(at: at(4))?.until == nil)
        breaker.succeeded(probe)
        #expect(reason(at: at(100)) == nil)
        for _ in 1...3 { #expect(try #require(take(at: at(100))).isProbe == false) }
    }

    /// It may be a report, which may take minutes.
    @Test func aProbeThatTakesTooLongHoldsBackNoOther() throws {
        breaker.failed(try #require(take(at: start)), Self.outage, at: start)
        let slow = try #require(take(at: at(3)))
        let next = try #require(take(at: at(18)))
        #expect(next.isProbe)
        #expect(take(at: at(18)) == nil)
        breaker.failed(slow, Self.outage, at: at(19))
        #expect(take(at: at(32)) == nil, "what becomes of the first one is no news any more")
        breaker.succeeded(slow)
        #expect(reason(at: at(33)) == nil)
    }

    @Test func aProbeThatFailsRenewsTheWaitFromItsEnd() throws {
        breaker.failed(try #require(take(at: start)), Self.outage, at: start)
        let probe = try #require(take(at: at(3)))
        breaker.failed(probe, Self.outage, at: at(13))
        #expect(take(at: at(15.9)) == nil)
        #expect(try #require(take(at: at(16))).isProbe)
    }

    @Test func stragglersNeitherRenewTheWaitNorAddProbes() throws {
        let permits = [try #require(take(at: start)), try #require(take(at: start))]
        breaker.failed(permits[0], Self.outage, at: start)
        breaker.failed(permits[1], Self.outage, at: at(2))
        let probe = try #require(take(at: at(3)))
        breaker.failed(permits[1], Self.outage, at: at(4))
        #expect(take(at: at(17)) == nil)
        breaker.succeeded(probe)
        #expect(take(at: at(20)) != nil)
    }

    @Test func aConnectionThatIsLostEndsNeitherAnOutageNorARefusalOfTheKey() throws {
        breaker.failed(try #require(take(at: start)), Self.outage, at: start)
        breaker.failed(try #require(take(at: at(3))), Self.lost, at: at(4))
        #expect(reason(at: at(4)) == Self.lost)
        #expect(opens == at(10))
        breaker.failed(try #require(take(at: at(10))), Self.refusal, at: at(11))
        #expect(opens == at(16))
        breaker.failed(try #require(take(at: at(16))), Self.lost, at: at(17))
        #expect(reason(at: at(17)) == Self.refusal)
        #expect(opens == at(22))
    }

    @Test(.shows("error-lost-connections")) func connectionsThatAreLostOneAfterAnotherAreAnOutage() throws {
        for second in 1...7 {
            breaker.failed(try #require(take(at: at(Double(second)))), Self.lost, at: at(Double(second)))
            #expect(reason(at: at(Double(second))) == nil)
        }
        breaker.failed(try #require(take(at: at(8))), Self.lost, at: at(8))
        #expect(reason(at: at(8)) == Self.lost)
        #expect(take(at: at(13.9)) == nil)
        let probe = try #require(take(at: at(14)))
        // Somebody takes its bytes: that was so before.
        breaker.moved(probe)
        #expect(take(at: at(15)) == nil)
        breaker.failed(probe, Self.lost, at: at(16))
        #expect(opens == at(22))
        breaker.succeeded(try #require(take(at: at(22))))
        for _ in 1...3 { #expect(try #require(take(at: at(22))).isProbe == false) }
    }

    @Test(arguments: [true, false]) func anAnswerInBetweenSaysThatItIsNone(isGood: Bool) throws {
        for second in 1...20 {
            let now = at(Double(second))
            let permit = try #require(take(at: now))
            if second % 7 != 0 {
                breaker.failed(permit, Self.lost, at: now)
            } else if isGood {
                breaker.succeeded(permit)
            } else {
                breaker.failed(permit, UploadFailure(.storeUnavailable, message: "a test", httpStatus: 503), at: now)
            }
            #expect(reason(at: now) == nil)
        }
    }

    /// The others need not wait for a whole chunk of the probe's; but who takes its bytes may be nobody that answers.
    @Test func allFollowAProbeThatMovesUntilAConnectionIsLost() throws {
        breaker.failed(try #require(take(at: start)), Self.outage, at: start)
        let probe = try #require(take(at: at(3)))
        breaker.moved(probe)
        let others = [try #require(take(at: at(3))), try #require(take(at: at(3)))]
        breaker.failed(others[0], Self.lost, at: at(4))
        #expect(reason(at: at(4)) == Self.lost)
        breaker.failed(others[1], Self.lost, at: at(5))
        breaker.failed(probe, Self.lost, at: at(5))
        #expect(opens == at(10))
        #expect(try #require(take(at: at(10))).isProbe)
    }

    @Test func aProbeThatIsNotMadeLeavesItsTurn() throws {
        breaker.failed(try #require(take(at: start)), Self.outage, at: start)
        let unused = try #require(take(at: at(3)))
        breaker.giveBack(unused)
        #expect(try #require(take(at: at(3))).isProbe)
    }

    @Test func aProbeThatIsCancelledTellsNothing() throws {
        breaker.failed(try #require(take(at: start)), Self.outage, at: start)
        let probe = try #require(take(at: at(3)))
        breaker.failed(probe, UploadFailure(.cancelled, message: "a test"), at: at(4))
        #expect(reason(at: at(4)) == Self.outage)
        #expect(opens == at(7))
    }

    @Test func theReasonIsTheProbes() throws {
        breaker.failed(try #require(take(at: start)), Self.outage, at: start)
        breaker.failed(try #require(take(at: at(3))), Self.refusal, at: at(3))
        #expect(reason(at: at(3)) == Self.refusal)
        #expect(opens == at(8))
    }

    @Test func anotherKeyIsTriedAtOnce() throws {
        breaker.failed(try #require(take(at: start)), Self.refusal, at: start)
        breaker.expectsSuccess(at: at(1))
        #expect(try #require(take(at: at(1))).isProbe)
        #expect(take(at: at(1)) == nil)
    }

    @Test(.shows("error-rate-limit-return")) func aPauseHoldsBackAllAndLetsMoreAndMoreGo() throws {
        let asked = UploadFailure(.rateLimited, message: "a test", retryAfter: .seconds(60))
        let permits = [try #require(take(at: start)), try #require(take(at: start))]
        breaker.failed(permits[0], asked, at: start)
        // The longer one counts.
        breaker.failed(permits[1], UploadFailure(.rateLimited, message: "a test"), at: at(1))
        #expect(opens == at(60))
        #expect(take(at: at(59)) == nil)
        #expect(reason(at: at(59)) == asked, "the one that asked for it")
        #expect(breaker.hold(at: at(59))?.until == at(60))
        #expect(reason(at: at(60)) == nil)
        var underWay = [try #require(take(at: at(60)))]
        #expect(take(at: at(60)) == nil)
        #expect(reason(at: at(60)) == asked)
        for wanted in [2, 4, 8] {
            underWay.forEach { breaker.succeeded($0) }
            underWay = []
            while let permit = take(at: at(60)) { underWay.append(permit) }
            #expect(underWay.count == wanted)
        }
        underWay.forEach { breaker.succeeded($0) }
        for _ in 1...100 { #expect(take(at: at(60)) != nil) }
    }

    /// The limit may not be over: one finds that out for all.
    @Test func aPauseThatIsAskedForAgainBeginsAnew() throws {
        let asked = UploadFailure(.rateLimited, message: "a test", httpStatus: 429, retryAfter: .seconds(60))
        breaker.failed(try #require(take(at: start)), asked, at: start)
        let first = try #require(take(at: at(60)))
        breaker.failed(first, asked, at: at(60))
        #expect(take(at: at(119)) == nil)
        let second = try #require(take(at: at(120)))
        breaker.succeeded(first)
        #expect(take(at: at(120)) == nil, "an answer from before says nothing")
        breaker.giveBack(second)
        #expect(take(at: at(120)) != nil)
    }

    @Test func oneThatIsSlowAfterAPauseHoldsUpNoOtherForLong() throws {
        breaker.failed(
            try #require(take(at: start)), UploadFailure(.rateLimited, message: "a test", retryAfter: .seconds(9)),
            at: start)
        for second in 9...20 {
            #expect(take(at: at(Double(second))) != nil)
            #expect(take(at: at(Double(second) + 0.9)) == nil)
            #expect(opens == at(Double(second) + 1))
        }
    }

    @Test func aPauseInAnOutageKeepsTheProbeToo() throws {
        let permits = [try #require(take(at: start)), try #require(take(at: start))]
        breaker.failed(permits[0], Self.refusal, at: start)
        breaker.failed(permits[1], Self.outage, at: start)
        breaker.failed(permits[1], UploadFailure(.rateLimited, message: "a test", retryAfter: .seconds(9)), at: start)
        #expect(take(at: at(8)) == nil)
        #expect(take(at: at(9)) != nil)
    }
}
