import Dispatch
import FileTree
import FuseLowLevel
import Logging
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// Names: looking up, creating, renaming and removing files and directories.

extension MountedFilesystem {
    /// A node's number and attributes.
    package struct Found: Sendable {
        package var node: NodeID
        package var attributes: FileAttributes
    }

    package func lookup(_ name: [UInt8], in parent: NodeID) throws(FuseErrno) -> Found {
        let name = try fileName(name)
        return try found(try withTree { tree throws(TreeError) in try tree.lookup(name, in: parent) })
    }

    func found(_ node: NodeID) throws(FuseErrno) -> Found {
        Found(node: node, attributes: try attributes(of: node))
    }

    package func makeDirectory(
        _ name: [UInt8], in parent: NodeID, permissions: UInt16, context: FuseRequestContext
    ) throws(FuseErrno) -> Found {
        try checkWritable()
        let name = try ownName(name, in: parent)
        let attributes = newAttributes(configuration.directoryMode ?? permissions, context)
        return try found(
            try withTree { tree throws(TreeError) in
                try tree.makeDirectory(name, in: parent, attributes: attributes, at: .now())
            })
    }

    package func removeDirectory(_ name: [UInt8], in parent: NodeID) throws(FuseErrno) {
        try checkWritable()
        let name = try ownName(name, in: parent)
        _ = try withTree { tree throws(TreeError) in
            let node = try tree.removeDirectory(name, in: parent, at: .now())
            tree.discard(node)
        }
    }

    /// Makes an empty file. A name that is not to be uploaded is refused here, where the caller can still see why.
    package func createFile(
        _ name: [UInt8], in parent: NodeID, permissions: UInt16, context: FuseRequestContext
    ) throws(FuseErrno) -> (NodeID, MountedFile) {
        try checkWritable()
        let name = try ownName(name, in: parent)
        try checkUploadable(name, in: parent)
        let file = MountedFile()
        let attributes = newAttributes(configuration.fileMode ?? permissions, context)
        let node = try withTree { tree throws(TreeError) in
            try tree.createFile(name, in: parent, attributes: attributes, file: file, at: .now())
        }
        return (node, file)
    }

    /// Removes a file's name. What was not confirmed is cancelled; what was keeps its asset.
    package func removeFile(_ name: [UInt8], in parent: NodeID) throws(FuseErrno) {
        let reason = UploadFailure(.cancelled, message: "the file was removed before the platform had confirmed it")
        try checkWritable()
        try removeFile(name, in: parent, reason: reason)
    }

    /// Removes a file's name, for a reason of its own; `ENOENT` where the name is another's than the `expected` file's.
    func removeFile(
        _ name: [UInt8], in parent: NodeID, expected: MountedFile? = nil, reason: UploadFailure
    ) throws(FuseErrno) {
        let name = try ownName(name, in: parent)
        let (node, file) = try withTree { tree throws(TreeError) in
            let node = try tree.lookup(name, in: parent)
            let file = try tree.file(node)
            if let expected, expected !== file { throw .notFound }
            try tree.removeFile(name, in: parent, at: .now())
            return (node, file)
        }
        removed(file, node: node, reason: reason)
    }

    /// A file has lost its name: its unconfirmed upload is cancelled, and its bytes go when nobody has it open.
    ///
    /// - Parameter successor: the upload of the file that took its name: what was promised to be safe goes on until
    ///   that one is.
    func removed(_ file: MountedFile, node: NodeID, reason: UploadFailure, successor: Upload? = nil) {
        let (upload, isUnused) = file.removed()
        upload?.updateIdentity { $0.isListed = false }
        if let upload, let successor {
            successor.takePlace(of: upload, reason: reason)
        } else {
            cancel(upload, reason: reason)
        }
        if isUnused { discard(file, node: node) }
    }

    /// Cancels an upload that is not decided yet.
    func cancel(_ upload: Upload?, reason: UploadFailure) {
        guard let upload else { return }
        upload.apply(.cancelled(reason))
    }

    /// Gives back the bytes of a file that has neither a name nor a handle.
    func discard(_ file: MountedFile, node: NodeID) {
        let version = file.emptied()
        tree.withLock { _ = $0.discard(node) }
        if let upload = version?.upload, upload.currentState.isUnderWay { return keeper.retire(upload) }
        version?.upload?.forgetInJournal()
        removeSpool(version?.spool)
    }

