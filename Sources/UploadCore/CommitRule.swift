/// Whether the close of a descriptor, or the release of the last handle, commits what the file holds: the one table.
///
/// The rule: a version is committed when no descriptor in any process still refers to the file. Everything else here is an
/// exception to it, each with what tells that it applies. CloseContext in, verdict out; who gathers the context and who acts
/// on the verdict is elsewhere.
///
/// What could not be looked at is not taken for "no". Whether somebody has the file open still, the kernel knows: it tells
/// by the last release. How a writer ended, it tells once the writer's parent has taken notice.
public enum CommitRule {
    /// What is known when a handle that can write is closed.
    public struct CloseContext: Sendable, Equatable {
        /// How the closing process is faring.
        public enum Closer: Sendable, Equatable {
            /// It runs: it reads the answer.
            case running
            /// It is exiting, of its own will and with success: nobody reads the answer, nothing can interrupt the wait.
            case exiting
            /// It is exiting; whether of its own will and with success is yet to be learnt. Nobody reads the answer.
            case ending
            /// It was killed, or exits with a status other than 0, without having closed the file. In words.
            case dying(String)
            /// It is not to be seen (another pid namespace): nobody knows whether it reads the answer.
            case unseen
        }

        /// Whether any descriptor still refers to the file.
        public enum Held: Sendable, Equatable {
            /// None does, as far as any process can have one.
            case no
            /// One does.
            case yes
            /// There is a process that may have one, and may not be looked into.
            case unseen
        }

        /// What becomes of files of this name.
        public enum Name: Sendable, Equatable {
            /// They are uploaded.
            case final
            /// They are uploaded under another name, which the pattern tells; the rename to it completes them.
            case temporary
            /// They will be renamed, to what nobody knows: nothing is sent before.
            case temporaryWithoutFinal
            /// They stay here.
            case local
        }

        /// Whether anything was written, or the size changed, since the last commit.
        public var hasUncommittedContent = true
        /// The file's size, in bytes.
        public var size: Int64 = 0
        /// How the closing process is faring.
        public var closer = Closer.running
        /// Whether the closing process is one that wrote into this version.
        public var closerWrote = true
        /// Whether any descriptor still refers to the file.
        public var held = Held.no
        /// Whether a writer exited with the file open, and how it ended is yet to be learnt.
        public var awaitsEnds = false
        /// Whether a look failed, and may succeed when it is repeated.
        public var hasFailedLooks = false
        /// Why the version can't become an asset any more, if a writer of it was killed before.
        public var taint: String?
        /// How many bytes a whole copy would have had, when a copy stopped short.
        public var shortOf: Int64?
        /// How many bytes the file has that its writer read, which bears its name: what was written are the first of them.
        public var shortOfNamesake: Int64?
        /// Whether a size was declared and there are holes below it.
        public var lacksDeclaredBytes = false
        /// Whether nothing was written of a declared size: it is set for whoever writes the file.
        public var isOnlyPresized = false
        /// Whether some of its bytes are with the platform only, which has given their space back to the spool.
        public var hasReleasedBytes = false
        /// Why a write was refused that was not made good.
        public var refusal: String?
        /// Whether an rsync wrote in place, and the truncation that ends its successful run has not come.
        public var isCutOffInPlace = false
        /// What becomes of files of this name.
        public var name = Name.final

        /// The context of the most ordinary close: the only writer, running, is done with a file that is to be uploaded.
        public init() {}
    }

    /// What to do.
    public enum Verdict: Sendable, Equatable {
        /// Answer 0 at once; another close will decide.
        case notYet
        /// As ``notYet``, and remember that this version is spoilt.
        case taint(String)
        /// Answer `EIO`, with this reason: nobody may be left to tell it to. Another close will decide.
        case refuse(String)
        /// Answer nothing and look again soon.
        case lookAgain
        /// Another look at the same once it is known how the writers ended.
        case awaitEnds
        /// Answer 0 at once; there is nothing to upload.
        case nothing
        /// The version is what the user wanted: upload it, and answer when that is done.
        case commit(CommitScope)
        /// As ``commit(_:)`` as far as can be taken back; the last release decides.
        case commitForNow(CommitScope)
        /// As ``commit(_:)``, answered 0 at once since nobody reads the answer.
        case commitInBackground(CommitScope)
        /// The writer did not finish: nothing may become of this version. Answer `EIO`, with this reason.
        case interrupt(String)
    }

