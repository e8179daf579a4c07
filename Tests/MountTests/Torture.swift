import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Killed in the middle of everything, again and again: nothing is lost, nothing comes twice, nothing is promised
    /// that does not hold. `scripts/torture.sh` does the same for longer.
    @Suite struct Torture {
        private struct Figures: Decodable {
            let seed: UInt64
            let promised: Int
            let cut: Int
            let assets: Int
            let chunks: Int
            let violations: Int
            let seconds: Double
        }

        /// Every check is the program's: it ends with success only when all of them hold, and when enough closes were
        /// answered before a kill, and enough were not, for that to mean something.
        private func torture(_ options: String...) async throws {
            try await withScratch { scratch in
                let outcome = try await run(
                    .python(
                        "torture.py",
                        [
                            "--twelvefs", BuildProducts.twelvefs, "--sandbox", BuildProducts.sandbox,
                            "--workspace", try scratch.folder("torture"),
                        ] + options))
                print("torture \(options.joined(separator: " ")): \(outcome.output)")
                #expect(outcome.succeeded, "\(outcome)")
                let figures = try JSONDecoder().decode(Figures.self, from: Data(outcome.output.utf8))
                #expect(figures.violations == 0)
                #expect(figures.promised > 0 && figures.cut > 0 && figures.assets > 0 && figures.chunks > 0)
            }
        }

        @Test func nothingIsLostWhereverTwelvefsIsKilled() async throws {
            try await torture("--rounds", "30")
        }

        @Test(arguments: ["sandbox", "both"])
        func norWhereverThePlatformIs(killed: String) async throws {
            try await torture("--rounds", "6", "--kill", killed)
        }

        @Test func norWithAThirdOfAllRequestsFailing() async throws {
            try await torture("--rounds", "6", "--faults")
        }

        /// A journal may forget something then, and it says so; no upload is taken for another, and no bytes are deleted.
        @Test func nothingIsMadeUpWhenTheJournalIsDamagedAtEachKill() async throws {
            try await torture("--rounds", "10", "--damage")
        }
    }
}