    func removeSpool(_ spool: SpoolFile?) {
        do throws(SpoolError) {
            try spool?.discard()
        } catch {
            logger.warning("a spool file could not be removed", metadata: ["reason": "\(error)"])
        }
    }

    // MARK: Renaming

    /// What a rename has to see to besides the names.
    private struct RenamePlan: Sendable {
        var name: FileName
        var parent: NodeID
        var newName: FileName
        var newParent: NodeID
        var rule: RenameRule
        /// The file that is renamed; nil for a directory.
        var file: MountedFile?
        /// Whether the new name commits what was sent already, or will be soon, and whoever renames waits for that.
        var completes = false
    }

    /// Changes names. Answered at once, or, where the new name commits what was sent under the old one, when that is
    /// confirmed.
    package func rename(
        _ name: [UInt8], in parent: NodeID, to newName: [UInt8], in newParent: NodeID, flags: FileRenameFlags,
        pid: Int32, _ wait: CloseWait
    ) {
        do throws(FuseErrno) {
            let plan = try planRename(name, in: parent, to: newName, in: newParent, flags: flags, pid: pid)
            if plan.completes, configuration.closeMode == .upload, let upload = seal(plan.file) {
                return confirm(upload, wait) { () throws(FuseErrno) in try self.carryOut(plan) }
            }
            try carryOut(plan)
            wait.answer(.success(()))
        } catch {
            wait.answer(.failure(error))
        }
    }

    private func planRename(
        _ name: [UInt8], in parent: NodeID, to newName: [UInt8], in newParent: NodeID, flags: FileRenameFlags,
        pid: Int32
    ) throws(FuseErrno) -> RenamePlan {
        try checkWritable()
        let (name, newName) = (try ownName(name, in: parent), try ownName(newName, in: newParent))
        let rule: RenameRule
        switch flags {
        case []: rule = .replace
        case .noReplace: rule = .noReplace
        case .exchange: rule = .exchange
        default: throw .invalidArgument
        }
        let node = try withTree { tree throws(TreeError) in try tree.lookup(name, in: parent) }
        let file = tree.withLock { try? $0.file(node) }
        var plan = RenamePlan(
            name: name, parent: parent, newName: newName, newParent: newParent, rule: rule, file: file)
        if file != nil { try checkUploadable(newName, in: newParent) }
        guard let file, isFinal(newName, in: newParent), let version = file.version, version.name != .upload
        else { return plan }
        if isMarkedPartial(file, node) || writers.isRsyncGivingUp(pid) {
            setAsidePartial(file)
            return plan
        }
        guard version.phase == .staged || version.phase == .sealed, file.look.writeHandles == 0 else { return plan }
        switch version.upload?.currentState {
        case .staged, .finishing: plan.completes = true
        // The bytes under the new name would look as if they had been uploaded.
        case .failed: throw FuseErrno(version.upload?.inspect { $0.failure } ?? Self.notStaged)
        case .open, .interrupted, .cancelled, .completed, nil: break
        }
        return plan
    }

    /// Commits what a rename completes, before anything else can be done with it: the version that was sent. Nil where
    /// somebody has begun to change it: then its last close decides.
    private func seal(_ file: MountedFile?) -> Upload? {
        guard let file, let version = file.version else { return nil }
        // An earlier rename was answered before it was confirmed, and is tried again.
        if version.phase == .sealed { return version.upload }
        return file.seal(version, .whole, unlessOpen: true)
    }

    private static let notStaged = UploadFailure(
        .interrupted, message: "the upload failed before the file got its name")

    /// rsync's mark of a file whose transfer was cut off: where it keeps times (`-t`), it sets this one's to 0 before it
    /// gives it its final name.
    private func isMarkedPartial(_ file: MountedFile, _ node: NodeID) -> Bool {
        let look = file.look
        guard look.modified == nil, look.version != nil else { return false }
        return tree.withLock { (try? $0.node(node))?.attributes.modificationTime.seconds == 0 }
    }

    /// Such a file is listed, so that rsync finds it again, and never uploaded.
    private func setAsidePartial(_ file: MountedFile) {
        file.end(file.version, .partial).upload?.apply(
            .interrupted(
                UploadFailure(
                    .interrupted, message: "rsync was cut off and kept a partial file",
                    hint: "run rsync again to complete it")))
    }

