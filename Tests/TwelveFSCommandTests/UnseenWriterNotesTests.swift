import ProcessInspection
import TestSupport
import Testing
import TwelveFSCommand
import UploadCore

/// What `mount` says beforehand.
@Suite struct UnseenWriterNotesTests {
    /// What cannot be seen, for whom the mount is, and the words that are said.
    static let table: [(change: @Sendable (inout WriterVision) -> Void, allowsOther: Bool, words: [String])] = [
        ({ _ in }, true, []),
        ({ $0.mayLookIntoAll = false }, true, []),
        ({ $0.seesAllNamespaces = false }, false, ["--pid=host"]),
        ({ $0.procIsOwn = false }, false, ["--mount-proc"]),
        (
            {
                $0.procIsOwn = false
                $0.seesAllNamespaces = false
            }, true, ["--mount-proc"]
        ),
        (
            {
                $0.mayLookIntoAll = false
                $0.tellsEnds = false
            }, false, []
        ),
        (
            {
                $0.mayLookIntoAll = false
                $0.tellsEnds = false
            }, true, ["CAP_SYS_PTRACE"]
        ),
        (
            {
                $0.mayLookIntoAll = false
                $0.procHides = true
            }, true, ["gid="]
        ),
        ({ $0.procHides = true }, true, []),
        ({ $0.tellsEnds = false }, true, []),
    ]

    @Test(.shows("writer-unseen", "writer-unseen-allowed"), arguments: table.indices)
    func eachKindThatMayComeIsTold(row: Int) {
        let (change, allowsOther, words) = Self.table[row]
        var vision = WriterVision()
        change(&vision)
        let refused = UnseenWriterNotes.lines(vision, allowsOther: allowsOther, policy: .refuse)
        #expect(refused.count == words.count)
        for (line, word) in zip(refused, words) { #expect(line.contains(word) && line.contains("refused")) }
        let taken = UnseenWriterNotes.lines(vision, allowsOther: allowsOther, policy: .allow)
        #expect(taken.count == words.count)
        for line in taken { #expect(line.contains("half-written")) }
    }
}
