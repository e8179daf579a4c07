import Foundation
import TestSupport
import Testing

extension Mounted {
    /// A program that closes its file and fails then may have closed less than it was to write.
    @Suite struct FailuresAfterTheClose {
        private static func python(_ ending: String) -> String {
            #"""
            exec python3 -c '
            import os, signal
            for name in ("first.mp4", "video.mp4"):
                with open(name, "wb") as file:
                    file.write(os.urandom(1000000))
            \#(ending)
            '
            """#
        }

        @Test(
            .shows("asset-failed-after"),
            arguments: [
                (python("raise SystemExit(18)"), "status 18"),
                (python("os.kill(os.getpid(), signal.SIGTERM)"), "signal 15"),
            ])
        func areTold(script: String, exit: String) async throws {
            try await withMount { stage in
                let outcome = try await stage.shellInMount(script)
                #expect(!outcome.succeeded)
                try await eventually("its end is told") {
                    try await stage.mount.status(of: "video.mp4").writerExit == exit
                }
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.state == "completed")
                #expect(try await stage.mount.status(of: "first.mp4").writerExit == nil)
                #expect(try await stage.sandbox.completeAssets().count == 2)
                let table = try await run(BuildProducts.twelvefs, "status", stage.mount.path)
                #expect(table.output.contains("ended with \(exit) afterwards"), "\(table)")
                let log = try String(contentsOfFile: stage.mount.logFile, encoding: .utf8)
                #expect(log.contains("a program failed after it had closed a file"))
            }
        }

        @Test func thoseThatEndWellAreNot() async throws {
            try await withMount { stage in
                let outcome = try await stage.shellInMount(Self.python("pass"))
                #expect(outcome.succeeded)
                #expect(try await stage.mount.status(of: "video.mp4").writerExit == nil)
                let log = try String(contentsOfFile: stage.mount.logFile, encoding: .utf8)
                #expect(!log.contains("a program failed after"))
            }
        }
    }
}
