import Foundation
import TestSupport
import Testing

extension Mounted {
    /// ffmpeg writes straight into the mount, and goes back in the file as its formats want it.
    @Suite struct Muxers {
        @Test(arguments: [
            ["video.mp4"], ["-movflags", "frag_keyframe+empty_moov", "video.mp4"],
            ["-movflags", "+faststart", "video.mp4"], ["video.mkv"], ["-f", "mpegts", "video.ts"],
            ["-movflags", "+faststart", "video.mov"],
        ])
        func oneAssetComesOfEachFormat(arguments: [String]) async throws {
            try await withMount(sandbox: ["--chunk-size", "256KiB"]) { stage in
                let name = try #require(arguments.last)
                let source = try await TestFile.video(at: stage.scratch.appending("camera.mp4"), seconds: 8)
                let muxing = try await run(
                    Tool(
                        "ffmpeg",
                        ["-v", "error", "-nostdin", "-i", source, "-c", "copy"] + arguments.dropLast()
                            + [stage.mount.appending(name)]))
                #expect(muxing.succeeded, "\(muxing)")
                #expect(muxing.errors.isEmpty, "\(muxing)")
                let asset = try #require(try await stage.sandbox.completeAssets().first)
                #expect(asset.size > 5 << 20, "the video is meant to be larger than what opens a session")
                let copy = stage.scratch.appending("read back")
                let read = try await run("cp", stage.mount.appending(name), copy)
                #expect(read.succeeded, "\(read)")
                try await expectOneAsset(name, like: copy, on: stage)

                let probe = try await run(
                    "ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets",
                    "-of", "csv=p=0", stage.mount.appending(name))
                #expect(probe.succeeded, "\(probe)")
                #expect(probe.errors.isEmpty, "\(probe)")
                #expect(probe.output.contains("h264,200"), "eight seconds of 25 pictures: \(probe)")
                // The camera's file is about as large: a guess that is wrong, so that the session is abandoned.
                let abandoned = try await stage.mount.status(of: name).abandonedUploadIds
                let refused = try await stage.sandbox.journal().refused
                #expect(refused.allSatisfy { abandoned.contains($0.uploadID ?? "") }, "\(refused)")
                try await expectThatOnlyCompleteAssetsAreKept(on: stage)
            }
        }

        @Test func aTranscodingThatIsKilledMakesNoAsset() async throws {
            try await withMount(sandbox: ["--chunk-size", "256KiB"]) { stage in
                let muxing = try await start(
                    Tool(
                        "ffmpeg",
                        [
                            "-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25",
                            "-c:v",
                            "rawvideo", "-f", "matroska", stage.mount.appending("video.mkv"),
                        ]))
                try await eventually("some of it is written") {
                    try await stage.mount.status(of: "video.mkv").bytesWritten > 6_000_000
                }
                muxing.signal(SIGKILL)
                _ = try await muxing.finished()
                try await expectNoAsset(of: "video.mkv", on: stage)
            }
        }
    }
}
