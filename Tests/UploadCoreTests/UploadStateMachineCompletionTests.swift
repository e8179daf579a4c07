import Testing
import UploadCore

import struct TestSupport.ShownStatements

/// All of a file is reported, no answer called it complete, and the session cannot be asked: a second one is opened only
/// when it is certain that the first came to nothing.
@Suite(.shows("asset-session-silent")) struct UploadStateMachineCompletionTests {
    private static let askAsset = Rig.Seen.call(.checkAsset(assetID: "asset-1"))
    private static let askSession = Rig.Seen.call(.checkSession(uploadID: "session-1"))

    /// A file of 20 bytes, all reported; the session is being asked.
    private func reported() throws -> Rig {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.acceptReport()
        return rig
    }

    private func isNewSession(_ seen: Rig.Seen) -> Bool { if case .call(.openSession) = seen { true } else { false } }

    @Test(arguments: [UploadFailure.Kind.sessionGone, .requestRefused])
    func anAssetThatIsReadyIsComplete(kind: UploadFailure.Kind) throws {
        let rig = try reported()
        #expect(try rig.failCall(kind) == [Self.askAsset])
        #expect(try rig.tellOfAsset(.ready) == [.answered(nil), .state(.completed)])
        #expect(rig.machine.failure == nil)
        #expect(rig.machine.abandonedUploadIDs.isEmpty)
    }

    /// The report that completed it was lost, and its repetition finds no session any more.
    @Test func aLostReportIsNoReasonForASecondAsset() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.failReport(with: 1, .connectionLost, random: 0)
        rig.apply(.tick)
        #expect(try rig.failReport(with: 1, .sessionGone) == [Self.askSession])
        #expect(try rig.findNothing() == [Self.askAsset])
        #expect(try rig.tellOfAsset(.processing).isEmpty)
        #expect(rig.reports.isEmpty)
        #expect(rig.wait(.seconds(1)) == [Self.askSession])
        #expect(try rig.check(.completed).contains(.answered(nil)))
    }

    /// That of a session which nobody finished reads `processing` as well.
    @Test(arguments: [AssetState.processing, .unknown("validating"), nil])
    func anAssetThatIsNotReadyDecidesNothing(status: AssetState?) throws {
        let rig = try reported()
        try rig.findNothing()
        for pause in [1, 2, 4, 8] {
            #expect(try rig.tellOfAsset(status).isEmpty)
            #expect(rig.machine.nextAttempt(after: rig.now) == rig.now + .seconds(pause))
            #expect(rig.machine.failure?.kind == .sessionGone)
            #expect(rig.wait(.seconds(pause)) == [Self.askSession])
            #expect(try rig.findNothing() == [Self.askAsset])
        }
        #expect(try rig.tellOfAsset(.ready).contains(.answered(nil)))
    }

    /// A guess would make a second asset, or none.
    @Test func whatStaysUnknownEndsAsSuchAndCanBeAskedAgain() throws {
        let rig = try reported()
        var asked = 0
        for _ in 1...1000 where rig.machine.state == .finishing {
            switch rig.pending?.call {
            case .checkSession: try rig.findNothing()
            case .checkAsset:
                asked += 1
                try rig.tellOfAsset(.processing)
            case .openSession, .requestURLs, .report, .deleteAsset, nil: rig.wait(.seconds(50))
            }
        }
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.failure?.code == "completion_unknown")
        #expect(rig.machine.failure?.hint?.contains("asset-1") == true)
        #expect(rig.log.contains(.answered(.stalled)), "the close did not wait for all that")
        #expect(!rig.log.contains { if case .abandon = $0 { true } else { false } })
        #expect(rig.log.count(where: isNewSession) == 1)
        #expect(asked < 30)

        #expect(rig.apply(.retried) == [Self.askSession, .state(.finishing)])
        #expect(try rig.findNothing() == [Self.askAsset])
        #expect(try rig.tellOfAsset(.ready).contains(.answered(nil)))
    }

    /// *Retrieve asset* does not find an asset for some seconds after its completion.
    @Test func anAssetThatIsMissingForSomeSecondsIsWaitedFor() throws {
        let rig = try reported()
        try rig.findNothing()
        for pause in [1, 2, 4, 8, 16] {
            #expect(try rig.findNothing().isEmpty)
            #expect(rig.wait(.seconds(pause)) == [Self.askSession])
            #expect(try rig.findNothing() == [Self.askAsset])
        }
        #expect(try rig.tellOfAsset(.ready).contains(.answered(nil)))
    }

    @Test func anAssetThatStaysMissingIsNone() throws {
        let rig = try reported()
        try rig.findNothing()
        for pause in [1, 2, 4, 8, 16, 32] {
            #expect(try rig.findNothing().isEmpty)
            rig.wait(.seconds(pause))
            try rig.findNothing()
        }
        #expect(try rig.findNothing() == [.stop, .abandon("asset-1"), .call(.openSession(totalSize: 20))])
        try rig.finish()
        #expect(rig.machine.uploadID == "session-2")
    }

    @Test func anAssetThatFailedIsNone() throws {
        let rig = try reported()
        try rig.findNothing()
        #expect(
            try rig.tellOfAsset(.failed) == [.stop, .abandon("asset-1"), .call(.openSession(totalSize: 20))])
        try rig.finish()
    }

    /// Refused is neither found nor missing.
    @Test func anAssetThatIsNotToldOfIsNotMissing() throws {
        let rig = try reported()
        try rig.findNothing()
        for _ in 1...12 {
            let (id, _) = try rig.takePending()
            let refusal = UploadFailure(
                .requestRefused, code: "read_not_allowed", message: "not yours", httpStatus: 403)
            #expect(rig.apply(.callFailed(id, refusal, random: 0)).isEmpty)
            rig.wait(.seconds(300))
            guard rig.pending != nil else { break }
            try rig.findNothing()
        }
        #expect(rig.log.count(where: isNewSession) == 1)
    }

    @Test func whatPassesIsWaitedForInDoubtToo() throws {
        let rig = try reported()
        try rig.failCall(.platformUnavailable, random: 1)
        rig.wait(.milliseconds(500))
        try rig.findNothing()
        for kind in [UploadFailure.Kind.platformUnavailable, .rateLimited, .connectionLost] {
            #expect(try rig.failCall(kind, random: 1).isEmpty)
            #expect(rig.wait(.milliseconds(500)) == [Self.askAsset])
        }
        try rig.failCall(.unreachable)
        #expect(rig.release() == [Self.askAsset])
        #expect(try rig.failCall(.accessRefused).contains(.answered(.accessRefused)))
        #expect(rig.machine.state == .failed)
    }

    @Test func writingItAgainEndsTheDoubt() throws {
        let rig = try reported()
        try rig.findNothing()
        rig.write(0..<5)
        rig.commit()
        try rig.finish()
        #expect(rig.machine.uploadID == "session-2")
    }

    // MARK: A session that does not tell of itself

    private func left(claimed: [Int]) throws -> Rig {
        var left = RecoveredUpload(.committed(.whole), size: 20)
        left.session = SessionSnapshot(
            uploadID: "session-1", assetID: "asset-1",
            plan: try ChunkPlan(totalSize: 20, chunkSize: 10, totalChunks: 2))
        left.chunks = [1, 2].map {
            RecoveredUpload.Chunk(index: $0, etag: "etag-\($0)", isClaimed: claimed.contains($0))
        }
        let rig = Rig(restoring: left)
        rig.apply(.tick)
        return rig
    }

    /// The process ended before it knew what became of its reports. They may never have come through: made again, they
    /// tell.
    @Test(arguments: [[1, 2], [1], []]) func aRestartGoesOnWithASessionThatRefusesToTell(claimed: [Int]) throws {
        let rig = try left(claimed: claimed)
        try rig.failCall(.requestRefused)
        #expect(rig.reports == [[1, 2]])
        #expect(try rig.acceptReport(completed: 2, url: "https://assets.test/1").contains(.answered(nil)))
    }

    @Test func aRestartAsksForTheAssetOfASessionThatIsNotFound() throws {
        let rig = try left(claimed: [1, 2])
        #expect(try rig.findNothing() == [Self.askAsset])
        #expect(try rig.tellOfAsset(.processing).isEmpty)
        rig.wait(.seconds(1))
        try rig.findNothing()
        #expect(try rig.tellOfAsset(.ready).contains(.answered(nil)))
    }

    /// The journal may lack the last reports.
    @Test func whatWasReportedAsFarAsTheJournalKnowsOnlyAReadyAssetCompletes() throws {
        let ready = try left(claimed: [1])
        #expect(try ready.findNothing() == [Self.askAsset])
        #expect(try ready.tellOfAsset(.ready).contains(.answered(nil)))
        let processing = try left(claimed: [1])
        try processing.findNothing()
        #expect(try processing.tellOfAsset(.processing) == [.stop, .call(.openSession(totalSize: 20))])
        let missing = try left(claimed: [1])
        try missing.findNothing()
        #expect(try missing.findNothing() == [.stop, .call(.openSession(totalSize: 20))])
    }
}
