import Testing
import UploadCore

/// Several reports at a time, whose answers come in any order, late, twice or not at all.
@Suite struct UploadStateMachineParallelReportTests {
    static let url = "https://assets.test/1"

    static func configuration(batch: Int = 3, stallTimeout: Duration = .seconds(300))
        -> UploadStateMachine
        .Configuration
    {
        var configuration = Rig.configuration
        configuration.reportBatch = batch
        configuration.stallTimeout = stallTimeout
        return configuration
    }

    func isReport(_ call: Rig.Seen) -> Bool { if case .call(.report) = call { true } else { false } }

    func isCheck(_ call: Rig.Seen) -> Bool { if case .call(.checkSession) = call { true } else { false } }

    // MARK: How many

    @Test func atMostEightAreUnderWayAndEachAnswerMakesRoomForOne() throws {
        let rig = Rig()
        try rig.storeWholeFile(1000)
        #expect(rig.reports == (0..<8).map { [3 * $0 + 1, 3 * $0 + 2, 3 * $0 + 3] })
        try rig.acceptReport(with: 10)
        #expect(rig.reports.count == 8)
        #expect(rig.reports.last == [25, 26, 27])
        var made = 9
        while !rig.reports.isEmpty {
            #expect(rig.reports.count <= 8)
            made += try rig.acceptReport().count(where: isReport)
        }
        #expect(made == 34)
        #expect(try rig.check(.completed).contains(.answered(nil)))
    }

    @Test func theDefaultsAreFiftyChunksAndEightReports() throws {
        let configuration = UploadStateMachine.Configuration()
        #expect(configuration.reportBatch == 50)
        #expect(configuration.reportsAtOnce == 8)
    }

