import Testing
import UploadCore

/// A file that is removed when all of it may have been reported: its document says in the end what the platform has.
struct WithdrawalTests {
    private static let reason = UploadFailure(.cancelled, message: "removed")
    private static let question = Rig.Seen.call(.checkSession(uploadID: "session-1"))
    private static let deletion = Rig.Seen.call(.deleteAsset(assetID: "asset-1"))

    /// A file of two chunks whose last report is under way, removed at that moment.
    private func withdrawn() throws -> Rig {
        let rig = Rig()
        try rig.storeWholeFile(20)
        #expect(rig.apply(.cancelled(Self.reason)) == [.answered(.cancelled), .withdrawn])
        #expect(rig.machine.state == .finishing)
        return rig
    }

    @Test(arguments: UploadStateMachineEndTests.moments.filter(\.mayBeComplete))
    func itIsAskedAndDeletedBeforeItIsCancelled(_ moment: UploadStateMachineEndTests.Moment) throws {
        let rig = Rig()
        try moment.reach(rig)
        rig.apply(.cancelled(Self.reason))
        #expect(rig.machine.state == .finishing)
        #expect(rig.machine.retryRefusal(isDurable: true) == .isCancelled)
        while !rig.reports.isEmpty { try rig.acceptReport() }
        if rig.machine.areCallsHeldBack { rig.release() }
        #expect(try rig.check(.completed) == [Self.deletion])
        #expect(try rig.deleteAsset() == [.stop, .answered(.cancelled), .state(.cancelled)])
        #expect(rig.machine.failure == Self.reason)
        #expect(rig.machine.nextDeadline == nil)
    }

    @Test func nothingIsAskedBeforeTheReportHasItsAnswer() throws {
        let rig = try withdrawn()
        #expect(rig.wait(.seconds(1000)).isEmpty)
        #expect(try rig.acceptReport() == [Self.question])
    }

    @Test func anAnswerThatCallsItCompleteSavesTheQuestion() throws {
        let rig = try withdrawn()
        #expect(try rig.acceptReport(completed: 2, url: "https://assets.test/1") == [Self.deletion])
        try rig.deleteAsset()
        #expect(rig.machine.assetURL == nil, "nothing is there any more")
    }

    @Test func aReportThatFailsIsNotRepeated() throws {
        let rig = try withdrawn()
        #expect(try rig.failReport(with: 1, .platformUnavailable) == [Self.question])
        #expect(try rig.check(.active, pending: [1, 2]) == [Self.deletion])
        try rig.deleteAsset()
        #expect(rig.machine.state == .cancelled)
        #expect(rig.log.count { if case .call(.report) = $0 { true } else { false } } == 1)
    }

    @Test func aSessionThatDoesNotTellIsNoReasonToKeepIt() throws {
        let rig = try withdrawn()
        try rig.acceptReport()
        #expect(try rig.findNothing() == [Self.deletion])
    }

    /// Where something refers to it already, the document says what the platform has.
    @Test func whatIsCompleteAndCannotBeDeletedIsCompleted() throws {
        let rig = try withdrawn()
        try rig.acceptReport()
        try rig.check(.completed)
        #expect(try rig.failCall(.conflict).contains(.state(.completed)))
        #expect(rig.machine.failure == nil)
        #expect(rig.machine.nextDeadline == nil)
    }

    @Test func whatIsNotKnownToBeCompleteAndCannotBeDeletedSaysSo() throws {
        let rig = try withdrawn()
        try rig.acceptReport()
        try rig.check(.active)
        #expect(try rig.failCall(.requestRefused).contains(.state(.cancelled)))
        #expect(rig.machine.failure?.message.contains("could not be told") == true)
        #expect(rig.machine.failure?.hint?.contains("asset-1") == true)
    }

    /// Just after its completion an asset may not be found.
    @Test func aCompleteAssetThatIsNotFoundIsDeletedALittleLater() throws {
        let rig = try withdrawn()
        try rig.acceptReport()
        try rig.check(.completed)
        let missing = UploadFailure(.requestRefused, message: "no such asset", httpStatus: 404)
        for pause in [1, 2, 4, 8, 16, 32] {
            let (id, _) = try rig.takePending()
            #expect(rig.apply(.callFailed(id, missing, random: 0.5)).isEmpty)
            #expect(rig.wait(.seconds(pause)) == [Self.deletion])
        }
        let (id, _) = try rig.takePending()
        #expect(rig.apply(.callFailed(id, missing, random: 0.5)).contains(.state(.cancelled)))
    }

