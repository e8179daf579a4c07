import Testing
import UploadCore

import struct TestSupport.ShownStatements

/// What the spool may release of an upload, what becomes of it then, and how far its writer is ahead.
@Suite struct UploadStateMachineSpaceTests {
    /// A copy of 100 bytes of which `written` are there, in a session of ten chunks.
    private func copy(
        written: Int64 = 80, source: SizeHint.Source = .copiedSource,
        configuration: UploadStateMachine.Configuration = Rig.configuration
    ) throws -> Rig {
        let rig = Rig(configuration)
        rig.hint(100, source)
        rig.write(0..<written)
        try rig.open()
        return rig
    }

    private func released(_ rig: Rig) -> [Range<Int64>] {
        var ranges: [Range<Int64>] = []
        while let range = rig.machine.takeChunkToRelease() { ranges.append(range) }
        return ranges
    }

    /// Two of such chunks are more than a number can say.
    @Test func aSpoolIsTooSmallForChunksWhoseSizeHasNoDouble() throws {
        var configuration = Rig.configuration
        (configuration.sizeLimit, configuration.spaceLimit) = (.max, 1 << 40)
        let rig = Rig(configuration)
        rig.hint(.max, .declared)
        rig.write(0..<10)
        let (id, call) = try rig.takePending()
        #expect(call == .openSession(totalSize: .max))
        let plan = try ChunkPlan(totalSize: .max, chunkSize: .max - 1, totalChunks: 2)
        rig.apply(
            .sessionOpened(
                id, UploadSession(uploadID: "u", assetID: "a", urls: rig.urls(1...2), uploadHeaders: [], plan: plan)))
        #expect(rig.machine.failure?.code == "spool_limit_too_small")
    }

    /// One chunk for all, however large it is called: nothing of it is counted twice.
    @Test func aChunkLargerThanAnyFileIsTheWholeFile() throws {
        let rig = Rig()
        rig.hint(100)
        rig.write(0..<80)
        let (id, _) = try rig.takePending()
        let plan = try ChunkPlan(totalSize: 100, chunkSize: .max, totalChunks: 1)
        rig.apply(
            .sessionOpened(
                id, UploadSession(uploadID: "u", assetID: "a", urls: rig.urls(1...1), uploadHeaders: [], plan: plan)))
        #expect(rig.machine.bytes(ofChunks: 9) == 100)
        #expect(rig.machine.backlog == 0)
        rig.write(80..<100)
        #expect(rig.machine.backlog == 100)
        #expect(rig.machine.takeChunk(at: rig.now)?.range == 0..<100)
        #expect(rig.machine.backlog == 100)
    }

    @Test(.shows("space-certain")) func storedChunksAreReleasedButForTheFirstAndTheLast() throws {
        let rig = try copy(written: 100)
        #expect(released(rig).isEmpty, "nothing is stored yet")
        rig.storeAll()
        #expect(released(rig) == stride(from: Int64(10), to: 90, by: 10).map { $0..<$0 + 10 })
        rig.commit()
        try rig.finish()
    }

    @Test(.shows("space-certain"), arguments: [SizeHint.Source.readSource, .preallocated])
    func nothingIsReleasedOnAGuess(_ source: SizeHint.Source) throws {
        let rig = try copy(source: source)
        rig.storeAll()
        #expect(released(rig).isEmpty)
    }

    @Test(.shows("space-certain")) func nothingIsReleasedOnceAClosePromisedSomething() throws {
        let rig = try copy(written: 100)
        rig.storeAll()
        rig.commit()
        #expect(released(rig).isEmpty)
    }

    @Test(.shows("space-durable")) func nothingIsReleasedWhereCloseModeSpoolPromisesTheDisk() throws {
        var keeping = Rig.configuration
        keeping.releasesChunks = false
        let rig = try copy(written: 100, configuration: keeping)
        #expect(!rig.machine.hasReleasableChunksComing)
        rig.storeAll()
        #expect(released(rig).isEmpty)
        #expect(rig.machine.promiseRefusal == nil)
        rig.commit()
        try rig.finish()
    }

