import UploadCore

// What an upload is called, and where it is found.

extension Upload {
    /// What the upload is called, and whose it is.
    public var identity: UploadIdentity { state.withLock { $0.identity } }

    /// Changes what the upload is called: a rename, a writer that became known.
    public func updateIdentity(_ change: (inout UploadIdentity) -> Void) {
        state.withLock { state in
            let (path, isListed) = (state.identity.path, state.identity.isListed)
            change(&state.identity)
            guard state.identity.path != path || state.identity.isListed != isListed else { return }
            // Under the lock: by the path that it tells it is found.
            services.index.update(number, state.changedNames())
        }
        markDirty()
    }

    /// It is to be found by its names from now on.
    func enterIndex() { state.withLock { services.index.add(number, $0.changedNames()) } }
}

extension Upload.State {
    /// What it is to be found by from now on.
    mutating func changedNames() -> UploadIndex.Names {
        namesVersion += 1
        return UploadIndex.Names(
            version: namesVersion, sessions: machine.sessionIDs, path: identity.path, isListed: identity.isListed)
    }
}

extension UploadStateMachine {
    /// The ids of its sessions: those that were abandoned, and the present one's.
    var sessionIDs: [String] { abandonedUploadIDs + (uploadID.map { [$0] } ?? []) }
}
