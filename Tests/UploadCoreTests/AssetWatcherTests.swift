import Testing
import UploadCore

import struct TestSupport.ShownStatements

/// Which assets are asked for, and when.
@Suite struct AssetWatcherTests {
    // MARK: Pauses

    @Test func pausesGrowToAMinute() {
        let watch = AssetWatch()
        watch.watch("a")
        watch.run(until: .seconds(300))
        #expect(watch.times == [1, 2, 4, 8, 16, 32, 64, 124, 184, 244])
        #expect(watch.calls.allSatisfy { $0.call == .retrieve("a") })
        #expect(watch.news == [.init(assetID: "a", standing: AssetStanding(.processing))], "what is new is told once")
    }

    @Test(arguments: [
        (Asset(id: "a", status: .ready), AssetStanding(.ready)),
        (
            Asset(id: "a", status: .failed, error: "no picture"),
            AssetStanding(.failed, issue: AssetIssue(message: "no picture"))
        ),
    ])
    func whatIsDecidedIsNotAskedForAgain(_ asset: Asset, _ standing: AssetStanding) {
        let watch = AssetWatch()
        watch.asset = { _, at in at < .seconds(3) ? Asset(id: "a", status: .processing) : asset }
        watch.watch("a")
        watch.run(until: .seconds(1000))
        #expect(watch.times == [1, 2, 4])
        #expect(watch.standing("a") == standing)
        #expect(watch.standing("a")?.isDecided == true)
        #expect(watch.watcher.isEmpty)
        #expect(watch.watcher.nextDeadline(at: watch.now) == nil)
    }

    @Test func aWordThatIsNotKnownIsAskedForAgain() {
        let watch = AssetWatch()
        watch.asset = { _, _ in Asset(id: "a", status: .unknown("resting")) }
        watch.watch("a")
        watch.run(until: .seconds(10))
        #expect(watch.standing("a") == AssetStanding(.unknown("resting")))
        // The platform's "unknown" is not ours, which says that nothing more is to be learned.
        watch.asset = { _, _ in Asset(id: "a", status: .unknown("unknown")) }
        watch.run(until: .seconds(100))
        #expect(watch.standing("a") == AssetStanding(.processing))
        #expect(!watch.watcher.isEmpty)
    }

    @Test func whatNobodyWantsToKnowIsNotAskedFor() {
        let watch = AssetWatch()
        watch.watch("a")
        watch.watcher.unwatch("a")
        watch.run(until: .seconds(100))
        #expect(watch.calls.isEmpty)
        watch.watch("b")
        watch.run(until: .milliseconds(101_000))
        let late = watch.watcher.takeCall(at: watch.now)
        watch.watcher.unwatch("b")
        if let late {
            let answer = AssetWatcher.Answer.retrieved(Asset(id: "b", status: .ready))
            #expect(watch.watcher.answered(late, answer, at: watch.now).isEmpty)
        }
        #expect(watch.watcher.isEmpty)
    }

    // MARK: Many

    @Test func manyAreAskedForInOneCall() {
        let watch = AssetWatch()
        watch.listsHaveDetails = true
        let ids = (10..<30).map { "a\($0)" }
        for id in ids { watch.watch(id) }
        watch.asset = { id, _ in Asset(id: id, status: .ready, size: 10) }
        watch.run(until: .seconds(100))
        #expect(watch.calls.map(\.call) == [.list(ids)])
        #expect(ids.allSatisfy { watch.standing($0) == AssetStanding(.ready) })
    }

    @Test(.shows("asset-calls")) func aCallIsForFiftyAtMost() {
        let watch = AssetWatch()
        watch.listsHaveDetails = true
        for number in 0..<120 { watch.watch("a\(100 + number)") }
        watch.asset = { id, _ in Asset(id: id, status: .ready, size: 10) }
        watch.run(until: .seconds(100))
        let sizes = watch.calls.map { call in if case .list(let ids) = call.call { ids.count } else { 0 } }
        #expect(sizes == [50, 50, 20])
        #expect(watch.watcher.isEmpty)
    }

    /// Whatever the pace at which files arrive: 2000 of them, each ready a second later, cost few calls.
    @Test(arguments: [1, 7, 30, 270, 1000, 3000])
    func twoThousandSmallFilesCostFewCalls(millisecondsApart: Int) {
        let watch = AssetWatch()
        var completed: [String: Duration] = [:]
        watch.asset = { id, at in
            let isReady = completed[id].map { $0 + .seconds(1) <= at } ?? false
            return Asset(id: id, status: isReady ? .ready : .processing)
        }
        for number in 0..<2000 {
            watch.run(until: .milliseconds(number * millisecondsApart))
            completed["a\(number)"] = watch.elapsed
            watch.watch("a\(number)")
        }
        let last = watch.elapsed
        watch.run(until: last + .seconds(120))
        #expect(watch.watcher.isEmpty, "all are known to be ready two minutes after the last")
        #expect(watch.calls.count <= 200, "\(watch.calls.count) calls")
        #expect(watch.news.filter { $0.standing.status == .ready }.count == 2000)
    }

