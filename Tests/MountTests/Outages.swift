import Foundation
import TestSupport
import Testing

extension Mounted {
    /// The network goes, URLs and sessions run out: nobody has to do anything about it.
    @Suite struct Outages {
        @Test(.shows("error-outage")) func fourUploadsOutliveAnOutageOfFifteenSeconds() async throws {
            try await withMount(["--debug"], sandbox: ["--chunk-size", "1MiB", "--bandwidth", "4MiB/s"]) { stage in
                var copies: [(name: String, source: String, tool: RunningTool)] = []
                for number in 1...4 {
                    let name = "video \(number).mp4"
                    let source = try await stage.source(name, size: 8_000_000, seed: UInt64(number))
                    copies.append((name, source, try await start(Tool("cp", [source, stage.mount.appending(name)]))))
                }
                try await eventually("all four are under way") {
                    let stored = try await stage.sandbox.journal().storedPuts.compactMap(\.uploadID)
                    return Set(stored).count == 4
                }
                let clock = ContinuousClock()
                let gone = clock.now
                await stage.sandbox.kill()
                // Not awaited, since it is nothing but time: so long must an outage be waited out.
                try await clock.sleep(for: .seconds(15))
                for copy in copies {
                    let status = try await stage.mount.status(of: copy.name)
                    #expect(status.waitingFor == "network", "\(status)")
                    #expect(copy.tool.isRunning)
                }
                let attempts = try Self.attemptsInVain(stage.mount.logFile)
                let turns = Int((clock.now - gone) / .seconds(3)) + 1
                try await stage.sandbox.startAgain()
                for copy in copies {
                    let outcome = try await copy.tool.finished()
                    #expect(outcome.succeeded, "\(outcome)")
                    let asset = try #require(try await stage.assets(named: copy.name).first)
                    #expect(asset.sha256 == (try await TestFile.sha256(of: copy.source)))
                }
                // Those that were on their way when it began, at most four of a kind, and one every three seconds.
                for (kind, count) in attempts { #expect(count <= 4 + turns, "\(count) attempts at \(kind)") }
                #expect(attempts.values.reduce(0, +) >= 3, "\(attempts)")
            }
        }

        /// How often nobody was there to connect to, for calls and for PUTs: each attempt is a line of the log.
        private static func attemptsInVain(_ logFile: String) throws -> [String: Int] {
            let lines = try String(contentsOfFile: logFile, encoding: .utf8).split(separator: "\n")
            var attempts: [String: Int] = [:]
            for line in lines where line.contains("failure=unreachable") {
                attempts[line.contains("put failed") ? "PUTs" : "calls", default: 0] += 1
            }
            return attempts
        }

        @Test func aSlowUploadWhoseURLsLiveThreeSecondsCompletes() async throws {
            try await withMount(sandbox: ["--url-lifetime", "3s", "--bandwidth", "10MiB/s"]) { stage in
                let source = try await stage.source(size: 100_000_000)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                let journal = try await stage.sandbox.journal()
                #expect(journal.requests(.urls).count > 1, "no URL lived until it was wanted")
                #expect(journal.sessions.count == 1)
                let chunks = Set(journal.storedPuts.compactMap(\.chunkIndex))
                #expect(chunks.count == journal.storedPuts.count, "no chunk was stored twice")
            }
        }

        @Test(.shows("restart-session-gone")) func aSessionThatRunsOutWhileTheWriterPausesIsReplaced() async throws {
            try await withMount(sandbox: ["--session-lifetime", "20s", "--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 24_000_000)
                let copy = try await start(
                    PacedCopy.tool(source, stage.mount.appending("video.mp4"), rate: 12_000_000))
                let first = try await eventually("half of it is written and some of that is stored") {
                    let status = try await stage.mount.status(of: "video.mp4")
                    return status.bytesWritten >= 12_000_000 && status.bytesUploaded > 0 ? status : nil
                }
                copy.signal(SIGSTOP)
                // Nothing but time, again.
                try await ContinuousClock().sleep(for: .seconds(25))
                copy.signal(SIGCONT)
                let outcome = try await copy.finished()
                #expect(outcome.succeeded, "\(outcome)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.uploadId != first.uploadId)
                #expect(status.abandonedUploadIds == [try #require(first.uploadId)])
                #expect(try await stage.sandbox.journal().sessions.count == 2)
            }
        }
    }
}
