import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Killed in the middle of everything, again and again: nothing is lost, nothing comes twice, nothing is promised
    /// that does not hold. `scripts/torture.sh` does the same for longer.
    @Suite struct Torture {
        private struct Figures: Decodable {
            let promised: Int
            let cut: Int
            let assets: Int
            let chunks: Int
            let violations: Int

            /// Enough came of every part for the run to mean something.
            var holds: Bool { violations == 0 && promised > 0 && cut > 0 && assets > 0 && chunks > 0 }
        }

        /// Every check is the program's: it ends with success only when all of them hold, and when enough closes were
        /// answered before a kill, and enough were not, for that to mean something.
        private func torture(_ options: String...) async throws {
            let output = try await play(options)
            let figures = try JSONDecoder().decode(Figures.self, from: output)
            #expect(figures.holds, "\(figures)")
        }

        private func play(_ options: [String]) async throws -> Data {
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
                return Data(outcome.output.utf8)
            }
        }

        /// Twenty rounds of each kind: nothing in the way, refused writes, ends of all sorts, a server that is stopped, little
        /// space, few descriptors.
        @Test func nothingIsLostWhateverIsMadeHard() async throws {
            struct Kinds: Decodable {
                let plain, refused, drained, stopped: Figures
                let smallSpool, fewDescriptors: Figures

                enum CodingKeys: String, CodingKey {
                    case plain, refused, drained, stopped
                    case smallSpool = "small-spool"
                    case fewDescriptors = "few-descriptors"
                }
            }
            let output = try await play(["--kind", "all", "--rounds", "20", "--jobs", "6"])
            let kinds = try JSONDecoder().decode(Kinds.self, from: output)
            for kind in [
                kinds.plain, kinds.refused, kinds.drained, kinds.stopped, kinds.smallSpool, kinds.fewDescriptors,
            ] {
                #expect(kind.holds, "\(kind)")
            }
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
