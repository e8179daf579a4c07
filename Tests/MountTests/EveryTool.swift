import TestSupport
import Testing

/// A tool that puts `$1` at `$2`.
enum WritingTool: String, CaseIterable, CustomTestStringConvertible {
    case cp = "cp \"$1\" \"$2\""
    case cpKeepingTimes = "cp -p \"$1\" \"$2\""
    case mv = "mv \"$1\" \"$2\""
    case install = "install -m 600 \"$1\" \"$2\""
    case dd = "dd if=\"$1\" of=\"$2\" bs=1M status=none"
    case catRedirected = "cat \"$1\" > \"$2\""
    case shutil = "python3 -c 'import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])' \"$1\" \"$2\""
    case pipe = "cat \"$1\" | cat > \"$2\""
    case ddFromPipe = "cat \"$1\" | dd of=\"$2\" bs=64K status=none"

    var testDescription: String { rawValue }

    /// Whether the tool holds the file open that it copies, so that the size is known early.
    var showsItsSource: Bool {
        switch self {
        case .cp, .cpKeepingTimes, .mv, .install, .dd, .catRedirected, .shutil: true
        case .pipe, .ddFromPipe: false
        }
    }
}

extension Mounted {
    /// Every tool brings the same bytes.
    @Suite struct EveryTool {
        @Test(.shows("asset-same-bytes"), arguments: WritingTool.allCases)
        func bringsTheSameBytes(tool: WritingTool) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let size = 24_000_001
                let source = try await stage.source("take 1.mp4", size: size)
                let sum = try await TestFile.sha256(of: source)
                let folder = try await run("mkdir", "-p", stage.mount.appending("day 1/äöü"))
                #expect(folder.succeeded, "\(folder)")

                let outcome = try await shell(tool.rawValue, source, stage.mount.appending("day 1/äöü/take 1.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.errors.isEmpty, "\(outcome)")

                let assets = try await stage.sandbox.completeAssets()
                #expect(assets.map(\.filename) == ["take 1.mp4"])
                #expect(assets.first?.size == size)
                #expect(assets.first?.sha256 == sum)
                let journal = try await stage.sandbox.journal()
                #expect(journal.sessions.count == 1)
                #expect(journal.refused.isEmpty, "\(journal.refused)")

                let status = try await stage.mount.status(of: "day 1/äöü/take 1.mp4")
                #expect((status.sizeSource == "close") == !tool.showsItsSource, "\(status.sizeSource ?? "none")")
                let readBack = try await TestFile.sha256(of: stage.mount.appending("day 1/äöü/take 1.mp4"))
                #expect(readBack == sum)
            }
        }

        @Test(.shows("size-unknown")) func aPipesUploadStartsAtClose() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 16_000_000)
                let outcome = try await shell(
                    "cat \"$1\" | python3 \"$3\" - \"$2\" --rate 20000000", source, stage.mount.appending("video.mp4"),
                    "\(BuildProducts.tools)/paced_copy.py")
                #expect(outcome.succeeded, "\(outcome)")
                let lastWrite = try #require(try PacedCopy.decode(outcome).lastWrite)
                let session = try #require(try await stage.sandbox.journal().sessions.first)
                #expect(session.started > lastWrite)
                #expect(session.totalSize == 16_000_000)
            }
        }

        @Test func timesAndModesAreKept() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 6_000_000)
                let prepared = try await run("touch", "-d", "2020-02-03 04:05:06 UTC", source)
                #expect(prepared.succeeded, "\(prepared)")
                let copy = try await run("cp", "-p", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let mode = try await run("chmod", "640", stage.mount.appending("video.mp4"))
                #expect(mode.succeeded, "\(mode)")
                let seen = try await run("stat", "-c", "%Y %a %s", stage.mount.appending("video.mp4"))
                #expect(seen.output == "1580702706 640 6000000\n", "\(seen)")
            }
        }
    }
}
