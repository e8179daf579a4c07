import Foundation
import TestSupport
import Testing

/// What all other mounted tests rely on.
@Suite(.timeLimit(.minutes(1))) struct TestSupportItself {
    private struct Deliberate: Error {}

    @Test func aToolTellsHowItEndedAndWhatItSaid() async throws {
        let outcome = try await shell(#"echo out; echo "$1" >&2; exit 3"#, "a 'word'")
        #expect(outcome.ending == .exited(3))
        #expect(outcome.output == "out\n")
        #expect(outcome.errors == "a 'word'\n")
        let killed = try await shell("kill -9 $$")
        #expect(killed.ending == .signalled(SIGKILL))
        await #expect(throws: (any Error).self) { try await run("no-such-program-anywhere") }
    }

    @Test func aToolDoesNotSeeTheDevelopersAccount() async throws {
        let outcome = try await shell(#"echo "${TWELVELABS_API_KEY-none} ${TWELVELABS_BASE_URL-none}""#)
        #expect(outcome.output == "none none\n")
    }

    @Test func nothingOutlivesATestThatFails() async throws {
        var path = ""
        var sleeper: RunningTool?
        await #expect(throws: Deliberate.self) {
            try await withScratch { scratch in
                path = scratch.path
                sleeper = try await start(.shell("sleep 600 & sleep 600"))
                throw Deliberate()
            }
        }
        #expect(!FileManager.default.fileExists(atPath: path))
        let outcome = try await (try #require(sleeper)).finished()
        #expect(outcome.ending == .signalled(SIGKILL))
    }

    @Test func aToolIsKilledWhenItsTestIsCancelled() async throws {
        let test = Task { try await run("sleep", "600") }
        test.cancel()
        #expect(try await test.value.ending == .signalled(SIGKILL))
    }

    @Test func awaitingInVainSaysWhatForAndWhatWentWrong() async throws {
        let failure = await #expect(throws: NeverHeld.self) {
            try await eventually("pigs fly", timeout: .milliseconds(20)) { throw Deliberate() }
        }
        #expect(failure?.description.contains("until pigs fly; the last attempt failed: Deliberate()") == true)
    }

    @Test func aSeedGivesTheSameBytesAgain() async throws {
        try await withScratch { scratch in
            let size = (1 << 20) + 12_345
            let one = try await TestFile.random(at: scratch.appending("one"), size: size, seed: 7)
            let same = try await TestFile.random(at: scratch.appending("same"), size: size, seed: 7)
            let other = try await TestFile.random(at: scratch.appending("other"), size: size, seed: 8)
            #expect(try await TestFile.size(of: one) == size)
            #expect(try await TestFile.sha256(of: one) == TestFile.sha256(of: same))
            #expect(try await TestFile.sha256(of: one) != TestFile.sha256(of: other))
        }
    }

    @Test func aPacedCopyTellsWhenItWrote() async throws {
        try await withScratch { scratch in
            let source = try await TestFile.random(at: scratch.appending("source"), size: 300_000)
            let outcome = try await run(
                PacedCopy.tool(source, scratch.appending("target"), rate: 3_000_000, block: 65_536))
            #expect(outcome.succeeded, "\(outcome)")
            let copy = try PacedCopy.decode(outcome)
            #expect(copy.written == 300_000)
            let times = [outcome.started, copy.firstWrite ?? 0, copy.lastWrite ?? 0, copy.closed, outcome.ended]
            #expect(times == times.sorted())
            #expect(try await run("cmp", source, scratch.appending("target")).succeeded)
        }
    }
}
