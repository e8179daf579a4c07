import TestSupport
import Testing

/// A piece of shell that writes one file `$3` from `$1` and `$2`, and what the file then holds.
struct ShellWriter: Sendable, CustomTestStringConvertible {
    let script: String
    /// The same content, made outside the mount.
    let content: String

    var testDescription: String { script }

    static let all = [
        ShellWriter(
            script: #"exec 5> "$3"; printf a >&5; cat "$1" >&5; exec 5>&-"#,
            content: #"{ printf a; cat "$1"; } > "$3""#),
        ShellWriter(
            script: #"exec 5> "$3"; cat "$1" >&5; cat "$2" >&5; exec 5>&-"#,
            content: #"cat "$1" "$2" > "$3""#),
        ShellWriter(script: #"{ cat "$1"; cat "$2"; } > "$3""#, content: #"cat "$1" "$2" > "$3""#),
        ShellWriter(script: #"( cat "$1"; cat "$2" ) > "$3""#, content: #"cat "$1" "$2" > "$3""#),
        ShellWriter(script: #"touch "$3"; cat "$1" > "$3""#, content: #"cat "$1" > "$3""#),
        ShellWriter(script: #": > "$3"; cat "$1" >> "$3""#, content: #"cat "$1" > "$3""#),
        ShellWriter(script: #"cat "$1" "$2" > "$3""#, content: #"cat "$1" "$2" > "$3""#),
    ]
}

extension Mounted {
    /// However many descriptors and children write, what comes of it is one asset with everything in it.
    @Suite struct OneAsset {
        @Test(.shows("close-one-asset"), arguments: ShellWriter.all)
        func comesOfAShellThatWritesInPieces(writer: ShellWriter) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let first = try await stage.source("first.mp4", size: 7_000_003, seed: 1)
                let second = try await stage.source("second.mp4", size: 8_000_005, seed: 2)
                let expected = stage.scratch.appending("expected")
                let prepared = try await shell(writer.content, first, second, expected)
                #expect(prepared.succeeded, "\(prepared)")

                let outcome = try await shell(writer.script, first, second, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                let status = try await stage.mount.await("completed", of: "video.mp4")
                let assets = try await stage.sandbox.completeAssets()
                #expect(assets.count == 1)
                #expect(assets.first?.sha256 == (try await TestFile.sha256(of: expected)))
                #expect(assets.first?.assetID == status.assetId)
                #expect(status.supersededUploadIds.isEmpty)
            }
        }

        @Test(.shows("close-last-descriptor")) func aChildThatExitsDoesNotCommitWhatItsShellStillWrites() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let first = try await stage.source("first.mp4", size: 7_000_000, seed: 1)
                let go = stage.scratch.appending("go")
                let fifo = try await run("mkfifo", go)
                #expect(fifo.succeeded, "\(fifo)")
                // The first child has written and exited; the shell holds the file open until it is told to go on.
                let writer = try await start(
                    .shell(
                        #"exec 5> "$2"; cat "$1" >&5; echo written; read -r _ < "$3"; printf z >&5; exec 5>&-"#,
                        [first, stage.mount.appending("video.mp4"), go]))
                try await eventually("the first child has exited") { writer.outputSoFar.contains("written") }
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                #expect(try await stage.mount.status(of: "video.mp4").state == "open")
                let told = try await shell(#"echo > "$1""#, go)
                #expect(told.succeeded, "\(told)")
                let outcome = try await writer.finished()
                #expect(outcome.succeeded, "\(outcome)")
                try await stage.mount.await("completed", of: "video.mp4")
                #expect(try await stage.sandbox.completeAssets().map(\.size) == [7_000_001])
            }
        }
    }
}
