import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Copiers that are told to end and close their files all the same; and those that end before their source on purpose.
    @Suite struct CutCopies {
        /// Each copies the file `$1` to `$2`, and closes both when it is told to end.
        private static let copiers = [
            #"exec dd if="$1" of="$2" bs=1M status=none"#,
            #"exec python3 -c 'import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])' "$1" "$2""#,
            #"exec python3 -c 'import shutil, sys; shutil.copy2(sys.argv[1], sys.argv[2])' "$1" "$2""#,
            #"""
            exec python3 -c '
            import shutil, sys
            with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
                shutil.copyfileobj(source, target)
            ' "$1" "$2"
            """#,
        ]

        @Test(
            "A copy that Ctrl-C ends is interrupted, and the next one is whole", .shows("asset-cut-copy"),
            arguments: copiers)
        func aCopyThatIsToldToEndMakesNoAsset(copier: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB", "--bandwidth", "4MiB/s"]) { stage in
                let source = try await stage.source(size: 84_000_000)
                let target = stage.mount.appending("video.mp4")
                let copy = try await start(.shell(copier, [source, target]))
                try await eventually("some of it is written") {
                    (try? await stage.mount.status(of: "video.mp4").bytesWritten) ?? 0 > 12_000_000
                }
                copy.signal(SIGINT)
                let ended = try await copy.finished()
                #expect(!ended.succeeded, "\(ended)")
                let status = try await expectInterrupted("video.mp4", on: stage)
                #expect(status.error?.hint?.contains("user.twelvelabs.total_size") == true, "\(status)")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await stage.sandbox.configure(["bandwidth": "1GiB/s"])
                let again = try await run(.shell(copier, [source, target]))
                #expect(again.succeeded, "\(again)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        /// Exit 0 and one whole asset, though the source is longer, or grows.
        @Test(
            .shows("asset-cut-copy"),
            arguments: copiers + [
                #"exec node -e 'require("fs").copyFileSync(process.argv[1], process.argv[2])' "$1" "$2""#,
                #"exec cp "$1" "$2""#, #"exec rsync --inplace "$1" "$2""#, #"exec rsync "$1" "$2""#,
            ])
        func aCopyOfASourceThatGrowsIsWhole(copier: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB", "--bandwidth", "16MiB/s"]) { stage in
                let source = try await stage.source(size: 30_000_000)
                let target = stage.mount.appending("video.mp4")
                // From when the copy is under way: Node takes the size from before its first write for that of the whole.
                let growing = try await start(
                    .shell(
                        #"""
                        until test -n "$(find "$2" "${2%/*}" -maxdepth 1 -name '*video.mp4*' -size +0 2> /dev/null)"; do sleep 0.01; done
                        while head -c 65536 /dev/zero >> "$1"; do sleep 0.1; done
                        """#, [source, target]))
                let copy = try await run(.shell(copier, [source, target]))
                growing.signal(SIGKILL)
                _ = try await growing.finished()
                #expect(copy.succeeded, "\(copy)")
                let assets = try await stage.sandbox.completeAssets()
                #expect(assets.count == 1)
                #expect(assets.first?.size ?? 0 >= 30_000_000)
            }
        }

        @Test(
            "What is written anew from a file of its name is whole, though it is shorter", .shows("asset-cut-copy"),
            arguments: ["video.mp4", "video.mkv", "video.ts"], [[], ["-t", "5"]])
        func aPartThatIsRemuxedIsWhole(name: String, options: [String]) async throws {
            try await withMount(sandbox: ["--chunk-size", "256KiB"]) { stage in
                let camera = try await TestFile.video(at: stage.scratch.appending("camera.mp4"), seconds: 8)
                let source = stage.scratch.appending(name)
                let made = try await run(
                    Tool("ffmpeg", ["-v", "error", "-nostdin", "-i", camera, "-c", "copy", source]))
                #expect(made.succeeded, "\(made)")
                let target = stage.mount.appending(name)
                let muxed = try await run(
                    Tool("ffmpeg", ["-v", "error", "-nostdin", "-i", source, "-c", "copy"] + options + [target]))
                #expect(muxed.succeeded, "\(muxed)")
                try await expectOneAsset(name, like: target, on: stage)
            }
        }

        @Test(
            "A part of a file is an error under its name, and an asset under another or with its size declared",
            .shows("asset-cut-copy"))
        func aPartIsTakenWhereItIsMeant() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 6_000_000)
                let part = #"head -c 3000000 < "$1" > video.mp4"#
                let refused = try await stage.shellInMount(#"dd if="$1" of=video.mp4 bs=1M count=3"#, source)
                #expect(!refused.succeeded)
                #expect(refused.errors.contains("Input/output error"), "\(refused)")
                let other = try await stage.shellInMount(#"dd if="$1" of=part.mp4 bs=1M count=3"#, source)
                #expect(other.succeeded, "\(other)")
                let declared = try await stage.shellInMount(
                    #"""
                    : >> video.mp4 &&
                        python3 -c 'import os; os.setxattr("video.mp4", "user.twelvelabs.total_size", b"3000000")' &&
                        \#(part)
                    """#, source)
                #expect(declared.succeeded, "\(declared)")
                let sizes = try await stage.sandbox.completeAssets().map(\.size).sorted()
                #expect(sizes == [3_000_000, 3 << 20])
            }
        }
    }
}