    @Test func anOutageIsWaitedFor() throws {
        let rig = try withdrawn()
        try rig.acceptReport()
        try rig.failCall(.unreachable)
        #expect(rig.machine.state == .finishing)
        #expect(rig.machine.areCallsHeldBack)
        rig.release()
        try rig.check(.completed)
        try rig.deleteAsset()
        #expect(rig.machine.state == .cancelled)
    }

    /// A failed upload of which nobody could say whether it is complete.
    @Test func aFailedUploadWithoutAnAnswerIsAskedAgainWhenItIsRemoved() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.acceptReport()
        for _ in 1...1000 where rig.machine.state == .finishing {
            switch rig.pending?.call {
            case .checkSession: try rig.findNothing()
            case .checkAsset: try rig.tellOfAsset(.processing)
            case .openSession, .requestURLs, .report, .deleteAsset, nil: rig.wait(.seconds(50))
            }
        }
        #expect(rig.machine.failure?.code == "completion_unknown")
        #expect(rig.apply(.cancelled(Self.reason)).contains(Self.question))
    }

    /// What another process had been told may have been told to its writer as well.
    @Test func whatAnotherProcessCompletedStays() throws {
        let rig = Rig(restoring: try recovered())
        #expect(rig.apply(.tick) == [Self.question])
        #expect(!rig.apply(.cancelled(Self.reason)).contains(Self.question), "it is being asked")
        #expect(try rig.check(.completed).contains(.state(.completed)))
        #expect(!rig.log.contains(Self.deletion))
    }

    /// By the answer to a report that is repeated, since the session could not be asked.
    @Test func whatAReportSaysThatAnotherProcessCompletedStays() throws {
        let rig = Rig(restoring: try recovered())
        rig.apply(.tick)
        try rig.failCall(.requestRefused)
        while rig.reports.isEmpty { rig.wait(.seconds(1)) }
        rig.apply(.cancelled(Self.reason))
        #expect(try rig.acceptReport(completed: 2, url: "https://assets.test/1").contains(.state(.completed)))
        #expect(!rig.log.contains(Self.deletion))
    }

    @Test func whatAnotherProcessDidNotCompleteIsDeleted() throws {
        let rig = Rig(restoring: try recovered())
        rig.apply(.cancelled(Self.reason))
        #expect(try rig.check(.active, pending: [2]) == [Self.deletion])
        try rig.deleteAsset()
        #expect(rig.machine.state == .cancelled)
    }

    /// The process that withdrew it was killed: the next one sees to the asset.
    @Test func anotherProcessGoesOn() throws {
        let rig = Rig(restoring: try recovered(.withdrawn(Self.reason, mayBePromised: false)))
        #expect(rig.machine.standingToKeep.state == .cancelled)
        #expect(rig.apply(.tick) == [Self.question])
        #expect(try rig.check(.completed) == [Self.deletion])
        try rig.deleteAsset()
        #expect(rig.machine.state == .cancelled)
        #expect(rig.machine.failure == Self.reason)
    }

    @Test func whatMayBePromisedStaysOverAnotherProcess() throws {
        let rig = Rig(restoring: try recovered(.withdrawn(Self.reason, mayBePromised: true)))
        #expect(rig.machine.mayBePromised)
        rig.apply(.tick)
        #expect(try rig.check(.completed).contains(.state(.completed)))
        #expect(!rig.log.contains(Self.deletion))
    }

    @Test func withoutASessionNothingIsLeftToAsk() throws {
        var left = try recovered(.withdrawn(Self.reason, mayBePromised: false))
        left.session = nil
        let rig = Rig(restoring: left)
        #expect(rig.apply(.tick).isEmpty)
        #expect(rig.machine.state == .cancelled)
        #expect(rig.machine.failure == Self.reason)
    }

    private func recovered(_ standing: RecoveredUpload.Standing = .committed(.whole)) throws -> RecoveredUpload {
        let plan = try ChunkPlan(totalSize: 20, chunkSize: 10, totalChunks: 2)
        var left = RecoveredUpload(standing, size: 20)
        left.session = SessionSnapshot(
            uploadID: "session-1", assetID: "asset-1", plan: plan)
        left.chunks = (1...2).map { .init(index: $0, etag: "etag-\($0)-0", isClaimed: $0 == 1) }
        return left
    }
}
