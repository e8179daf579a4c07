import TestSupport
import Testing

extension Mounted {
    /// Where a chunk begins and ends.
    @Suite struct SizesAtTheEdges {
        @Test(arguments: [1, 5_242_879, 5_242_880, 5_242_881, 10_485_760])
        func everyByteArrives(size: Int) async throws {
            try await withMount { stage in
                try await Self.copy(size: size, chunkSize: 5 << 20, on: stage)
            }
        }

        @Test func aFileOf820Chunks() async throws {
            try await withMount(sandbox: ["--chunk-size", "64KiB"]) { stage in
                let size = 820 * 65_536 - 7
                try await Self.copy(size: size, chunkSize: 65_536, on: stage)
                let asked = try await stage.sandbox.journal().requests(.urls)
                #expect(asked.count >= 810 / 50, "at most 50 URLs come with one call")
            }
        }

        @Test(.shows("close-empty")) func anEmptyFileMakesNoSession() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 0)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let touch = try await run("touch", stage.mount.appending("other.mp4"))
                #expect(touch.succeeded, "\(touch)")
                // A file with content goes through after them, so whatever the empty ones would have asked for has been asked.
                let content = try await run("cp", try await stage.source("third.mp4", size: 10), stage.mount.path)
                #expect(content.succeeded, "\(content)")
                #expect(try await stage.sandbox.journal().requests(.create).compactMap(\.filename) == ["third.mp4"])
                #expect(try await stage.mount.list() == ["other.mp4", "third.mp4", "video.mp4"])
            }
        }

        private static func copy(size: Int, chunkSize: Int, on stage: Stage) async throws {
            let source = try await stage.source(size: size)
            let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
            #expect(copy.succeeded, "\(copy)")
            let journal = try await stage.sandbox.journal()
            let chunks = (size + chunkSize - 1) / chunkSize
            #expect(journal.storedPuts.compactMap(\.chunkIndex).sorted() == Array(1...chunks))
            #expect(journal.storedPuts.compactMap(\.bytes).reduce(0, +) == size)
            #expect(journal.refused.isEmpty, "\(journal.refused)")
            let asset = try #require(try await stage.assets(named: "video.mp4").first)
            #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
        }
    }
}
