import Testing
import UploadCore

/// Presigned URLs: asked for before they are needed, used once, and not for ever.
@Suite struct UploadStateMachineURLTests {
    private func opened(_ size: Int64, urls: Int, lifetime: Duration? = .seconds(3600)) throws -> Rig {
        let rig = Rig()
        rig.hint(size)
        rig.write(0..<10)
        try rig.open(urls: urls)
        return rig
    }

    @Test func areAskedForAheadOfNeed() throws {
        let rig = try opened(1000, urls: 5)
        #expect(rig.pending == nil)
        rig.write(10..<20)
        // Four are left: as many as are kept in reserve.
        _ = rig.take()
        rig.apply(.tick)
        #expect(rig.pending == nil)
        _ = rig.take()
        rig.apply(.tick)
        #expect(rig.pending?.call == .requestURLs(uploadID: "session-1", start: 6, count: 50))
    }

    @Test func areAskedForToTheEndAndNotBeyond() throws {
        let rig = try opened(95, urls: 3)
        #expect(rig.pending?.call == .requestURLs(uploadID: "session-1", start: 4, count: 7))
    }

    @Test func areNotAskedForWhenAllAreThere() throws {
        let rig = try opened(95, urls: 10)
        #expect(rig.pending == nil)
    }

    @Test func areAskedForWhereTheWriterIs() throws {
        let rig = try opened(1000, urls: 10)
        #expect(rig.takeAll().map(\.chunkIndex) == [1])
        rig.write(700..<710)
        #expect(rig.pending?.call == .requestURLs(uploadID: "session-1", start: 71, count: 30))
        try rig.giveURLs(most: 2)
        #expect(rig.takeAll().map(\.chunkIndex) == [71])
    }

    @Test func areAskedForAgainWhenFewerCome() throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        try rig.open(urls: 0)
        try rig.giveURLs(most: 1)
        #expect(rig.pending?.call == .requestURLs(uploadID: "session-1", start: 2, count: 2))
        try rig.finish()
    }

    @Test func areNotAskedForInALoopWhenNoneCome() throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        try rig.open(urls: 0)
        for attempt in 1...5 {
            #expect(rig.machine.state == .finishing, "attempt \(attempt)")
            try rig.giveURLs(most: 0)
            guard attempt < 5 else { break }
            #expect(rig.pending == nil)
            rig.wait(try #require(rig.machine.nextDeadline) - rig.now)
        }
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.failure?.code == "no_urls")
    }

    @Test func areReplacedOnceExpired() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open(urls: 0)
        try rig.giveURLs(lifetime: .seconds(60))
        rig.wait(.seconds(60))
        #expect(rig.take() == nil)
        rig.apply(.tick)
        #expect(rig.pending?.call == .requestURLs(uploadID: "session-1", start: 1, count: 2))
        try rig.giveURLs()
        #expect(rig.storeAll() == [1, 2])
        try rig.finish()
    }

    @Test func areReplacedWhenTheStoreSaysThatTheyExpired() throws {
        let rig = try opened(10, urls: 1)
        let order = try #require(rig.take())
        rig.fail(order, .urlExpired)
        rig.apply(.tick)
        try rig.giveURLs()
        #expect(try #require(rig.take()).url != order.url)
    }

    @Test func areTriedWhenTheyExpireBeforeTheyCame() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open(urls: 0)
        #expect(try rig.giveURLs(lifetime: .seconds(-10)).isEmpty)
        #expect(rig.storeAll() == [1, 2])
    }

    @Test func thatKeepComingAlreadyExpiredDoNotHideAStall() throws {
        let rig = Rig()
        rig.write(0..<10)
        rig.commit()
        try rig.open(urls: 0)
        for _ in 1...10_000 where rig.machine.stall == nil {
            if rig.pending != nil { try rig.giveURLs() }
            while let order = rig.take() { rig.fail(order, .urlExpired, random: 1) }
            let due = try #require(rig.machine.nextDeadline)
            rig.wait(max(.milliseconds(1), due - rig.now))
        }
        #expect(rig.machine.stall?.kind == .stalled)
    }
}