    @Test func aFewFilesAreKnownToBeReadySoonEvenThoughOneTakesLong() {
        let watch = AssetWatch()
        watch.watch("long")
        watch.run(until: .seconds(1200))
        watch.asset = { id, _ in Asset(id: id, status: id == "long" ? .processing : .ready) }
        watch.watch("short")
        watch.run(until: .seconds(1203))
        #expect(watch.standing("short") == AssetStanding(.ready))
    }

    // MARK: Not there

    @Test func whatIsNotThereYetIsAskedForAgain() {
        let watch = AssetWatch()
        watch.asset = { id, at in at < .seconds(15) ? nil : Asset(id: id, status: .ready) }
        watch.watch("a")
        watch.run(until: .seconds(600))
        #expect(watch.times == [1, 2, 4, 8, 16])
        #expect(watch.news == [.init(assetID: "a", standing: AssetStanding(.ready))])
    }

    @Test(.shows("asset-unknown")) func whatIsNotThereForFiveMinutesIsUnknown() throws {
        let watch = AssetWatch()
        watch.asset = { _, _ in nil }
        watch.watch("a")
        watch.run(until: .seconds(3600))
        #expect(watch.times == [1, 2, 4, 8, 16, 32, 64, 124, 184, 244, 301])
        #expect(watch.news.count == 1)
        let standing = try #require(watch.standing("a"))
        #expect(standing.status.word == "unknown")
        #expect(standing.isDecided)
        #expect(standing.issue?.text == "resource_not_exist: no such asset")
    }

    @Test func thatAListLacksAnAssetDecidesNothing() {
        let watch = AssetWatch()
        watch.isListed = { id, _ in id != "hidden" }
        watch.asset = { id, at in Asset(id: id, status: at < .seconds(30) ? .processing : .ready) }
        watch.watch("hidden")
        watch.watch("a")
        watch.watch("b")
        watch.run(until: .seconds(100))
        #expect(watch.standing("hidden") == AssetStanding(.ready))
        let alone = watch.calls.filter { $0.call == .retrieve("hidden") }
        #expect(alone.map { Int($0.at / .seconds(1)) } == [8, 16, 32], "\(watch.calls)")
        #expect(watch.calls.filter { $0.call == .list(["a", "b", "hidden"]) }.count == 3)
    }

    @Test func whatNoListAndNoCallKnowsIsUnknownInTheEnd() {
        let watch = AssetWatch()
        watch.asset = { id, _ in id.hasPrefix("gone") ? nil : Asset(id: id, status: .processing) }
        for id in ["gone1", "gone2", "there1", "there2"] { watch.watch(id) }
        watch.run(until: .seconds(450))
        #expect(watch.standing("gone1")?.status == .undetermined)
        #expect(watch.standing("gone2")?.status == .undetermined)
        #expect(watch.standing("there1") == AssetStanding(.processing))
        #expect(watch.calls.count < 40, "\(watch.calls.count)")
    }

    @Test func aListThatIsShortForAMomentIsNoReasonToAskForEach() {
        let watch = AssetWatch()
        watch.listsHaveDetails = true
        watch.isListed = { _, at in at > .seconds(3) }
        for number in 0..<40 { watch.watch("a\(number)") }
        watch.asset = { id, _ in Asset(id: id, status: .ready, size: 10) }
        watch.run(until: .seconds(60))
        #expect(watch.calls.count == 3)
        #expect(watch.watcher.isEmpty)
    }

    @Test func anAssetWithoutAStatusIsUnknownInTheEnd() {
        let watch = AssetWatch()
        watch.asset = { id, _ in Asset(id: id) }
        watch.watch("a")
        watch.watch("b")
        watch.run(until: .seconds(600))
        #expect(watch.standing("a")?.issue?.code == "no_status")
        #expect(watch.standing("b")?.status == .undetermined)
    }

    // MARK: Refusals

