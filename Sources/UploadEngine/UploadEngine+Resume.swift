import UploadCore
import UploadStore

// Recovering what another process left.

extension UploadEngine {
    /// Takes an upload in as the journal knows it. Nothing is done about it before ``resume()``.
    ///
    /// - Parameters:
    ///   - spool: Its bytes, or what stands in their place.
    ///   - contentLoss: Why its bytes are not to be had any more, if they are not.
    public func restore(
        _ record: UploadRecord, session: SessionRecord?, chunks: [ChunkRecord], spool: SpoolFile,
        contentLoss: UploadFailure?
    ) -> Upload {
        let (now, wallTime) = (services.clock.now(), services.clock.wallTime())
        let left = RecoveredUpload(
            record, session: session?.snapshot(at: now, wallTime: wallTime), chunks: chunks, contentLoss: contentLoss)
        var identity = UploadIdentity(path: record.path, filename: record.filename, type: record.type)
        identity.writer = record.writer
        identity.writerExit = record.writerExit
        identity.isUndecided = record.isUndecided
        identity.supersededUploadIDs = record.superseded
        let upload = Upload(
            restoring: left, record: record, spool: spool, identity: identity, services: services)
        add(upload)
        upload.tellInFlight()
        // Its writer died: nothing of it was confirmed, and nothing will be.
        if record.state == .open, let session {
            deleteAfterResuming(assetID: session.assetID, unlessCompleted: session.uploadID)
        }
        if upload.stateToKeep != record.state { upload.markDirty() }
        return upload
    }

    /// Goes on with everything that was taken in, and asks for the assets of which it is not known what became.
    public func resume() {
        for (assetID, session) in takeAssetsToDelete() {
            services.cleaner.delete(assetID: assetID, unlessCompleted: session)
        }
        for upload in uploads {
            upload.apply(.tick)
            upload.watchAsset()
        }
    }

    /// Uploads that another process has to recover, were this one to end now.
    public var resumable: Int {
        uploads.count { $0.stateToKeep == .finishing }
    }
}
