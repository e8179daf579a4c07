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
            services.index.update(number, state.names)
        }
        markDirty()
    }

    /// Has it found by its names from now on.
    func enterIndex() { state.withLock { services.index.add(number, $0.names) } }
}

extension Upload.State {
    /// What it is to be found by.
    var names: UploadIndex.Names {
        UploadIndex.Names(
            sessions: machine.abandonedUploadIDs + (machine.uploadID.map { [$0] } ?? []), path: identity.path,
            isListed: identity.isListed)
    }
}
