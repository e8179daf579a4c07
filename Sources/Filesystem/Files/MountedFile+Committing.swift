import UploadCore
import UploadEngine

// What becomes of a file's content: committing, ending, trying again, and evicting it.

extension MountedFile {
    /// Commits the version that was looked at, so far; gives its upload. Nil when it is another version by now, when somebody
    /// changes it (whoever does has yet to close it), or when it was decided before.
    ///
    /// - Parameter unlessOpen: whether a handle that can write keeps it from being committed.
    func seal(_ looked: FileVersion?, _ scope: CommitScope, unlessOpen: Bool) -> Upload? {
        door.withLock { state in
            guard let looked, let version = state.version, version.isSame(as: looked) else { return nil }
            guard version.changesUnderWay == 0, let upload = version.upload else { return nil }
            if unlessOpen, state.writeHandles > 0 { return nil }
            guard state.version?.phase.apply(.commit(scope)) == .granted else { return nil }
            state.declaredSize = nil
            return upload
        }
    }

    /// Ends the version that was looked at, so that nothing becomes of it; gives it as it was at its end. Nil where it
    /// goes on: while somebody changes it, and after it was decided.
    func end(_ looked: FileVersion?, _ ending: VersionPhase.Ending) -> FileVersion? {
        door.withLock { state in
            guard let looked, let version = state.version, version.isSame(as: looked), version.changesUnderWay == 0,
                state.version?.phase.apply(.end(ending)) == .granted
            else { return nil }
            return version
        }
    }

    /// Remembers that a writer was killed: a later name may ask for these bytes.
    func taint(_ looked: FileVersion?, _ reason: String) {
        door.withLock { state in
            guard let looked, let version = state.version, version.isSame(as: looked) else { return }
            if version.phase == .writing, version.taint == nil { state.version?.taint = reason }
        }
    }

    /// Why a writer's death spoilt this version, as is known now.
    func taint(of looked: FileVersion) -> String? {
        door.withLock { state in
            guard let version = state.version, version.isSame(as: looked) else { return looked.taint }
            return version.taint
        }
    }

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
