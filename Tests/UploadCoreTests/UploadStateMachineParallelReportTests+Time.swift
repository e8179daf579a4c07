import Testing
import UploadCore

// What is written again while reports are on their way, and how long they may take.

extension UploadStateMachineParallelReportTests {
    // MARK: Rewriting

    /// The report had no effect, so that one of its chunks may still be sent anew: it is not part of that report any more.
    @Test func aChunkThatIsSentAnewLeavesItsReport() throws {
        let rig = Rig()
        try rig.storeWholeFile(60)
        try rig.failReport(with: 1, .rateLimited, random: 1)
        rig.write(15..<16)
        try rig.giveURLs()
        let order = try #require(rig.take())
        rig.wait(.milliseconds(500))
        #expect(rig.reports == [[4, 5, 6], [1, 3]])
        try rig.acceptReport(with: 1)
        #expect(rig.machine.statusDocument(at: rig.now).chunks[1].state == .uploading)
        rig.store(order)
        #expect(rig.reports == [[4, 5, 6], [2]])
        try rig.finish()
        #expect(rig.machine.uploadID == "session-1")
    }

    @Test func aReportWithoutAnyOfItsChunksIsNotMade() throws {
        let rig = Rig()
        try rig.storeWholeFile(60)
        try rig.failReport(with: 1, .rateLimited, random: 1)
        rig.write(0..<30)
        try rig.giveURLs()
        #expect(rig.storeAll() == [1, 2, 3])
        #expect(rig.reports == [[4, 5, 6], [1, 2, 3]], "a new one does not wait")
        #expect(rig.wait(.milliseconds(500)).isEmpty)
        try rig.finish()
    }

    @Test func whatIsWrittenAgainUnderItsTemporaryNameIsReportedAnew() throws {
        let rig = Rig()
        rig.write(0..<80)
        rig.commit(.allButLast)
        try rig.open()
        rig.storeAll()
        try rig.failReport(with: 4, .unreachable)
        rig.release()
        try rig.failReport(with: 4, .rateLimited)
        rig.write(45..<46)
        #expect(rig.machine.state == .open)
        #expect(rig.wait(.seconds(60)).isEmpty, "nothing is reported while it is open")
        rig.commit()
        #expect(rig.machine.uploadID == "session-1")
        try rig.finish()
        #expect(rig.machine.uploadID == "session-1")
    }

    // MARK: Stalls

    /// Finalising thousands of chunks takes the platform a while; but nobody is kept waiting for ever.
    @Test func aReportOnItsWayIsProgressForHalfAMinute() throws {
        let rig = Rig(Self.configuration(stallTimeout: .seconds(10)))
        try rig.storeWholeFile(20)
        #expect(rig.machine.nextDeadline == rig.now + .seconds(30))
        #expect(rig.wait(.seconds(29)).isEmpty)
        #expect(rig.wait(.seconds(1)).contains(.answered(.stalled)))
        #expect(rig.machine.stall?.message.contains("report of stored chunks for 30") == true)
        #expect(rig.machine.state == .finishing)
        // The answer comes all the same.
        rig.wait(.seconds(100))
        #expect(try rig.acceptReport(completed: 2, url: Self.url).contains(.answered(nil)))
    }

    @Test func aLongerStallTimeoutCountsFromTheReport() throws {
        let rig = Rig(Self.configuration(stallTimeout: .seconds(60)))
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        let orders = rig.takeAll()
        rig.wait(.seconds(50))
        for order in orders { rig.store(order) }
        #expect(rig.machine.nextDeadline == rig.now + .seconds(60))
        #expect(rig.wait(.seconds(59)).isEmpty)
        #expect(rig.wait(.seconds(1)).contains(.answered(.stalled)))
    }

    @Test func anAnswerInTimeIsNoStall() throws {
        let rig = Rig(Self.configuration(stallTimeout: .seconds(10)))
        try rig.storeWholeFile(20)
        rig.wait(.seconds(25))
        #expect(try rig.acceptReport(completed: 2, url: Self.url).contains(.answered(nil)))
        #expect(!rig.log.contains(.answered(.stalled)))
    }

    /// While it was on its way, that was progress; then it counts from its end.
    @Test func aReportThatIsLostHasTheStallCountFromThere() throws {
        let rig = Rig(Self.configuration(stallTimeout: .seconds(10)))
        try rig.storeWholeFile(20)
        rig.wait(.seconds(12))
        try rig.failCall(.connectionLost, random: 1)
        #expect(rig.machine.stall == nil)
        rig.wait(.milliseconds(500))
        #expect(rig.reports == [[1, 2]])
        // The repetition is not waited for any longer than the first attempt was.
        #expect(rig.wait(.milliseconds(17_499)).isEmpty)
        #expect(rig.wait(.milliseconds(1)).contains(.answered(.stalled)))
    }

    /// Sent and lost again and again: that is none, however quickly.
    @Test func aReportThatIsLostAgainAndAgainIsAStall() throws {
        let rig = Rig(Self.configuration(stallTimeout: .seconds(10)))
        try rig.storeWholeFile(20)
        let begin = rig.now
        for _ in 1...1000 where rig.machine.stall == nil {
            if !rig.reports.isEmpty { try rig.failCall(.connectionLost, random: 0.1) }
            rig.wait(.milliseconds(100))
        }
        #expect(rig.machine.stall?.kind == .stalled)
        #expect(rig.now - begin <= .seconds(30))
        #expect(rig.log.count { $0 == .answered(.stalled) } == 1)
        try rig.finish()
    }

    @Test func aReportThatIsHeldBackIsNotOnItsWay() throws {
        let rig = Rig(Self.configuration(stallTimeout: .seconds(10)))
        try rig.storeWholeFile(20)
        let (id, _) = try rig.takeReport(with: 1)
        rig.apply(.callHeldBack(id, UploadFailure(.keyRefused, message: "no such key")))
        #expect(rig.machine.nextDeadline == rig.now + .seconds(10))
        #expect(rig.wait(.seconds(10), isReleasing: false).contains(.answered(.keyRefused)))
    }

    /// A platform that accepts a chunk's report and forgets it again brings nothing on.
    @Test func reportsOfWhatWasAcceptedBeforeAreNoProgress() throws {
        let rig = Rig(Self.configuration(stallTimeout: .seconds(10)))
        try rig.storeWholeFile(20)
        for _ in 1...1000 where rig.machine.stall == nil {
            if rig.reports.isEmpty { try rig.check(.active, pending: [2]) } else { try rig.acceptReport() }
            rig.wait(.milliseconds(200))
            if rig.reports.isEmpty, rig.pending == nil { rig.wait(.seconds(2)) }
        }
        #expect(rig.machine.stall?.kind == .stalled)
    }
}
