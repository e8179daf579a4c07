import Testing
import UploadCore

import struct TestSupport.ShownStatements

@Suite struct CommitRuleTests {
    /// One row of the table: what differs from the most ordinary close, and the verdicts.
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var change: @Sendable (inout CommitRule.CloseContext) -> Void
        var onFlush: CommitRule.Verdict
        var onLastRelease: CommitRule.Verdict

        init(
            _ what: String, onFlush: CommitRule.Verdict, onLastRelease: CommitRule.Verdict,
            _ change: @escaping @Sendable (inout CommitRule.CloseContext) -> Void
        ) {
            testDescription = what
            self.change = change
            self.onFlush = onFlush
            self.onLastRelease = onLastRelease
        }

        var context: CommitRule.CloseContext {
            var context = CommitRule.CloseContext()
            context.size = 100
            change(&context)
            return context
        }
    }

    static let table: [Row] = [
        Row("an ordinary close", onFlush: .commit(.whole), onLastRelease: .commitInBackground(.whole)) { _ in },
        Row("nothing was written", onFlush: .nothing, onLastRelease: .nothing) { $0.hasUncommittedContent = false },
        Row("nothing was written, by a killed process", onFlush: .nothing, onLastRelease: .nothing) {
            $0.hasUncommittedContent = false
            $0.closer = .dying("killed")
        },
        Row("the file is empty", onFlush: .nothing, onLastRelease: .nothing) { $0.size = 0 },
        Row("another descriptor is open", onFlush: .notYet, onLastRelease: .commitInBackground(.whole)) {
            $0.isHeld = true
        },

        // The writer was killed, or exited non-zero without closing.
        Row("the writer is dying", onFlush: .interrupt("killed"), onLastRelease: .commitInBackground(.whole)) {
            $0.closer = .dying("killed")
        },
        Row("a writer is dying, others go on", onFlush: .taint("killed"), onLastRelease: .commitInBackground(.whole)) {
            $0.closer = .dying("killed")
            $0.isHeld = true
        },
        Row(
            "a process is dying that never wrote", onFlush: .commitInBackground(.whole),
            onLastRelease: .commitInBackground(.whole)
        ) {
            $0.closer = .dying("killed")
            $0.closerWrote = false
        },
        Row(
            "a process is dying that never wrote, others go on", onFlush: .notYet,
            onLastRelease: .commitInBackground(.whole)
        ) {
            $0.closer = .dying("killed")
            $0.closerWrote = false
            $0.isHeld = true
        },
        Row("closed after a writer was killed", onFlush: .interrupt("killed"), onLastRelease: .interrupt("killed")) {
            $0.taint = "killed"
        },
        Row(
            "the first death is the reason", onFlush: .interrupt("killed first"),
            onLastRelease: .interrupt("killed first")
        ) {
            $0.taint = "killed first"
            $0.closer = .dying("killed later")
        },
        Row(
            "closed empty after a writer was killed", onFlush: .interrupt("killed"), onLastRelease: .interrupt("killed")
        ) {
            $0.taint = "killed"
            $0.size = 0
        },

        // Not all of it is there.
        Row(
            "a copy stopped short", onFlush: .interrupt("the copy stopped after 100 of 200 bytes"),
            onLastRelease: .interrupt("the copy stopped after 100 of 200 bytes")
        ) { $0.shortOf = 200 },
        Row(
            "a copy stopped before its first byte", onFlush: .interrupt("the copy stopped after 0 of 200 bytes"),
            onLastRelease: .interrupt("the copy stopped after 0 of 200 bytes")
        ) {
            $0.shortOf = 200
            $0.size = 0
        },
        Row(
            "a copy stopped short, but is not done", onFlush: .notYet,
            onLastRelease: .interrupt("the copy stopped after 100 of 200 bytes")
        ) {
            $0.shortOf = 200
            $0.isHeld = true
        },
        Row(
            "a declared size has holes", onFlush: .interrupt("not all of the declared size was written"),
            onLastRelease: .interrupt("not all of the declared size was written")
        ) { $0.lacksDeclaredBytes = true },
        Row("a size was declared and nothing written", onFlush: .nothing, onLastRelease: .nothing) {
            $0.lacksDeclaredBytes = true
            $0.isOnlyPresized = true
        },
        Row(
            "a size was declared and nothing written, since that was refused",
            onFlush: .interrupt("a write was refused: the spool is full"),
            onLastRelease: .interrupt("a write was refused: the spool is full")
        ) {
            $0.refusal = "the spool is full"
            $0.lacksDeclaredBytes = true
            $0.isOnlyPresized = true
        },
        Row(
            "a write was refused", onFlush: .interrupt("a write was refused: the spool is full"),
            onLastRelease: .interrupt("a write was refused: the spool is full")
        ) { $0.refusal = "the spool is full" },
        Row(
            "rsync in place was cut off", onFlush: .interrupt("rsync was cut off while it wrote in place"),
            onLastRelease: .interrupt("rsync was cut off while it wrote in place")
        ) { $0.isCutOffInPlace = true },
        Row(
            "cut short by a process that exits", onFlush: .interrupt("a write was refused: the spool is full"),
            onLastRelease: .interrupt("a write was refused: the spool is full")
        ) {
            $0.refusal = "the spool is full"
            $0.closer = .exiting
        },

        // Nobody reads the answer.
        Row(
            "an exiting process closes", onFlush: .commitInBackground(.whole),
            onLastRelease: .commitInBackground(.whole)
        ) {
            $0.closer = .exiting
        },
        Row("another pid namespace", onFlush: .notYet, onLastRelease: .commitInBackground(.whole)) {
            $0.closer = .unknown
        },

        // Names.
        Row("a temporary name", onFlush: .commit(.allButLast), onLastRelease: .commitInBackground(.allButLast)) {
            $0.name = .temporary
        },
        Row(
            "a temporary name, by an exiting process", onFlush: .commitInBackground(.allButLast),
            onLastRelease: .commitInBackground(.allButLast)
        ) {
            $0.name = .temporary
            $0.closer = .exiting
        },
        Row(
            "a killed writer of a temporary name", onFlush: .interrupt("killed"),
            onLastRelease: .commitInBackground(.allButLast)
        ) {
            $0.name = .temporary
            $0.closer = .dying("killed")
        },
        Row(
            "a temporary name that tells no final one", onFlush: .commit(.untilNamed),
            onLastRelease: .commitInBackground(.untilNamed)
        ) {
            $0.name = .temporaryWithoutFinal
        },
        Row(
            "such a name, and the copy stopped short", onFlush: .interrupt("the copy stopped after 100 of 200 bytes"),
            onLastRelease: .interrupt("the copy stopped after 100 of 200 bytes")
        ) {
            $0.name = .temporaryWithoutFinal
            $0.shortOf = 200
        },
        Row("a name that stays here", onFlush: .nothing, onLastRelease: .nothing) { $0.name = .local },
        Row("a name that stays here, cut short", onFlush: .nothing, onLastRelease: .nothing) {
            $0.name = .local
            $0.refusal = "the spool is full"
        },
    ]

    @Test(.shows("close-last-descriptor", "close-unseen-writer", "close-exit"), arguments: table)
    func decidesOnEachClose(_ row: Row) {
        #expect(CommitRule.onFlush(row.context) == row.onFlush)
    }

    @Test(.shows("close-last-release", "close-unseen-writer"), arguments: table) func decidesOnTheLastRelease(
        _ row: Row
    ) {
        #expect(CommitRule.onLastRelease(row.context) == row.onLastRelease)
    }

    /// Whatever comes together: a version of which something is known to be missing is never committed.
    @Test func neverCommitsWhatIsKnownToBeIncomplete() {
        let closers: [CommitRule.CloseContext.Closer] = [.running, .exiting, .dying("killed"), .unknown]
        let names: [CommitRule.CloseContext.Name] = [.final, .temporary, .temporaryWithoutFinal, .local]
        let flaws: [@Sendable (inout CommitRule.CloseContext) -> Void] = [
            { $0.taint = "killed" }, { $0.shortOf = 200 }, { $0.lacksDeclaredBytes = true },
            { $0.refusal = "the spool is full" }, { $0.isCutOffInPlace = true },
        ]
        for closer in closers {
            for name in names {
                for isHeld in [false, true] {
                    for flaw in flaws {
                        var context = CommitRule.CloseContext()
                        context.size = 100
                        context.closer = closer
                        context.name = name
                        context.isHeld = isHeld
                        flaw(&context)
                        for verdict in [CommitRule.onFlush(context), CommitRule.onLastRelease(context)] {
                            switch verdict {
                            case .commit, .commitInBackground: Issue.record("committed: \(context)")
                            case .notYet, .taint, .nothing, .interrupt: break
                            }
                        }
                    }
                }
            }
        }
    }
}
