import Testing
import UploadCore

/// What ends a stall, and what does not: bytes stored beyond the furthest so far.
@Suite struct NetProgressTests {
    private static let patient: UploadStateMachine.Configuration = {
        var configuration = Rig.configuration
        configuration.sessionLimit = 10_000
        return configuration
    }()

    /// Sends all that can be sent, byte for byte, and has the store refuse it.
    private func refuseAll(_ rig: Rig) {
        for put in rig.takeAll() {
            rig.apply(.bytesSent(put, Int64(put.range.count)))
            rig.fail(put, .storeUnavailable)
        }
    }

    @Test(.shows("close-stall")) func aStoreThatTakesEveryByteAndRefusesItIsAStall() throws {
        let rig = Rig()
        try rig.openWholeFile(40)
        let begin = rig.now
        for _ in 1...1000 where rig.machine.stall == nil {
            refuseAll(rig)
            if rig.pending != nil { try rig.giveURLs() }
            rig.wait(.seconds(5))
        }
        #expect(rig.machine.stall?.message.contains("as the test wants it") == true)
        #expect(rig.log.contains(.answered(.stalled)))
        #expect(rig.now - begin <= .seconds(310))
        try rig.finish()
    }

    @Test func bytesThatAreSentAgainCountBeyondTheFurthestOnly() throws {
        let rig = Rig()
        try rig.openWholeFile(20)
        let first = try #require(rig.take())
        rig.apply(.bytesSent(first, 6))
        rig.wait(.seconds(200))
        rig.fail(first, .connectionLost)
        rig.wait(.seconds(20))
        if rig.pending != nil { try rig.giveURLs() }
        let again = try #require(rig.takeAll().first { $0.chunkIndex == first.chunkIndex })
        rig.apply(.bytesSent(again, 6))
        #expect(rig.machine.nextDeadline == rig.now + .seconds(80), "as far as before")
        rig.apply(.bytesSent(again, 1))
        #expect(rig.machine.nextDeadline == rig.now + .seconds(300), "one byte further")
    }

