import FileTree
import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// Renames, and a removal that says that a file is whole: what completes what waited for it.

extension Committer {
    /// Changes names. Answered at once, or, where the new name commits what was sent under the old one, when that is
    /// confirmed.
    package func rename(
        _ name: [UInt8], in parent: NodeID, to newName: [UInt8], in newParent: NodeID, flags: FileRenameFlags,
        pid: Int32, _ wait: CloseWait
    ) {
        do throws(FuseErrno) {
            let plan = try namespace.planRename(name, in: parent, to: newName, in: newParent, flags: flags) {
                isCutOff($0, renamedBy: pid)
            }
            if plan.completes, configuration.closeMode == .upload, let upload = seal(plan.file) {
                return closing.confirm(upload, wait) { () throws(FuseErrno) in try self.carryOut(plan) }
            }
            try carryOut(plan)
            wait.answer(.success(()))
        } catch {
            wait.answer(.failure(error))
        }
    }

    /// Whether it is rsync that renames the file, and keeps as partial what it was cut off in; nil where that is not to be seen,
    /// and the file is not as long as its source either, as far as that is known.
    private func isCutOff(_ version: FileVersion, renamedBy pid: Int32) -> Bool? {
        if let known = writers.isRsyncAborting(pid) { return known }
        let whole = version.source.flatMap { writers.currentSize(of: $0) }
        return whole == version.size ? false : nil
    }

    private func carryOut(_ plan: Namespace.RenamePlan) throws(FuseErrno) {
        for (node, file) in try namespace.carryOut(plan) {
            commitIfNamed(file, node: node)
            keepIfLocal(file, node: node)
        }
    }

    /// After a file got a name of those that are not uploaded: nothing that was sent under another one becomes an asset.
    private func keepIfLocal(_ file: MountedFile, node: NodeID) {
        guard let version = file.version, let upload = version.upload, !version.isToBeUploaded else { return }
        // From now on its bytes are wanted here. Where some are gone already, its close tells that.
        if version.phase == .writing { try? upload.promiseBegins() }
        endNeedlessUploads(file, node: node)
        namespace.markDirty([node])
    }

    /// Commits what a rename completes, before anything else can be done with it: the version that was sent. Nil where
    /// somebody has begun to change it: then its last close decides.
    private func seal(_ file: MountedFile?) -> Upload? {
        guard let file, let version = file.version else { return nil }
        // An earlier rename was answered before it was confirmed, and is tried again.
        if version.phase == .sealed { return version.upload }
        return seal(version, of: file)
    }

    private func seal(_ version: FileVersion, of file: MountedFile) -> Upload? {
        guard case .made(let upload) = seal(version, of: file, .whole, unlessOpen: true) else { return nil }
        return upload
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

    /// aria2 writes under the final name, and says that this is whole by removing `NAME.aria2` from beside it: commits the
    /// file and gives its upload, which waited for just that.
    ///
    /// Only the process that wrote the file says so. Whoever else removes that file throws away a download that was
    /// stopped, and nothing follows from it.
    func downloadCompleted(
        byRemoving control: [UInt8], in parent: NodeID, pid: Int32
    ) -> Upload? {
        let suffix = Array(".aria2".utf8)
        guard control.count > suffix.count, control.suffix(suffix.count).elementsEqual(suffix) else { return nil }
        let name = Array(control.dropLast(suffix.count))
        guard let parents = namespace.path(of: parent), namespace.verdict(on: parents + [name]) == .upload else {
            return nil
        }
        let found = namespace.tree.withLock { tree -> (NodeID, MountedFile)? in
            guard let node = try? tree.lookup(path: parents + [name]), let file = try? tree.file(node) else {
                return nil
            }
            return (node, file)
        }
        guard let (node, file) = found, let remover = writers.threadGroup(of: pid) else { return nil }
        let look = file.look
        guard look.writeHandles == 0, let version = look.version, version.writers.contains(remover) else { return nil }
        if version.phase == .staged, let upload = seal(version, of: file) { return upload }
        lastWriterReleased(file, node: node)
        return nil
    }
}
