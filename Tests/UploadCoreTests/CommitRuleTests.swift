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

    private static let released = CommitRule.Verdict.interrupt(
        "it was renamed to a name of those that are not uploaded, and parts of it had been uploaded and released already"
    )

    static let table: [Row] = [
        Row("an ordinary close", onFlush: .commit(.whole), onLastRelease: .commitInBackground(.whole)) { _ in },
        Row("nothing was written", onFlush: .nothing, onLastRelease: .nothing) { $0.hasUncommittedContent = false },
        Row("nothing was written, by a killed process", onFlush: .nothing, onLastRelease: .nothing) {
            $0.hasUncommittedContent = false
            $0.closer = .dying("killed")
        },
        Row("the file is empty", onFlush: .nothing, onLastRelease: .nothing) { $0.size = 0 },
        Row("it is to stay here", onFlush: .nothing, onLastRelease: .nothing) { $0.name = .local },
        Row("it is to stay here, and lacks bytes", onFlush: released, onLastRelease: released) {
            $0.name = .local
            $0.hasReleasedBytes = true
        },
        Row("another descriptor is open", onFlush: .notYet, onLastRelease: .commitInBackground(.whole)) {
            $0.held = .yes
        },

        // The writer was killed, or exited non-zero without closing.
        Row("the writer is dying", onFlush: .interrupt("killed"), onLastRelease: .commitInBackground(.whole)) {
            $0.closer = .dying("killed")
        },
        Row("a writer is dying, others go on", onFlush: .taint("killed"), onLastRelease: .commitInBackground(.whole)) {
            $0.closer = .dying("killed")
            $0.held = .yes
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
            $0.held = .yes
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
            $0.held = .yes
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
        // What could not be looked at.
        Row(
            "a caller that is not to be seen", onFlush: .commitForNow(.allButLast),
            onLastRelease: .commitInBackground(.whole)
        ) { $0.closer = .unseen },
        Row(
            "somebody may have it open still", onFlush: .commitForNow(.allButLast),
            onLastRelease: .commitInBackground(.whole)
        ) { $0.held = .unseen },
        Row(
            "the same under a temporary name", onFlush: .commitForNow(.allButLast),
            onLastRelease: .commitInBackground(.allButLast)
        ) {
            $0.held = .unseen
            $0.name = .temporary
        },
        Row(
            "the same under a name that tells no final one", onFlush: .commitForNow(.untilNamed),
            onLastRelease: .commitInBackground(.untilNamed)
        ) {
            $0.held = .unseen
            $0.name = .temporaryWithoutFinal
        },
        Row("the same with a name that stays here", onFlush: .nothing, onLastRelease: .nothing) {
            $0.held = .unseen
            $0.name = .local
        },
        Row("the same with an empty file", onFlush: .nothing, onLastRelease: .nothing) {
            $0.held = .unseen
            $0.size = 0
        },
        Row(
            "somebody may have it open still, and a copy stopped short",
            onFlush: .refuse("the copy stopped after 100 of 200 bytes"),
            onLastRelease: .interrupt("the copy stopped after 100 of 200 bytes")
        ) {
            $0.held = .unseen
            $0.shortOf = 200
        },
        Row(
            "somebody may have it open still, after a writer was killed", onFlush: .refuse("killed"),
            onLastRelease: .interrupt("killed")
        ) {
            $0.held = .unseen
            $0.taint = "killed"
        },
        Row(
            "a writer is dying, and somebody may have it open still", onFlush: .taint("killed"),
            onLastRelease: .commitInBackground(.whole)
        ) {
            $0.held = .unseen
            $0.closer = .dying("killed")
        },
        Row(
            "an exiting process closes, and somebody may have it open still", onFlush: .notYet,
            onLastRelease: .commitInBackground(.whole)
        ) {
            $0.held = .unseen
            $0.closer = .exiting
        },
        Row("a look failed", onFlush: .lookAgain, onLastRelease: .lookAgain) { $0.hasFailedLooks = true },
        Row("a look failed, and there is nothing to decide", onFlush: .nothing, onLastRelease: .nothing) {
            $0.hasFailedLooks = true
            $0.hasUncommittedContent = false
        },

        // How a writer ended is not known yet.
        Row("a writer ends", onFlush: .notYet, onLastRelease: .commitInBackground(.whole)) { $0.closer = .ending },
        Row(
            "a process ends that never wrote", onFlush: .commitInBackground(.whole),
            onLastRelease: .commitInBackground(.whole)
        ) {
            $0.closer = .ending
            $0.closerWrote = false
        },
        Row("closed while a writer's end is not known", onFlush: .commitForNow(.allButLast), onLastRelease: .awaitEnds)
        {
            $0.awaitsEnds = true
        },
        Row("exited while another writer's end is not known", onFlush: .notYet, onLastRelease: .awaitEnds) {
            $0.awaitsEnds = true
            $0.closer = .exiting
        },
        Row(
            "one end is not known, and another is known to be bad", onFlush: .interrupt("killed"),
            onLastRelease: .interrupt("killed")
        ) {
            $0.awaitsEnds = true
            $0.taint = "killed"
        },
        Row(
            "an end is not known, and a copy stopped short",
            onFlush: .refuse("the copy stopped after 100 of 200 bytes"),
            onLastRelease: .interrupt("the copy stopped after 100 of 200 bytes")
        ) {
            $0.awaitsEnds = true
            $0.shortOf = 200
        },
        Row("an end is not known, and another has it open", onFlush: .notYet, onLastRelease: .awaitEnds) {
            $0.awaitsEnds = true
            $0.held = .yes
        },
        Row("an end is not known of a file that stays here", onFlush: .nothing, onLastRelease: .nothing) {
            $0.awaitsEnds = true
            $0.name = .local
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

    @Test(.shows("close-last-descriptor", "close-hidden-writer", "close-exit"), arguments: table)
    func decidesOnEachClose(_ row: Row) {
        #expect(CommitRule.onFlush(row.context) == row.onFlush)
    }

    @Test(.shows("close-last-release", "close-hidden-writer"), arguments: table) func decidesOnTheLastRelease(
        _ row: Row
    ) {
        #expect(CommitRule.onLastRelease(row.context) == row.onLastRelease)
    }

    /// Whatever comes together: a version of which something is known to be missing is never committed.
    @Test func neverCommitsWhatIsKnownToBeIncomplete() {
        let closers: [CommitRule.CloseContext.Closer] = [
            .running, .exiting, .ending, .dying("killed"), .unseen,
        ]
        let names: [CommitRule.CloseContext.Name] = [.final, .temporary, .temporaryWithoutFinal, .local]
        let flaws: [@Sendable (inout CommitRule.CloseContext) -> Void] = [
            { $0.taint = "killed" }, { $0.shortOf = 200 }, { $0.lacksDeclaredBytes = true },
            { $0.refusal = "the spool is full" }, { $0.isCutOffInPlace = true },
        ]
        for closer in closers {
            for name in names {
                for held: CommitRule.CloseContext.Held in [.no, .yes, .unseen] {
                    for flaw in flaws {
                        var context = Self.context(closer, name, held)
                        flaw(&context)
                        for verdict in [CommitRule.onFlush(context), CommitRule.onLastRelease(context)] {
                            if verdict.isCommit { Issue.record("committed: \(context)") }
                        }
                    }
                }
            }
        }
    }

    /// Whatever comes together: what is not known is neither committed for good nor answered with 0 at once, unless nobody
    /// reads the answer.
    @Test(.shows("asset-end-unknown")) func neverTakesWhatIsNotKnownForNo() {
        for closer: CommitRule.CloseContext.Closer in [.running, .exiting, .ending, .unseen] {
            for name: CommitRule.CloseContext.Name in [.final, .temporary, .temporaryWithoutFinal] {
                for (held, awaitsEnds) in [(CommitRule.CloseContext.Held.unseen, false), (.unseen, true), (.no, true)] {
                    var context = Self.context(closer, name, held)
                    context.awaitsEnds = awaitsEnds
                    switch CommitRule.onFlush(context) {
                    case .commitForNow(let scope): #expect(scope != .whole)
                    case .notYet: #expect(closer == .exiting || closer == .ending)
                    case let other: Issue.record("\(other): \(context)")
                    }
                    if awaitsEnds { #expect(CommitRule.onLastRelease(context) == .awaitEnds) }
                }
            }
        }
    }

    private static func context(
        _ closer: CommitRule.CloseContext.Closer, _ name: CommitRule.CloseContext.Name,
        _ held: CommitRule.CloseContext.Held
    ) -> CommitRule.CloseContext {
        var context = CommitRule.CloseContext()
        context.size = 100
        context.closer = closer
        context.name = name
        context.held = held
        return context
    }
}

extension CommitRule.Verdict {
    fileprivate var isCommit: Bool {
        switch self {
        case .commit, .commitForNow, .commitInBackground: true
        case .notYet, .taint, .refuse, .lookAgain, .awaitEnds, .nothing, .interrupt: false
        }
    }
}
