import Testing
import UploadCore

/// Calls and chunks that nobody makes, since they could not succeed.
@Suite struct UploadStateMachineOutageTests {
    private static let outage = UploadFailure(.unreachable, code: "unreachable", message: "the cable is out")

    @Test func aCallThatReachedNobodyIsMadeAgainWhenCallsAreReleased() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        #expect(try rig.failCall(.unreachable).isEmpty)
        #expect(rig.machine.areCallsHeldBack)
        #expect(rig.apply(.tick).isEmpty)
        #expect(rig.machine.nextDeadline == rig.now + .seconds(300), "nothing but the stall")
        #expect(rig.apply(.callsReleased) == [.call(.openSession(totalSize: 20))])
        #expect(rig.machine.retries == 0)
        try rig.finish()
    }

    @Test func aCallThatIsHeldBackWasNotMade() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        let (report, _) = try rig.takePending()
        #expect(rig.apply(.callHeldBack(report, Self.outage)).isEmpty)
        let status = rig.machine.statusDocument(at: rig.now)
        #expect(status.waitingFor == .network)
        #expect(status.error?.message == "the cable is out")
        // Nothing was reported, so that the asset can still be deleted.
        #expect(rig.apply(.cancelled(UploadFailure(.cancelled, message: "removed"))).contains(.abandon("asset-1")))
    }

    @Test func theReasonIsTheLatest() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        let (call, _) = try rig.takePending()
        rig.apply(.callHeldBack(nil, Self.outage))
        #expect(!rig.machine.areCallsHeldBack, "it is not known to be")
        rig.apply(.callHeldBack(call, Self.outage))
        rig.apply(.callHeldBack(nil, UploadFailure(.keyRefused, message: "no such key")))
        #expect(rig.machine.waitingFor == .key)
        rig.apply(.callsReleased)
        #expect(rig.machine.waitingFor == nil)
        try rig.finish()
    }

    @Test func aStallNamesWhatHoldsCallsBack() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        let (call, _) = try rig.takePending()
        rig.apply(.callHeldBack(call, Self.outage))
        #expect(rig.wait(.seconds(300), isReleasing: false).contains(.answered(.stalled)))
        #expect(rig.machine.stall?.message.contains("the cable is out") == true)
    }

    @Test func aChunkThatReachedNobodyIsNoAttempt() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        let first = try #require(rig.take())
        rig.fail(first, .unreachable)
        let again = try #require(rig.take(), "it can be sent again at once, as far as the upload knows")
        #expect(again.url == first.url)
        rig.store(again)
        let status = rig.machine.statusDocument(at: rig.now)
        #expect(status.chunks[0].attempts == 1)
        #expect(status.retries == 0)
        #expect(status.error == nil)
        rig.storeAll()
        try rig.finish()
    }

    @Test func chunksThatNobodySendsAreWaitedFor() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        rig.apply(.chunksHeldBack(Self.outage))
        #expect(rig.machine.waitingFor == .network)
        rig.apply(.chunksHeldBack(nil))
        #expect(rig.machine.waitingFor == nil)
        rig.apply(.chunksHeldBack(Self.outage))
        rig.storeAll()
        #expect(rig.machine.waitingFor == nil)
        try rig.finish()
    }

    // MARK: When it is tried again

    @Test func tellsWhenACallIsMadeAgain() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        #expect(rig.machine.nextAttempt(after: rig.now) == nil)
        try rig.failCall(.platformUnavailable, random: 1)
        #expect(rig.machine.nextAttempt(after: rig.now) == rig.now + .milliseconds(500))
        rig.wait(.milliseconds(500))
        #expect(rig.machine.nextAttempt(after: rig.now) == nil, "it is being tried")
        try rig.open()
        #expect(rig.machine.nextAttempt(after: rig.now) == nil)
    }

    @Test func tellsWhenTheFirstOfSeveralReportsIsMadeAgain() throws {
        let rig = Rig()
        try rig.storeWholeFile(60)
        try rig.failReport(with: 1, .rateLimited, random: 1)
        rig.wait(.milliseconds(100))
        try rig.failReport(with: 4, .rateLimited, random: 1)
        #expect(rig.machine.nextAttempt(after: rig.now) == rig.now + .milliseconds(400))
        #expect(rig.machine.waitingFor == .rateLimit)
    }

    /// Chunks go on meanwhile, and what is wrong with the calls is not cured by that.
    @Test func aRateLimitIsToldForAsLongAsItLastsThoughChunksAreStored() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open(urls: 1)
        let (id, _) = try rig.takePending()
        let limit = UploadFailure(.rateLimited, message: "100 requests a day", retryAfter: .seconds(40_000))
        rig.apply(.callFailed(id, limit, random: 0))
        let end = rig.now + .seconds(40_000)
        #expect(rig.storeAll() == [1])
        let status = rig.machine.statusDocument(at: rig.now)
        #expect(status.waitingFor == .rateLimit)
        #expect(status.error?.message == "100 requests a day")
        #expect(rig.machine.nextAttempt(after: rig.now) == end)
        #expect(rig.wait(.seconds(300)).contains(.answered(.stalled)))
        #expect(rig.machine.stall?.message.contains("100 requests a day") == true)
        #expect(rig.wait(.seconds(39_699)).isEmpty)
        #expect(rig.wait(.seconds(1)) == [.call(.requestURLs(uploadID: "session-1", start: 2, count: 1))])
        try rig.finish()
        #expect(rig.machine.stall == nil)
    }

    @Test func tellsUntilWhenAllCallsWait() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        let (call, _) = try rig.takePending()
        let limit = UploadFailure(.rateLimited, message: "100 requests a day")
        rig.apply(.callHeldBack(call, limit, until: rig.now + .seconds(60)))
        #expect(rig.machine.nextAttempt(after: rig.now) == rig.now + .seconds(60))
        rig.apply(.callHeldBack(nil, limit, until: rig.now + .seconds(90)))
        #expect(rig.machine.nextAttempt(after: rig.now) == rig.now + .seconds(90))
        rig.apply(.callHeldBack(nil, Self.outage))
        #expect(rig.machine.nextAttempt(after: rig.now) == nil, "nobody knows")
        rig.apply(.callsReleased)
        #expect(rig.machine.nextAttempt(after: rig.now) == nil)
    }

    @Test func tellsWhenChunksAreSentAgain() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        rig.apply(.chunksHeldBack(Self.outage, until: rig.now + .seconds(3)))
        #expect(rig.machine.nextAttempt(after: rig.now) == rig.now + .seconds(3))
        rig.apply(.chunksHeldBack(nil))
        rig.fail(try #require(rig.take()), .storeUnavailable, random: 1)
        #expect(rig.machine.nextAttempt(after: rig.now) == rig.now + .milliseconds(500))
        // A limit of the account is none of the store.
        rig.apply(.cancelled(UploadFailure(.cancelled, message: "removed")))
        #expect(rig.machine.nextAttempt(after: rig.now) == nil)
    }

    @Test func anOutageOfTheStoreIsNothingToAWriterWithoutAChunkToSend() throws {
        let rig = Rig()
        rig.write(0..<3)
        rig.apply(.chunksHeldBack(Self.outage))
        #expect(rig.machine.waitingFor == .writer)
    }
}