    @Test func aSmallFileCostsThreeRequests() throws {
        let rig = Rig()
        try rig.storeWholeFile(5)
        #expect(try rig.acceptReport(completed: 1, url: Self.url).contains(.answered(nil)))
        let calls = rig.log.filter { if case .call = $0 { true } else { false } }
        #expect(
            calls.prefix(2) == [
                .call(.openSession(totalSize: 5)),
                .call(.report(uploadID: "session-1", [ChunkReport(chunkIndex: 1, etag: "etag-1-0", size: 5)])),
            ])
        #expect(!calls.contains(where: isCheck))
        #expect(rig.machine.state == .completed)
        #expect(rig.machine.assetURL == Self.url)
    }

    @Test func fullOnesAreMadeWhileTheLastChunksAreOnTheirWay() throws {
        let rig = Rig()
        rig.hint(80)
        rig.write(0..<60)
        try rig.open()
        rig.storeAll()
        rig.write(60..<80)
        let last = rig.takeAll()
        #expect(rig.commit().count(where: isReport) == 2)
        #expect(rig.reports == [[1, 2, 3], [4, 5, 6]])
        rig.store(last[0])
        #expect(rig.reports.count == 2, "what is left is reported at once")
        rig.store(last[1])
        #expect(rig.reports == [[1, 2, 3], [4, 5, 6], [7, 8]])
        try rig.acceptReport(with: 8, completed: 2)
        try rig.acceptReport(with: 1, completed: 5)
        #expect(try rig.acceptReport(with: 4, completed: 8, url: Self.url).contains(.answered(nil)))
        #expect(!rig.log.contains(where: isCheck))
    }

    /// Everything but the last chunk may be reported already, so the rest need not wait for its PUT.
    @Test func aStagedFilesRestIsReportedWhileItsLastChunkIsOnItsWay() throws {
        let rig = Rig()
        rig.write(0..<50)
        rig.commit(.allButLast)
        try rig.open()
        let orders = rig.takeAll()
        for order in orders.dropLast() { rig.store(order) }
        #expect(rig.reports == [[1, 2, 3], [4]])
        try rig.acceptReport()
        #expect(try rig.acceptReport().isEmpty, "the last chunk is to be stored first")
        #expect(rig.store(orders[4]) == [.answered(nil), .state(.staged)])
    }

    // MARK: Completion

    /// Chunks 1 to 8 in three reports, answered in any order: whichever answer counts all of them completes the upload.
    @Test(arguments: [[1, 4, 7], [1, 7, 4], [4, 1, 7], [4, 7, 1], [7, 1, 4], [7, 4, 1]])
    func theOrderOfTheAnswersDoesNotMatter(order: [Int]) throws {
        let rig = Rig()
        try rig.storeWholeFile(80)
        for chunk in order.dropLast() { #expect(try rig.acceptReport(with: chunk, completed: 5).isEmpty) }
        let seen = try rig.acceptReport(with: order[2], completed: 8, url: Self.url)
        #expect(seen.contains(.answered(nil)))
        #expect(!rig.log.contains(where: isCheck))
    }

    /// The platform was done before it answered the others.
    @Test(arguments: [1, 4, 7]) func anyAnswerThatCallsItCompleteSuffices(chunk: Int) throws {
        let rig = Rig()
        try rig.storeWholeFile(80)
        #expect(try rig.acceptReport(with: chunk, completed: 8, url: Self.url).contains(.answered(nil)))
        #expect(rig.machine.statusDocument(at: rig.now).count(of: .completed) == 8)
        // What comes later changes nothing, whatever it is.
        let late = rig.reports
        #expect(late.count == 2)
        #expect(try rig.failReport(with: late[0][0], .requestRefused).isEmpty)
        #expect(try rig.acceptReport(with: late[1][0], completed: 3, url: "https://assets.test/2").isEmpty)
        #expect(rig.machine.state == .completed)
        #expect(rig.machine.failure == nil)
        #expect(rig.log.count { $0 == .answered(nil) } == 1)
    }

    /// An answer of the platform that does not say plainly that it is complete, and the session is asked.
    @Test(arguments: [(nil, nil), (8, nil), (nil, url), (7, url), (9, url), (0, url)] as [(Int?, String?)])
    func anythingLessHasTheSessionAsked(completed: Int?, url: String?) throws {
        let rig = Rig()
        try rig.storeWholeFile(80)
        try rig.acceptReport(completed: completed, url: url)
        try rig.acceptReport(completed: completed, url: url)
        #expect(!rig.log.contains(where: isCheck), "one report is still under way")
        #expect(
            try rig.acceptReport(completed: completed, url: url) == [.call(.checkSession(uploadID: "session-1"))])
        #expect(rig.machine.state == .finishing)
        #expect(try rig.check(.completed).contains(.answered(nil)))
    }

    @Test func whatIsNotAllReportedIsNotCompleteWhateverTheAnswerSays() throws {
        let rig = Rig()
        rig.write(0..<50)
        rig.commit()
        try rig.open()
        let orders = rig.takeAll()
        for order in orders.dropLast() { rig.store(order) }
        #expect(try rig.acceptReport(completed: 5, url: Self.url).isEmpty)
        #expect(rig.machine.state == .finishing)
        rig.store(orders[4])
        #expect(rig.reports == [[4, 5]])
        #expect(try rig.acceptReport(completed: 5, url: Self.url).contains(.answered(nil)))
    }

    @Test func aStagedFileIsNotCompleteWhateverTheAnswerSays() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit(.allButLast)
        try rig.open()
        rig.storeAll()
        #expect(try rig.acceptReport(completed: 2, url: Self.url) == [.answered(nil), .state(.staged)])
        rig.commit()
        #expect(rig.reports == [[2]])
        try rig.finish()
    }

    @Test func anAnswerThatComesTwiceCountsOnce() throws {
        let rig = Rig()
        try rig.storeWholeFile(80)
        let (id, chunks) = try rig.takeReport(with: 1)
        let answer = ReportAnswer(totalCompleted: 3)
        #expect(rig.apply(.reported(id, chunks, answer)).isEmpty)
        #expect(rig.apply(.reported(id, chunks, answer)).isEmpty)
        #expect(rig.apply(.callFailed(id, UploadFailure(.requestRefused, message: "late"), random: 0)).isEmpty)
        #expect(rig.machine.failure == nil)
        #expect(rig.machine.statusDocument(at: rig.now).count(of: .completed) == 3)
        try rig.finish()
    }

    // MARK: Failures

    @Test func oneThatIsLostIsRepeatedAlone() throws {
        let rig = Rig()
        try rig.storeWholeFile(80)
        #expect(try rig.failReport(with: 4, .connectionLost, random: 1).isEmpty)
        #expect(rig.reports == [[1, 2, 3], [7, 8]])
        #expect(rig.machine.nextDeadline == rig.now + .milliseconds(500))
        #expect(try rig.acceptReport(with: 7, completed: 5).isEmpty)
        #expect(rig.machine.waitingFor == .network, "one of them still waits")
        #expect(rig.wait(.milliseconds(499)).isEmpty)
        #expect(rig.wait(.milliseconds(1)).count(where: isReport) == 1)
        #expect(rig.reports == [[1, 2, 3], [4, 5, 6]])
        #expect(rig.machine.retries == 1)
        try rig.acceptReport(with: 4, completed: 8)
        #expect(try rig.acceptReport(with: 1, completed: 8, url: Self.url).contains(.answered(nil)))
    }

    /// One that fails again and again waits longer and longer, and the others do not.
    @Test func eachHasItsOwnBackoff() throws {
        let rig = Rig()
        try rig.storeWholeFile(60)
        for wait in [500, 1000, 2000] as [Int64] {
            try rig.failReport(with: 1, .platformUnavailable, random: 1)
            #expect(rig.wait(.milliseconds(wait - 1)).isEmpty)
            #expect(rig.wait(.milliseconds(1)).count(where: isReport) == 1)
        }
        try rig.failReport(with: 4, .platformUnavailable, random: 1)
        #expect(rig.wait(.milliseconds(500)).count(where: isReport) == 1)
        try rig.finish()
    }

    @Test func aPlatformThatRefusesThemAllIsNotAskedAboutMoreThanEight() throws {
        let rig = Rig()
        try rig.storeWholeFile(1000)
        while let first = rig.reports.first?.first { try rig.failReport(with: first, .platformUnavailable, random: 1) }
        #expect(rig.log.count(where: isReport) == 8)
        rig.wait(.milliseconds(500))
        #expect(rig.reports.count == 8)
        #expect(rig.reports.last == [22, 23, 24])
        try rig.finish()
    }

    @Test func aRefusalWaitsForTheOthersBeforeTheSessionIsAsked() throws {
        let rig = Rig()
        try rig.storeWholeFile(80)
        #expect(try rig.failReport(with: 4, .requestRefused).isEmpty)
        #expect(try rig.failReport(with: 7, .requestRefused).isEmpty, "one question is enough")
        #expect(
            try rig.acceptReport(with: 1, completed: 3) == [.call(.checkSession(uploadID: "session-1"))])
        #expect(try rig.check(.active, pending: [4, 5, 6, 7, 8]).contains(.answered(.requestRefused)))
        #expect(rig.machine.state == .failed)
    }

    /// The session is gone for one report because another has just completed it.
    @Test(arguments: [UploadFailure.Kind.sessionGone, .requestRefused])
    func aRefusalIsForgottenWhenAnotherAnswerCompletesIt(kind: UploadFailure.Kind) throws {
        let rig = Rig()
        try rig.storeWholeFile(80)
        try rig.failReport(with: 1, .connectionLost, random: 0)
        rig.apply(.tick)
        #expect(try rig.failReport(with: 1, kind).isEmpty)
        #expect(try rig.acceptReport(with: 4, completed: 8, url: Self.url).contains(.answered(nil)))
        #expect(rig.machine.abandonedUploadIDs.isEmpty)
    }

    @Test func aSessionThatIsGoneBeforeAllWasNamedIsReplacedAtOnce() throws {
        let rig = Rig()
        rig.write(0..<80)
        rig.commit()
        try rig.open()
        for order in rig.takeAll().prefix(6) { rig.store(order) }
        let (late, chunks) = try rig.takeReport(with: 1)
        #expect(
            try rig.failReport(with: 4, .sessionGone)
                == [.stop, .abandon("asset-1"), .call(.openSession(totalSize: 80))])
        #expect(rig.apply(.reported(late, chunks, ReportAnswer(totalCompleted: 8, url: Self.url))).isEmpty)
        #expect(rig.machine.state == .finishing)
        try rig.finish()
        #expect(rig.machine.uploadID == "session-2")
    }

    @Test func conflictsMeanFewerAtATime() throws {
        let rig = Rig()
        try rig.storeWholeFile(1000)
        for chunk in [1, 4, 7, 10, 13, 16, 19, 22] { try rig.failReport(with: chunk, .conflict, random: 0) }
        rig.apply(.tick)
        #expect(rig.reports == [[1, 2, 3]], "one after another from now on")
        while rig.machine.state == .finishing, !rig.reports.isEmpty {
            #expect(rig.reports.count == 1)
            try rig.acceptReport()
        }
        try rig.finish()
    }

    @Test func aConflictThatPersistsIsLookedInto() throws {
        let rig = Rig()
        rig.write(0..<40)
        rig.commit()
        try rig.open()
        let orders = rig.takeAll()
        for order in orders.prefix(3) { rig.store(order) }
        for attempt in 1...5 {
            #expect(rig.reports == [[1, 2, 3]], "attempt \(attempt)")
            try rig.failReport(with: 1, .conflict, random: 0)
            rig.apply(.tick)
        }
        #expect(rig.reports.isEmpty)
        #expect(try rig.check(.active, pending: [1, 2, 3, 4]).contains(.answered(.conflict)))
        #expect(rig.machine.state == .failed)
    }

    /// Sent again after its answer was lost, the report that completes an upload may be in conflict with itself.
    @Test func aConflictOfWhatMayBeCompleteHasTheSessionAskedAtOnce() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.failCall(.connectionLost, random: 0)
        rig.apply(.tick)
        #expect(try rig.failReport(with: 1, .conflict) == [.call(.checkSession(uploadID: "session-1"))])
        try rig.check(.active, pending: [1, 2])
        #expect(rig.machine.state == .finishing, "it is tried again")
        rig.wait(.seconds(1))
        #expect(rig.reports == [[1, 2]])
        try rig.finish()
    }

    // MARK: Held back

    @Test func thoseThatAreHeldBackNamedNothing() throws {
        let rig = Rig()
        try rig.storeWholeFile(60)
        _ = rig.machine.takeDeltas()
        let outage = UploadFailure(.unreachable, message: "the cable is out")
        let (second, _) = try rig.takeReport(with: 4)
        rig.apply(.callHeldBack(second, outage))
        #expect(rig.machine.takeDeltas() == [.unclaimed(uploadID: "session-1", [4, 5, 6])])
        // The first is under way, and may be accepted; but it cannot complete the upload.
        #expect(try rig.acceptReport(with: 1).isEmpty)
        #expect(rig.release().count(where: isReport) == 1)
        #expect(rig.reports == [[4, 5, 6]])
        try rig.finish()
    }
}
