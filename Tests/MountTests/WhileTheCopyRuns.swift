import TestSupport
import Testing

extension Mounted {
    /// A writer whose source is open tells the size, and the upload runs beside the copy.
    @Suite struct WhileTheCopyRuns {
        private static let size = 200_000_000
        private static let chunkSize = 5 << 20
        private static let chunks = (size + chunkSize - 1) / chunkSize

        @Test(.shows("size-known")) func allChunksButTheLastFourAreStoredBeforeTheLastWrite() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: Self.size)
                let outcome = try await run(
                    PacedCopy.tool(source, stage.mount.appending("video.mp4"), rate: 40_000_000))
                #expect(outcome.succeeded, "\(outcome)")
                let copy = try PacedCopy.decode(outcome)
                let lastWrite = try #require(copy.lastWrite)

                let journal = try await stage.sandbox.journal()
                let storedInTime = Set(
                    journal.storedPuts.filter { ($0.finished ?? .infinity) < lastWrite }.compactMap(\.chunkIndex))
                #expect(storedInTime.isSuperset(of: 1...(Self.chunks - 4)), "\(storedInTime.sorted())")
                #expect(journal.peakConcurrentPuts <= 4)
                #expect(journal.refused.isEmpty, "\(journal.refused)")
                #expect(journal.requests.allSatisfy { $0.carriedAPIKey != ($0.kind == .put) })

                let session = try #require(journal.sessions.first)
                #expect(journal.sessions.count == 1)
                #expect(session.totalSize == Self.size)
                #expect(session.filename == "video.mp4")
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
                // The default, whatever the sandbox would take.
                #expect(asset.type == "video")
            }
        }

        @Test(.shows("close-confirmed")) func everyChunkIsSentOnceAndReportedBeforeCpReturns() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: Self.size)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")

                let journal = try await stage.sandbox.journal()
                #expect(journal.storedPuts.compactMap(\.chunkIndex).sorted() == Array(1...Self.chunks))
                #expect(journal.requests(.put).count == Self.chunks)
                let reports = journal.requests(.report)
                #expect(reports.allSatisfy { $0.succeeded && ($0.finished ?? .infinity) <= copy.ended })
                #expect(reports.reduce(0) { $0 + ($1.duplicateChunks ?? 0) } == 0)
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.size == Self.size)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }

        @Test func whenCpReturnsTheStatusSaysCompletedAndSoonReady() async throws {
            try await withMount(sandbox: ["--processing-time", "500ms"]) { stage in
                let source = try await stage.source(size: 12_000_000)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.state == "completed")
                #expect(status.chunksCompleted == 3)
                #expect(status.sizeSource == "copied-source")
                #expect(status.bytesUploaded == 12_000_000)
                try await eventually("the asset is ready") {
                    try await stage.mount.status(of: "video.mp4").assetStatus == "ready"
                }
            }
        }

        @Test func aRealVideoArrivesAsItWas() async throws {
            try await withMount { stage in
                let video = try await TestFile.video(at: stage.scratch.appending("holiday.mp4"), seconds: 12)
                let copy = try await run("cp", video, stage.mount.appending("holiday.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let asset = try #require(try await stage.assets(named: "holiday.mp4").first)
                #expect(asset.size > 2 * Self.chunkSize, "the video is meant to have several chunks")
                #expect(asset.sha256 == (try await TestFile.sha256(of: video)))
            }
        }

        @Test func moreURLsAreAskedForAheadOfNeed() async throws {
            try await withMount(sandbox: ["--chunk-size", "512KiB", "--initial-urls", "3", "--urls-per-call", "7"]) {
                stage in
                let source = try await stage.source(size: 30_000_000)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let journal = try await stage.sandbox.journal()
                #expect(journal.requests(.urls).count > 1, "three and seven are too few for all at once")
                #expect(journal.refused.isEmpty, "\(journal.refused)")
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }
    }
}
