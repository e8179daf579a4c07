import ProcessInspection
import UploadCore
import UploadEngine

// What becomes of a file's content: committing, ending, trying again, and evicting it.

extension MountedFile {
    /// What came of the attempt to decide what becomes of a version.
    enum Decision<Value: Sendable>: Sendable {
        case made(Value)
        /// Something has happened to it since it was looked at: it is to be looked at again.
        case outdated
        /// It is another version by now, somebody changes it (whoever does has yet to close it), or it was decided before.
        case refused
    }

    /// Commits the version that was looked at, so far; gives its upload.
    ///
    /// - Parameters:
    ///   - unlessOpen: whether a handle that can write keeps it from being committed.
    ///   - isForNow: whether the last release has to decide again.
    func seal(
        _ looked: FileVersion?, _ scope: CommitScope, unlessOpen: Bool, isForNow: Bool = false
    ) -> Decision<Upload> {
        let (decision, forgotten) = door.withLock { state -> (Decision<Upload>, Forgotten) in
            guard let looked, let version = state.version, version.isSame(as: looked) else { return (.refused, []) }
            guard version.changesUnderWay == 0, let upload = version.upload else { return (.refused, []) }
            if unlessOpen, state.writeHandles > 0 { return (.refused, []) }
            if !isForNow {
                let isKnown = version.events == looked.events && version.writers.awaited.isEmpty
                guard isKnown, version.taint == nil || looked.taint != nil else { return (.outdated, []) }
                state.version?.isCommittedForNow = false
            }
            guard state.version?.phase.apply(.commit(scope)) == .granted else { return (.refused, []) }
            state.declaredSize = nil
            if isForNow { state.version?.isCommittedForNow = true }
            state.unrecorded = UnrecordedCommit(
                upload: Int64(upload.number), spool: version.spool.name, size: version.size)
            return (.made(upload), isForNow ? [] : Self.forgetEnds(&state))
        }
        withExtendedLifetime(forgotten) {}
        return decision
    }

    /// Ends the version that was looked at, so that nothing becomes of it; gives it as it was at its end.
    func end(_ looked: FileVersion?, _ ending: VersionPhase.Ending) -> Decision<FileVersion> {
        let (decision, forgotten) = door.withLock { state -> (Decision<FileVersion>, Forgotten) in
            guard let looked, let version = state.version, version.isSame(as: looked), version.changesUnderWay == 0
            else { return (.refused, []) }
            guard version.events == looked.events else { return (.outdated, []) }
            guard state.version?.phase.apply(.end(ending)) == .granted else { return (.refused, []) }
            state.version?.isCommittedForNow = false
            return (.made(version), Self.forgetEnds(&state))
        }
        withExtendedLifetime(forgotten) {}
        return decision
    }

    /// What is released outside the lock.
    private typealias Forgotten = [any AnyObject & Sendable]

    /// What is decided does not ask any more how its writers end, nor what they read.
    private static func forgetEnds(_ state: inout State) -> Forgotten {
        var forgotten: Forgotten = state.version?.writers.settle() ?? []
        if let watched = state.lastWriter?.writer.watched { forgotten.append(watched) }
        if let source = state.version?.heldSource { forgotten.append(source) }
        state.lastWriter = nil
        state.version?.heldSource = nil
        return forgotten
    }

    /// Remembers that a writer was killed: a later name may ask for these bytes.
    func taint(_ looked: FileVersion?, _ reason: String) {
        door.withLock { state in
            guard let looked, let version = state.version, version.isSame(as: looked) else { return }
            let isUndecided = version.phase == .writing || version.isCommittedForNow
            if isUndecided, version.taint == nil { state.version?.taint = reason }
        }
    }

    /// A writer exited with the file open, and the version is not committed before it is known how it ended. Gives its end to
    /// be waited for, the first time; nil as well where nobody tells it, and then nothing becomes of the version, unless that
    /// is to be accepted.
    func awaitEnd(of writer: Int32, in looked: FileVersion?, acceptingUnknown: Bool) -> WatchedProcess? {
        door.withLock { state in
            guard let looked, let version = state.version, version.isSame(as: looked),
                version.phase == .writing || version.isCommittedForNow
            else { return nil }
            state.version?.writers.exits(writer)
            guard let watched = version.writers.records[writer]?.watched else {
                if !acceptingUnknown, version.taint == nil {
                    state.version?.taint = ProcessInspector.words(for: .unknown)
                }
                return nil
            }
            return state.version?.writers.awaited.insert(writer).inserted == true ? watched : nil
        }
    }