    /// The verdict on the close (FLUSH) of a handle that can write.
    public static func onFlush(_ context: CloseContext) -> Verdict {
        guard context.hasUncommittedContent else { return .nothing }
        if context.hasFailedLooks { return .lookAgain }
        var taint = context.taint
        var awaitsEnds = context.awaitsEnds
        switch context.closer {
        case .dying(let how) where context.closerWrote: taint = taint ?? how
        case .ending where context.closerWrote: awaitsEnds = true
        case .dying, .ending, .exiting, .running, .unseen: break
        }
        if context.held == .yes { return taint.map { .taint($0) } ?? .notYet }
        let isKnown = context.held == .no && (!awaitsEnds || taint != nil)
        switch context.closer {
        case .running where isKnown:
            return verdict(context, taint: taint, isAnswered: true)
        case .exiting where isKnown, .ending where isKnown, .dying where isKnown:
            return verdict(context, taint: taint, isAnswered: false)
        case .exiting, .ending, .dying:
            return taint.map { .taint($0) } ?? .notYet
        case .running, .unseen:
            return verdictForNow(context, taint: taint)
        }
    }

    /// The verdict on the release of the last handle that could write, when no close has committed the version. Its
    /// answer reaches nobody.
    public static func onLastRelease(_ context: CloseContext) -> Verdict {
        guard context.hasUncommittedContent else { return .nothing }
        if context.hasFailedLooks { return .lookAgain }
        let verdict = verdict(context, taint: context.taint, isAnswered: false)
        guard context.awaitsEnds else { return verdict }
        switch verdict {
        case .commit, .commitInBackground, .commitForNow: return .awaitEnds
        case .notYet, .taint, .refuse, .lookAgain, .awaitEnds, .nothing, .interrupt: return verdict
        }
    }

    /// The verdict on a close that may be the last one, or may not.
    private static func verdictForNow(_ context: CloseContext, taint: String?) -> Verdict {
        switch verdict(context, taint: taint, isAnswered: true) {
        case .commit(.whole): .commitForNow(.allButLast)
        case .commit(let scope): .commitForNow(scope)
        case .interrupt(let reason): .refuse(reason)
        case let other: other
        }
    }

    private static func verdict(_ context: CloseContext, taint: String?, isAnswered: Bool) -> Verdict {
        if context.name == .local { return context.hasReleasedBytes ? .interrupt(releasedTooSoon) : .nothing }
        if let reason = taint ?? unfinished(context) { return .interrupt(reason) }
        if context.size == 0 || context.isOnlyPresized { return .nothing }
        let scope: CommitScope
        switch context.name {
        case .final: scope = .whole
        case .temporary: scope = .allButLast
        case .temporaryWithoutFinal: scope = .untilNamed
        case .local: return .nothing
        }
        return isAnswered ? .commit(scope) : .commitInBackground(scope)
    }

    private static let releasedTooSoon =
        "it was renamed to a name of those that are not uploaded, and parts of it had been uploaded and released already"

    /// Whether something is known to be missing of the file, whatever became of its writer.
    ///
    /// Not where it is as likely that it was meant to be so short.
    public static func lacksBytes(_ context: CloseContext) -> Bool {
        var certain = context
        certain.shortOfNamesake = nil
        return unfinished(certain) != nil
    }

    /// What tells that the writer stopped before it was done, though it closed the file as if it were.
    private static func unfinished(_ context: CloseContext) -> String? {
        if let refusal = context.refusal { return "a write was refused: \(refusal)" }
        if let whole = context.shortOf { return "the copy stopped after \(context.size) of \(whole) bytes" }
        if context.lacksDeclaredBytes, !context.isOnlyPresized { return "not all of the declared size was written" }
        if let whole = context.shortOfNamesake {
            return "it ends after \(context.size) of the \(whole) bytes of the file of that name which its writer read"
        }
        if context.isCutOffInPlace { return "rsync was cut off while it wrote in place" }
        return nil
    }
}
