import Foundation
import TestSupport
import Testing

/// A way to write the files `$1` and `$2` one after the other into `$3`, by more than one process.
struct SharedWriting: Sendable, CustomTestStringConvertible {
    let script: String
    /// How many assets may come of it; the newest has everything.
    var versions = 1

    var testDescription: String { script }

    static let all = [
        SharedWriting(script: #"(cat "$1"; cat "$2") >> "$3""#),
        SharedWriting(script: #"{ cat "$1"; (cat "$2"); } > "$3""#),
        // A child in the background outlives the shell that opened the file.
        SharedWriting(
            script: #"bash -c 'cat "$1"; (while kill -0 $$ 2>/dev/null; do :; done; cat "$2") &' - "$1" "$2" > "$3""#),
        SharedWriting(script: #"exec 5> "$3"; cat "$1" >&5; (cat "$2" >&5) & exec 5>&-; wait"#),
        // Who writes last did not open the file.
        SharedWriting(
            script:
                #"bash -c 'exec 3> "$1"; exec bash -c "$2" - "$3" "$4"' - "$3" 'cat "$1" | cat >&3; cat "$2" | cat >&3' "$1" "$2""#
        ),
        SharedWriting(script: #"cat "$1" "$2" | (exec 5> "$3"; cat >&5)"#),
        // xargs, and a shell for each piece, on a descriptor that they inherit.
        SharedWriting(script: #"printf '%s\0' "$1" "$2" | xargs -0 -n 1 cat > "$3""#),
        SharedWriting(script: #"exec 7> "$3"; for file in "$1" "$2"; do bash -c 'cat "$1" >&7' - "$file"; done"#),
        // A descriptor that is passed through a socket, while the opener keeps its own, and when it does not.
        SharedWriting(script: passing(closing: "after"), versions: 2),
        SharedWriting(script: passing(closing: "before"), versions: 2),
    ]

    private static func passing(closing: String) -> String {
        """
        python3 -c '
        import array, os, socket, sys
        first, second, target, closing = sys.argv[1:]
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            ours.close()
            data, ancillary, _, _ = theirs.recvmsg(1, socket.CMSG_SPACE(4))
            passed = array.array("i", ancillary[0][2])[0]
            theirs.recv(1)
            os.write(passed, open(second, "rb").read())
            os.close(passed)
            os._exit(0)
        theirs.close()
        opened = os.open(target, os.O_WRONLY | os.O_CREAT)
        os.write(opened, open(first, "rb").read())
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [opened]))])
        if closing == "before":
            os.close(opened)
        ours.send(b"x")
        if closing == "after":
            os.close(opened)
        _, status = os.wait()
        sys.exit(os.waitstatus_to_exitcode(status))
        ' "$1" "$2" "$3" \(closing)
        """
    }
}

extension Mounted {
    /// Several processes share one open file.
    @Suite struct Shells {
        @Test(.shows("close-one-asset"), arguments: SharedWriting.all)
        func makeOneAssetOfTheFinalContent(writing: SharedWriting) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let first = try await stage.source("first.mp4", size: 6_000_003, seed: 1)
                let second = try await stage.source("second.mp4", size: 3_000_005, seed: 2)
                let expected = stage.scratch.appending("expected")
                let prepared = try await shell(#"cat "$1" "$2" > "$3""#, first, second, expected)
                #expect(prepared.succeeded, "\(prepared)")
                let outcome = try await shell(writing.script, first, second, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                try await eventually("all of it is committed") {
                    let status = try await stage.mount.status(of: "video.mp4")
                    return status.state == "completed" && status.totalSize == 9_000_008
                }
                let status = try await stage.mount.status(of: "video.mp4")
                let assets = try await stage.sandbox.completeAssets()
                #expect((1...writing.versions).contains(assets.count), "\(assets)")
                let sum = try await TestFile.sha256(of: expected)
                #expect(assets.first { $0.assetID == status.assetId }?.sha256 == sum)
                #expect(try await TestFile.sha256(of: stage.mount.appending("video.mp4")) == sum)
            }
        }

        @Test(.shows("rename-while-written")) func aFileThatIsRenamedWhileItIsWrittenIsCommittedWhenItIsClosed()
            async throws
        {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let first = try await stage.source("first.mp4", size: 6_000_003, seed: 1)
                let second = try await stage.source("second.mp4", size: 3_000_005, seed: 2)
                let outcome = try await stage.shellInMount(
                    #"""
                    set -e
                    exec 5> x.part; cat "$1" >&5; mv x.part x.mp4; cat .status/by-name/x.mp4.json; cat "$2" >&5
                    cat .status/by-name/x.mp4.json; exec 5>&-
                    """#, first, second)
                #expect(outcome.succeeded, "\(outcome)")
                #expect(!outcome.output.contains(#""completed_at": "2"#), "\(outcome)")
                try await stage.mount.await("completed", of: "x.mp4")
                let expected = stage.scratch.appending("expected")
                let prepared = try await shell(#"cat "$1" "$2" > "$3""#, first, second, expected)
                #expect(prepared.succeeded, "\(prepared)")
                try await expectOneAsset("x.mp4", like: expected, on: stage)
            }
        }
    }
}
