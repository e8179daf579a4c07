import Testing
import UploadCore

/// What becomes of an upload that another process left: 35 bytes in four chunks, as far as the journal knew it.
@Suite struct RecoveredUploadTests {
    private static func left(
        _ standing: RecoveredUpload.Standing = .committed(.whole), stored: [Int] = [], claimed: Set<Int> = []
    ) throws -> RecoveredUpload {
        var left = RecoveredUpload(standing, size: 35)
        left.session = SessionSnapshot(
            uploadID: "left", assetID: "left-asset",
            plan: try ChunkPlan(totalSize: 35, chunkSize: 10, totalChunks: 4), headers: [("x-test", "1")])
        left.chunks = stored.map {
            RecoveredUpload.Chunk(index: $0, etag: "etag-\($0)", isClaimed: claimed.contains($0))
        }
        return left
    }

    @Test func firstOfAllTheSessionIsAskedWhetherItLives() throws {
        let rig = Rig(restoring: try Self.left(stored: [1, 2]))
        #expect(rig.machine.state == .finishing)
        #expect(rig.apply(.tick) == [.call(.checkSession(uploadID: "left"))])
        #expect(rig.take() == nil, "nothing is sent before the answer")
    }

    @Test func onlyWhatIsNotKnownToBeStoredIsSent() throws {
        let rig = Rig(restoring: try Self.left(stored: [1, 3]))
        rig.apply(.tick)
        #expect(
            try rig.check(.active, pending: [1, 2, 3, 4]) == [.call(.requestURLs(uploadID: "left", start: 2, count: 1))]
        )
        try rig.giveURLs()
        try rig.giveURLs()
        let orders = rig.takeAll()
        #expect(orders.map(\.chunkIndex) == [2, 4])
        #expect(orders.allSatisfy { $0.headers.map(\.0) == ["x-test"] && $0.uploadID == "left" })
        for order in orders { rig.store(order) }
        try rig.finish()
        #expect(!rig.log.contains(.call(.openSession(totalSize: 35))))
    }

    @Test func reportsOfWhichNothingIsKnownAreRepeatedWithTheETagsOfTheJournal() throws {
        let rig = Rig(restoring: try Self.left(stored: [1, 2, 3, 4], claimed: [1, 2]))
        rig.apply(.tick)
        let expected = [1, 2, 3].map { ChunkReport(chunkIndex: $0, etag: "etag-\($0)", size: 10) }
        let last = ChunkReport(chunkIndex: 4, etag: "etag-4", size: 5)
        #expect(
            try rig.check(.active, pending: [3, 4])
                == [.call(.report(uploadID: "left", expected)), .call(.report(uploadID: "left", [last]))])
        try rig.finish()
    }

    @Test func aSessionThatWasCompletedMeanwhileIsBelieved() throws {
        let rig = Rig(restoring: try Self.left(stored: [1, 2, 3, 4], claimed: [1, 2, 3, 4]))
        rig.apply(.tick)
        let seen = try rig.check(.completed)
        #expect(seen.contains(.answered(nil)))
        #expect(rig.machine.state == .completed)
        #expect(rig.machine.assetID == "left-asset")
    }

    /// The last records may not have reached the journal: the platform knows better, and a second asset would be wrong.
    @Test func aCompletedSessionIsBelievedThoughTheJournalKnowsLess() throws {
        let rig = Rig(restoring: try Self.left(stored: [1]))
        rig.apply(.tick)
        try rig.check(.completed)
        #expect(rig.machine.state == .completed)
        #expect(rig.machine.statusDocument(at: rig.now).chunks.allSatisfy { $0.state == .completed })
        #expect(!rig.log.contains(.abandon("left-asset")))
    }

    @Test(arguments: [SessionState.failed, .expired])
    func aSessionThatIsOverIsReplacedAndEverythingSentAnew(status: SessionState) throws {
        let rig = Rig(restoring: try Self.left(stored: [1, 2, 3]))
        rig.apply(.tick)
        #expect(try rig.check(status).contains(.call(.openSession(totalSize: 35))))
        try rig.open()
        #expect(rig.takeAll().map(\.chunkIndex) == [1, 2, 3, 4])
        #expect(rig.machine.abandonedUploadIDs == ["left"])
    }

    /// Whether it was completed is not known: its asset is not deleted then.
    @Test func aSessionThatTheStrangePlatformDoesNotKnowIsReplacedButItsAssetIsLeftAlone() throws {
        let rig = Rig(restoring: try Self.left(stored: [1, 2, 3]))
        rig.apply(.tick)
        #expect(try rig.failCall(.sessionGone) == [.call(.checkAsset(assetID: "left-asset"))])
        let seen = try rig.tellOfAsset(.processing)
        #expect(seen.contains(.call(.openSession(totalSize: 35))))
        #expect(!seen.contains(.abandon("left-asset")))
    }

    @Test func withoutASessionOneIsOpened() throws {
        var left = try Self.left()
        left.session = nil
        let rig = Rig(restoring: left)
        #expect(rig.apply(.tick) == [.call(.openSession(totalSize: 35))])
        try rig.open()
        try rig.finish()
    }

    @Test func aChunkThatThePlatformCallsFailedIsSentAgain() throws {
        let rig = Rig(restoring: try Self.left(stored: [1, 2, 3, 4], claimed: [1, 2, 3, 4]))
        rig.apply(.tick)
        try rig.check(.active, failed: [2], pending: [4])
        #expect(rig.pending?.call == .requestURLs(uploadID: "left", start: 2, count: 1))
        #expect(rig.reports == [[1, 3, 4]])
        try rig.giveURLs()
        #expect(rig.storeAll() == [2])
        try rig.finish()
    }

    @Test func whatWasStagedIsStagedAgainAndNotCompletedByItself() throws {
        let rig = Rig(restoring: try Self.left(.committed(.allButLast), stored: [1, 2, 3, 4], claimed: [1, 2, 3]))
        rig.apply(.tick)
        try rig.check(.active, pending: [4])
        try rig.acceptReport()
        #expect(rig.machine.state == .staged)
        #expect(rig.pending == nil)
        rig.commit(.whole)
        try rig.finish()
    }

    @Test func anUnreachablePlatformIsWaitedForAsEver() throws {
        let rig = Rig(restoring: try Self.left(stored: [1, 2]))
        rig.apply(.tick)
        for _ in 1...20 {
            try rig.failCall(.unreachable)
            rig.wait(.seconds(60))
        }
        #expect(rig.machine.state == .finishing)
        try rig.check(.active)
        try rig.finish()
    }

    // MARK: Bytes that are lost

    private static let loss = UploadFailure(.interrupted, message: "the machine was restarted")

    @Test func lostBytesThatAreNotStoredEndTheUpload() throws {
        var left = try Self.left(stored: [1, 2, 3])
        left.contentLoss = Self.loss
        let rig = Rig(restoring: left)
        #expect(rig.apply(.tick) == [.call(.checkSession(uploadID: "left"))])
        #expect(try rig.check(.active).contains(.state(.interrupted)))
        #expect(rig.machine.failure == Self.loss)
        #expect(!rig.log.contains { if case .call(.openSession) = $0 { true } else { false } })
    }

    @Test func lostBytesThatAreAllStoredAreNotMissed() throws {
        var left = try Self.left(stored: [1, 2, 3, 4])
        left.contentLoss = Self.loss
        let rig = Rig(restoring: left)
        rig.apply(.tick)
        try rig.check(.active)
        try rig.finish()
    }

    @Test(arguments: [SessionState.failed, .expired])
    func noNewSessionIsOpenedForLostBytes(status: SessionState) throws {
        var left = try Self.left(stored: [1, 2, 3, 4])
        left.contentLoss = Self.loss
        let rig = Rig(restoring: left)
        rig.apply(.tick)
        try rig.check(status)
        #expect(rig.machine.state == .interrupted)
        #expect(rig.pending == nil)
    }

    @Test func lostBytesWithoutASessionEndTheUploadAtOnce() throws {
        var left = try Self.left()
        left.session = nil
        left.contentLoss = Self.loss
        let rig = Rig(restoring: left)
        #expect(rig.apply(.tick).contains(.state(.interrupted)))
        #expect(rig.pending == nil)
    }

    /// The journal has lost the row of a chunk whose bytes were released: in the spool are zeros, which must not be sent for them.
    @Test(arguments: [[1, 3, 4], [2, 3, 4], []])
    func releasedBytesThatAreNotKnownToBeStoredEndTheUpload(_ stored: [Int]) throws {
        var left = try Self.left(stored: stored)
        left.released.insert(0..<20)
        let rig = Rig(restoring: left)
        rig.apply(.tick)
        #expect(try rig.check(.active).contains(.state(.interrupted)))
        #expect(rig.machine.failure?.code == "cannot_start_over")
        #expect(rig.take() == nil)
    }

    @Test func releasedBytesOfALostSessionEndTheUploadAtOnce() throws {
        var left = try Self.left(stored: [1, 2])
        left.session = nil
        left.released.insert(0..<20)
        let rig = Rig(restoring: left)
        #expect(rig.apply(.tick).contains(.state(.interrupted)))
        #expect(!rig.log.contains { if case .call(.openSession) = $0 { true } else { false } })
    }

    @Test func releasedBytesThatAreStoredAreNotMissed() throws {
        var left = try Self.left(stored: [1, 2])
        left.released.insert(0..<20)
        let rig = Rig(restoring: left)
        rig.apply(.tick)
        try rig.check(.active)
        try rig.giveURLs()
        #expect(rig.storeAll() == [3, 4])
        try rig.finish()
    }

    @Test func aFailedUploadThatLacksReleasedBytesIsNotTriedAgain() throws {
        var left = try Self.left(.ended(.failed, Self.loss, .whole), stored: [1])
        left.released.insert(0..<20)
        let rig = Rig(restoring: left)
        #expect(rig.machine.retryRefusal(isDurable: true) == .contentIsLost)
    }

    // MARK: What has ended

    @Test func whatWasCompletedStaysSoWithItsAsset() throws {
        var left = try Self.left(.completed)
        left.asset = AssetStanding(.undetermined, issue: AssetIssue(code: "resource_not_exist", message: "no"))
        let rig = Rig(restoring: left)
        #expect(rig.apply(.tick).isEmpty)
        #expect(rig.machine.state == .completed)
        #expect(rig.machine.assetID == "left-asset")
        #expect(rig.machine.asset == left.asset)
        #expect(rig.machine.nextDeadline == nil)
    }

    @Test(arguments: [UploadState.interrupted, .failed, .cancelled])
    func whatEndedBadlyStaysAsItIs(state: UploadState) throws {
        let rig = Rig(restoring: try Self.left(.ended(state, Self.loss, nil)))
        #expect(rig.apply(.tick).isEmpty)
        #expect(rig.machine.state == state)
        #expect(rig.machine.failure == Self.loss)
    }

    // MARK: What the journal is told

    @Test func eachStepIsAFactForTheJournal() throws {
        let rig = Rig()
        rig.write(0..<35)
        rig.commit()
        try rig.open()
        #expect(rig.machine.takeDeltas() == [.changed, .changed, .sessionChanged])
        let order = try #require(rig.take())
        rig.store(order)
        let stored = StoredChunk(etag: "etag-1-0", md5: "etag-1-0", size: 10)
        #expect(rig.machine.takeDeltas() == [.stored(uploadID: "session-1", index: 1, generation: 0, stored)])
        rig.storeAll()
        let claims = rig.machine.takeDeltas().filter { if case .claimed = $0 { true } else { false } }
        #expect(
            claims == [.claimed(uploadID: "session-1", [1, 2, 3]), .claimed(uploadID: "session-1", [4])])
        try rig.acceptReport()
        #expect(rig.machine.takeDeltas().isEmpty)
    }

    @Test func aChunkThatWasWrittenAgainIsNotCalledStoredAtTheCommit() throws {
        let rig = Rig()
        rig.hint(35)
        rig.write(0..<30)
        try rig.open()
        rig.storeAll()
        rig.write(12..<13)
        rig.write(30..<35)
        _ = rig.machine.takeDeltas()
        rig.commit()
        #expect(rig.machine.takeDeltas().contains(.unstored(uploadID: "session-1", [2])))
    }

    @Test func aReportThatHadNoEffectIsTakenBack() throws {
        let rig = Rig()
        try rig.storeWholeFile(35)
        _ = rig.machine.takeDeltas()
        try rig.failCall(.unreachable)
        #expect(rig.machine.takeDeltas() == [.unclaimed(uploadID: "session-1", [1, 2, 3])])
    }

    /// Whatever moment an upload is left at, its facts make one of it that completes, with the right chunks sent.
    @Test(arguments: 0..<40)
    func anUploadThatIsLeftAtAnyStepIsCompletedByTheNext(step: Int) throws {
        let rig = Rig()
        rig.write(0..<35)
        rig.commit()
        var stored: [Int: String] = [:]
        var claimed: Set<Int> = []
        var opened: SessionSnapshot?
        func read() {
            for delta in rig.machine.takeDeltas() {
                switch delta {
                case .sessionChanged: opened = rig.machine.sessionSnapshot
                case .stored(_, let index, _, let chunk): stored[index] = chunk.etag
                case .unstored(_, let indices): for index in indices { stored[index] = nil }
                case .claimed(_, let indices): claimed.formUnion(indices)
                case .unclaimed(_, let indices): claimed.subtract(indices)
                case .changed: break
                }
            }
        }
        read()
        for _ in 0..<step where rig.machine.state == .finishing {
            if let order = rig.take() {
                rig.store(order)
            } else if rig.pending != nil {
                switch rig.pending?.call {
                case .openSession: try rig.open(urls: 2)
                case .requestURLs: try rig.giveURLs(most: 1)
                case .report: try rig.acceptReport()
                default: try rig.check(.completed)
                }
            }
            read()
        }
        guard rig.machine.state == .finishing else { return }
        var left = RecoveredUpload(.committed(.whole), size: rig.machine.size)
        left.session = opened
        left.chunks = stored.map { .init(index: $0.key, etag: $0.value, isClaimed: claimed.contains($0.key)) }
        let next = Rig(restoring: left)
        next.apply(.tick)
        if opened != nil { try next.check(.active) }
        var sent: [Int] = []
        for _ in 1...100 where next.machine.state == .finishing {
            sent += next.storeAll()
            switch next.pending?.call {
            case .openSession: try next.open()
            case .requestURLs: try next.giveURLs()
            case .report: try next.acceptReport()
            default: try next.check(.completed)
            }
        }
        #expect(next.machine.state == .completed)
        #expect(Set(sent).isDisjoint(with: stored.keys), "what the journal knew was sent again")
        #expect(Set(sent).union(stored.keys) == [1, 2, 3, 4])
    }
}