    /// It is known how a writer ended; tells whether that of all the others is, too, and nobody can write.
    func endIsKnown(of writer: Int32, in looked: FileVersion, spoiltBy reason: String?) -> Bool {
        door.withLock { state in
            guard let version = state.version, version.isSame(as: looked) else { return false }
            guard state.version?.writers.awaited.remove(writer) != nil else { return false }
            if let reason, version.taint == nil { state.version?.taint = reason }
            return state.version?.writers.awaited.isEmpty == true && state.writeHandles == 0
        }
    }

    /// Why a writer's death spoilt this version, as is known now, and whether it is unknown of another how it ended.
    func standing(of looked: FileVersion) -> (taint: String?, awaitsEnds: Bool) {
        door.withLock { state in
            guard let version = state.version, version.isSame(as: looked) else {
                return (looked.taint, !looked.writers.awaited.isEmpty)
            }
            return (version.taint, !version.writers.awaited.isEmpty)
        }
    }

    /// Whether nobody can write it any more, or a close was answered beside somebody who may, and what becomes of it is not
    /// decided.
    var isUndecided: Bool {
        door.withLock { state in
            guard !state.isRemoved, let version = state.version else { return false }
            return version.hasUncommittedContent && (state.writeHandles == 0 || version.isCommittedForNow)
        }
    }

    /// Whether a close of it was answered, and the last release has yet to decide.
    var isCommittedForNow: Bool { door.withLock { $0.version?.isCommittedForNow ?? false } }

    /// The writers that exited with the file open, and how they ended is not known yet.
    var awaitedWriters: Set<Int32> { door.withLock { $0.version?.writers.awaited ?? [] } }

    /// A user tries again what ended badly, as far as it was committed.
    func retried(_ upload: Upload, as scope: CommitScope) {
        door.withLock { state in
            guard state.version?.upload === upload else { return }
            _ = state.version?.phase.apply(.retry(scope))
        }
    }

    // MARK: Earlier uploads

    /// The most earlier uploads of a name that are told of.
    static let supersededLimit = 16

    /// The sessions of earlier uploads of this name, which `supersededUploadIDs` tells.
    var superseded: [SessionLabel] { door.withLock { $0.superseded } }

    /// Takes over what another file of the name told of its uploads, and that file's own.
    func takeOver(_ earlier: [SessionLabel]) {
        door.withLock { state in
            state.superseded = Array((earlier + state.superseded).suffix(Self.supersededLimit))
        }
    }

    func supersede(_ state: inout State, _ upload: SessionLabel) {
        state.superseded = Array((state.superseded + [upload]).suffix(Self.supersededLimit))
    }

    // MARK: Eviction

    /// The version whose content could leave the spool: finished, and nobody has the file open or reads its spool.
    var evictable: FileVersion? {
        let version = door.withLock { $0.handles == 0 ? $0.version : nil }
        guard let version, version.phase == .sealed, !version.isEvicted, version.size > 0, version.uses == 0 else {
            return nil
        }
        return version.upload?.currentState == .completed ? version : nil
    }

    /// Whether its content could leave the spool but for its writers, whose closes are being answered.
    var isAboutToBeEvictable: Bool {
        let version = door.withLock { $0.writeHandles > 0 ? $0.version : nil }
        guard let version, version.phase == .sealed, !version.isEvicted, version.size > 0 else { return false }
        return version.upload?.wasCompleted(within: .seconds(2)) ?? false
    }

    /// Counts the content as evicted from now on; false when somebody has begun to use it.
    func evict(_ looked: FileVersion) -> Bool {
        door.withLock { state in
            guard state.handles == 0, let version = state.version, version.isSame(as: looked),
                version.phase == .sealed, !version.isEvicted, version.uses == 0
            else { return false }
            state.version?.isEvicted = true
            return true
        }
    }

    /// Whether the content of that version has left the spool.
    func isEvicted(_ looked: FileVersion) -> Bool {
        door.withLock { state in
            guard let version = state.version, version.isSame(as: looked) else { return looked.isEvicted }
            return version.isEvicted
        }
    }

    /// Whoever read the spool file of that version is done.
    func endUse(of used: FileVersion?) {
        door.withLock { state in
            guard let used, state.version?.spool === used.spool else { return }
            state.version?.uses -= 1
        }
    }
}
