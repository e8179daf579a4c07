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

    @Test func anOutageOfTheStoreIsNothingToAWriterWithoutAChunkToSend() throws {
        let rig = Rig()
        rig.write(0..<3)
        rig.apply(.chunksHeldBack(Self.outage))
        #expect(rig.machine.waitingFor == .writer)
    }
}
