import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Thirty-two writers at once, each with a tool and a size of its own.
    @Suite struct Crowd {
        private static let tools = [
            #"cp "$1" "$2""#, #"cat "$1" > "$2""#, #"dd if="$1" of="$2" bs=100K status=none"#, #"rsync -a "$1" "$2""#,
            #"cat "$1" | tee "$2" > /dev/null"#, #"pv -q "$1" > "$2""#, #"rsync --inplace "$1" "$2""#,
            #"cp "$1" "$2.part" && mv "$2.part" "$2""#,
        ]

        @Test func ofThirtyTwoWritersEachGetsItsAsset() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                var sums: [String: String] = [:]
                var sources: [(source: String, name: String, tool: String)] = []
                for number in 0..<32 {
                    let name = "take \(number).mp4"
                    // From nearly nothing to more than what opens a session early.
                    let size = 1 + number * number * 9_000
                    let source = try await stage.source("source \(number).mp4", size: size, seed: UInt64(number))
                    sums[name] = try await TestFile.sha256(of: source)
                    sources.append((source, name, Self.tools[number % Self.tools.count]))
                }
                try await withThrowingTaskGroup(of: Outcome.self) { group in
                    for (source, name, tool) in sources {
                        group.addTask { try await shell(tool, source, stage.mount.appending(name)) }
                    }
                    for try await outcome in group { #expect(outcome.succeeded, "\(outcome)") }
                }
                for name in sums.keys { try await stage.mount.await("completed", of: name) }
                let assets = try await stage.sandbox.completeAssets()
                #expect(assets.count == 32)
                for asset in assets { #expect(asset.sha256 == sums[asset.filename], "\(asset)") }
                for (name, sum) in sums { #expect(try await TestFile.sha256(of: stage.mount.appending(name)) == sum) }
                #expect(try await stage.sandbox.journal().peakConcurrentPuts <= 4)
                try await expectThatOnlyCompleteAssetsAreKept(on: stage)
            }
        }
    }
}
