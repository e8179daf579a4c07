import Testing
import UploadCore

import struct TestSupport.ShownStatements

/// What ended badly, tried once more because a user asks for it.
@Suite struct RetriedUploadTests {
    @Test func whatFailedGoesOnWithItsSessionAndWhatTheStoreHas() throws {
        let rig = Rig()
        rig.write(0..<35)
        rig.commit()
        try rig.open()
        let stored = try #require(rig.take())
        rig.store(stored)
        let late = try #require(rig.take())
        rig.fail(try #require(rig.take()), .spoolFailed)
        #expect(rig.machine.state == .failed)

        #expect(rig.apply(.retried) == [.call(.checkSession(uploadID: "session-1")), .state(.finishing)])
        #expect(rig.machine.failure == nil)
        try rig.check(.active)
        try rig.giveURLs()
        // The outcome of a PUT that was stopped when the upload failed is none of the new one's.
        let orders = rig.takeAll()
        rig.fail(late, .connectionLost)
        #expect(rig.machine.failure == nil)
        #expect(Set(orders.map(\.chunkIndex)) == Set([1, 2, 3, 4]).subtracting([stored.chunkIndex]))
        for order in orders { rig.store(order) }
        try rig.acceptReport()
        try rig.acceptReport()
        try rig.check(.completed)
        #expect(rig.machine.state == .completed)
        #expect(rig.machine.abandonedUploadIDs.isEmpty)
    }

    @Test func aSessionThatIsOverMeanwhileIsReplaced() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        rig.fail(try #require(rig.take()), .spoolFailed)
        rig.apply(.retried)
        try rig.check(.expired)
        try rig.open()
        #expect(rig.machine.uploadID == "session-2")
        rig.storeAll()
        try rig.acceptReport()
        try rig.check(.completed)
        #expect(rig.machine.state == .completed)
    }

    @Test func whatNeverHadASessionAsksForOne() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.failCall(.sessionRefused)
        #expect(rig.machine.state == .failed)
        #expect(rig.apply(.retried) == [.call(.openSession(totalSize: 20)), .state(.finishing)])
    }

    @Test func whatWasStagedIsStagedAgain() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit(.allButLast)
        try rig.failCall(.sessionRefused)
        rig.apply(.retried)
        try rig.open()
        rig.storeAll()
        try rig.acceptReport()
        #expect(rig.machine.state == .staged)
    }

    @Test func whatWasInterruptedIsUploadedAsItIsWhenItIsOnDisk() throws {
        let rig = Rig()
        rig.write(0..<15)
        rig.apply(.interrupted(UploadFailure(.interrupted, message: "killed")))
        #expect(rig.machine.retryRefusal(isDurable: false) == .isPartial)
        #expect(rig.machine.retryRefusal(isDurable: true) == nil)
        #expect(rig.apply(.retried) == [.call(.openSession(totalSize: 15)), .state(.finishing)])
        try rig.open()
        rig.storeAll()
        try rig.acceptReport()
        try rig.check(.completed)
        #expect(rig.machine.state == .completed)
    }

    @Test(.shows("control-retry-refused")) func thereIsNoOtherTryForWhatIsUnderWayOrOver() throws {
        let open = Rig()
        open.write(0..<20)
        let cancelled = Rig()
        cancelled.write(0..<20)
        cancelled.apply(.cancelled(UploadFailure(.cancelled, message: "removed")))
        let completed = Rig()
        try completed.storeWholeFile(20)
        try completed.acceptReport()
        try completed.check(.completed)
        let empty = Rig()
        empty.apply(.interrupted(UploadFailure(.interrupted, message: "killed")))
        let refusals: [(Rig, UploadStateMachine.RetryRefusal)] = [
            (open, .isUnderWay), (cancelled, .isCancelled), (completed, .isCompleted), (empty, .contentIsLost),
        ]
        for (rig, refusal) in refusals {
            let before = rig.machine.state
            #expect(rig.machine.retryRefusal(isDurable: true) == refusal)
            #expect(!rig.apply(.retried).contains { if case .state = $0 { true } else { false } })
            #expect(rig.machine.state == before)
        }
    }

    /// Its writer may still be at work, and what it writes is not followed any more.
    @Test func whatFailedBeforeItWasCommittedIsNotTried() throws {
        var configuration = Rig.configuration
        configuration.spaceLimit = 15
        let rig = Rig(configuration)
        rig.write(0..<20)
        rig.hint(30)
        try rig.open()
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.retryRefusal(isDurable: true) == .contentIsLost)
        rig.commit()
        #expect(rig.machine.retryRefusal(isDurable: true) == .contentIsLost)
    }

    @Test func whatIsKnownToLackBytesIsNotTried() {
        let rig = Rig()
        rig.write(0..<15)
        rig.apply(.interrupted(.unfinished("the copy stopped after 15 of 20 bytes", isOnDisk: true, lacksBytes: true)))
        #expect(rig.machine.retryRefusal(isDurable: true) == .isPartial)
        rig.apply(.retried)
        #expect(rig.machine.state == .interrupted)
    }

    @Test func whatWasKeptForAnotherTryCanBeCancelled() throws {
        let rig = Rig()
        rig.write(0..<15)
        rig.apply(.interrupted(UploadFailure(.interrupted, message: "killed")))
        rig.apply(.cancelled(UploadFailure(.cancelled, message: "cancelled")))
        #expect(rig.machine.state == .cancelled)
        #expect(rig.machine.retryRefusal(isDurable: true) == .isCancelled)
    }
}
