import TestSupport
import Testing

extension Mounted {
    /// The platform confirms a file later than a rename waits for it.
    @Suite struct SlowConfirmations {
        /// What is slow.
        struct Way: Sendable, CustomTestStringConvertible {
            var testDescription: String
            var options: [String] = []
            var faults = "[]"
        }

        static let ways = [
            Way(testDescription: "a report takes 12 s", faults: delayedReports(seconds: 12)),
            Way(testDescription: "a report takes 60 s", faults: delayedReports(seconds: 60)),
            Way(testDescription: "the session reads active for 15 s", options: ["--completion-delay", "15s"]),
            Way(
                testDescription: "the platform is away",
                faults: #"[{"on": "report", "count": 1000, "answer": {"status": 503, "body": ""}}]"#),
        ]

        private static func delayedReports(seconds: Int) -> String {
            #"[{"on": "report", "count": 1000, "answer": {"delay": \#(seconds)}, "when": "after"}]"#
        }

        /// Each in a directory of its own: the kernel locks that while a rename waits.
        private static let tools = [
            "rsync": #"rsync -a "$1" rsync/video.mp4"#,
            "mv": #"cp "$1" mv/video.mp4.part && mv mv/video.mp4.part mv/video.mp4"#,
            "replace": """
            cp "$1" replace/video.mp4.part &&
                python3 -c 'import os; os.replace("replace/video.mp4.part", "replace/video.mp4")'
            """,
        ]

        @Test("A rename is not an error, and makes one asset that is listed", .shows("rename-bounded"), arguments: ways)
        func aRenameIsNoError(way: Way) async throws {
            try await withMount(sandbox: way.options) { stage in
                try await stage.sandbox.inject(json: way.faults)
                var sources: [String: String] = [:]
                for (number, name) in Self.tools.keys.sorted().enumerated() {
                    sources[name] = try await stage.source(
                        "\(name).mp4", size: 1_000_000 + number, seed: UInt64(number))
                }
                let made = try await stage.shellInMount("mkdir rsync mv replace")
                #expect(made.succeeded, "\(made)")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (name, script) in Self.tools {
                        let source = try #require(sources[name])
                        group.addTask {
                            let outcome = try await stage.shellInMount(script, source)
                            #expect(outcome.succeeded, "\(outcome)")
                        }
                    }
                    try await group.waitForAll()
                }
                let listed = try await stage.shellInMount("find rsync mv replace -type f | sort")
                #expect(listed.output == "mv/video.mp4\nreplace/video.mp4\nrsync/video.mp4\n", "\(listed)")
                if way.faults.contains("503") {
                    for name in sources.keys {
                        #expect(try await stage.mount.status(of: "\(name)/video.mp4").state == "finishing")
                    }
                    try await stage.sandbox.clearFaults()
                }
                for name in sources.keys {
                    try await stage.mount.await("completed", of: "\(name)/video.mp4", timeout: .seconds(180))
                }
                let source = try #require(sources["rsync"])
                let again = try await stage.shellInMount(#"rsync -a --stats "$1" rsync/video.mp4"#, source)
                #expect(again.output.contains("Number of regular files transferred: 0\n"), "\(again)")
                let assets = try await stage.sandbox.completeAssets()
                #expect(Set(assets.compactMap(\.sha256)).count == 3, "\(assets)")
                #expect(assets.count == 3, "\(assets)")
            }
        }

        @Test("What a rename has left unconfirmed is counted by unmount, which tells it by its exit code")
        func whatIsLeftIsCountedByUnmount() async throws {
            try await withMount { stage in
                try await stage.sandbox.inject(Fault(on: .report, count: 1000, .status(503, body: "")))
                let source = try await stage.source(size: 1_000_000)
                let renamed = try await stage.shellInMount(#"cp "$1" a.mp4.part && mv a.mp4.part a.mp4"#, source)
                #expect(renamed.succeeded, "\(renamed)")
                let unmounted = try await run(
                    Tool(BuildProducts.twelvefs, ["unmount", stage.mount.path, "--drain-timeout", "1s"]))
                #expect(unmounted.ending == .exited(3), "\(unmounted)")
            }
        }
    }
}