    /// Chunks that take longer than the stall timeout, and the one that is furthest is lost.
    @Test func aLossOnASlowLineIsNoStall() throws {
        let rig = Rig()
        try rig.openWholeFile(100)
        var puts = try (1...4).map { _ in try #require(rig.take()) }
        for put in puts { rig.apply(.bytesSent(put, 9)) }
        for put in puts.dropLast() { rig.store(put) }
        let lost = try #require(puts.last)
        puts = try (1...3).map { _ in try #require(rig.take()) }
        rig.fail(lost, .connectionLost)
        for _ in 1...9 {
            rig.wait(.seconds(200))
            for put in puts { rig.apply(.bytesSent(put, 1)) }
            #expect(rig.machine.stall == nil)
        }
    }

    /// One chunk after another, each for the first time.
    @Test func aStoreThatRefusesOneChunkAfterAnotherIsAStall() throws {
        let rig = Rig()
        try rig.openWholeFile(1000)
        let begin = rig.now
        for _ in 1...1000 where rig.machine.stall == nil {
            if let put = rig.take() {
                rig.apply(.bytesSent(put, 10))
                rig.fail(put, .storeUnavailable, random: 0.99)
            }
            if rig.pending != nil { try rig.giveURLs() }
            rig.wait(.seconds(10))
        }
        #expect(rig.machine.stall?.kind == .stalled)
        #expect(rig.now - begin <= .seconds(310))
    }

    @Test func aChunkThatIsStoredIsProgressThoughMoreWasSentBefore() throws {
        let rig = Rig()
        try rig.openWholeFile(20)
        refuseAll(rig)
        rig.wait(.seconds(250))
        if rig.pending != nil { try rig.giveURLs() }
        let put = try #require(rig.take())
        rig.store(put)
        rig.wait(.seconds(299))
        #expect(rig.machine.stall == nil)
    }

    @Test func sessionsThatExpireOneAfterAnotherAreAStall() throws {
        let rig = Rig(Self.patient)
        rig.write(0..<40)
        rig.commit()
        try rig.open(lifetime: .seconds(100))
        let begin = rig.now
        for _ in 1...1000 where rig.machine.stall == nil {
            if let put = rig.take() { rig.store(put) }
            rig.wait(.seconds(100))
            try rig.open(lifetime: .seconds(100))
        }
        #expect(rig.machine.stall?.kind == .stalled)
        #expect(rig.now - begin <= .seconds(400))
    }

    @Test func anotherSessionThatGetsFurtherEndsTheStall() throws {
        let rig = Rig(Self.patient)
        rig.write(0..<40)
        rig.commit()
        try rig.open(lifetime: .seconds(100))
        rig.store(try #require(rig.take()))
        rig.wait(.seconds(100))
        try rig.open()
        rig.wait(.seconds(200))
        #expect(rig.machine.stall?.kind == .stalled)
        rig.store(try #require(rig.take()))
        #expect(rig.machine.stall?.kind == .stalled, "as far as the first one")
        rig.store(try #require(rig.take()))
        #expect(rig.machine.stall == nil)
    }

    @Test func reportsOfAnotherSessionAreNoProgressUntilTheyAreMore() throws {
        var configuration = Self.patient
        configuration.reportBatch = 1
        let rig = Rig(configuration)
        try rig.openWholeFile(30)
        for _ in 1...2 { rig.store(try #require(rig.take())) }
        for chunk in 1...2 { try rig.acceptReport(with: chunk) }
        rig.wait(.seconds(100))
        rig.store(try #require(rig.take()))
        try rig.failReport(with: 3, .sessionGone)
        try rig.check(.expired)
        try rig.open()
        rig.storeAll()
        // All was stored before, and two of three chunks were reported.
        let deadline = try #require(rig.machine.nextDeadline)
        rig.wait(.seconds(50))
        for chunk in 1...2 { try rig.acceptReport(with: chunk) }
        #expect(rig.machine.nextDeadline == deadline + .zero)
        try rig.acceptReport(with: 3)
        #expect(rig.machine.nextDeadline != deadline)
        try rig.finish()
    }

    @Test func aSessionOfAWrongSizeCountsForNothingOnceTheFileIsClosed() throws {
        let rig = Rig()
        rig.hint(50, .readSource)
        rig.write(0..<40)
        try rig.open()
        #expect(rig.storeAll() == [1, 2, 3, 4])
        rig.commit()
        try rig.open()
        for _ in 1...4 {
            rig.wait(.seconds(290))
            rig.store(try #require(rig.take()))
            #expect(rig.machine.stall == nil, "it gets on from the beginning")
        }
    }

    @Test func aTruncationBeginsAnew() throws {
        let rig = Rig()
        rig.write(0..<40)
        rig.commit(.allButLast)
        try rig.open()
        rig.storeAll()
        rig.apply(.truncated(to: 0))
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        rig.wait(.seconds(290))
        rig.store(try #require(rig.take()))
        rig.wait(.seconds(290))
        #expect(rig.machine.stall == nil)
    }

    @Test func anotherTryBeginsAnew() throws {
        let rig = Rig()
        try rig.openWholeFile(20)
        refuseAll(rig)
        rig.wait(.seconds(300))
        #expect(rig.machine.stall != nil)
        if rig.pending != nil { try rig.giveURLs() }
        rig.fail(try #require(rig.take()), .spoolFailed)
        #expect(rig.machine.state == .failed)
        rig.apply(.retried)
        #expect(rig.machine.stall == nil)
        #expect(rig.machine.nextDeadline == rig.now + .seconds(300))
    }

    // MARK: The pace

    @Test(.shows("status-pace")) func nothingThatMovesHasNoPaceAndNoTimeLeft() throws {
        let rig = Rig()
        rig.write(0..<40)
        rig.commit()
        #expect(rig.machine.statusDocument(at: rig.now).bytesPerSecond == nil)
        try rig.open()
        let put = try #require(rig.take())
        rig.apply(.bytesSent(put, 2))
        rig.wait(.seconds(1))
        rig.apply(.bytesSent(put, 4))
        let moving = rig.machine.statusDocument(at: rig.now)
        #expect(moving.bytesPerSecond == 6)
        #expect(moving.etaSeconds == 6)
        rig.fail(put, .unreachable)
        rig.wait(.seconds(11))
        let still = rig.machine.statusDocument(at: rig.now)
        #expect(still.bytesPerSecond == nil)
        #expect(still.etaSeconds == nil)
    }

    @Test func whatIsSentAndLostAgainHasAPaceAndNoTimeLeft() throws {
        let rig = Rig()
        try rig.openWholeFile(40)
        for _ in 1...200 {
            refuseAll(rig)
            if rig.pending != nil { try rig.giveURLs() }
            rig.wait(.seconds(1))
        }
        refuseAll(rig)
        let document = rig.machine.statusDocument(at: rig.now)
        #expect(document.bytesPerSecond != nil)
        #expect(document.etaSeconds == nil)
        #expect(rig.machine.stall == nil, "no stall yet")
    }

    @Test func aPaceBeginsAnewAfterASilence() throws {
        let rig = Rig()
        try rig.openWholeFile(1000)
        let put = try #require(rig.take())
        for _ in 1...3 {
            rig.apply(.bytesSent(put, 1000))
            rig.wait(.seconds(1))
        }
        rig.wait(.seconds(3600))
        rig.apply(.bytesSent(put, 10))
        rig.wait(.seconds(1))
        rig.apply(.bytesSent(put, 10))
        #expect(rig.machine.statusDocument(at: rig.now).bytesPerSecond == 20, "nothing of the hour")
    }
}
