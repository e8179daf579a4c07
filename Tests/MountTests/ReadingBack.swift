import Foundation
import TestSupport
import Testing

extension Mounted {
    /// What has left the spool is read through the URL that the platform gave once, for as long as that is good.
    @Suite struct ReadingBack {
        private static let attribute = """
            import os, sys
            print(os.getxattr(sys.argv[1], "user.twelvelabs.asset_url").decode())
            """

        /// Copies a file, and another one that takes its place in the spool.
        private func copyAndEvict(_ source: String, _ mount: Mount, _ scratch: Scratch) async throws {
            let other = try await TestFile.random(at: scratch.appending("other.mp4"), size: 25_000_000, seed: 3)
            #expect(try await run("cp", source, mount.appending("video.mp4")).succeeded)
            #expect(try await run("cp", other, mount.appending("other.mp4")).succeeded)
        }

        /// The signature of the URL that the journal keeps for the file.
        private func signature(_ stateDirectory: String) async throws -> String {
            let query = "select asset_url from uploads where filename = 'video.mp4'"
            let told = try await run(
                "python3", "-c",
                "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])",
                "\(stateDirectory)/journal.sqlite", query)
            let url = told.output.trimmingCharacters(in: .whitespacesAndNewlines)
            return try #require(url.split(separator: "=").last.map(String.init), "\(told)")
        }

        private func expectThatNobodySees(_ signature: String, _ mount: Mount) async throws {
            #expect(signature.count > 20)
            let status = String(decoding: try await mount.read(".status/by-name/video.mp4.json"), as: UTF8.self)
            #expect(status.contains("/_store/content/"))
            #expect(!status.contains(signature) && !status.contains("?"), "\(status)")
            let attribute = try await run("python3", "-c", Self.attribute, mount.appending("video.mp4"))
            #expect(attribute.output.contains("/_store/content/"), "\(attribute)")
            #expect(!attribute.output.contains("?"), "\(attribute)")
            let log = try String(contentsOfFile: mount.logFile, encoding: .utf8)
            #expect(log.contains("content"), "it was read back, and that is logged")
            #expect(!log.contains(signature))
        }

        @Test(.shows("read-back", "read-back-refused"))
        func aSignedURLIsGoodInTheNextMountAndSaidToHaveExpiredAfterItsTime() async throws {
            try await withScratch { scratch in
                try await withSandbox(["--asset-url-lifetime", "1h"], scratch: scratch) { sandbox in
                    let options = try mountOptions(
                        in: scratch, sandbox: sandbox, arguments: ["--debug", "--spool-limit", "32MiB"])
                    let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 20_000_000)
                    try await withMount(options) { mount in
                        try await copyAndEvict(source, mount, scratch)
                        #expect(try await run("cmp", source, mount.appending("video.mp4")).succeeded)
                        #expect(try await !sandbox.journal().requests(.content).isEmpty, "it was evicted")
                        try await expectThatNobodySees(try await signature(mount.stateDirectory), mount)
                        #expect(try await mount.unmount().succeeded)
                    }
                    try await withMount(options) { mount in
                        let read = try await run("cmp", source, mount.appending("video.mp4"))
                        #expect(read.succeeded, "\(read)")
                        _ = try await mount.unmount()
                    }
                    try await withMount(options) { mount in
                        try await sandbox.configure(["clock_skew": "2h"])
                        let before = try await sandbox.journal().requests(.content).count
                        for _ in 1...2 {
                            let read = try await run("cat", mount.appending("video.mp4"))
                            #expect(read.errors.contains("Input/output error"), "\(read)")
                        }
                        #expect(try await sandbox.journal().requests(.content).count == before + 1)
                        let status = try await mount.status(of: "video.mp4")
                        #expect(status.state == "completed")
                        #expect(status.error?.code == "asset_url_expired")
                        #expect(status.error?.message.contains("expired") == true)
                        #expect(status.error?.hint?.contains("--spool-limit") == true)
                        #expect(status.error?.httpStatus == 403)
                        try await expectThatNobodySees(try await signature(mount.stateDirectory), mount)
                    }
                }
            }
        }
    }
}
