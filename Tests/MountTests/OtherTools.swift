import Foundation
import TestSupport
import Testing

/// A piece of shell that makes the video `$2` from the file `$1`.
struct OtherTool: Sendable, CustomTestStringConvertible {
    let script: String
    /// The file it makes, made outside the mount; `$1` and `$2` as in ``script``.
    var content = #"cp "$1" "$2""#

    var testDescription: String { script }

    static let all = [
        OtherTool(script: #"cp -a "$1" "$2""#),
        OtherTool(script: #"cp --sparse=always "$1" "$2""#),
        OtherTool(script: #"cp --reflink=auto --preserve=all "$1" "$2""#),
        OtherTool(script: #"install -m 640 "$1" "$2""#),
        OtherTool(script: #"tee "$2" < "$1" > /dev/null"#),
        OtherTool(script: #"cat "$1" | tee "$2" > /dev/null"#),
        OtherTool(script: #"head -c 7000001 "$1" > "$2""#, content: #"head -c 7000001 "$1" > "$2""#),
        OtherTool(script: #"tail -c 7000001 "$1" > "$2""#, content: #"tail -c 7000001 "$1" > "$2""#),
        OtherTool(script: #"pv -q "$1" > "$2""#),
        OtherTool(script: #"dd if="$1" of="$2" bs=1M count=7 status=none"#, content: #"head -c 7M "$1" > "$2""#),
        OtherTool(
            script: #"dd if="$1" of="$2" bs=1M seek=3 conv=notrunc status=none"#,
            content: #"{ head -c 3M /dev/zero; cat "$1"; } > "$2""#),
        OtherTool(script: #"dd if="$1" of="$2" bs=1M oflag=append conv=notrunc,fsync status=none"#),
        OtherTool(script: #"dd if="$1" of="$2" bs=1M oflag=direct,dsync iflag=fullblock status=none"#),
        OtherTool(
            script: """
                python3 -c '
                import shutil, sys
                with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb", buffering=0) as target:
                    while block := source.read(4096):
                        target.write(block)
                ' "$1" "$2"
                """),
        OtherTool(
            script: """
                python3 -c '
                import mmap, sys
                content = open(sys.argv[1], "rb").read()
                with open(sys.argv[2], "w+b") as target:
                    target.write(bytes(len(content)))
                    for start in reversed(range(0, len(content), 65536)):
                        target.seek(start)
                        target.write(content[start:start + 65536])
                ' "$1" "$2"
                """),
        OtherTool(script: #"python3 -c 'import shutil, sys; shutil.copy2(sys.argv[1], sys.argv[2])' "$1" "$2""#),
        OtherTool(script: #"cp "$1" "$1.part" && mv "$1.part" "$2""#),
        OtherTool(script: #"cp "$1" "$2.part" && mv "$2.part" "$2""#),
        OtherTool(script: #"cp "$1" "$(dirname "$2")/.tmp" && mv "$(dirname "$2")/.tmp" "$2""#),
    ]
}

extension Mounted {
    /// Tools that write in one way or another, and none that knows where.
    @Suite struct OtherTools {
        private static let size = 9_000_001

        @Test(arguments: OtherTool.all)
        func makeOneAsset(tool: OtherTool) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source("source.mp4", size: Self.size)
                let expected = stage.scratch.appending("expected.mp4")
                let prepared = try await shell(tool.content, source, expected)
                #expect(prepared.succeeded, "\(prepared)")
                let outcome = try await shell(tool.script, source, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.errors.isEmpty, "\(outcome)")
                let status = try await stage.mount.await("completed", of: "video.mp4")
                let asset = try #require(try await stage.sandbox.completeAssets().first)
                #expect(asset.assetID == status.assetId)
                let refused = try await stage.sandbox.journal().refused
                // A guess that was wrong: what was still on its way when its session was abandoned is refused.
                #expect(refused.allSatisfy { status.abandonedUploadIds.contains($0.uploadID ?? "") }, "\(refused)")
                #expect(status.supersededUploadIds.isEmpty)
                try await expectOneAsset("video.mp4", like: expected, on: stage)
                try await expectThatOnlyCompleteAssetsAreKept(on: stage)
            }
        }

        /// Downloads, from a server that tells the length.
        @Test(arguments: [
            #"curl -sS -f -o "$2" "$1""#, #"curl -sS -f "$1" > "$2""#, #"wget -q -O "$2" "$1""#,
            #"wget -q -O - "$1" > "$2""#,
            #"cd "$(dirname "$2")" && curl -sS -f -O "$1""#,
        ])
        func downloadsMakeOneAsset(script: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: Self.size)
                let server = try await WebServer.start(in: stage.scratch)
                let outcome = try await shell(script, "\(server)/video.mp4", stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                // curl leaves the descriptors that it got to its exit, whose close nobody can wait for.
                try await stage.mount.await("completed", of: "video.mp4")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                #expect(try await stage.sandbox.journal().refused.isEmpty)
            }
        }

        @Test(.shows("name-aria2"), arguments: ["none", "trunc", "prealloc", "falloc"])
        func aria2MakesOneAssetHoweverItAllocates(allocation: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: Self.size)
                let server = try await WebServer.start(in: stage.scratch)
                let outcome = try await run(
                    "aria2c", "-q", "--no-conf", "--file-allocation=\(allocation)", "--auto-save-interval=1",
                    "-d", stage.mount.path, "-o", "video.mp4", "\(server)/video.mp4")
                #expect(outcome.succeeded, "\(outcome)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                #expect(try await stage.mount.list() == ["video.mp4"])
                let log = try String(contentsOfFile: stage.mount.logFile, encoding: .utf8)
                #expect(!log.contains("was refused"), "its own files are not in its way")
            }
        }

        @Test(arguments: [SIGINT, SIGTERM, SIGKILL])
        func anAria2ThatIsEndedHalfWayMakesNoAssetAndTheNextOneCompletes(signal: Int32) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: Self.size)
                let server = try await WebServer.start(in: stage.scratch)
                let arguments = [
                    "-q", "--no-conf", "-c", "--file-allocation=trunc", "--auto-save-interval=1", "-d",
                    stage.mount.path, "-o", "video.mp4", "\(server)/video.mp4",
                ]
                let download = try await start(Tool("aria2c", ["--max-download-limit=1M"] + arguments))
                try await eventually("it has written something, and said so in its own file") {
                    let written = try await stage.mount.status(of: "video.mp4").bytesWritten
                    let names = try await stage.mount.list()
                    return written > 0 && names.contains("video.mp4.aria2")
                }
                download.signal(signal)
                let outcome = try await download.finished()
                #expect(!outcome.succeeded, "\(outcome)")
                #expect(try await stage.sandbox.completeAssets().isEmpty)

                // What one that was killed has written is not continued: neither it nor aria2's own file is left.
                if signal == SIGKILL {
                    try await eventually("nothing is left") { try await stage.mount.list().isEmpty }
                }
                let next = try await run(Tool("aria2c", arguments))
                #expect(next.succeeded, "\(next)")
                try await stage.mount.await("completed", of: "video.mp4")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test(arguments: [
            #"tar -c -f "$1.tar" -C "$1" . && tar -x -f "$1.tar" -C "$2""#,
            #"tar -c -z -f "$1.tgz" -C "$1" . && tar -x -z -f "$1.tgz" -C "$2" --warning=all"#,
            #"tar -c -C "$1" . | tar -x -C "$2""#,
            #"(cd "$1" && zip -q -r ../a.zip .) && unzip -q "$1/../a.zip" -d "$2""#,
            #"cp -a "$1/." "$2""#, #"cp -r --preserve=all "$1/." "$2""#, #"mv "$1"/* "$2""#,
        ])
        func archivesAndFoldersMakeOneAssetOfEachFile(script: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let folder = try stage.scratch.folder("shoot")
                _ = try stage.scratch.folder("shoot/day 1/äöü")
                var sums: [String: String] = [:]
                for (name, size) in [("one.mp4", 7_000_000), ("day 1/two.mov", 3_000_000), ("day 1/äöü/three.mkv", 1)] {
                    let file = try await TestFile.random(at: "\(folder)/\(name)", size: size, seed: UInt64(size))
                    sums[name] = try await TestFile.sha256(of: file)
                }
                let outcome = try await shell(script, folder, stage.mount.path)
                #expect(outcome.succeeded, "\(outcome)")
                let assets = try await stage.sandbox.completeAssets()
                #expect(assets.map(\.filename).sorted() == ["one.mp4", "three.mkv", "two.mov"])
                #expect(Set(assets.map(\.sha256)) == Set(sums.values.map { $0 }))
                for (name, sum) in sums {
                    #expect(try await TestFile.sha256(of: stage.mount.appending(name)) == sum)
                }
            }
        }

        @Test func splitMakesAnAssetOfEachPiece() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: Self.size)
                let outcome = try await stage.shellInMount(
                    #"split -b 4M --additional-suffix=.mp4 "$1" piece- && cat piece-* | cmp - "$1""#, source)
                #expect(outcome.succeeded, "\(outcome)")
                let assets = try await stage.sandbox.completeAssets()
                #expect(assets.map(\.filename).sorted() == ["piece-aa.mp4", "piece-ab.mp4", "piece-ac.mp4"])
                #expect(assets.map(\.size).reduce(0, +) == Self.size)
            }
        }

        /// A file with holes: at its beginning, in the middle and at its end.
        @Test(.shows("holes")) func cpKeepsHolesAsZeros() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 1_000_000)
                let prepared = try await shell(
                    """
                    cp "$1" "$1.data"; : > "$1"; truncate -s 12M "$1"
                    dd if="$1.data" of="$1" bs=64K seek=32 conv=notrunc status=none
                    dd if="$1.data" of="$1" bs=64K seek=100 conv=notrunc status=none
                    """, source)
                #expect(prepared.succeeded, "\(prepared)")
                let outcome = try await run("cp", "--sparse=always", source, stage.mount.path)
                #expect(outcome.succeeded, "\(outcome)")
                let asset = try await expectOneAsset("video.mp4", like: source, on: stage)
                #expect(asset?.size == 12 << 20)
            }
        }

        @Test(.shows("change-new-version")) func ddInTheMiddleOfAFinishedFileMakesANewVersionOfTheWhole() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: Self.size)
                let patch = try await stage.source("patch", size: 500_000, seed: 3)
                let script = #"cp "$1" "$3" && dd if="$2" of="$3" bs=100K seek=20 conv=notrunc status=none"#
                let expected = stage.scratch.appending("expected.mp4")
                let prepared = try await shell(script, source, patch, expected)
                #expect(prepared.succeeded, "\(prepared)")
                let outcome = try await shell(script, source, patch, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                let status = try await stage.mount.await("completed", of: "video.mp4")
                let assets = try await stage.assets(named: "video.mp4")
                #expect(assets.count == 2)
                let sum = try await TestFile.sha256(of: expected)
                #expect(assets.first { $0.assetID == status.assetId }?.sha256 == sum)
                #expect(status.supersededUploadIds.count == 1)
            }
        }

        @Test func aCopyWithinTheKernelIsACopy() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 5_000_000)
                #expect(try await run("cp", source, stage.mount.appending("video.mp4")).succeeded)
                let script = """
                    import os, sys
                    source, target = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
                    while os.copy_file_range(source, target, 1 << 20): pass
                    os.close(target)
                    """
                let copy = try await run(
                    "python3", "-c", script, stage.mount.appending("video.mp4"), stage.mount.appending("copy.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let sum = try await TestFile.sha256(of: source)
                #expect(try await stage.assets(named: "copy.mp4").map(\.sha256) == [sum])
            }
        }
    }
}

/// Python's own web server.
enum WebServer {
    /// Serves a folder until the test ends; gives the base URL.
    static func start(in scratch: Scratch) async throws -> String {
        let tool = try await TestSupport.start(
            Tool(
                "python3", ["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", scratch.path, "0"]))
        let port: Substring = try await eventually("the web server listens") {
            guard tool.isRunning else { throw ToolFailed(outcome: try await tool.finished()) }
            // Serving HTTP on 127.0.0.1 port 12345 (http://…
            let words = tool.outputSoFar.split(separator: " ")
            return words.firstIndex(of: "port").flatMap { words.dropFirst($0 + 1).first }
        }
        return "http://127.0.0.1:\(port)"
    }
}
