import Foundation
import TestSupport
import Testing

/// A tool that copies the file `$1` to `$2`, and stands at every point of it where its source does.
enum MortalWriter: String, CaseIterable, CustomTestStringConvertible {
    case cp = #"exec cp "$1" "$2""#
    case cat = #"exec cat "$1" > "$2""#
    case pv = #"exec pv -q "$1" > "$2""#
    case python = #"""
        exec python3 -c '
        import os, sys
        source = os.open(sys.argv[1], os.O_RDONLY)
        target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
        while block := os.read(source, 1 << 18):
            os.write(target, block)
        os.close(target)
        ' "$1" "$2"
        """#
    /// `$1` is an archive that holds `video.mp4`.
    case tar = #"exec tar -x -f "$1" -O > "$2""#
    case tarIntoPlace = #"exec tar -x -f "$1" -C "$(dirname "$2")" --transform "s/.*/$(basename "$2")/""#

    var testDescription: String { rawValue }

    /// Others leave their output to their exit, whose close nobody can be killed in.
    var closesItself: Bool {
        switch self {
        case .cp, .cat, .python, .tarIntoPlace: true
        case .pv, .tar: false
        }
    }

    var readsAnArchive: Bool {
        switch self {
        case .tar, .tarIntoPlace: true
        case .cp, .cat, .pv, .python: false
        }
    }
}

extension Mounted {
    /// A writer that is killed before its last byte leaves no asset, wherever it was and whatever killed it.
    @Suite struct KilledWriters {
        private static let size = 12 << 20

        @Test(.shows("asset-killed", "interrupted-unlisted"), arguments: MortalWriter.allCases)
        func leaveNoAssetAtAnyPoint(writer: MortalWriter) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await Self.source(for: writer, on: stage)
                // Before there is a session, while chunks are sent, and with nothing but the last bytes missing.
                for point in [1 << 20, 6_500_000, Self.size - 1] {
                    for signal in [SIGINT, SIGTERM, SIGKILL] {
                        let name = "\(point) \(signal).mp4"
                        try await Self.kill(writer, reading: source, at: point, by: signal, into: name, on: stage)
                        let status = try await expectInterrupted(name, on: stage)
                        #expect(status.bytesWritten <= point)
                        #expect(status.bytesWritten > 0)
                    }
                }
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                let journal = try await stage.sandbox.journal()
                #expect(journal.requests(.report).isEmpty, "nothing of them may be reported")
                try await expectThatOnlyCompleteAssetsAreKept(on: stage)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        private static func source(for writer: MortalWriter, on stage: Stage) async throws -> String {
            let file = try await stage.source(size: size)
            guard writer.readsAnArchive else { return file }
            let archive = stage.scratch.appending("video.tar")
            let made = try await run("tar", "-c", "-f", archive, "-C", stage.scratch.path, "video.mp4")
            #expect(made.succeeded, "\(made)")
            return archive
        }

        private static func kill(
            _ writer: MortalWriter, reading source: String, at point: Int, by signal: Int32, into name: String,
            on stage: Stage
        ) async throws {
            let sourceName = writer.readsAnArchive ? "video.tar" : name
            try await UnreliableSource.with(sourceName, like: source, upTo: point, then: .waits, in: stage.scratch) {
                path, unreliable in
                let copy = try await start(.shell(writer.rawValue, [path, stage.mount.appending(name)]))
                try await eventually("the writer waits for its source") {
                    guard copy.isRunning else { throw ToolFailed(outcome: try await copy.finished()) }
                    return unreliable.isWaitedFor
                }
                copy.signal(signal)
                let outcome = try await copy.finished()
                #expect(!outcome.succeeded, "\(outcome)")
            }
        }

        @Test(.shows("asset-killed-in-close"), arguments: MortalWriter.allCases.filter(\.closesItself))
        func oneWholeAssetComesOfOneThatIsKilledInItsClose(writer: MortalWriter) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await Self.source(for: writer, on: stage)
                try await stage.sandbox.holdUploads()
                let copy = try await start(.shell(writer.rawValue, [source, stage.mount.appending("video.mp4")]))
                try await stage.mount.await("finishing", of: "video.mp4")
                copy.signal(SIGKILL)
                let outcome = try await copy.finished()
                #expect(outcome.ending == .signalled(SIGKILL), "\(outcome)")
                try await stage.sandbox.releaseUploads()
                try await stage.mount.await("completed", of: "video.mp4")
                try await expectOneAsset("video.mp4", like: stage.scratch.appending("video.mp4"), on: stage)
            }
        }

        @Test(.shows("asset-short-copy")) func aCpWhoseSourceFailsHalfWayFailsAndLeavesNoAsset() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: Self.size)
                try await UnreliableSource.with(
                    "video.mp4", like: source, upTo: Self.size / 2, then: .fails, in: stage.scratch
                ) { path, _ in
                    let copy = try await run("cp", path, stage.mount.path)
                    #expect(!copy.succeeded)
                    #expect(copy.errors.contains("Input/output error"), "\(copy)")
                }
                try await expectNoAsset(of: "video.mp4", on: stage)
            }
        }

        @Test(.shows("interrupted-kept")) func whatTheyWroteIsGivenBackAfterAWhile() async throws {
            try await withMount(["--keep-interrupted", "1s"], sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await Self.source(for: .cat, on: stage)
                try await Self.kill(.cat, reading: source, at: 6_500_000, by: SIGKILL, into: "video.mp4", on: stage)
                try await expectInterrupted("video.mp4", on: stage)
                try await eventually("the spool is empty") { try Self.spoolFiles(on: stage).isEmpty }
            }
        }

        /// rsync's partial file is the one that stays listed.
        @Test func whatTheyWroteIsGivenBackWhenItsEntryIsRemoved() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: Self.size)
                let copy = try await start(
                    Tool("rsync", ["-P", "--bwlimit=2048", source, "\(stage.mount.path)/"]))
                try await eventually("rsync has written something") {
                    try await stage.shellInMount("stat -c %s .video.mp4.*").output.utf8.count > 6
                }
                copy.signal(SIGINT)
                _ = try await copy.finished()
                try await stage.mount.await("interrupted", of: "video.mp4")
                #expect(try await stage.mount.list() == ["video.mp4"])
                #expect(try Self.spoolFiles(on: stage).count == 1)
                let removed = try await run("rm", stage.mount.appending("video.mp4"))
                #expect(removed.succeeded, "\(removed)")
                #expect(try Self.spoolFiles(on: stage).isEmpty)
            }
        }

        private static func spoolFiles(on stage: Stage) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: stage.scratch.appending("user/state/spool"))
        }
    }
}
