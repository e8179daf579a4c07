import FileTree
import FuseLowLevel
import UploadCore
import UploadEngine

// What a user asks of an upload, without a socket: by setting an extended attribute of the file, or of its status document,
// since a file whose upload was cut short is not listed any more.

/// The values that the control attributes can be set to.
package enum UploadControl: String, Sendable, CaseIterable {
    /// The attribute of a file.
    package static let attribute = "user.twelvelabs.control"
    /// The attribute of a document. Documents may be written by nobody, and for a `user.` attribute the kernel asks for
    /// write permission; for a `system.` one it leaves the decision to the file system.
    package static let documentAttribute = "system.twelvelabs.control"

    /// Try once more what failed, or was interrupted after it had been put on disk.
    case retry
    /// Cancel what the platform has not confirmed, and drop its bytes.
    case cancel

    init?(_ value: [UInt8]) {
        guard let known = Self.allCases.first(where: { value.elementsEqual($0.rawValue.utf8) }) else { return nil }
        self = known
    }
}

extension UploadAttributes {
    /// Does what is asked of the upload that a file or a document stands for.
    ///
    /// - Throws: `EPERM` for anybody but the mount's owner and root, `EINVAL` for what cannot be asked of it, `EBUSY` for a retry
    ///   of what is under way, `EROFS` for one when the mount is about to end.
    func control(_ inode: InodeNumber, _ value: [UInt8], context: FuseRequestContext) throws(FuseErrno) {
        guard let order = UploadControl(value) else { throw .invalidArgument }
        guard context.uid == 0 || context.uid == configuration.uid else { throw .notPermitted }
        guard let upload = try controlled(inode) else { throw .invalidArgument }
        switch order {
        case .retry: try retry(upload)
        case .cancel: try cancel(upload)
        }
    }

    private func controlled(_ inode: InodeNumber) throws(FuseErrno) -> Upload? {
        if StatusDirectory.owns(inode) { return try status.upload(behind: inode) }
        return ownFile(inode)?.upload
    }

    private func retry(_ upload: Upload) throws(FuseErrno) {
        try namespace.checkWritable()
        let was = upload.currentState
        do throws(UploadStateMachine.RetryRefusal) {
            try upload.retry()
        } catch {
            throw error == .isUnderWay ? .resourceBusy : .invalidArgument
        }
        logger.info("an upload is tried once more", metadata: ["filename": "\(upload.identity.filename)"])
        switch was {
        case .interrupted:
            reclaimer.release(upload)
            listAgain(upload)
        case .failed:
            // Written again before its rename, it is one upload still.
            let scope = upload.inspect { $0.commitScope } ?? .whole
            listed(upload)?.1.retried(upload, as: scope)
        case .open, .staged, .finishing, .completed, .cancelled: break
        }
    }

    /// A file whose writer did not finish is not listed: now it is one again, unless another one has its name.
    private func listAgain(_ upload: Upload) {
        if let (_, file) = listed(upload) {
            return file.retried(upload, as: .whole)
        }
        let size = upload.inspect { $0.size }
        namespace.relist(MountedFile(closed: FileVersion(of: upload, size: size, phase: .sealed)), of: upload)
    }

    private func cancel(_ upload: Upload) throws(FuseErrno) {
        switch upload.stateToKeep {
        case .completed, .cancelled: throw .invalidArgument
        case .open, .staged, .finishing, .failed, .interrupted: break
        }
        let reason = UploadFailure(.cancelled, message: "it was cancelled before the platform had confirmed it")
        if let (location, file) = listed(upload) {
            // First, so that no close in between takes it for a file that was merely removed.
            file.setCancelled(true)
            do throws(FuseErrno) {
                return try namespace.removeFile(
                    location.name.bytes, in: location.parent, expected: file, reason: reason)
            } catch {
                // Renamed or replaced in this moment: whoever asks again finds it where it is.
                file.setCancelled(false)
                throw error
            }
        }
        upload.apply(.cancelled(reason))
        reclaimer.release(upload)
        reclaimer.retire(upload)
    }

    /// The file whose content an upload is, and where it is.
    private func listed(_ upload: Upload) -> (NodeLocation, MountedFile)? {
        let path = upload.identity.path
        let found = namespace.tree.withLock { tree -> (NodeLocation, MountedFile)? in
            guard let node = try? tree.lookup(path: path), let file = try? tree.file(node),
                let location = try? tree.node(node).location
            else { return nil }
            return (location, file)
        }
        return found.flatMap { $0.1.upload === upload ? found : nil }
    }
}
