import FileTree
import Filesystem
import FuseLowLevel
import SandboxPlatform
import TestSupport
import Testing
import UploadCore
import UploadEngine

/// A small file that is removed at any moment of its upload: what the platform holds in the end is what the documents say.
@Suite(.timeLimit(.minutes(2)))
struct RemovalDuringUploadTests {
    private static let tries = 500

    @Test("A removed file has no asset, or a document that calls it completed", .shows("remove-late"))
    func theDocumentsAgreeWithThePlatform() async throws {
        var rng = SplitMix64.seeded()
        try await InProcess.run { run in
            var uploads: [Upload] = []
            var withdrawn = 0
            for number in 0..<Self.tries {
                let name = "a\(number).mp4"
                let handle = try run.create(name)
                try run.write([1, 2, 3], to: handle)
                uploads.append(try #require(run.engine.uploads.last))
                let delay = Duration.microseconds(Int.random(in: 0...8_000, using: &rng))
                async let closed = run.close(handle)
                try await Task.sleep(for: delay)
                try run.filesystem.namespace.removeFile(Array(name.utf8), in: .root)
                if uploads[number].currentState == .finishing { withdrawn += 1 }
                _ = await closed
                run.filesystem.committer.release(handle)
            }
            try await eventually("nothing is on its way") {
                uploads.allSatisfy { !$0.currentState.isUnderWay }
            }
            let documents = uploads.map { $0.status() }
            let completed = Set(documents.filter { $0.state == .completed }.compactMap(\.assetID))
            let assets = Set(try await run.sandbox.completeAssets().map(\.assetID))
            #expect(assets == completed, "\(assets.symmetricDifference(completed))")
            print("of \(Self.tries) removed files \(completed.count) were completed before, \(withdrawn) perhaps")
        }
    }

    /// Its last report has no answer yet. Its bytes are not needed to see to its asset.
    @Test("The space of a removed file is free, whatever the platform says of it", .shows("remove-late"))
    func itsSpaceIsFree() async throws {
        try await InProcess.run(spoolLimit: .mebibytes(24)) { run in
            let upload = try await Self.removeBeforeTheAnswer("a.mp4", of: 8 << 20, run)
            #expect(upload.currentState == .finishing)
            #expect(try run.spool.space().used.bytes == 0)
            #expect(!run.filesystem.throttle.isSpaceComing)
            run.sandbox.clearFaults()
            #expect(await upload.end() == .cancelled)
        }
    }

    @Test("What is withdrawn cannot be cancelled once more: whoever has the file open reads on", .shows("remove-open"))
    func itCannotBeCancelledOnceMore() async throws {
        try await InProcess.run { run in
            func expectThatItIsReadOn(_ node: NodeID, _ reader: UInt64) throws {
                #expect(throws: FuseErrno.invalidArgument) {
                    try run.filesystem.attributes.set(
                        Array(UploadControl.attribute.utf8), to: Array("cancel".utf8), flags: [],
                        of: InodeNumber(rawValue: node.rawValue), context: InProcess.caller(1))
                }
                #expect(try run.filesystem.content.read(reader, at: 0, count: 2000).count == 1000)
            }
            let upload = try await Self.removeBeforeTheAnswer("a.mp4", of: 1000, whileOpen: expectThatItIsReadOn, run)
            run.sandbox.clearFaults()
            #expect(await upload.end() == .cancelled)
        }
    }

    /// The process is killed before the platform has answered. The file is not there again, and its asset is deleted.
    @Test("A removed file stays removed over a kill", .shows("remove-late"))
    func itStaysRemoved() async throws {
        try await InProcess.run { run in
            let upload = try await Self.removeBeforeTheAnswer("a.mp4", of: 1000, run)
            try await run.journal.written(durably: false)
            let restored = try run.restore()
            #expect(throws: FuseErrno.noSuchFileOrDirectory) {
                _ = try restored.namespace.lookup(Array("a.mp4".utf8), in: .root)
            }
            run.sandbox.clearFaults()
            #expect(await upload.end() == .cancelled)
        }
    }

    /// A file whose last report the platform has, and answers later; removed at that moment.
    ///
    /// - Parameter whileOpen: called when it is removed, with a handle that reads.
    private static func removeBeforeTheAnswer(
        _ name: String, of size: Int, whileOpen: (NodeID, UInt64) throws -> Void = { _, _ in }, _ run: InProcess
    ) async throws -> Upload {
        var late = InjectedFault(on: [.report], .hang)
        late.when = .after
        late.count = nil
        run.sandbox.add(late)
        let handle = try run.create(name)
        try run.write([UInt8](repeating: 7, count: size), to: handle)
        async let closed = run.close(handle)
        try await eventually("the asset is complete") { try await run.sandbox.completeAssets().count == 1 }
        let node = try run.node(name)
        let reader = try run.filesystem.open(
            node, flags: FileOpenFlags(rawValue: 0), context: InProcess.caller(7)
        ).handle
        try run.filesystem.namespace.removeFile(Array(name.utf8), in: .root)
        _ = await closed
        run.filesystem.committer.release(handle)
        try whileOpen(node, reader)
        run.filesystem.committer.release(reader)
        return try #require(run.engine.uploads.last)
    }
}
