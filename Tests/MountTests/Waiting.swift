import TestSupport
import Testing

extension Mounted {
    /// `twelvefs wait` tells what became of a file.
    @Suite struct Waiting {
        private func wait(_ path: String, _ options: String...) async throws -> Outcome {
            try await run(Tool(BuildProducts.twelvefs, ["wait", path] + options))
        }

        @Test func itReturnsWhenTheUploadIsDoneAndTheAssetReady() async throws {
            try await withMount(sandbox: ["--processing-time", "300ms"]) { stage in
                let source = try await stage.source(size: 3_000_000)
                let video = stage.mount.appending("video.mp4")
                #expect(try await run("cp", source, video).succeeded)
                #expect(try await wait(video).succeeded)
                #expect(try await wait(video, "--ready").succeeded)
                #expect(try await stage.mount.status(of: "video.mp4").assetStatus == "ready")
            }
        }

        @Test func itTellsTimeOutFromFailure() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                let video = stage.mount.appending("video.mp4")
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, video]))
                _ = try await stage.mount.await("finishing", of: "video.mp4")
                #expect(try await wait(video, "--timeout", "0").ending == .exited(2))
                #expect(try await run("rm", video).succeeded)
                let removed = try await wait(video)
                #expect(removed.ending == .exited(1))
                #expect(removed.errors.contains("removed"), "\(removed)")
                try await stage.sandbox.releaseUploads()
                #expect(!(try await copy.finished()).succeeded)
            }
        }

        @Test func aFileThatIsNoneIsToldSo() async throws {
            try await withMount { stage in
                let nothing = try await wait(stage.mount.appending("nothing.mp4"))
                #expect(nothing.ending == .exited(1))
                #expect(nothing.errors.contains("there is no upload"), "\(nothing)")
                let elsewhere = try await wait("/etc/hostname")
                #expect(elsewhere.ending == .exited(1))
                #expect(elsewhere.errors.contains("not in a twelvefs mount"), "\(elsewhere)")
            }
        }
    }
}
