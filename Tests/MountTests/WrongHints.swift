import Foundation
import TestSupport
import Testing

extension Mounted {
    /// A size that was believed and is not the file's costs time, never bytes.
    @Suite struct WrongHints {
        /// Expects one asset of those bytes, another session that was abandoned for it, and nothing left of that.
        private func expectAnotherSession(like expected: String, on stage: Stage) async throws {
            let status = try await stage.mount.await("completed", of: "video.mp4")
            #expect(status.abandonedUploadIds.count == 1, "a session was opened for the size that was believed")
            #expect(status.sizeSource == "close")
            try await expectOneAsset("video.mp4", like: expected, on: stage)
            let sessions = try await stage.sandbox.journal().sessions
            #expect(sessions.map(\.uploadID) == status.abandonedUploadIds + [status.uploadId])
            try await expectThatOnlyCompleteAssetsAreKept(on: stage)
        }

        @Test(
            .shows("size-wrong"),
            arguments: [
                #"dd if="$1" of="$2" bs=1M count=10 conv=swab status=none"#,
                #"dd if="$1" bs=1M count=10 conv=swab status=none > "$2""#,
            ])
        func aToolThatReadsNotAllOfItsSource(script: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 16_000_000)
                let expected = stage.scratch.appending("expected")
                let prepared = try await shell(script, source, expected)
                #expect(prepared.succeeded, "\(prepared)")
                let outcome = try await shell(script, source, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                try await expectAnotherSession(like: expected, on: stage)
            }
        }

        @Test(arguments: [#"head -c 2000000 /dev/urandom >> "$1""#, #"truncate -s 9000000 "$1""#])
        func aSourceThatGrowsOrShrinksWhileItIsRead(change: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 12_000_000)
                let copy = try await start(
                    PacedCopy.tool(source, stage.mount.appending("video.mp4"), rate: 8_000_000, block: 1 << 18))
                try await eventually("a session is open for the size that the source had") {
                    try await !stage.sandbox.journal().storedPuts.isEmpty
                }
                let changed = try await shell(change, source)
                #expect(changed.succeeded, "\(changed)")
                let outcome = try await copy.finished()
                #expect(outcome.succeeded, "\(outcome)")
                try await expectAnotherSession(like: source, on: stage)
            }
        }

        @Test(.shows("asset-declared-holes"), arguments: [5_500_000, 100_000])
        func aDeclaredSizeThatIsNeverReachedMakesNoAsset(written: Int) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let writer = try await run(
                    "python3", "-c",
                    """
                    import os, sys
                    target = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
                    os.ftruncate(target, 8000000)
                    os.write(target, bytes(int(sys.argv[2])))
                    os.close(target)
                    """, stage.mount.appending("video.mp4"), "\(written)")
                #expect(!writer.succeeded)
                #expect(writer.errors.contains("Input/output error"), "\(writer)")
                try await expectNoAsset(of: "video.mp4", on: stage)
            }
        }

        @Test(.shows("size-guess")) func aGuessThatIsOverTheLimitHindersNobody() async throws {
            try await withMount(["--max-file-size", "8MiB"], sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 16_000_000)
                let expected = stage.scratch.appending("expected")
                // Other bytes than the first of its source: those would be a copy that was cut short.
                let script = #"dd if="$1" of="$2" bs=1000000 count=7 conv=swab status=none"#
                let prepared = try await shell(script, source, expected)
                #expect(prepared.succeeded, "\(prepared)")
                let outcome = try await shell(script, source, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                try await stage.mount.await("completed", of: "video.mp4")
                try await expectOneAsset("video.mp4", like: expected, on: stage)
                #expect(try await stage.sandbox.journal().refused.isEmpty)
            }
        }

        @Test(.shows("size-hints-off")) func withoutHintsEverythingIsSentAtClose() async throws {
            try await withMount(["--size-hints", "off"], sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 12_000_000)
                let outcome = try await run(
                    PacedCopy.tool(source, stage.mount.appending("video.mp4"), rate: 40_000_000))
                #expect(outcome.succeeded, "\(outcome)")
                let lastWrite = try #require(try PacedCopy.decode(outcome).lastWrite)
                let session = try #require(try await stage.sandbox.journal().sessions.first)
                #expect(session.started > lastWrite)
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }
    }
}
