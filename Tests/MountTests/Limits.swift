import TestSupport
import Testing

extension Mounted {
    /// Some checks of `scripts/limits.sh` in short: at its limits a mount goes on, and overwriting does not make it grow.
    @Suite struct Limits {
        @Test(
            arguments: [
                ("overwrites", 100), ("descriptors", 160), ("edges", 30), ("listed", 3000), ("renames-upload", 200),
                ("renames-spool", 200),
            ])
        func theLimitHolds(check: String, count: Int) async throws {
            try await withScratch { scratch in
                let outcome = try await run(
                    .python(
                        "limits.py",
                        [
                            check, "--count", "\(count)", "--twelvefs", BuildProducts.twelvefs, "--sandbox",
                            BuildProducts.sandbox, "--workspace", try scratch.folder("run"),
                        ]))
                print(outcome.output)
                #expect(outcome.succeeded, "\(outcome)")
            }
        }
    }
}
