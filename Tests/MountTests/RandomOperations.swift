import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Whatever is done with files, the mount is a directory like others, and every committed version an asset: what the
    /// model of `FilesystemModelTests` goes through without a mount, in short with the kernel and real programs.
    @Suite struct RandomOperations {
        private struct Report: Decodable {
            struct Commit: Decodable {
                let asset: String
                let sha256: String

                enum CodingKeys: String, CodingKey {
                    case sha256
                    case asset = "asset_id"
                }
            }

            let operations: Int
            let commits: [Commit]
        }

        @Test func leaveTheMountLikeAPlainDirectoryAndMakeAnAssetOfEveryCommit() async throws {
            try await withMount(sandbox: ["--chunk-size", "64KiB"]) { stage in
                let seed = UInt32.random(in: 0...UInt32.max)
                print("random operations, seed \(seed)")
                let plain = try stage.scratch.folder("plain")
                let outcome = try await run(
                    .python(
                        "random_operations.py", [stage.mount.path, plain, "--seed", "\(seed)", "--operations", "5000"]))
                #expect(outcome.succeeded, "\(outcome.errors)")
                let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
                #expect(report.operations >= 5000)
                #expect(report.commits.count >= 50, "seed \(seed)")

                let assets = Dictionary(
                    try await stage.sandbox.assets().map { ($0.assetID, $0) }, uniquingKeysWith: { first, _ in first })
                for commit in report.commits {
                    let asset = try #require(assets[commit.asset], "seed \(seed)")
                    #expect(asset.sha256 == commit.sha256, "seed \(seed): \(asset)")
                    #expect(asset.complete && !asset.deleted, "seed \(seed): \(asset)")
                }
                // And nothing was uploaded that no close asked for.
                #expect(
                    assets.values.filter(\.complete).count == Set(report.commits.map(\.asset)).count, "seed \(seed)")
            }
        }
    }
}