    @Test(.shows("fsync-released")) func theDiskIsPromisedAgainOnlyWhenAllIsConfirmed() throws {
        let rig = try copy(written: 100)
        rig.storeAll()
        #expect(rig.machine.promiseRefusal == nil)
        #expect(released(rig).count == 8)
        #expect(rig.machine.promiseRefusal?.kind == .noSpace)
        rig.commit()
        #expect(rig.machine.promiseRefusal?.code == "part_released", "stored is not confirmed")
        try rig.finish()
        #expect(rig.machine.promiseRefusal == nil)
    }

    @Test(.shows("space-released-fixed")) func whatWasReleasedCannotBeWrittenNorThePastOfTheEnd() throws {
        let rig = try copy()
        rig.storeAll()
        #expect(rig.machine.terms(forWriting: 20..<25).objection == nil)
        #expect(released(rig).count == 7)
        #expect(rig.machine.terms(forWriting: 20..<25).objection?.code == "part_given_up")
        #expect(rig.machine.terms(forWriting: 5..<11).objection?.code == "part_given_up")
        #expect(rig.machine.terms(forWriting: 95..<101).objection?.code == "part_given_up")
        #expect(rig.machine.terms(forWriting: 0..<10).objection == nil)
        #expect(rig.machine.terms(forWriting: 80..<100).objection == nil)
    }

    @Test func aWriteThatComesTooLateEndsTheUploadInsteadOfSendingZeros() throws {
        let rig = try copy()
        rig.storeAll()
        #expect(released(rig).count == 7)
        rig.write(20..<25)
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.failure?.code == "cannot_start_over")
    }

    @Test func anUploadThatWouldHaveToStartOverFailsAndSaysWhy() throws {
        let rig = try copy(written: 100)
        for order in rig.takeAll().dropLast() { rig.store(order) }
        #expect(released(rig).count == 8)
        rig.commit()
        try rig.failReport(with: 1, .sessionGone)
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.failure?.code == "cannot_start_over")
        #expect(rig.log.contains(.answered(.spoolFailed)))
        #expect(rig.log.contains(.abandon("asset-1")))
    }

    @Test(.shows("space-released-fixed")) func aFileThatIsEmptiedMayBeWrittenAnew() throws {
        let rig = try copy()
        rig.storeAll()
        #expect(released(rig).count == 7)
        rig.apply(.truncated(to: 0))
        rig.write(0..<100)
        rig.commit()
        try rig.finish()
    }

    @Test func aWriteWantsSpaceForItsWholeChunks() throws {
        let rig = try copy(written: 10)
        #expect(rig.machine.terms(forWriting: 12..<13).space == 10..<20)
        #expect(rig.machine.terms(forWriting: 18..<31).space == 10..<40)
        #expect(rig.machine.terms(forWriting: 95..<120).space == 90..<120)
    }

    @Test func aSpoolOfLessThanTwoChunksIsRefusedWhenTheSessionIsOpened() throws {
        var small = Rig.configuration
        small.spaceLimit = 19
        let rig = try copy(configuration: small)
        #expect(rig.machine.state == .failed)
        #expect(rig.machine.failure?.code == "spool_limit_too_small")
        #expect(rig.log.contains(.abandon("asset-1")))
        #expect(rig.machine.terms(forWriting: 80..<90).objection?.code == "spool_limit_too_small")
        var enough = Rig.configuration
        enough.spaceLimit = 20
        #expect(try copy(configuration: enough).machine.state == .open)
    }

    @Test func aWriterIsAheadByTheChunksThatAreNotStored() throws {
        let rig = try copy(written: 75)
        #expect(rig.machine.backlog == 70)
        let order = try #require(rig.take())
        #expect(rig.machine.backlog == 70)
        rig.store(order)
        #expect(rig.machine.backlog == 60)
        rig.storeAll()
        #expect(rig.machine.backlog == 0, "half a chunk cannot be sent: nobody is held back for it")
    }

    @Test func nobodyIsHeldBackByWhatWaitingCannotChange() throws {
        let unknown = Rig()
        unknown.write(0..<500)
        #expect(unknown.machine.backlog == 0)
        let refused = Rig()
        refused.hint(100)
        refused.write(0..<50)
        #expect(refused.machine.backlog == 50, "the session is being opened")
        try refused.failCall(.sessionRefused)
        #expect(refused.machine.backlog == 0)
    }
}
