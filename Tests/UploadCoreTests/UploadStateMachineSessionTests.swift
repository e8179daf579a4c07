import Testing
import UploadCore

/// When sessions are opened, abandoned and replaced.
@Suite struct UploadStateMachineSessionTests {
    // MARK: Opening

    @Test func opensOnAHintOnceFiveMebibytesAreWritten() {
        let threshold: Int64 = 5 << 20
        let rig = Rig(UploadStateMachine.Configuration())
        rig.hint(100 << 20)
        #expect(rig.write(0..<threshold - 1).isEmpty)
        #expect(rig.write(threshold - 1..<threshold) == [.call(.openSession(totalSize: 100 << 20))])
    }

    @Test func opensWhenTheHintComesAfterTheBytes() {
        let rig = Rig()
        #expect(rig.write(0..<10).isEmpty)
        #expect(rig.hint(30) == [.call(.openSession(totalSize: 30))])
        #expect(rig.write(10..<20).isEmpty)
    }

    @Test func opensAtCommitWhenThereIsNoHint() {
        let rig = Rig()
        #expect(rig.write(0..<30).isEmpty)
        #expect(rig.commit() == [.call(.openSession(totalSize: 30)), .state(.finishing)])
    }

    @Test func opensAtCommitForAFileThatIsSmallerThanTheThreshold() {
        let rig = Rig()
        rig.hint(4)
        #expect(rig.write(0..<4).isEmpty)
        #expect(rig.commit().contains(.call(.openSession(totalSize: 4))))
    }

    @Test func doesNotBelieveAHintOverTheSizeLimit() {
        let rig = Rig()
        rig.hint(1001)
        #expect(rig.write(0..<10).isEmpty)
        #expect(rig.hint(1000) == [.call(.openSession(totalSize: 1000))])
    }

    @Test func doesNotBelieveAHintThatTheFileHasOutgrown() {
        let rig = Rig()
        rig.hint(10)
        #expect(rig.write(0..<11).isEmpty)
    }

    @Test func keepsTheStrongerHint() {
        let rig = Rig()
        rig.hint(30, .declared)
        rig.hint(40, .preallocated)
        #expect(rig.machine.hint == SizeHint(size: 30, source: .declared))
        rig.hint(50, .declared)
        #expect(rig.machine.hint?.size == 50)
        rig.apply(.hinted(nil))
        rig.hint(40, .preallocated)
        #expect(rig.machine.hint == SizeHint(size: 40, source: .preallocated))
    }

    @Test func takesAWeakerHintOnceTheStrongerOneIsWrong() {
        let rig = Rig()
        rig.hint(30, .copiedSource)
        rig.write(0..<31)
        rig.hint(40, .preallocated)
        #expect(rig.machine.hint?.size == 40)
    }

    @Test func knowsThatDeclaredBytesAreMissing() {
        let rig = Rig()
        rig.apply(.truncated(to: 30))
        #expect(!rig.machine.lacksDeclaredBytes)
        rig.hint(30, .declared)
        #expect(rig.machine.lacksDeclaredBytes)
        rig.write(0..<10)
        rig.write(20..<40)
        #expect(rig.machine.lacksDeclaredBytes)
        rig.write(10..<20)
        #expect(!rig.machine.lacksDeclaredBytes)
    }

    @Test func aRefusalWhileWritingIsTriedAgainAtCommit() throws {
        let rig = Rig()
        rig.hint(30)
        rig.write(0..<10)
        try rig.failCall(.sessionRefused)
        #expect(rig.machine.state == .open)
        #expect(rig.write(10..<30).isEmpty)
        #expect(rig.wait(.seconds(60)).isEmpty)
        #expect(rig.commit().contains(.call(.openSession(totalSize: 30))))
        #expect(try rig.failCall(.sessionRefused).contains(.answered(.sessionRefused)))
        #expect(rig.machine.state == .failed)
    }

    // MARK: Wrong hints

