import Testing
import UploadCore

@Suite struct RetryPolicyTests {
    private let policy = RetryPolicy()

    private func decide(
        _ kind: UploadFailure.Kind, attempt: Int = 1, sinceFirst: Duration = .zero, random: Double = 0.5,
        retryAfter: Duration? = nil
    ) -> RetryPolicy.Decision {
        policy.decide(
            UploadFailure(kind, message: "a test", retryAfter: retryAfter), attempt: attempt, sinceFirst: sinceFirst,
            random: random)
    }

    @Test(arguments: [
        UploadFailure.Kind.platformUnavailable, .storeUnavailable, .rateLimited, .connectionLost, .accessUnclear,
    ])
    func repeatsWhatPassesForAsLongAsItTakes(kind: UploadFailure.Kind) {
        #expect(decide(kind) == .again(after: .milliseconds(250)))
        #expect(decide(kind, attempt: 1000, sinceFirst: .seconds(86_400)) == .again(after: .milliseconds(7500)))
    }

    /// The bytes are where they were.
    @Test func repeatsWhatFoundNoDescriptorToReadTheSpoolWith() {
        let failure = UploadFailure(.spoolFailed, code: UploadFailure.outOfDescriptors, message: "a test")
        #expect(
            policy.decide(failure, attempt: 1000, sinceFirst: .seconds(86_400), random: 0.5)
                == .again(after: .milliseconds(7500)))
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        #expect(throws: Never.self) { try rig.open() }
        for order in rig.takeAll() { rig.apply(.chunkFailed(order, failure, random: 0.5)) }
        #expect(rig.machine.state == .finishing)
        #expect(rig.machine.statusDocument(at: rig.now).error?.code == UploadFailure.outOfDescriptors)
    }

    @Test func doublesTheLongestWaitUpToTheCap() {
        let longest = [1, 2, 3, 4, 5, 6, 7, 64, 65, 10_000, Int.max].map {
            decide(.platformUnavailable, attempt: $0, random: 1)
        }
        let seconds = [0.5, 1, 2, 4, 8, 15, 15, 15, 15, 15, 15]
        #expect(longest == seconds.map { .again(after: .milliseconds(Int64($0 * 1000))) })
    }

    @Test func drawsTheWaitFromZeroUp() {
        #expect(decide(.connectionLost, attempt: 5, random: 0) == .again(after: .zero))
        #expect(decide(.connectionLost, attempt: 5, random: 0.25) == .again(after: .seconds(2)))
    }

    @Test func takesOddNumbersWithoutHarm() {
        #expect(decide(.connectionLost, attempt: 0, random: 1) == .again(after: .milliseconds(500)))
        #expect(decide(.connectionLost, attempt: .min, random: 7) == .again(after: .milliseconds(500)))
        #expect(decide(.connectionLost, attempt: 3, random: -1) == .again(after: .zero))
    }

    @Test func waitsAsLongAsTheAnswerAsksWhenThatIsLonger() {
        #expect(decide(.rateLimited, retryAfter: .seconds(42)) == .again(after: .seconds(42)))
        #expect(
            decide(.rateLimited, attempt: 6, random: 1, retryAfter: .seconds(2)) == .again(after: .seconds(15)))
        #expect(decide(.storeUnavailable, random: 1, retryAfter: .seconds(-9)) == .again(after: .milliseconds(500)))
    }

    /// An account's limit may be one of requests a day.
    @Test func waitsForADayButNotForMoreWhateverTheAnswerAsks() {
        #expect(decide(.rateLimited, retryAfter: .seconds(80_000)) == .again(after: .seconds(80_000)))
        #expect(decide(.rateLimited, retryAfter: .seconds(864_000)) == .again(after: .seconds(86_400)))
    }

    @Test(arguments: [UploadFailure.Kind.unreadableAnswer, .checksumMismatch, .conflict])
    func givesADoubtfulAnswerFiveAttempts(kind: UploadFailure.Kind) {
        for attempt in 1...4 {
            #expect(decide(kind, attempt: attempt, random: 0) == .again(after: .zero))
        }
        #expect(decide(kind, attempt: 5, random: 0) == .fail)
        #expect(decide(kind, attempt: 6, random: 0) == .fail)
    }

    @Test(arguments: [UploadFailure.Kind.unreadableAnswer, .checksumMismatch, .conflict])
    func beginsNoDoubtfulAttemptAfterHalfAMinute(kind: UploadFailure.Kind) {
        #expect(decide(kind, attempt: 2, sinceFirst: .seconds(29), random: 1) == .again(after: .seconds(1)))
        #expect(decide(kind, attempt: 2, sinceFirst: .milliseconds(29_001), random: 1) == .fail)
        #expect(decide(kind, attempt: 2, sinceFirst: .seconds(31), random: 0) == .fail)
        #expect(decide(kind, attempt: 1, retryAfter: .seconds(31)) == .fail)
    }

    @Test func givesARedirectFiveAttemptsHoweverLongEachTakes() {
        for attempt in 1...4 {
            #expect(
                decide(.storeRedirected, attempt: attempt, sinceFirst: .seconds(3600), random: 0)
                    == .again(after: .zero))
        }
        #expect(decide(.storeRedirected, attempt: 2, random: 1) == .again(after: .seconds(1)))
        #expect(decide(.storeRedirected, attempt: 5, random: 0) == .fail)
    }

    @Test func asksForAFreshURLAtOnceAndSlowsDownFromTheThirdTime() {
        #expect(decide(.urlExpired, attempt: 1, random: 1) == .again(after: .zero))
        #expect(decide(.urlExpired, attempt: 2, random: 1) == .again(after: .zero))
        #expect(decide(.urlExpired, attempt: 3, random: 1) == .again(after: .milliseconds(500)))
        #expect(decide(.urlExpired, attempt: 4, random: 1) == .again(after: .seconds(1)))
    }

    @Test func waitsOutAnOutage() {
        #expect(decide(.unreachable, attempt: 1, random: 1) == .awaitNetwork(after: .seconds(3)))
        #expect(
            decide(.unreachable, attempt: 99, sinceFirst: .seconds(86_400), random: 0)
                == .awaitNetwork(after: .seconds(3)))
    }

    @Test func waitsForAGoodKeyAndReplacesALostSession() {
        #expect(decide(.keyRefused) == .awaitKey)
        #expect(decide(.sessionGone) == .newSession)
    }

    @Test(arguments: [
        UploadFailure.Kind.accessRefused, .sessionRefused, .sizeRefused, .typeRefused, .requestRefused, .storeRefused,
        .tooLarge,
        .noSpace, .spoolFailed, .stalled, .interrupted, .cancelled, .replaced, .invalidConfiguration,
    ])
    func failsWhereRepeatingCannotHelp(kind: UploadFailure.Kind) {
        #expect(decide(kind) == .fail)
        #expect(decide(kind, retryAfter: .seconds(1)) == .fail)
    }

    /// Whatever refers to an asset goes on to do so; anything else is as for other calls.
    @Test func deletesNothingThatIsReferredTo() {
        for kind in UploadFailure.Kind.allCases {
            let failure = UploadFailure(kind, message: "a test")
            let decision = policy.decideOnDelete(failure, attempt: 1, sinceFirst: .zero, random: 0.5)
            #expect(decision == (kind == .conflict ? .fail : decide(kind)), "\(kind)")
        }
    }

    @Test func spendsAURLUnlessNothingWasSent() {
        for kind in UploadFailure.Kind.allCases {
            let failure = UploadFailure(kind, message: "a test")
            #expect(policy.needsFreshURL(after: failure) == (kind != .unreachable), "\(kind)")
        }
    }

    @Test func holdsBackAllCallsOfAKindAfterA429AnOutageAndARefusedKeyOnly() {
        for kind in UploadFailure.Kind.allCases {
            let failure = UploadFailure(kind, message: "a test", httpStatus: 503)
            let expected: RetryPolicy.Backpressure? =
                if kind == .rateLimited {
                    .pause(.milliseconds(500))
                } else if kind == .unreachable {
                    .probe(every: .seconds(3))
                } else if kind == .keyRefused {
                    .probe(every: .seconds(5))
                } else {
                    nil
                }
            #expect(policy.backpressure(after: failure, lostInARow: 7) == expected, "\(kind)")
        }
        let store = UploadFailure(.storeUnavailable, message: "a test", httpStatus: 429)
        #expect(policy.backpressure(after: store, lostInARow: 0) == .pause(.milliseconds(500)))
    }

    @Test func pausesForAsLongAsTheAnswerAsks() {
        let asked = UploadFailure(.rateLimited, message: "a test", retryAfter: .seconds(60))
        #expect(policy.backpressure(after: asked, lostInARow: 0) == .pause(.seconds(60)))
    }

    @Test func takesManyLostConnectionsInARowForAnOutage() {
        let lost = UploadFailure(.connectionLost, message: "a test")
        #expect(policy.backpressure(after: lost, lostInARow: 7) == nil)
        #expect(policy.backpressure(after: lost, lostInARow: 8) == .probe(every: .seconds(6)))
        #expect(policy.backpressure(after: lost, lostInARow: 100) == .probe(every: .seconds(6)))
    }

    @Test func anAnswerEndsAnOutageAndOneThatLookedAtTheKeyItsRefusal() {
        let outage = UploadFailure(.unreachable, message: "a test")
        let refusal = UploadFailure(.keyRefused, message: "a test")
        let neither: [UploadFailure.Kind] = [
            .unreachable, .connectionLost, .keyRefused, .tooLarge, .noSpace, .spoolFailed, .stalled, .interrupted,
            .cancelled, .replaced, .invalidConfiguration,
        ]
        for kind in UploadFailure.Kind.allCases {
            let failure = UploadFailure(kind, message: "a test")
            #expect(policy.isOver(outage, after: failure) == !neither.contains(kind), "\(kind)")
            let onlyOutage: [UploadFailure.Kind] = [.platformUnavailable, .unreadableAnswer, .accessUnclear]
            #expect(policy.isOver(refusal, after: failure) == !(neither + onlyOutage).contains(kind), "\(kind)")
        }
    }

    @Test func knowsWhatCannotHaveTakenEffect() {
        let certain: [UploadFailure.Kind] = [
            .unreachable, .keyRefused, .sessionRefused, .sizeRefused, .typeRefused, .requestRefused, .rateLimited,
        ]
        for kind in certain {
            #expect(!policy.mayHaveTakenEffect(UploadFailure(kind, message: "a test")), "\(kind)")
        }
        for kind in [UploadFailure.Kind.connectionLost, .unreadableAnswer, .platformUnavailable] {
            #expect(policy.mayHaveTakenEffect(UploadFailure(kind, message: "a test")), "\(kind)")
        }
    }

    /// Everything else, an outage above all, says nothing of an asset.
    @Test func aRefusedCallTellsOfAnAsset() {
        let notFound: [UploadFailure.Kind] = [
            .requestRefused, .sessionGone, .sizeRefused, .sessionRefused, .accessUnclear,
        ]
        for kind in UploadFailure.Kind.allCases {
            let failure = UploadFailure(kind, message: "a test")
            let expected: RetryPolicy.AssetVerdict =
                notFound.contains(kind) ? .notFound : kind == .accessRefused ? .refused : .again(after: nil)
            #expect(policy.verdict(onAssetCallThatFailed: failure) == expected, "\(kind)")
        }
        // Whatever it was taken for: it is about the asset.
        for kind in [UploadFailure.Kind.requestRefused, .accessUnclear, .keyRefused] {
            let denied = UploadFailure(kind, code: "read_not_allowed", message: "a test", httpStatus: 403)
            #expect(policy.verdict(onAssetCallThatFailed: denied) == .refused, "\(kind)")
        }
        let limit = UploadFailure(.rateLimited, message: "a test", retryAfter: .seconds(60))
        #expect(policy.verdict(onAssetCallThatFailed: limit) == .again(after: .seconds(60)))
    }

    @Test func aURLOfContentIsDeadOnceItIsRefused() {
        for status in [401, 403, 404, 410] {
            let refusal = UploadFailure(.storeRefused, message: "a test", httpStatus: status)
            #expect(policy.isContentURLDead(after: refusal), "\(status)")
        }
        #expect(policy.isContentURLDead(after: UploadFailure(.urlExpired, message: "a test", httpStatus: 400)))
        for status in [400, 405, 416, 307] {
            let refusal = UploadFailure(.storeRefused, message: "a test", httpStatus: status)
            #expect(!policy.isContentURLDead(after: refusal), "\(status)")
        }
        let dead: [UploadFailure.Kind] = [.urlExpired]
        for kind in UploadFailure.Kind.allCases where !dead.contains(kind) {
            #expect(!policy.isContentURLDead(after: UploadFailure(kind, message: "a test")), "\(kind)")
        }
    }

    @Test func obeysOtherNumbersWhenGiven() {
        let policy = RetryPolicy(
            limits: .init(base: .zero, cap: .seconds(1), doubtfulAttempts: 2, retryAfterCap: .seconds(5)))
        let failure = UploadFailure(.unreadableAnswer, message: "a test", retryAfter: .seconds(9))
        #expect(policy.decide(failure, attempt: 1, sinceFirst: .zero, random: 1) == .again(after: .seconds(5)))
        #expect(policy.decide(failure, attempt: 2, sinceFirst: .zero, random: 1) == .fail)
    }
}
