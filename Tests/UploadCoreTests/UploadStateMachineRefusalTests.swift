import Testing
import UploadCore

import struct TestSupport.ShownStatements

/// What becomes of an upload whose type or size the platform refuses.
@Suite struct UploadStateMachineRefusalTests {
    // MARK: The type

    @Test func aRefusedTypeIsAskedForOnceMoreAsAVideo() throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        #expect(rig.machine.sessionType(for: .audio) == .audio)
        #expect(try rig.failCall(.typeRefused) == [.call(.openSession(totalSize: 30))])
        #expect(rig.machine.sessionType(for: .audio) == .video)
        #expect(rig.machine.failure == nil)
        try rig.finish()
        #expect(rig.machine.typeRefusal?.kind == .typeRefused, "the status goes on saying so")
    }

    @Test func aRefusedTypeCostsTheEarlySessionOnlyOneCall() throws {
        let rig = Rig()
        rig.hint(30)
        rig.write(0..<10)
        #expect(try rig.failCall(.typeRefused) == [.call(.openSession(totalSize: 30))])
        try rig.open()
        #expect(rig.storeAll() == [1])
        rig.write(10..<30)
        rig.commit()
        try rig.finish()
        #expect(rig.machine.uploadID == "session-1")
    }

    @Test(arguments: [UploadFailure.Kind.typeRefused, .sessionRefused])
    func aVideoThatIsRefusedTooIsFinal(second: UploadFailure.Kind) throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        try rig.failCall(.typeRefused)
        #expect(try rig.failCall(second) == [.stop, .answered(second), .state(.failed)])
        #expect(rig.machine.failure?.kind == second)
    }

    @Test func laterSessionsOfTheUploadAreAVideosAtOnce() throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        try rig.failCall(.typeRefused)
        try rig.open(urls: 1)
        try rig.failCall(.sessionGone)
        #expect(rig.machine.sessionType(for: .audio) == .video)
        try rig.finish()
    }

    @Test func aRetryAsksForTheTypeAnew() throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        try rig.failCall(.typeRefused)
        try rig.failCall(.sessionRefused)
        rig.apply(.retried)
        #expect(rig.machine.sessionType(for: .audio) == .audio)
        try rig.finish()
    }

    @Test func aRetryWithinASessionDoesNotCallItAnotherType() throws {
        let rig = Rig()
        rig.write(0..<20)
        rig.commit()
        try rig.failCall(.typeRefused)
        try rig.open()
        rig.fail(try #require(rig.take()), .spoolFailed)
        #expect(rig.machine.state == .failed)
        rig.apply(.retried)
        #expect(rig.machine.sessionType(for: .audio) == .video)
    }

    // MARK: The size

    /// Why a write that ends there is refused.
    private func objection(_ rig: Rig, writingTo end: Int64) -> UploadFailure.Kind? {
        rig.machine.terms(forWriting: end - 1..<end).objection?.kind
    }

    @Test(arguments: [SizeHint.Source.declared, .copiedSource])
    func aWriterWhoseSizeIsCertainIsToldAtItsNextWrite(source: SizeHint.Source) throws {
        let rig = Rig()
        rig.hint(30, source)
        rig.write(0..<10)
        #expect(objection(rig, writingTo: 11) == nil)
        #expect(try rig.failCall(.sizeRefused) == [.stop])
        #expect(objection(rig, writingTo: 11) == .sizeRefused)
        // The version is its writer's still: what becomes of it is decided when that closes it.
        #expect(rig.machine.state == .open)
        #expect(rig.machine.statusDocument(at: rig.now).error?.code == "sizeRefused")
        #expect(rig.wait(.seconds(60)).isEmpty, "nothing is asked for again meanwhile")
    }

    @Test(.shows("size-guess"), arguments: [SizeHint.Source.readSource, .preallocated])
    func aGuessThatIsRefusedHindersNobodyBelowIt(source: SizeHint.Source) throws {
        let rig = Rig()
        rig.hint(30, source)
        rig.write(0..<10)
        try rig.failCall(.sizeRefused)
        #expect(objection(rig, writingTo: 29) == nil)
        #expect(objection(rig, writingTo: 30) == .sizeRefused)
        rig.write(10..<29)
        #expect(rig.commit() == [.call(.openSession(totalSize: 29)), .state(.finishing)])
        try rig.finish()
    }

    @Test func whatIsAsLargeAsWhatWasRefusedIsNotAskedForAgain() throws {
        let rig = Rig()
        rig.hint(30)
        rig.write(0..<10)
        // Written before the answer came.
        rig.write(10..<30)
        try rig.failCall(.sizeRefused)
        #expect(rig.commit() == [.stop, .answered(.sizeRefused), .state(.failed)])
        #expect(rig.machine.failure?.kind == .sizeRefused)
    }

    @Test func aCopyThatEndsBelowWhatWasRefusedIsAskedForWithItsTrueSize() throws {
        let rig = Rig()
        rig.hint(30)
        rig.write(0..<20)
        try rig.failCall(.sizeRefused)
        #expect(rig.commit() == [.call(.openSession(totalSize: 20)), .state(.finishing)])
        try rig.finish()
    }

    @Test func aFileThatIsCutBelowWhatWasRefusedMayBeWritten() throws {
        let rig = Rig()
        rig.hint(30, .readSource)
        rig.write(0..<30)
        try rig.failCall(.sizeRefused)
        #expect(objection(rig, writingTo: 5) == .sizeRefused)
        rig.apply(.truncated(to: 12))
        #expect(objection(rig, writingTo: 13) == nil)
        rig.commit()
        try rig.finish()
        #expect(rig.machine.size == 12)
    }

    @Test func aDeclarationThatIsTakenBackIsHeldAgainstNobody() throws {
        let rig = Rig()
        rig.hint(30, .declared)
        rig.write(0..<10)
        try rig.failCall(.sizeRefused)
        rig.apply(.hinted(nil))
        #expect(objection(rig, writingTo: 11) == nil)
        rig.hint(20, .declared)
        #expect(objection(rig, writingTo: 20) == nil)
        rig.hint(31, .declared)
        #expect(objection(rig, writingTo: 11) == .sizeRefused)
    }

    @Test func theSmallestRefusedSizeCounts() throws {
        let rig = Rig()
        rig.hint(40, .readSource)
        rig.write(0..<20)
        try rig.failCall(.sizeRefused)
        rig.commit(.allButLast)
        try rig.failCall(.sizeRefused)
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.sizeObjection(toSize: 19) == nil)
        #expect(rig.machine.sizeObjection(toSize: 20)?.kind == .sizeRefused)
    }

    @Test func aStagedFileThatIsWrittenAgainIsNotAskedForWithTheRefusedSize() throws {
        let rig = Rig()
        rig.hint(30, .readSource)
        rig.write(0..<10)
        try rig.failCall(.sizeRefused)
        rig.commit(.allButLast)
        try rig.open()
        rig.storeAll()
        rig.write(10..<20)
        #expect(rig.pending == nil, "the hint is what was refused")
        rig.commit()
        try rig.finish()
        #expect(rig.machine.size == 20)
    }

    @Test func aRefusalOfASizeThatTheFileHasNoMoreIsNoneOfTheFile() throws {
        let rig = Rig()
        rig.hint(30)
        rig.write(0..<10)
        // The size that was asked for turns out to be wrong while the answer is on its way.
        rig.commit()
        #expect(try rig.failCall(.sizeRefused) == [.call(.openSession(totalSize: 10))])
        #expect(rig.machine.failure == nil)
        try rig.finish()
    }

    @Test func aSizeThatIsRefusedAtCommitIsAnsweredAndARetryAsksAgain() throws {
        let rig = Rig()
        rig.write(0..<30)
        rig.commit()
        #expect(try rig.failCall(.sizeRefused) == [.stop, .answered(.sizeRefused), .state(.failed)])
        #expect(rig.apply(.retried) == [.call(.openSession(totalSize: 30)), .state(.finishing)])
        try rig.finish()
    }

    @Test func otherRefusalsOfTheEarlySessionAreHeldAgainstNoWrite() throws {
        let rig = Rig()
        rig.hint(30)
        rig.write(0..<10)
        try rig.failCall(.sessionRefused)
        #expect(objection(rig, writingTo: 30) == nil)
    }
}