    @Test func aSessionOfTheWrongSizeIsAbandonedAtCommit() throws {
        let rig = Rig()
        rig.hint(30)
        rig.write(0..<20)
        try rig.open()
        #expect(rig.storeAll() == [1, 2])
        #expect(
            rig.commit() == [.stop, .abandon("asset-1"), .call(.openSession(totalSize: 20)), .state(.finishing)])
        #expect(rig.machine.abandonedUploadIDs == ["session-1"])
        try rig.finish()
        #expect(rig.machine.uploadID == "session-2")
    }

    @Test func aSessionThatTheFileOutgrowsIsAbandonedAtOnce() throws {
        let rig = Rig()
        rig.hint(20)
        rig.write(0..<10)
        try rig.open()
        #expect(rig.write(10..<21) == [.stop, .abandon("asset-1")])
        #expect(rig.commit().contains(.call(.openSession(totalSize: 21))))
        try rig.finish()
    }

    @Test func anOutgrownSessionIsReplacedAtOnceWhenABetterHintIsThere() throws {
        let rig = Rig()
        rig.hint(20)
        rig.write(0..<10)
        try rig.open()
        rig.hint(40)
        #expect(rig.write(10..<21) == [.stop, .abandon("asset-1"), .call(.openSession(totalSize: 40))])
    }

    @Test func aSessionOfTheWrongSizeThatOpensOnlyAfterTheCommitIsAbandoned() throws {
        let rig = Rig()
        rig.hint(30)
        rig.write(0..<20)
        rig.commit()
        #expect(try rig.open() == [.stop, .abandon("asset-1"), .call(.openSession(totalSize: 20))])
        try rig.finish()
    }

    @Test func aLargerSizeThanTheLastChunkNeedsIsStillWrong() throws {
        let rig = Rig()
        rig.hint(20)
        rig.write(0..<19)
        try rig.open()
        #expect(rig.commit().contains(.abandon("asset-1")))
    }

    // MARK: Sessions that end

    @Test func aSessionWhoseTimeIsOverIsReplaced() throws {
        let rig = Rig()
        rig.write(0..<40)
        rig.commit()
        try rig.open(lifetime: .seconds(60))
        let order = try #require(rig.take())
        rig.store(order)
        #expect(rig.machine.nextDeadline == rig.now + .seconds(60))
        #expect(rig.wait(.seconds(60)) == [.stop, .abandon("asset-1"), .call(.openSession(totalSize: 40))])
        try rig.finish()
    }

    @Test func aLifetimeThatIsOverBeforeItBeganIsNotBelieved() throws {
        let rig = Rig()
        rig.write(0..<10)
        rig.commit()
        #expect(try rig.open(lifetime: .seconds(-5)).isEmpty)
        try rig.finish()
    }

    @Test func aSessionThatTheAnswersSayIsGoneIsReplaced() throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        try rig.open(urls: 1)
        #expect(
            try rig.failCall(.sessionGone) == [.stop, .abandon("asset-1"), .call(.openSession(totalSize: 30))])
        #expect(rig.machine.failure?.kind == .sessionGone)
        try rig.finish()
        #expect(rig.machine.failure == nil)
    }

    @Test(arguments: [SessionState.expired, .failed])
    func aRefusalMayOnlyMeanThatTheSessionIsOver(status: SessionState) throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        #expect(try rig.failCall(.requestRefused) == [.call(.checkSession(uploadID: "session-1"))])
        #expect(try rig.check(status) == [.stop, .abandon("asset-1"), .call(.openSession(totalSize: 20))])
        try rig.finish()
    }

    @Test func aRefusalByALivingSessionIsFinal() throws {
        let rig = Rig()
        try rig.storeWholeFile(20)
        try rig.failCall(.requestRefused)
        #expect(try rig.check(.active, pending: [1, 2]) == [.stop, .answered(.requestRefused), .state(.failed)])
    }

    @Test func aRefusalByTheStoreAsksAfterTheSession() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        let order = try #require(rig.take())
        #expect(rig.fail(order, .storeRefused) == [.call(.checkSession(uploadID: "session-1"))])
        #expect(rig.take() == nil)
        #expect(try rig.check(.expired).contains(.call(.openSession(totalSize: 20))))
        try rig.finish()
    }

    @Test func sessionsThatKeepEndingAreNotReplacedForEver() throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        for _ in 1..<3 {
            try rig.open(urls: 1)
            #expect(try rig.failCall(.sessionGone).contains(.call(.openSession(totalSize: 30))))
        }
        try rig.open(urls: 1)
        #expect(try rig.failCall(.sessionGone).contains(.answered(.sessionGone)))
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.abandonedUploadIDs.count == 3)
    }

    @Test func rewritingDoesNotUseUpTheSessionsThatMayEnd() throws {
        let rig = Rig()
        rig.write(0..<20)
        for _ in 1...10 {
            rig.commit(.allButLast)
            try rig.open()
            rig.storeAll()
            try rig.acceptReport()
            #expect(rig.machine.state == .staged)
            rig.write(0..<10)
        }
        rig.commit()
        try rig.open(urls: 1)
        try rig.failCall(.sessionGone)
        try rig.finish()
    }

    @Test func aSessionThatIsSaidToBeCompleteBeforeItCanBeIsNotBelieved() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.open()
        rig.fail(try #require(rig.take()), .storeRefused)
        // Whatever it is that the platform has, it is complete: it is not ours to delete, and not our file.
        #expect(try rig.check(.completed) == [.stop, .call(.openSession(totalSize: 20))])
        try rig.finish()
    }
}
