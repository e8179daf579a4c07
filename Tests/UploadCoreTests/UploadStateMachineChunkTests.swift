import Testing
import UploadCore

import struct TestSupport.ShownStatements

/// Which chunks are sent, when, and what becomes of writes into them.
@Suite struct UploadStateMachineChunkTests {
    private func opened(_ size: Int64, written: Range<Int64>) throws -> Rig {
        let rig = Rig()
        rig.hint(size)
        rig.write(written)
        try rig.open()
        return rig
    }

    @Test func takesEachChunkAsItsRangeFills() throws {
        let rig = try opened(35, written: 0..<9)
        #expect(rig.take() == nil)
        rig.write(9..<10)
        let order = try #require(rig.take())
        #expect(order.chunkIndex == 1)
        #expect(order.range == 0..<10)
        #expect(order.uploadID == "session-1")
        #expect(order.headers.map(\.0) == ["x-test"])
        #expect(rig.take() == nil)
        rig.write(10..<34)
        #expect(rig.takeAll().map(\.chunkIndex) == [2, 3])
        rig.write(34..<35)
        let last = try #require(rig.take())
        #expect(last.range == 30..<35)
    }

    @Test func takesChunksInAnyOrderOfWriting() throws {
        let rig = try opened(40, written: 25..<40)
        #expect(rig.takeAll().map(\.chunkIndex) == [4])
        rig.write(0..<5)
        rig.write(15..<25)
        #expect(rig.takeAll().map(\.chunkIndex) == [3])
        rig.write(5..<15)
        #expect(rig.takeAll().map(\.chunkIndex) == [1, 2])
    }

    @Test func holesAreZerosAtCommit() throws {
        let rig = try opened(30, written: 20..<30)
        #expect(rig.storeAll() == [3])
        rig.commit()
        #expect(rig.storeAll() == [1, 2])
        try rig.finish()
    }

    @Test func aChunkThatIsCutWhileItWaitsIsNotSent() throws {
        let rig = try opened(30, written: 0..<20)
        rig.apply(.truncated(to: 15))
        #expect(rig.takeAll().map(\.chunkIndex) == [1])
        rig.write(15..<30)
        #expect(rig.takeAll().map(\.chunkIndex) == [2, 3])
    }

    // MARK: Rewriting

    @Test func aChunkRewrittenWhileItIsSentIsSentOnceMoreAtCommit() throws {
        let rig = try opened(20, written: 0..<20)
        let old = try #require(rig.take())
        rig.write(3..<4)
        rig.write(5..<6)
        rig.store(old)
        #expect(rig.storeAll() == [2])
        #expect(rig.machine.statusDocument(at: rig.now).bytesUploaded == 10)
        rig.commit()
        // Its URL is spent.
        #expect(rig.take() == nil)
        #expect(rig.pending?.call == .requestURLs(uploadID: "session-1", start: 1, count: 1))
        try rig.giveURLs()
        let new = try #require(rig.take())
        #expect(new.chunkIndex == 1)
        #expect(new.generation > old.generation)
        #expect(new.url != old.url)
        rig.store(new)
        guard case .report(_, let reports) = rig.pending?.call else {
            Issue.record("no report")
            return
        }
        #expect(reports.map(\.etag) == ["etag-1-\(new.generation)", "etag-2-0"])
        try rig.finish()
    }

    @Test func aChunkRewrittenAfterItWasStoredIsSentOnceMoreAtCommit() throws {
        let rig = try opened(20, written: 0..<20)
        rig.storeAll()
        rig.write(12..<13)
        #expect(rig.take() == nil)
        rig.commit()
        try rig.giveURLs()
        #expect(rig.storeAll() == [2])
        try rig.finish()
    }

    @Test func aStaleChunkIsNotSentWhileTheOlderPutIsUnderWay() throws {
        let rig = try opened(10, written: 0..<10)
        let old = try #require(rig.take())
        rig.write(0..<1)
        rig.commit()
        if rig.pending != nil { try rig.giveURLs() }
        #expect(rig.take() == nil)
        rig.store(old)
        if rig.pending != nil { try rig.giveURLs() }
        let new = try #require(rig.take())
        #expect(new.generation == old.generation + 1)
        rig.store(new)
        try rig.finish()
    }

    @Test func aStaleChunkWhosePutFailedIsSentWithItsNewContent() throws {
        let rig = try opened(10, written: 0..<10)
        let old = try #require(rig.take())
        rig.write(0..<1)
        rig.fail(old, .storeUnavailable)
        rig.wait(.seconds(15))
        try rig.giveURLs()
        let new = try #require(rig.take())
        #expect(new.generation == old.generation + 1)
    }

