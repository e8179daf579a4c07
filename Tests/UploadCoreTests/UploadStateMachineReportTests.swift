import Testing
import UploadCore

/// Reporting, confirming, and files that wait under a temporary name.
@Suite struct UploadStateMachineReportTests {
    @Test func isDoneInBatchesAndConfirmed() throws {
        let rig = Rig()
        try rig.storeWholeFile(45)
        #expect(rig.reports == [[1, 2, 3], [4, 5]])
        #expect(try rig.acceptReport().isEmpty)
        #expect(
            try rig.acceptReport(url: "https://assets.test/1") == [.call(.checkSession(uploadID: "session-1"))])
        #expect(rig.machine.state == .finishing)
        #expect(try rig.check(.completed) == [.answered(nil), .state(.completed)])
        #expect(rig.machine.assetURL == "https://assets.test/1")
    }

    @Test func namesSizesAndProofs() throws {
        let rig = Rig()
        try rig.storeWholeFile(15)
        #expect(
            rig.pending?.call
                == .report(
                    uploadID: "session-1",
                    [
                        ChunkReport(chunkIndex: 1, etag: "etag-1-0", size: 10),
                        ChunkReport(chunkIndex: 2, etag: "etag-2-0", size: 5),
                    ]))
    }

    @Test func doesNotBeginBeforeTheCommit() throws {
        let rig = Rig()
        rig.hint(50)
        rig.write(0..<50)
        try rig.open()
        rig.storeAll()
        #expect(rig.pending == nil)
        rig.commit()
        #expect(rig.reports == [[1, 2, 3], [4, 5]])
    }

    @Test func isRepeatedWhenTheAnswerWasLost() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        let lost = rig.pending?.call
        #expect(try rig.failCall(.connectionLost, random: 1).isEmpty)
        #expect(rig.wait(.milliseconds(500)) == lost.map { [.call($0)] })
        try rig.finish()
    }

    @Test func isAskedForAgainUntilTheSessionIsComplete() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.acceptReport()
        #expect(try rig.check(.active).isEmpty)
        #expect(rig.wait(.milliseconds(200)) == [.call(.checkSession(uploadID: "session-1"))])
        #expect(try rig.check(.unknown("finalizing")).isEmpty)
        #expect(rig.wait(.milliseconds(399)).isEmpty)
        #expect(rig.wait(.milliseconds(1)) == [.call(.checkSession(uploadID: "session-1"))])
        #expect(try rig.check(.completed).contains(.answered(nil)))
    }

    @Test func aSessionThatNeverCompletesIsAStall() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.acceptReport()
        for _ in 1...10_000 where rig.machine.stall == nil {
            if rig.pending != nil { try rig.check(.active) }
            rig.wait(.milliseconds(200))
        }
        #expect(rig.machine.stall?.kind == .stalled)
        #expect(rig.log.filter { $0 == .answered(.stalled) }.count == 1)
        try rig.finish()
    }

    @Test func chunksThatThePlatformForgotAreReportedAgain() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.acceptReport()
        try rig.check(.active, pending: [2, 7, 0])
        #expect(rig.reports == [[2]])
        try rig.finish()
    }

    @Test func aChunkThatFailedAfterItsReportIsSentAndReportedAgain() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.acceptReport()
        try rig.check(.active, failed: [2, 2, 99])
        rig.wait(.milliseconds(200))
        try rig.giveURLs()
        #expect(rig.storeAll() == [2])
        #expect(rig.reports == [[2]])
        try rig.finish()
    }

    @Test func aChunkThatFailsHoweverOftenItIsSentFailsTheUpload() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        for _ in 1...5 {
            try rig.acceptReport()
            try rig.check(.active, failed: [2])
            guard rig.machine.state == .finishing else { break }
            rig.wait(.milliseconds(200))
            try rig.giveURLs()
            rig.storeAll()
        }
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.failure?.code == "chunk_failed")
    }

    /// The report that completes a session may get through while its answer does not; reported again, it is refused.
    @Test(arguments: [UploadFailure.Kind.requestRefused, .conflict, .sessionGone])
    func aRefusedRepetitionMayMeanThatItIsComplete(kind: UploadFailure.Kind) throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.failCall(.connectionLost, random: 0)
        rig.apply(.tick)
        #expect(try rig.failCall(kind) == [.call(.checkSession(uploadID: "session-1"))])
        #expect(try rig.check(.completed).contains(.answered(nil)))
        #expect(rig.machine.state == .completed)
    }

    @Test func aRefusedRepetitionMayMeanThatItIsAboutToBeComplete() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.failCall(.connectionLost, random: 0)
        rig.apply(.tick)
        try rig.failCall(.requestRefused)
        #expect(try rig.check(.active).isEmpty)
        #expect(rig.wait(.milliseconds(200)) == [.call(.checkSession(uploadID: "session-1"))])
        #expect(try rig.check(.completed).contains(.answered(nil)))
    }

    @Test func isRepeatedPastTheSessionsTimeWhenItMayBeComplete() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open(lifetime: .seconds(60))
        rig.storeAll()
        try rig.failCall(.connectionLost)
        #expect(rig.wait(.seconds(60)).contains { if case .call(.report) = $0 { true } else { false } })
        #expect(!rig.log.contains(.abandon("asset-1")))
        try rig.finish()
    }

    @Test func unreadableAnswersGetFiveAttempts() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        for attempt in 1...5 {
            #expect(rig.machine.state == .finishing, "attempt \(attempt)")
            try rig.failCall(.unreadableAnswer, random: 0)
            rig.apply(.tick)
        }
        // It may have been accepted all the same.
        try rig.check(.active, pending: [1, 2])
        #expect(rig.machine.state == .failed)
        #expect(rig.log.filter { $0 == .answered(.unreadableAnswer) }.count == 1)
    }

    @Test func unreadableAnswersGetHalfAMinute() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.failCall(.unreadableAnswer, random: 0)
        rig.wait(.seconds(31))
        #expect(try rig.failCall(.unreadableAnswer, random: 0) == [.call(.checkSession(uploadID: "session-1"))])
        try rig.check(.active, pending: [1, 2])
        #expect(rig.machine.state == .failed)
    }

    @Test func anUnreadableAnswerMayHideThatItIsComplete() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.failCall(.unreadableAnswer, random: 0)
        rig.wait(.seconds(31))
        try rig.failCall(.unreadableAnswer, random: 0)
        #expect(try rig.check(.completed).contains(.answered(nil)))
    }

    // MARK: Temporary names

    @Test func stagesAllButTheLastChunkAndCompletesAfterTheRename() throws {
        let rig = Rig()
        rig.write(0..<50)
        rig.commit(.allButLast)
        try rig.open()
        #expect(rig.storeAll() == [1, 2, 3, 4, 5])
        #expect(rig.reports == [[1, 2, 3], [4]])
        try rig.acceptReport(with: 4)
        #expect(try rig.acceptReport() == [.answered(nil), .state(.staged)])
        #expect(rig.wait(.seconds(3600)).isEmpty)
        #expect(rig.commit().contains(.state(.finishing)))
        #expect(rig.reports == [[5]])
        #expect(
            try rig.acceptReport(completed: 5, url: "https://assets.test/1").contains(.answered(nil)))
    }

    @Test func stagesASingleChunkWithoutReportingIt() throws {
        let rig = Rig()
        rig.write(0..<5)
        rig.commit(.allButLast)
        try rig.open()
        let order = try #require(rig.take())
        #expect(rig.store(order) == [.answered(nil), .state(.staged)])
        rig.commit()
        try rig.finish()
    }

    @Test func aReportedChunkThatIsRewrittenNeedsANewSession() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit(.allButLast)
        try rig.open()
        rig.storeAll()
        try rig.acceptReport()
        #expect(rig.write(0..<1) == [.stop, .abandon("asset-1"), .state(.open)])
        #expect(rig.commit().contains(.call(.openSession(totalSize: 20))))
        try rig.finish()
    }

    @Test func aChunkThatIsRewrittenWhileItsReportIsUnderWayNeedsANewSession() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit(.allButLast)
        try rig.open()
        rig.storeAll()
        let report = try rig.takePending()
        #expect(
            rig.write(0..<1) == [.stop, .answered(.replaced), .abandon("asset-1"), .state(.open)])
        rig.commit()
        guard case .report(_, let reports) = report.call else { throw Unexpected(call: report.call) }
        #expect(rig.apply(.reported(report.id, reports, ReportAnswer())).isEmpty)
        try rig.finish()
        #expect(rig.machine.uploadID == "session-2")
    }

    @Test func aChunkThatIsRewrittenAfterItsReportWasLostNeedsANewSession() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit(.allButLast)
        try rig.open()
        rig.storeAll()
        try rig.failCall(.connectionLost)
        #expect(rig.write(0..<1).contains(.abandon("asset-1")))
    }

    @Test func aChunkThatIsRewrittenAfterItsReportCannotHaveGotThroughDoesNot() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit(.allButLast)
        try rig.open()
        rig.storeAll()
        try rig.failCall(.unreachable)
        #expect(rig.write(0..<1) == [.answered(.replaced), .state(.open)])
        rig.commit()
        try rig.finish()
        #expect(rig.machine.uploadID == "session-1")
    }

    @Test func theLastChunkOfAStagedFileCanBeRewritten() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit(.allButLast)
        try rig.open()
        rig.storeAll()
        try rig.acceptReport()
        #expect(rig.write(15..<16) == [.state(.open)])
        rig.commit()
        try rig.giveURLs()
        #expect(rig.storeAll() == [2])
        try rig.finish()
        #expect(rig.machine.uploadID == "session-1")
    }

    @Test func aStagedFileWhoseSessionExpiresIsSentAnewAtTheRename() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit(.allButLast)
        try rig.open(lifetime: .seconds(60))
        rig.storeAll()
        try rig.acceptReport()
        #expect(rig.wait(.seconds(60)) == [.stop, .abandon("asset-1")])
        #expect(rig.machine.state == .staged)
        #expect(rig.commit().contains(.call(.openSession(totalSize: 20))))
        try rig.finish()
    }

    // MARK: The asset

    @Test func whatIsLearnedOfTheAssetIsToldAndWrittenDownOnce() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        #expect(rig.apply(.assetLearned(AssetStanding(.ready))).isEmpty)
        #expect(rig.machine.asset == nil, "it is not completed yet")
        try rig.finish()
        #expect(rig.machine.nextDeadline == nil)
        #expect(rig.machine.statusDocument(at: rig.now).assetStatus == .processing)
        _ = rig.machine.takeDeltas()
        let issue = AssetIssue(code: AssetIssue.sizeDiffers, message: "19 bytes")
        for _ in 1...2 { #expect(rig.apply(.assetLearned(AssetStanding(.ready, issue: issue))).isEmpty) }
        #expect(rig.machine.takeDeltas() == [.changed])
        let document = rig.machine.statusDocument(at: rig.now)
        #expect(document.assetStatus == .ready)
        #expect(document.assetError == "size_differs: 19 bytes")
    }

    @Test func theAssetsURLIsShownWithoutWhatOpensIt() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        let url = "https://cdn.test/a/v.mp4?X-Amz-Signature=secret"
        try rig.acceptReport(url: url)
        try rig.finish()
        #expect(rig.machine.assetURL == url)
        #expect(rig.machine.statusDocument(at: rig.now).assetURL == "https://cdn.test/a/v.mp4")
    }
}