@Suite struct TypeRefusalsTests {
    private let start = ContinuousClock.now
    private let refusal = UploadFailure(.typeRefused, message: "The type parameter is invalid.")

    /// What is known after an audio file was refused at `start`, and accepted as a video.
    private var known: TypeRefusals {
        var refusals = TypeRefusals()
        refusals.refused(refusal, at: start)
        refusals.opened(as: .video, for: .audio)
        return refusals
    }

    @Test func nothingIsKnownAtFirst() {
        #expect(TypeRefusals().refusal(of: .audio, at: start) == nil)
    }

    @Test func aRefusalCountsOnceTheFileWasAcceptedAsAVideo() {
        var refusals = TypeRefusals()
        refusals.refused(refusal, at: start)
        #expect(refusals.refusal(of: .audio, at: start) == nil)
        refusals.opened(as: .video, for: .video)
        #expect(refusals.refusal(of: .audio, at: start) == nil, "a video proves nothing")
        refusals.opened(as: .video, for: .audio)
        #expect(refusals.refusal(of: .audio, at: start) == refusal)
        #expect(refusals.refusal(of: .video, at: start) == nil)
    }

    @Test func itIsForgottenAfterADayHoweverManyUploadsRelyOnIt() {
        var refusals = known
        for hour in 0..<24 {
            #expect(refusals.refusal(of: .audio, at: start + .seconds(hour * 3600)) == refusal)
            refusals.opened(as: .video, for: .audio)
        }
        #expect(refusals.refusal(of: .audio, at: start + TypeRefusals.lifetime) == nil)
    }

    @Test func aTypeThatIsAcceptedIsNotRefusedAnyMore() {
        var refusals = known
        refusals.opened(as: .audio, for: .audio)
        #expect(refusals.refusal(of: .audio, at: start) == nil)
    }

    @Test func whatIsRefusedAfterADayIsKnownForAnother() {
        var refusals = known
        let later = start + TypeRefusals.lifetime
        refusals.refused(refusal, at: later)
        refusals.opened(as: .video, for: .audio)
        #expect(refusals.refusal(of: .audio, at: later + .seconds(3600)) == refusal)
    }
}
