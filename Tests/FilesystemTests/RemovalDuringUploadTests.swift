import FuseLowLevel
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
}