    @Test func anAssetThatMayNotBeReadIsUnknownAtOnce() {
        let watch = AssetWatch()
        let refusal = UploadFailure(.accessUnclear, code: "read_not_allowed", message: "not yours", httpStatus: 403)
        watch.failure = { _, _ in refusal }
        watch.watch("a")
        watch.run(until: .seconds(100))
        #expect(watch.calls.count == 1)
        #expect(
            watch.standing("a")
                == AssetStanding(.undetermined, issue: AssetIssue(code: "read_not_allowed", message: "not yours")))
    }

    /// One asset of another account must not cost the others theirs.
    @Test func aListThatIsRefusedForOneAssetIsTakenApart() {
        let watch = AssetWatch()
        let refusal = UploadFailure(.requestRefused, code: "read_not_allowed", message: "not yours", httpStatus: 403)
        watch.failure = { call, _ in
            switch call {
            case .list(let ids): ids.contains("foreign") ? refusal : nil
            case .retrieve(let id): id == "foreign" ? refusal : nil
            }
        }
        watch.asset = { id, _ in Asset(id: id, status: .ready) }
        for id in ["a", "b", "foreign"] { watch.watch(id) }
        watch.run(until: .seconds(60))
        #expect(watch.standing("a") == AssetStanding(.ready))
        #expect(watch.standing("b") == AssetStanding(.ready))
        #expect(watch.standing("foreign")?.issue?.code == "read_not_allowed")
        #expect(watch.calls.count == 4)
    }

    @Test(arguments: [400, 403, 404])
    func aPlatformWithoutTheListIsAskedForEach(status: Int) {
        let watch = AssetWatch()
        let kind: UploadFailure.Kind = status == 403 ? .accessUnclear : .requestRefused
        watch.failure = { call, _ in
            if case .list = call { UploadFailure(kind, message: "no such call", httpStatus: status) } else { nil }
        }
        watch.asset = { id, _ in Asset(id: id, status: .ready) }
        for batch in 0..<6 {
            for number in 0..<2 { watch.watch("a\(batch)-\(number)") }
            watch.run(until: watch.elapsed + .seconds(120))
        }
        #expect(watch.watcher.isEmpty)
        let lists = watch.calls.filter { if case .list = $0.call { true } else { false } }
        #expect(lists.count == 3)
        #expect(watch.calls.count == 3 + 12)
    }

    @Test func listsThatCannotBeReadAreLeftForAWhile() {
        let watch = AssetWatch()
        watch.failure = { call, at in
            guard case .list = call, at < .seconds(60) else { return nil }
            return UploadFailure(.unreadableAnswer, message: "HTML")
        }
        watch.watch("a")
        watch.watch("b")
        watch.run(until: .seconds(1200))
        let lists = watch.calls.filter { if case .list = $0.call { true } else { false } }
        #expect(lists.count == 3)
        watch.run(until: .seconds(2400))
        #expect(watch.calls.last?.call == .list(["a", "b"]), "\(watch.calls.suffix(3))")
    }

    // MARK: Trouble

    @Test func troubleIsNoAnswerAndSlowsDown() {
        let watch = AssetWatch()
        watch.failure = { _, at in
            at < .seconds(200) ? UploadFailure(.platformUnavailable, message: "500", httpStatus: 500) : nil
        }
        watch.asset = { id, _ in Asset(id: id, status: .ready) }
        watch.watch("a")
        watch.watch("b")
        watch.run(until: .seconds(600))
        #expect(watch.times.prefix(8) == [1, 6, 16, 36, 76, 136, 196, 256])
        #expect(watch.standing("a") == AssetStanding(.ready))
    }

    @Test func aRateLimitIsWaitedFor() {
        let watch = AssetWatch()
        watch.failure = { _, at in
            at < .seconds(900) ? UploadFailure(.rateLimited, message: "429", retryAfter: .seconds(899)) : nil
        }
        watch.watch("a")
        watch.run(until: .seconds(905))
        #expect(watch.times == [1, 900])
    }

    @Test func oneAssetThatCannotBeToldOfDoesNotHoldUpTheOthers() {
        let watch = AssetWatch()
        watch.failure = { call, _ in
            switch call {
            case .list: UploadFailure(.requestRefused, message: "no lists here", httpStatus: 404)
            case .retrieve("broken"): UploadFailure(.unreadableAnswer, message: "half of it")
            case .retrieve: nil
            }
        }
        watch.asset = { id, _ in Asset(id: id, status: .ready) }
        for id in ["broken", "c", "d", "e"] { watch.watch(id) }
        watch.run(until: .seconds(120))
        for id in ["c", "d", "e"] { #expect(watch.standing(id) == AssetStanding(.ready)) }
        #expect(watch.standing("broken") == nil)
    }

    // MARK: Sizes and reasons

    @Test(arguments: [
        (Asset(id: "a", status: .ready, size: 10), true), (Asset(id: "a", status: .ready, sourceSize: 10), true),
        (Asset(id: "a", status: .ready, size: 7, sourceSize: 10), true), (Asset(id: "a", status: .ready), true),
        (Asset(id: "a", status: .ready, size: 11), false), (Asset(id: "a", status: .ready, sourceSize: 9), false),
        (Asset(id: "a", status: .ready, size: 10, sourceSize: 9), false),
    ])
    func sizesAreCompared(_ asset: Asset, _ isTheSame: Bool) throws {
        let watch = AssetWatch()
        watch.asset = { _, _ in asset }
        watch.watch("a", size: 10)
        watch.run(until: .seconds(2))
        let standing = try #require(watch.standing("a"))
        #expect(standing.status == .ready)
        #expect(standing.issue?.code == (isTheSame ? nil : "size_differs"))
        if let issue = standing.issue {
            #expect(issue.message.contains("10") && issue.text.hasPrefix("size_differs: "), "\(issue.text)")
        }
    }

    @Test func aSizeIsNotFinalBeforeTheAssetIsReady() {
        let watch = AssetWatch()
        watch.asset = { id, _ in Asset(id: id, status: .processing, size: 3) }
        watch.watch("a", size: 10)
        watch.run(until: .seconds(2))
        #expect(watch.standing("a") == AssetStanding(.processing))
    }

    @Test func theReasonThatAListDoesNotTellIsAskedFor() {
        let watch = AssetWatch()
        watch.asset = { id, _ in Asset(id: id, status: .failed, error: id == "a" ? "no picture" : nil) }
        watch.watch("a")
        watch.watch("b")
        watch.run(until: .seconds(60))
        #expect(watch.standing("a") == AssetStanding(.failed, issue: AssetIssue(message: "no picture")))
        #expect(watch.standing("b")?.status == .failed)
        #expect(watch.standing("b")?.issue != nil)
        #expect(watch.calls.count == 3)
        #expect(watch.news.count == 2)
    }

    @Test func theSizesOfAFewAreAskedForThoughListsDoNotTellThem() {
        let watch = AssetWatch()
        watch.asset = { id, _ in Asset(id: id, status: .ready, size: id == "b" ? 9 : 10) }
        for id in ["a", "b", "c"] { watch.watch(id, size: 10) }
        watch.run(until: .seconds(60))
        #expect(watch.calls.map(\.call) == [.list(["a", "b", "c"]), .retrieve("a"), .retrieve("b"), .retrieve("c")])
        #expect(watch.news.map { $0.standing.issue?.code } == [nil, "size_differs", nil])
    }

    @Test func theSizesOfManyAreNotWorthACallEach() {
        let watch = AssetWatch()
        watch.asset = { id, _ in Asset(id: id, status: .ready, size: 10) }
        for number in 0..<200 { watch.watch("a\(number)", size: 10) }
        watch.run(until: .seconds(60))
        #expect(watch.watcher.isEmpty)
        #expect(watch.calls.count <= 4 + 6)
        watch.listsHaveDetails = true
        watch.asset = { id, _ in Asset(id: id, status: .ready, size: 9) }
        for number in 0..<50 { watch.watch("b\(number)", size: 10) }
        watch.run(until: watch.elapsed + .seconds(60))
        #expect(watch.news.suffix(50).allSatisfy { $0.standing.issue?.code == "size_differs" })
    }

    /// Nobody who waits for an asset that is known to be ready waits for its size.
    @Test(arguments: [
        UploadFailure(.platformUnavailable, message: "500"),
        UploadFailure(.requestRefused, code: "resource_not_exist", message: "no such asset"),
        UploadFailure(.requestRefused, code: "read_not_allowed", message: "not yours"),
    ])
    func anAssetThatAListCallsReadyIsReady(_ failure: UploadFailure) {
        let watch = AssetWatch()
        watch.asset = { id, _ in Asset(id: id, status: .ready, size: 10) }
        watch.failure = { call, _ in if case .retrieve = call { failure } else { nil } }
        for id in ["a", "b"] { watch.watch(id, size: 10) }
        watch.run(until: .seconds(10))
        #expect(watch.news.map(\.standing) == [AssetStanding(.ready), AssetStanding(.ready)])
    }

    @Test(arguments: [
        AssetIssue(code: "size_differs", message: "one: two"), AssetIssue(message: "no picture"),
        AssetIssue(message: "Error 5: x"), AssetIssue(message: ""), AssetIssue(message: ": x"),
    ])
    func anIssueIsReadBackFromItsText(_ issue: AssetIssue) {
        #expect(AssetIssue(text: issue.text) == issue)
    }
}