    @Test func aChunkThatWasCutWhileItWasReadIsNoFailure() throws {
        let rig = try opened(20, written: 0..<20)
        let order = try #require(rig.take())
        rig.apply(.truncated(to: 5))
        #expect(rig.fail(order, .spoolFailed).allSatisfy { $0 != .stop })
        #expect(rig.machine.failure == nil)
        rig.write(5..<20)
        rig.commit()
        try rig.finish()
        #expect(rig.machine.uploadID == "session-1")
    }

    /// The kernel lets a write return before its neighbour's close has committed what both of them wrote.
    @Test(arguments: [0..<1, 15..<16] as [Range<Int64>])
    func aWriteThatIsToldOnlyAfterTheCommitIsNotLost(late: Range<Int64>) throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        let orders = rig.takeAll()
        rig.store(orders[0])
        rig.write(late)
        rig.store(orders[1])
        if rig.pending != nil { try rig.giveURLs() }
        #expect(rig.storeAll() == [late.lowerBound < 10 ? 1 : 2])
        try rig.finish()
    }

    @Test func growthThatIsToldOnlyAfterTheCommitIsNotLost() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        #expect(rig.write(20..<25).contains(.call(.openSession(totalSize: 25))))
        try rig.finish()
        #expect(rig.machine.size == 25)
    }

    // MARK: Failures

    @Test func aChunkThatFailedWaitsAndTakesAFreshURL() throws {
        let rig = try opened(10, written: 0..<10)
        let first = try #require(rig.take())
        rig.fail(first, .storeUnavailable, random: 1)
        #expect(rig.take() == nil)
        #expect(rig.machine.nextDeadline.map { $0 - rig.now } == .milliseconds(500))
        try rig.giveURLs()
        #expect(rig.take() == nil)
        rig.wait(.milliseconds(500))
        let second = try #require(rig.take())
        #expect(second.url != first.url)
        #expect(rig.machine.retries == 1)
    }

    @Test func aURLOfWhichNothingWasSpentIsUsedAgain() throws {
        let rig = try opened(10, written: 0..<10)
        let first = try #require(rig.take())
        rig.fail(first, .unreachable, random: 0)
        rig.apply(.tick)
        let second = try #require(rig.take())
        #expect(second.url == first.url)
    }

    @Test(.shows("error-checksum")) func aChecksumThatKeepsDifferingFailsAfterFiveAttempts() throws {
        let rig = Rig()
        rig.write(0..<10)
        rig.commit()
        try rig.open()
        for attempt in 1...5 {
            if rig.pending != nil { try rig.giveURLs() }
            let order = try #require(rig.take(), "attempt \(attempt)")
            #expect(rig.machine.state == .finishing)
            rig.fail(order, .checksumMismatch, random: 0)
            rig.apply(.tick)
        }
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.failure?.kind == .checksumMismatch)
    }

    @Test func aStoreThatKeepsRedirectingGetsAFreshURLEachTimeAndFailsAfterFive() throws {
        let rig = Rig()
        rig.write(0..<10)
        rig.commit()
        try rig.open()
        var urls: Set<String> = []
        for attempt in 1...5 {
            if rig.pending != nil { try rig.giveURLs() }
            let order = try #require(rig.take(), "attempt \(attempt)")
            urls.insert(order.url.text)
            rig.wait(.seconds(20))
            #expect(rig.machine.state == .finishing)
            rig.fail(order, .storeRedirected, random: 0)
            rig.apply(.tick)
        }
        #expect(urls.count == 5)
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.failure?.kind == .storeRedirected)
    }

    @Test func anOutageDoesNotUseUpTheAttemptsOfOtherFailures() throws {
        let rig = Rig()
        rig.write(0..<10)
        rig.commit()
        try rig.open()
        for _ in 1...20 {
            rig.fail(try #require(rig.take()), .unreachable, random: 0)
            rig.wait(.seconds(10))
        }
        rig.fail(try #require(rig.take()), .checksumMismatch)
        #expect(rig.machine.state == .finishing)
        rig.wait(.seconds(15))
        try rig.finish()
    }

    @Test func theResultOfAPutThatNobodyWaitsForIsIgnored() throws {
        let rig = try opened(20, written: 0..<10)
        let order = try #require(rig.take())
        rig.write(10..<25)
        rig.commit()
        try rig.open()
        #expect(rig.store(order).isEmpty)
        #expect(rig.fail(order, .storeRefused).isEmpty)
        #expect(!rig.machine.isUnderWay(order))
        #expect(rig.storeAll() == [1, 2, 3])
        try rig.finish()
    }
}
