import Foundation
import TestSupport
import Testing

extension Mounted {
    /// rsync, whose receiver writes under a temporary name, or not, and sees to times and modes at the end.
    @Suite struct Rsync {
        /// A file of the folder that is copied.
        private struct Take {
            var path: String
            var size: Int

            var name: String { path.split(separator: "/").last.map(String.init) ?? path }
        }

        /// Twenty files, nested, with names in several alphabets; two of them differ in their normalization only.
        private static let takes: [Take] =
            [
                Take(path: "empty.mp4", size: 0), Take(path: "one byte.mp4", size: 1),
                Take(path: "a/b/c/deep.mov", size: 5 << 20), Take(path: "a/ün ï cödé 日本.mkv", size: 12_000_000),
                Take(path: "a/caf\u{e9}.mp4", size: 300_000), Take(path: "a/cafe\u{301}.mp4", size: 300_001),
            ] + (1...13).map { Take(path: "day \($0 % 3)/take \($0).mp4", size: $0 * 250_000) }

        private static func folder(on stage: Stage, largest: Int) async throws -> (path: String, takes: [Take]) {
            let folder = try stage.scratch.folder("shoot")
            let takes = Self.takes + [Take(path: "a/the largest.mp4", size: largest)]
            for (number, take) in takes.enumerated() {
                let path = "\(folder)/\(take.path)"
                let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
                _ = try stage.scratch.folder(
                    String(parent.joined(separator: "/").dropFirst(stage.scratch.path.count + 1)))
                try await TestFile.random(at: path, size: take.size, seed: UInt64(number))
            }
            return (folder, takes)
        }

        @Test(arguments: [
            ["-a"], ["-a", "--inplace"], ["-a", "--preallocate"], ["-aP"], ["-a", "--delay-updates"],
            ["-a", "--append-verify"], ["-a", "--partial-dir=.rsync-partial"],
        ])
        func bringsAFolderAndTransfersNothingTheSecondTime(options: [String]) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                // The largest is as large as it gets where nothing but the name is special.
                let (folder, takes) = try await Self.folder(
                    on: stage, largest: options == ["-a"] ? 60_000_000 : 20_000_000)
                let target = stage.mount.appending("shoot")
                let copy = try await run(Tool("rsync", options + ["\(folder)/", "\(target)/"]))
                #expect(copy.succeeded, "\(copy)")
                #expect(copy.errors.isEmpty, "\(copy)")
                try await Self.expect(takes, from: folder, on: stage)

