import Foundation
import TestSupport
import Testing

extension Mounted {
    /// The key stops being good while files are copied.
    @Suite struct KeysRevoked {
        private static let words = ["--chunk-size", "1MiB", "--initial-urls", "2", "--bandwidth", "8MiB/s"]

        @Test(.shows("error-key-file")) func uploadsWaitForAGoodKeyInTheFileAndGoOn() async throws {
            try await withScratch { scratch in
                try await withSandbox(Self.words, scratch: scratch) { sandbox in
                    let keyFile = scratch.appending("key")
                    try Self.write("\(SandboxProcess.key)\n", to: keyFile)
                    var options = try mountOptions(
                        in: scratch, sandbox: sandbox, arguments: ["--api-key-file", keyFile])
                    options.apiKey = nil
                    try await withMount(options) { mount in
                        let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 12_000_000)
                        let copy = try await start(Tool("cp", [source, mount.appending("video.mp4")]))
                        try await eventually("some of it is stored") {
                            try await mount.status(of: "video.mp4").bytesUploaded > 0
                        }
                        try await sandbox.configure(["api_key": "a-new-key"])
                        try await eventually("it waits for a key") {
                            try await mount.status(of: "video.mp4").waitingFor == "key"
                        }
                        // One that is no better, and then a good one.
                        try Self.write("another-bad-key\n", to: keyFile)
                        try await eventually("it was tried") {
                            try String(contentsOfFile: mount.logFile, encoding: .utf8).contains("holds another key")
                        }
                        #expect(try await mount.status(of: "video.mp4").waitingFor == "key")
                        try Self.write("a-new-key\n", to: keyFile)
                        let outcome = try await copy.finished()
                        #expect(outcome.succeeded, "\(outcome)")
                        let assets = try await sandbox.completeAssets()
                        #expect(assets.map(\.sha256) == [try await TestFile.sha256(of: source)])
                        #expect(try await sandbox.journal().sessions.count == 1)
                        let log = try String(contentsOfFile: mount.logFile, encoding: .utf8)
                        for key in [SandboxProcess.key, "another-bad-key", "a-new-key"] { #expect(!log.contains(key)) }
                    }
                }
            }
        }

        @Test func aKeyFromTheEnvironmentIsWaitedForAndTheLogSaysOnceThatItCannotChange() async throws {
            try await withMount(sandbox: Self.words) { stage in
                let source = try await stage.source(size: 12_000_000)
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                try await eventually("some of it is stored") {
                    try await stage.mount.status(of: "video.mp4").bytesUploaded > 0
                }
                try await stage.sandbox.configure(["api_key": "a-new-key"])
                try await eventually("it was tried again") {
                    try await stage.sandbox.journal().requests.count { $0.status == 403 } >= 2
                }
                #expect(try await stage.mount.status(of: "video.mp4").waitingFor == "key")
                let log = try String(contentsOfFile: stage.mount.logFile, encoding: .utf8)
                #expect(log.components(separatedBy: "cannot be changed while mounted").count == 2, "\(log)")
                // The platform takes it again.
                try await stage.sandbox.configure(["api_key": SandboxProcess.key])
                let outcome = try await copy.finished()
                #expect(outcome.succeeded, "\(outcome)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        private static func write(_ key: String, to file: String) throws {
            try Data(key.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        }
    }
}
