import Testing
import UploadCore

/// Stalls, and the ways in which an upload ends badly.
@Suite struct UploadStateMachineEndTests {
    /// A moment in an upload's life, with what of it is to be deleted when it ends then.
    struct Moment: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var deletes: [String]
        /// Whether the platform may hold all of it for complete: removed then, it is withdrawn.
        var mayBeComplete: Bool
        var reach: @Sendable (Rig) throws -> Void

        init(
            _ what: String, deletes: [String], mayBeComplete: Bool = false,
            _ reach: @escaping @Sendable (Rig) throws -> Void
        ) {
            testDescription = what
            self.deletes = deletes
            self.mayBeComplete = mayBeComplete
            self.reach = reach
        }
    }

    static let moments: [Moment] = [
        Moment("nothing is written", deletes: []) { _ in },
        Moment("written, no session", deletes: []) { $0.write(0..<20) },
        Moment("the session is being opened", deletes: []) { rig in
            rig.write(0..<20)
            rig.hint(30)
        },
        Moment("the session is open", deletes: ["asset-1"]) { rig in
            rig.write(0..<20)
            rig.hint(30)
            try rig.open()
        },
        Moment("a chunk is under way", deletes: ["asset-1"]) { rig in
            rig.write(0..<20)
            rig.hint(30)
            try rig.open()
            _ = rig.take()
        },
        Moment("committed", deletes: []) { rig in
            rig.write(0..<20)
            rig.commit()
        },
        Moment("URLs are being asked for", deletes: ["asset-1"]) { rig in
            rig.write(0..<20)
            rig.commit()
            try rig.open(urls: 0)
        },
        Moment("some chunks are reported", deletes: ["asset-1"]) { rig in
            try rig.storeWholeFile(50)
            try rig.acceptReport()
            _ = try rig.failCall(.unreachable)
        },
        Moment("the report that completes it is under way", deletes: [], mayBeComplete: true) { rig in
            try rig.storeWholeFile(20)
        },
        Moment("the answer to the report that completes it was lost", deletes: [], mayBeComplete: true) { rig in
            try rig.storeWholeFile(20)
            try rig.failCall(.connectionLost)
        },
        Moment("the report that would complete it never got through", deletes: ["asset-1"]) { rig in
            try rig.storeWholeFile(20)
            try rig.failCall(.unreachable)
        },
        Moment("a repetition never got through, the first report may have", deletes: [], mayBeComplete: true) { rig in
            try rig.storeWholeFile(20)
            try rig.failCall(.platformUnavailable, random: 0)
            rig.apply(.tick)
            try rig.failCall(.unreachable)
        },
        Moment("everything is reported", deletes: [], mayBeComplete: true) { rig in
            try rig.storeWholeFile(20)
            try rig.acceptReport()
        },
        Moment("a reported chunk failed", deletes: ["asset-1"]) { rig in
            try rig.storeWholeFile(20)
            try rig.acceptReport()
            try rig.check(.active, failed: [1])
        },
        Moment("staged", deletes: ["asset-1"]) { rig in
            rig.write(0..<20)
            rig.commit(.allButLast)
            try rig.open()
            rig.storeAll()
            try rig.acceptReport()
        },
        Moment("a refusal is being looked into", deletes: ["asset-1"]) { rig in
            rig.write(0..<20)
            rig.commit()
            try rig.open()
            rig.fail(try #require(rig.take()), .storeRefused)
        },
        Moment("stalled", deletes: ["asset-1"]) { rig in
            rig.write(0..<20)
            rig.commit()
            try rig.open()
            rig.wait(.seconds(300))
        },
    ]

    private func end(_ rig: Rig, _ moment: Moment, _ event: UploadEvent, _ state: UploadState) throws {
        try moment.reach(rig)
        let open = rig.calls
        let under = rig.takeAll()
        let seen = rig.apply(event)
        #expect(rig.machine.state == state)
        #expect(seen.contains(.stop))
        #expect(seen.contains(.state(state)))
        #expect(seen.contains { if case .answered(_?) = $0 { true } else { false } })
        #expect(seen.compactMap { if case .abandon(let asset) = $0 { asset } else { nil } } == moment.deletes)

        // Nothing else happens, whatever still comes in; a session that opens only now is abandoned too.
        for (id, call) in open {
            switch call {
            case .openSession(let size):
                let late = rig.apply(.sessionOpened(id, try rig.session(size)))
                #expect(late == [.abandon("asset-1")])
                #expect(rig.machine.abandonedUploadIDs == ["session-1"])
            case .requestURLs: #expect(rig.apply(.urlsReceived(id, rig.urls(1...5))).isEmpty)
            case .report(_, let reports): #expect(rig.apply(.reported(id, reports, ReportAnswer())).isEmpty)
            case .checkSession:
                #expect(rig.apply(.sessionChecked(id, SessionVerdict(status: .expired))).isEmpty)
            case .checkAsset: #expect(rig.apply(.assetChecked(id, .ready)).isEmpty)
            case .deleteAsset: #expect(rig.apply(.assetDeleted(id)).isEmpty)
            }
        }
        for order in under {
            #expect(!rig.machine.isUnderWay(order))
            #expect(rig.store(order).isEmpty)
        }
        #expect(rig.write(0..<10).isEmpty)
        #expect(rig.commit().isEmpty)
        for order in under { #expect(rig.apply(.bytesSent(order, 5)).isEmpty) }
        #expect(rig.wait(.seconds(100_000)).isEmpty)
        #expect(rig.take() == nil)
        #expect(rig.machine.nextDeadline == nil)
        #expect(rig.apply(event).isEmpty)
        #expect(rig.machine.state == state)
    }

    @Test(arguments: moments.filter { !$0.mayBeComplete }) func cancelling(at moment: Moment) throws {
        let reason = UploadFailure(.cancelled, message: "removed")
        try end(Rig(), moment, .cancelled(reason), .cancelled)
    }

    @Test(arguments: moments) func interrupting(at moment: Moment) throws {
        let reason = UploadFailure(.interrupted, message: "killed")
        try end(Rig(), moment, .interrupted(reason), .interrupted)
    }

    @Test func aCompletedUploadCannotBeCancelled() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.finish()
        #expect(rig.apply(.cancelled(UploadFailure(.cancelled, message: "removed"))).isEmpty)
        #expect(rig.apply(.interrupted(UploadFailure(.interrupted, message: "killed"))).isEmpty)
        #expect(rig.machine.state == .completed)
        #expect(rig.machine.failure == nil)
    }

    @Test func aFailedUploadKeepsItsSessionUntilItsFileIsRemoved() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.failCall(.requestRefused)
        try rig.check(.active, pending: [1, 2])
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.uploadID == "session-1")
        #expect(rig.machine.nextDeadline == nil)
        let seen = rig.apply(.cancelled(UploadFailure(.cancelled, message: "removed")))
        #expect(seen.contains(.abandon("asset-1")))
        #expect(rig.machine.state == .cancelled)
    }

    @Test func whatComesAfterAFailureIsIgnored() throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        try rig.open()
        let orders = rig.takeAll()
        rig.fail(orders[0], .storeRefused)
        let check = try rig.takePending()
        #expect(rig.fail(orders[1], .spoolFailed).contains(.state(.failed)))
        let reason = rig.machine.failure
        #expect(rig.apply(.sessionChecked(check.id, SessionVerdict(status: .expired))).isEmpty)
        #expect(rig.store(orders[2]).isEmpty)
        #expect(rig.machine.failure == reason)
        #expect(rig.machine.uploadID == "session-1")
    }

    // MARK: Stalls

    @Test func aStallAnswersOnceAndTheUploadGoesOn() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.failCall(.unreachable)
        #expect(rig.wait(.seconds(299)) == [.call(.openSession(totalSize: 20))])
        try rig.failCall(.unreachable)
        #expect(rig.wait(.seconds(1)).contains(.answered(.stalled)))
        #expect(rig.machine.state == .finishing)
        #expect(rig.machine.stall?.message.contains("as the test wants it") == true)
        rig.wait(.seconds(400))
        #expect(rig.log.filter { $0 == .answered(.stalled) }.count == 1)
        try rig.finish()
        #expect(rig.machine.stall == nil)
        #expect(rig.log.contains(.answered(nil)))
    }

    @Test func anotherStallAnswersThoseWhoCameSince() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        rig.wait(.seconds(300))
        try rig.open()
        #expect(rig.machine.stall == nil)
        rig.wait(.seconds(300))
        #expect(rig.log.filter { $0 == .answered(.stalled) }.count == 2)
    }

    @Test func bytesThatMoveAreNoStall() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        let put = try #require(rig.takeAll().first)
        for _ in 1...10 {
            rig.wait(.seconds(299))
            rig.apply(.bytesSent(put, 1))
        }
        #expect(rig.machine.stall == nil)
        #expect(rig.machine.nextDeadline == rig.now + .seconds(300))
        rig.wait(.seconds(300))
        #expect(rig.machine.stall?.kind == .stalled)
    }

    @Test func aWriterThatPausesIsNoStall() throws {
        let rig = Rig()
        rig.hint(100)
        rig.write(0..<20)
        try rig.open()
        rig.storeAll()
        #expect(rig.wait(.seconds(3600)).isEmpty)
        #expect(rig.machine.waitingFor == .writer)
    }

    @Test func aRefusedKeyIsToldAtTheStallAndAGoodOneTakesTheUploadOn() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        for _ in 1..<60 {
            try rig.failCall(.keyRefused)
            #expect(rig.machine.waitingFor == .key)
            #expect(rig.wait(.seconds(5)) == [.call(.openSession(totalSize: 20))])
        }
        try rig.failCall(.keyRefused)
        #expect(rig.wait(.seconds(5)).contains(.answered(.keyRefused)))
        #expect(rig.machine.stall?.code == "keyRefused")
        try rig.finish()
    }

    @Test func theCloseIsAnsweredWhenTheFileIsWrittenAgainUnderItsTemporaryName() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit(.allButLast)
        #expect(rig.write(0..<1).contains(.answered(.replaced)))
        #expect(rig.machine.state == .open)
    }

    @Test(arguments: moments.filter { !$0.mayBeComplete }) func whatHasEndedIsNotOpenedAgain(at moment: Moment) throws {
        let rig = Rig()
        try moment.reach(rig)
        rig.apply(.cancelled(UploadFailure(.cancelled, message: "removed")))
        #expect(rig.apply(.reopened).isEmpty)
        #expect(rig.machine.state == .cancelled)
    }

    // MARK: Deadlines

    /// A deadline that has passed, and changes nothing, would keep whoever waits for it busy.
    @Test(arguments: moments) func noDeadlineStaysInThePast(after moment: Moment) throws {
        let rig = Rig()
        try moment.reach(rig)
        for _ in 1...50 {
            guard let deadline = rig.machine.nextDeadline else { return }
            rig.wait(max(.zero, deadline - rig.now))
            if let next = rig.machine.nextDeadline { #expect(next > rig.now) }
            while rig.pending != nil { try rig.failCall(.unreachable, random: 0.9) }
        }
    }

    @Test func aSessionThatExpiresWhileAnAnswerIsAwaitedIsNoDeadline() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.hint(30)
        try rig.open(urls: 1, lifetime: .seconds(60))
        rig.wait(.seconds(60))
        #expect(rig.machine.nextDeadline == nil)
        #expect(try rig.giveURLs().contains(.abandon("asset-1")))
    }
}