    /// Changes the names, and what follows from it for the files.
    private func carryOut(_ plan: RenamePlan) throws(FuseErrno) {
        let result = try withTree { tree throws(TreeError) in
            try tree.rename(
                plan.name, in: plan.parent, to: plan.newName, in: plan.newParent, rule: plan.rule, at: .now())
        }
        if let replaced = result.replaced {
            if let file = tree.withLock({ try? $0.file(replaced) }) {
                let reason = UploadFailure(
                    .replaced, message: "the file was replaced before the platform had confirmed it")
                let successor = plan.file?.upload
                if let renamed = plan.file { supersede(file, by: renamed) }
                removed(file, node: replaced, reason: reason, successor: successor)
            } else {
                tree.withLock { _ = $0.discard(replaced) }
            }
        }
        pathsChanged(below: result.moved)
        if let exchanged = result.exchanged { pathsChanged(below: exchanged) }
    }

    /// What was uploaded under a name is told by the upload of the file that took it.
    private func supersede(_ file: MountedFile, by successor: MountedFile) {
        let look = file.look
        successor.takeOver(look.superseded + [look.version?.upload].compactMap { $0 })
        if let upload = successor.upload { tellSuperseded(successor, to: upload) }
    }

    /// Everything at or below a node has another path: what becomes of it is decided anew, uploads bear the path in their
    /// status documents, and content that waited for its name is committed.
    private func pathsChanged(below moved: NodeID) {
        let files: [(node: NodeID, file: MountedFile, path: [[UInt8]])] = tree.withLock { tree in
            tree.files(atOrBelow: moved).compactMap { node, file in tree.path(of: node).map { (node, file, $0) } }
        }
        for (node, file, path) in files {
            file.renamed(to: verdict(on: path))
            if let upload = file.upload { tell(path, to: upload) }
            commitIfNamed(file, node: node)
        }
    }

    private func tell(_ path: [[UInt8]], to upload: Upload) {
        let new = identity(for: path)
        // A session bears the name that it was opened with.
        let hasSession = upload.inspect { $0.uploadID != nil }
        upload.updateIdentity { identity in
            identity.path = path
            if hasSession { return }
            identity.filename = new.filename
            identity.type = new.type
        }
    }

    /// Whether files of this name are uploaded under it.
    private func isFinal(_ name: FileName, in parent: NodeID) -> Bool {
        guard let parents = path(of: parent) else { return false }
        return verdict(on: parents + [name.bytes]) == .upload
    }

    /// After a file got another name: content that waited for it is committed in the background. Whoever renamed is not
    /// kept waiting, since both directories would stand still meanwhile.
    private func commitIfNamed(_ file: MountedFile, node: NodeID) {
        let look = file.look
        guard look.writeHandles == 0, let version = look.version, version.name == .upload, version.size > 0,
            version.hasUncommittedContent || version.phase.awaitsRename
        else { return }
        lastWriterReleased(file, node: node)
    }

    // MARK: Checks

    func fileName(_ bytes: [UInt8]) throws(FuseErrno) -> FileName {
        do throws(TreeError) {
            return try FileName(bytes)
        } catch {
            throw FuseErrno(error)
        }
    }

    /// As ``fileName(_:)``, for names that are to be made or removed: those of the status directory are not the user's.
    private func ownName(_ bytes: [UInt8], in parent: NodeID) throws(FuseErrno) -> FileName {
        let name = try fileName(bytes)
        if parent == .root, name.bytes == StatusDirectory.name { throw .permissionDenied }
        return name
    }

    private func checkUploadable(_ name: FileName, in parent: NodeID) throws(FuseErrno) {
        guard let parents = path(of: parent) else { throw .noSuchFileOrDirectory }
        guard verdict(on: parents + [name.bytes]) == .refuse else { return }
        logger.warning(
            "a file was refused: its name is not that of a video or audio file (see --other-files)",
            metadata: ["name": "\(name)"])
        throw .notPermitted
    }

    private func newAttributes(_ permissions: UInt16, _ context: FuseRequestContext) -> NodeAttributes {
        NodeAttributes(
            mode: UInt32(permissions), userID: configuration.fixedUID ?? context.uid,
            groupID: configuration.fixedGID ?? context.gid, time: .now())
    }
}
