import Foundation
import TestSupport
import Testing

extension Mounted {
    /// `twelvefs wait` tells what became of a file.
    @Suite struct Waiting {
        private func wait(_ path: String, _ options: String...) async throws -> Outcome {
            try await run(Tool(BuildProducts.twelvefs, ["wait", path] + options))
        }

        @Test(.shows("wait-status", "wait-ready")) func itReturnsWhenTheUploadIsDoneAndTheAssetReady() async throws {
            try await withMount(sandbox: ["--processing-time", "300ms"]) { stage in
                let source = try await stage.source(size: 3_000_000)
                let video = stage.mount.appending("video.mp4")
                #expect(try await run("cp", source, video).succeeded)
                #expect(try await wait(video).succeeded)
                #expect(try await wait(video, "--ready").succeeded)
                #expect(try await stage.mount.status(of: "video.mp4").assetStatus == "ready")
            }
        }

        @Test(.shows("wait-status")) func itTellsTimeOutFromFailure() async throws {
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

        /// Starts waiting beside the test, and returns once the command runs.
        private func startWaiting(_ stage: Stage, _ path: String) async throws -> RunningTool {
            let waiting = try await start(Tool(BuildProducts.twelvefs, ["wait", path]))
            try await eventually("it waits") {
                RunningProcesses.arguments(of: waiting.pid).contains("wait")
            }
            return waiting
        }

        @Test func itReturnsWithWhatTheUploadComesTo() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.holdUploads()
                let (one, two) = (stage.mount.appending("one.mp4"), stage.mount.appending("two.mp4"))
                let first = try await start(Tool("cp", [source, one]))
                let second = try await start(Tool("cp", [source, two]))
                try await stage.mount.await("finishing", of: "one.mp4")
                try await stage.mount.await("finishing", of: "two.mp4")
                let arrives = try await startWaiting(stage, one)
                let ends = try await startWaiting(stage, two)
                #expect(try await run("rm", two).succeeded)
                try await stage.sandbox.releaseUploads()
                #expect(try await arrives.finished().succeeded)
                let ended = try await ends.finished()
                #expect(ended.ending == .exited(1), "\(ended)")
                #expect(ended.errors.split(separator: "\n").count == 1, "\(ended)")
                #expect(try await first.finished().succeeded)
                #expect(try await !second.finished().succeeded)
            }
        }

        @Test func itTellsWhyAnUploadFailed() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 6_000_000)
                let refusal = #"{"code":"parameter_invalid","message":"no such thing is taken here"}"#
                try await stage.sandbox.inject(Fault(on: .create, count: 1000, .status(400, body: refusal)))
                #expect(try await !run("cp", source, stage.mount.appending("video.mp4")).succeeded)
                let failed = try await wait(stage.mount.appending("video.mp4"))
                #expect(failed.ending == .exited(1))
                #expect(failed.errors.contains("no such thing is taken here"), "\(failed)")
            }
        }

        @Test func itTellsThatTheWriterDidNotFinish() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                let video = stage.mount.appending("video.mp4")
                let writer = try await StepwiseWriter.start(source, video, in: stage.scratch)
                #expect(try await writer.write(3_000_000) == "ok")
                #expect(try await wait(video, "--timeout", "0").ending == .exited(2), "it is still being written")
                writer.signal(SIGKILL)
                try await stage.mount.await("interrupted", of: "video.mp4")
                let interrupted = try await wait(video)
                #expect(interrupted.ending == .exited(1))
                #expect(interrupted.errors.contains("killed"), "\(interrupted)")
            }
        }

        @Test func itTellsThatSomebodyCancelledIt() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                let video = stage.mount.appending("video.mp4")
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, video]))
                try await stage.mount.await("finishing", of: "video.mp4")
                let waiting = try await startWaiting(stage, video)
                #expect(try await run(BuildProducts.twelvefs, "cancel", video).succeeded)
                let cancelled = try await waiting.finished()
                #expect(cancelled.ending == .exited(1), "\(cancelled)")
                #expect(cancelled.errors.contains("cancelled"), "\(cancelled)")
                #expect(try await !copy.finished().succeeded)
            }
        }

        /// That the bytes are there is one thing, that the platform can use them another.
        @Test(.shows("wait-ready")) func anAssetThatFailsIsACompletedUploadThatNeverGetsReady() async throws {
            try await withMount(sandbox: ["--processing-time", "1h"]) { stage in
                let source = try await stage.source(size: 6_000_000)
                let video = stage.mount.appending("video.mp4")
                #expect(try await run("cp", source, video).succeeded)
                #expect(try await wait(video).succeeded)
                let late = try await wait(video, "--ready", "--timeout", "0")
                #expect(late.ending == .exited(2), "\(late)")
                let assetID = try #require(try await stage.mount.status(of: "video.mp4").assetId)
                let answer = #"{"_id":"\#(assetID)","status":"failed","error":{"message":"there is no picture in it"}}"#
                try await stage.sandbox.inject(Fault(on: .asset, count: 1000, .status(200, body: answer)))
                let failed = try await wait(video, "--ready")
                #expect(failed.ending == .exited(1))
                #expect(failed.errors.contains("no picture"), "\(failed)")
                #expect(try await wait(video).succeeded, "its bytes are on the platform")
            }
        }

        @Test func anAssetOfWhichThePlatformTellsNothingIsAnEnd() async throws {
            try await withMount { stage in
                try await stage.sandbox.inject(Fault(on: .asset, count: 1000, .refusal("read_not_allowed")))
                let source = try await stage.source(size: 3_000_000)
                let video = stage.mount.appending("video.mp4")
                #expect(try await run("cp", source, video).succeeded)
                let unknown = try await wait(video, "--ready")
                #expect(unknown.ending == .exited(1), "\(unknown)")
                #expect(unknown.errors.contains("read_not_allowed"), "\(unknown)")
                #expect(try await stage.mount.status(of: "video.mp4").assetStatus == "unknown")
                #expect(try await wait(video).succeeded, "its bytes are on the platform")
            }
        }

        @Test func anAssetOfAnotherSizeIsNotTheFile() async throws {
            try await withMount(sandbox: ["--processing-time", "1h"]) { stage in
                let source = try await stage.source(size: 3_000_000)
                let video = stage.mount.appending("video.mp4")
                #expect(try await run("cp", source, video).succeeded)
                let assetID = try #require(try await stage.mount.status(of: "video.mp4").assetId)
                let answer = #"{"_id":"\#(assetID)","status":"ready","size":2999999}"#
                try await stage.sandbox.inject(Fault(on: .asset, count: 1000, .status(200, body: answer)))
                let other = try await wait(video, "--ready")
                #expect(other.ending == .exited(1), "\(other)")
                #expect(other.errors.contains("size_differs"), "\(other)")
                let metrics = String(decoding: try await stage.mount.read(".status/metrics"), as: UTF8.self)
                #expect(metrics.contains("twelvefs_assets_size_differs 1\n"))
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