                for more in [[], ["-c"]] {
                    let again = try await run(
                        Tool("rsync", options + more + ["--stats", "\(folder)/", "\(target)/"]))
                    #expect(again.succeeded, "\(again)")
                    #expect(again.output.contains("Number of regular files transferred: 0\n"), "\(again)")
                }
                let compared = try await run("diff", "-r", folder, target)
                #expect(compared.succeeded, "\(compared)")
                let journal = try await stage.sandbox.journal()
                #expect(journal.sessions.count == takes.count - 1, "the empty one needs none, the others one each")
            }
        }

        /// Expects one asset of each file but the empty one, under its final name, and no session of any other name.
        private static func expect(_ takes: [Take], from folder: String, on stage: Stage) async throws {
            var expected: [String] = []
            for take in takes where take.size > 0 {
                expected.append("\(try await TestFile.sha256(of: "\(folder)/\(take.path)")) \(take.name)")
            }
            let assets = try await stage.sandbox.completeAssets()
            // By their bytes, in which the two normalizations of a name differ.
            let found = Set(assets.map { Array("\($0.sha256 ?? "none") \($0.filename)".utf8) })
            #expect(found == Set(expected.map { Array($0.utf8) }), "\(assets.map(\.filename))")
            let journal = try await stage.sandbox.journal()
            let names = Set(takes.map(\.name))
            #expect(journal.requests(.create).allSatisfy { names.contains($0.filename ?? "none") })
            #expect(journal.refused.isEmpty, "\(journal.refused)")
        }

        @Test func chunksAreSentBeforeItsLastWrite() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 32 << 20)
                let trace = stage.scratch.appending("trace")
                let copy = try await run(
                    "strace", "-f", "-ttt", "-y", "-e", "trace=write", "-o", trace,
                    "rsync", "-a", "--bwlimit=25000", source, "\(stage.mount.path)/")
                #expect(copy.succeeded, "\(copy)")
                // PID TIME write(3</…/.video.mp4.a1B2c3>, …
                let writes = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n").filter {
                    $0.contains("write(") && $0.contains("/.video.mp4.")
                }
                let last = try #require(writes.last?.split(separator: " ").dropFirst().first.flatMap { Double($0) })
                let journal = try await stage.sandbox.journal()
                let stored = Set(journal.storedPuts.filter { ($0.finished ?? .infinity) < last }.map(\.chunkIndex))
                #expect(stored.count >= 16, "\(stored.count) of 32 chunks were there before rsync's last write")
                #expect(journal.storedPuts.count == 32)
                #expect(journal.sessions.map(\.filename) == ["video.mp4"])
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test func theDirectoryCanBeListedWhileNothingMoves() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 8 << 20)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("rsync", ["-a", source, "\(stage.mount.path)/"]))
                // Its size is all there, so that what rsync does now is to wait in its close.
                try await eventually("rsync has written everything") {
                    let listing = try await stage.shellInMount("stat -c %s .video.mp4.*")
                    return listing.output == "\(8 << 20)\n"
                }
                for _ in 1...20 {
                    let listing = try await stage.shellInMount(
                        "ls -la && mkdir x && rmdir x && cat .status/summary.json")
                    #expect(listing.succeeded, "\(listing)")
                }
                #expect(copy.isRunning)
                try await stage.sandbox.releaseUploads()
                let outcome = try await copy.finished()
                #expect(outcome.succeeded, "\(outcome)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test func comesFromARemoteDaemonWithoutASource() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let (folder, takes) = try await Self.folder(on: stage, largest: 20_000_000)
                let daemon = try await RsyncDaemon.start(serving: folder, on: stage)
                let target = stage.mount.appending("shoot")
                let copy = try await run("rsync", "-a", "\(daemon.url)/", "\(target)/")
                #expect(copy.succeeded, "\(copy)")
                try await Self.expect(takes, from: folder, on: stage)
                let again = try await run("rsync", "-a", "--stats", "\(daemon.url)/", "\(target)/")
                #expect(again.output.contains("Number of regular files transferred: 0\n"), "\(again)")
            }
        }

        /// rsync sets space aside for one byte more or less than there will be: a guess that is always wrong.
        @Test(.shows("fallocate-keep-size"), arguments: [12_000_000, 12_000_001])
        func whatItPreallocatesCostsASessionAndNoBytes(size: Int) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let folder = try stage.scratch.folder("shoot")
                let source = try await TestFile.random(at: "\(folder)/video.mp4", size: size)
                let daemon = try await RsyncDaemon.start(serving: folder, on: stage)
                let copy = try await run(
                    "rsync", "-a", "--preallocate", "\(daemon.url)/video.mp4", "\(stage.mount.path)/")
                #expect(copy.succeeded, "\(copy)")
                let status = try await stage.mount.await("completed", of: "video.mp4")
                #expect(status.abandonedUploadIds.count == 1)
                #expect(status.sizeSource == "close")
                let guessed = try await stage.sandbox.journal().sessions.first?.totalSize
                #expect(try abs(#require(guessed) - size) == 1)
                try await expectOneAsset("video.mp4", like: source, on: stage)
                try await expectThatOnlyCompleteAssetsAreKept(on: stage)
            }
        }

        @Test(.shows("asset-completed-kept", "status-unlisted")) func deleteRemovesNamesAndNoAssetsAndNothingOfOurs()
            async throws
        {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let folder = try stage.scratch.folder("shoot")
                for name in ["one.mp4", "two.mp4"] {
                    try await TestFile.random(at: "\(folder)/\(name)", size: 2_000_000, seed: UInt64(name.utf8.count))
                }
                let root = "\(stage.mount.path)/"
                let copy = try await run("rsync", "-a", "--delete", "\(folder)/", root)
                #expect(copy.succeeded, "\(copy)")
                try FileManager.default.removeItem(atPath: "\(folder)/one.mp4")
                let second = try await run("rsync", "-a", "--delete", "\(folder)/", root)
                #expect(second.succeeded, "\(second)")
                #expect(try await stage.mount.list() == ["two.mp4"])
                #expect(try await stage.sandbox.completeAssets().map(\.filename).sorted() == ["one.mp4", "two.mp4"])
                #expect(try await stage.mount.status(of: "two.mp4").state == "completed")
            }
        }

        @Test func appendVerifyCompletesAFileThatHasGrown() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 6_000_000)
                let copy = try await run("cp", source, stage.mount.path)
                #expect(copy.succeeded, "\(copy)")
                let grown = try await shell(#"head -c 3000000 /dev/urandom >> "$1""#, source)
                #expect(grown.succeeded, "\(grown)")
                let append = try await run("rsync", "-a", "--append-verify", source, "\(stage.mount.path)/")
                #expect(append.succeeded, "\(append)")
                let status = try await stage.mount.await("completed", of: "video.mp4")
                #expect(status.totalSize == 9_000_000)
                let assets = try await stage.assets(named: "video.mp4")
                #expect(assets.map(\.size).sorted() == [6_000_000, 9_000_000])
                let sum = try await TestFile.sha256(of: source)
                #expect(assets.first { $0.assetID == status.assetId }?.sha256 == sum)
            }
        }
    }
}

/// An rsync that serves a folder on the loopback interface.
struct RsyncDaemon {
    /// What it serves.
    let url: String
    private let tool: RunningTool

    /// Starts one, which ends with the test.
    static func start(serving folder: String, on stage: Stage) async throws -> RsyncDaemon {
        // rsync cannot be asked to choose one itself.
        let quiet = try QuietPort()
        let port = quiet.number
        let configuration = try stage.scratch.file(
            "rsyncd.conf",
            """
            use chroot = no
            address = 127.0.0.1
            port = \(port)
            uid = \(geteuid())
            gid = \(getegid())
            lock file = \(stage.scratch.appending("rsyncd.lock"))
            [shoot]
            path = \(folder)
            """)
        let tool = try await TestSupport.start(
            Tool("rsync", ["--daemon", "--no-detach", "--config=\(configuration)", "--log-file=/dev/null"]))
        let url = "rsync://127.0.0.1:\(port)"
        try await eventually("the rsync daemon listens") {
            guard tool.isRunning else { throw ToolFailed(outcome: try await tool.finished()) }
            return try await run("rsync", url).succeeded
        }
        withExtendedLifetime(quiet) {}
        return RsyncDaemon(url: "\(url)/shoot", tool: tool)
    }
}
