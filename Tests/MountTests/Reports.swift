import TestSupport
import Testing

extension Mounted {
    /// The platform takes at most fifty chunks in a report.
    @Suite struct Reports {
        private static let chunk = 16 << 10

        private func copy(chunks: Int, to stage: Stage) async throws -> (source: String, target: String) {
            (
                try await stage.source(size: chunks * Self.chunk - 100),
                stage.mount.appending("video.mp4")
            )
        }

        private func expectSoundReports(of chunks: Int, on stage: Stage) async throws -> SandboxJournal {
            let journal = try await stage.sandbox.journal()
            #expect(journal.sessions.count == 1)
            let reports = journal.requests(.report)
            #expect(reports.allSatisfy { $0.succeeded && (1...50).contains($0.chunkIndices?.count ?? 0) })
            #expect(reports.flatMap { $0.chunkIndices ?? [] }.sorted() == Array(1...chunks))
            #expect(journal.peakConcurrent(.report) <= 8)
            #expect(journal.requests(.status).isEmpty, "an answer to a report says that it is complete")
            return journal
        }

        @Test(arguments: [1, 50, 51, 300, 820])
        func oneAssetComesOfACopyOfSoManyChunks(chunks: Int) async throws {
            try await withMount(sandbox: ["--chunk-size", "16KiB"]) { stage in
                let (source, target) = try await copy(chunks: chunks, to: stage)
                let copy = try await run("cp", source, target)
                #expect(copy.succeeded, "\(copy)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                _ = try await expectSoundReports(of: chunks, on: stage)
            }
        }

        @Test func manyChunksAreReportedEightReportsAtATime() async throws {
            try await withMount(sandbox: ["--chunk-size", "16KiB"]) { stage in
                let (source, target) = try await copy(chunks: 820, to: stage)
                try await stage.sandbox.inject(Fault(on: .report, count: 1000, .hang))
                let copy = try await start(Tool("cp", [source, target]))
                try await eventually("as many reports as may be are on their way") {
                    try await stage.sandbox.journal().requests(.report).count == 8
                }
                try await stage.sandbox.clearFaults()
                let outcome = try await copy.finished()
                #expect(outcome.succeeded, "\(outcome)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                let journal = try await expectSoundReports(of: 820, on: stage)
                #expect(journal.peakConcurrent(.report) == 8)
            }
        }
    }
}
