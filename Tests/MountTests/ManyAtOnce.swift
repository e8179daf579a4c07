import TestSupport
import Testing

extension Mounted {
    /// Uploads share the network, and nobody waits for them who need not.
    @Suite struct ManyAtOnce {
        @Test func eightCopiesAtOnceAllArriveAndTheMountAnswersMeanwhile() async throws {
            try await withMount { stage in
                var sources: [String] = []
                for number in 1...8 {
                    sources.append(try await stage.source("take\(number).mp4", size: 100_000_000, seed: UInt64(number)))
                }
                let copies = try await withThrowingTaskGroup(of: Outcome.self) { group in
                    for source in sources {
                        group.addTask { try await run("cp", source, stage.mount.path) }
                    }
                    for _ in 1...20 { try await Self.look(at: stage) }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(copies.allSatisfy { $0.succeeded }, "\(copies)")
                let journal = try await stage.sandbox.journal()
                #expect(journal.peakConcurrentPuts <= 4)
                #expect(journal.refused.isEmpty, "\(journal.refused)")
                let assets = try await stage.sandbox.completeAssets()
                #expect(assets.count == 8)
                for (number, source) in zip(1..., sources) {
                    let asset = try #require(assets.first { $0.filename == "take\(number).mp4" })
                    #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
                }
            }
        }

        @Test func lookingNeverWaitsForTheNetwork() async throws {
            try await withMount { stage in
                try await stage.sandbox.holdUploads()
                let source = try await stage.source(size: 30_000_000)
                var copies: [RunningTool] = []
                for number in 1...8 {
                    copies.append(try await start(Tool("cp", [source, stage.mount.appending("take\(number).mp4")])))
                }
                try await eventually("all eight wait in their close") {
                    try await Self.states(on: stage).filter { $0 == "finishing" }.count == 8
                }
                // Nothing can move at the store: whatever is answered now, is answered without it.
                for _ in 1...20 { try await Self.look(at: stage) }
                #expect(copies.allSatisfy { $0.isRunning })
                #expect(try await stage.sandbox.completeAssets().isEmpty)

                try await stage.sandbox.releaseUploads()
                for copy in copies {
                    let outcome = try await copy.finished()
                    #expect(outcome.succeeded, "\(outcome)")
                }
            }
        }

        @Test(.shows("small-first")) func aSmallFileDoesNotQueueBehindABigOne() async throws {
            try await withMount(sandbox: ["--bandwidth", "100MB/s"]) { stage in
                let big = try await stage.source("big.mp4", size: 1_000_000_000)
                let small = try await stage.source("small.mp4", size: 5 << 20, seed: 2)
                let bigCopy = try await start(Tool("cp", [big, stage.mount.path]))
                try await eventually("the big one's chunks are on their way") {
                    try await stage.sandbox.journal().storedPuts.count >= 8
                }
                let smallCopy = try await run("cp", small, stage.mount.path)
                #expect(smallCopy.succeeded, "\(smallCopy)")
                #expect(try await stage.assets(named: "big.mp4").isEmpty, "the big one was done first")
                let bigOutcome = try await bigCopy.finished()
                #expect(bigOutcome.succeeded, "\(bigOutcome)")
                #expect(bigOutcome.ended > smallCopy.ended)
                for (name, source) in [("big.mp4", big), ("small.mp4", small)] {
                    let asset = try #require(try await stage.assets(named: name).first)
                    #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
                }
            }
        }

        /// `ls`, `stat` and the summary, as people look while they wait.
        private static func look(at stage: Stage) async throws {
            let look = try await stage.shellInMount("ls -l > /dev/null && stat . && cat .status/summary.json")
            #expect(look.succeeded, "\(look)")
            #expect(look.output.contains("{"), "\(look)")
        }

        private static func states(on stage: Stage) async throws -> [String] {
            var states: [String] = []
            for number in 1...8 {
                states.append(try await stage.mount.status(of: "take\(number).mp4").state)
            }
            return states
        }
    }
}
