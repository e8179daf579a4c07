import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Key and proxy reach the serving process, and are in no environment that `/proc` shows.
    @Suite struct SecretEnvironment {
        private static let password = "pr0xyPa55word"

        /// Names and values that no process of a mount may show.
        private static let secrets = [password, SandboxProcess.key, "PROXY=", "proxy=", "API_KEY="]

        private func options(in scratch: Scratch, _ sandbox: SandboxProcess) throws -> MountOptions {
            var options = try mountOptions(in: scratch, sandbox: sandbox)
            options.apiKey = nil
            // Nobody is there: the platform is on this machine, and reached directly.
            let proxy = "http://user:\(Self.password)@127.0.0.1:9"
            options.environment = [
                "TWELVE_LABS_API_KEY": SandboxProcess.key, "HTTPS_PROXY": proxy, "all_proxy": proxy,
                "HTTP_PROXY": proxy, "NO_PROXY": "x.example", "TWELVEFS_TEST_MARK": "is-passed-on",
            ]
            return options
        }

        private func environment(of pid: pid_t) throws -> String {
            String(decoding: try Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/environ")), as: UTF8.self)
        }

        @Test(.shows("status-secrets")) func aServingProcessStartsWithoutThem() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    try await withMount(options(in: scratch, sandbox)) { mount in
                        let shown = try environment(of: mount.server)
                        for secret in Self.secrets { #expect(!shown.contains(secret), "\(secret)") }
                        #expect(shown.contains("TWELVEFS_TEST_MARK=is-passed-on"))
                        let source = try await TestFile.random(at: scratch.appending("a.mp4"), size: 100_000)
                        let copy = try await run("cp", source, mount.path)
                        #expect(copy.succeeded, "\(copy)")
                    }
                }
            }
        }

        /// What it would show is its memory.
        @Test(.shows("crash-memory")) func aServingProcessThatCrashesLeavesNothingOfItsMemory() async throws {
            try await withMount { stage in
                let shown = try environment(of: stage.mount.server)
                #expect(shown.split(separator: "\0").contains("SWIFT_BACKTRACE=enable=no"))
                let limits = try String(contentsOfFile: "/proc/\(stage.mount.server)/limits", encoding: .utf8)
                let core = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") })
                #expect(core.split(separator: " ").suffix(3) == ["0", "0", "bytes"])
            }
        }

        @Test func aProcessInTheForegroundForgetsThem() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    let options = try options(in: scratch, sandbox)
                    var tool = options.tool
                    tool.arguments.append("--foreground")
                    let process = try await start(tool)
                    try await eventually("it is mounted") { MountedPaths.contains(options.mountPoint) }
                    let shown = try environment(of: process.pid)
                    for secret in Self.secrets {
                        let isThere = secret.hasSuffix("=") ? shown.contains("\(secret)http") : shown.contains(secret)
                        #expect(!isThere, "\(secret)")
                    }
                    #expect(shown.contains("TWELVEFS_TEST_MARK=is-passed-on"))
                    let unmounted = try await run(Tool(BuildProducts.twelvefs, ["unmount", options.mountPoint]))
                    #expect(unmounted.succeeded, "\(unmounted)")
                    _ = try await process.finished()
                }
            }
        }
    }
}
