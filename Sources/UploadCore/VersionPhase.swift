/// Where one version of a file stands, and what may still become of it: the one place that decides.
///
/// A version is what a file holds between two commits. Whoever wants to change, commit, set aside or try it again asks
/// here, under the file's one lock, and does what the answer says after it. So nothing is changed that is committed, and
/// nothing committed that somebody changes meanwhile.
public enum VersionPhase: Sendable, Hashable {
    /// It can be changed, and nothing is decided.
    case writing
    /// Closed under a name that does not tell the final one: nothing is sent before the rename.
    case waitingForName
    /// Closed under a temporary name that tells the final one: everything is sent, and all but the last chunk reported.
    case staged
    /// Committed: it is to become an asset, or has become one.
    case sealed
    /// Nothing becomes of it.
    case ended(Ending)

    /// Why nothing becomes of a version.
    public enum Ending: Sendable, Hashable, CaseIterable {
        /// Its writer did not finish.
        case interrupted
        /// rsync was cut off and kept what it had, or a file server's client went: a file of this machine, to be found again.
        case partial
    }

    /// What somebody wants to do with a version.
    public enum Event: Sendable, Hashable {
        /// Write into it, or set its size.
        case change
        /// Commit it so far.
        case commit(CommitScope)
        /// End it: nothing may become of it.
        case end(Ending)
        /// Keep it on this machine, since it got a name of those that are not uploaded: it waits for nothing any more.
        case stayHere
        /// Count it as committed whose upload has failed: it waits for nothing any more.
        case fail
        /// Try once more what ended badly, as far as it was committed.
        case retry(CommitScope)
    }

    /// What comes of that.
    public enum Answer: Sendable, Hashable {
        /// It is so now, or was already.
        case granted
        /// This version stays as it is: the change belongs into another one.
        case beginAnother
        /// This version stays as it is: it was decided before.
        case refused
    }

    /// Takes an event in: the one table of transitions.
    public mutating func apply(_ event: Event) -> Answer {
        switch (self, event) {
        case (.writing, .change): return .granted
        // What waits for its name is one version still, and open again.
        case (.waitingForName, .change), (.staged, .change): return become(.writing)
        case (.sealed, .change), (.ended, .change): return .beginAnother

        case (.writing, .commit(let scope)): return become(Self(committed: scope))
        case (.waitingForName, .commit(.allButLast)): return become(.staged)
        case (.waitingForName, .commit(.whole)), (.staged, .commit(.whole)): return become(.sealed)
        // What is sent already is no less sent for a name that tells less.
        case (.waitingForName, .commit(.untilNamed)), (.staged, .commit(.allButLast)), (.staged, .commit(.untilNamed)),
            (.sealed, .commit), (.ended, .commit):
            return .refused

        case (.writing, .end(let ending)), (.waitingForName, .end(let ending)), (.staged, .end(let ending)):
            return become(.ended(ending))
        // What its writer did not finish may still turn out to be kept by rsync on purpose.
        case (.ended(.interrupted), .end(.partial)): return become(.ended(.partial))
        case (.sealed, .end), (.ended, .end): return .refused

        case (.writing, .stayHere), (.waitingForName, .stayHere), (.staged, .stayHere): return become(.writing)
        case (.sealed, .stayHere), (.ended, .stayHere): return .refused

        case (.waitingForName, .fail), (.staged, .fail): return become(.sealed)
        case (.writing, .fail), (.sealed, .fail), (.ended, .fail): return .refused

        // A failed upload was committed, and its file is sealed; one that was interrupted is committed as a whole.
        case (.sealed, .retry(let scope)), (.ended, .retry(let scope)): return become(Self(committed: scope))
        case (.writing, .retry), (.waitingForName, .retry), (.staged, .retry): return .refused
        }
    }

    /// The phase of a version that is committed so far.
    public init(committed scope: CommitScope) {
        switch scope {
        case .whole: self = .sealed
        case .allButLast: self = .staged
        case .untilNamed: self = .waitingForName
        }
    }

    /// Whether a rename to an ordinary name commits it.
    public var awaitsRename: Bool {
        switch self {
        case .waitingForName, .staged: true
        case .writing, .sealed, .ended: false
        }
    }

    private mutating func become(_ next: Self) -> Answer {
        self = next
        return .granted
    }
}
