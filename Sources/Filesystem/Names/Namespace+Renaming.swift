import FileTree
import FuseLowLevel
import UploadCore
import UploadEngine

// Renaming: what a rename would do, and doing it. Who waits for what is elsewhere.

extension Namespace {
    /// What a rename has to see to besides the names.
    struct RenamePlan: Sendable {
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

    /// What a rename would do; nothing has changed yet, but that what rsync set aside is.
    func planRename(
        _ name: [UInt8], in parent: NodeID, to newName: [UInt8], in newParent: NodeID, flags: FileRenameFlags,
        isCutOff: (FileVersion) -> Bool?
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
        if isCutOff(version) ?? isMarkedPartial(file, node) {
            setAsidePartial(file)
            return plan
        }
        // Whoever renames takes it for whole.
        if version.phase == .ended(.partial), version.name.isTemporary { throw .ioError }
        guard version.phase == .staged || version.phase == .sealed, file.look.writeHandles == 0 else { return plan }
        switch version.upload?.currentState {
        case .staged, .finishing: plan.completes = true
        // The bytes under the new name would look as if they had been uploaded.
        case .failed: throw FuseErrno(version.upload?.inspect { $0.failure } ?? Self.notStaged)
        case .open, .interrupted, .cancelled, .completed, nil: break
        }
        return plan
    }

    private static let notStaged = UploadFailure(
        .interrupted, message: "the upload failed before the file got its name")

    /// rsync's mark of a file whose transfer was cut off: where it keeps times (`-t`), it sets this one's to 0 before it
    /// gives it its final name. Only a mark where it is not to be seen what rsync does: files of 1970 bear it as well.
    private func isMarkedPartial(_ file: MountedFile, _ node: NodeID) -> Bool {
        let look = file.look
        guard look.modified == nil, look.version != nil else { return false }
        return tree.withLock { (try? $0.node(node))?.attributes.modificationTime.seconds == 0 }
    }

    /// Such a file is listed, so that rsync finds it again, and never uploaded.
    private func setAsidePartial(_ file: MountedFile) {
        var decision = file.end(file.version, .partial)
        while case .outdated = decision { decision = file.end(file.version, .partial) }
        guard case .made(let ended) = decision else { return }
        ended.upload?.apply(
            .interrupted(
                UploadFailure(
                    .interrupted, message: "rsync was cut off and kept a partial file",
                    hint: "run rsync again to complete it")))
    }

    /// Changes the names, and tells the files. Gives those whose path is another now.
    func carryOut(_ plan: RenamePlan) throws(FuseErrno) -> [(node: NodeID, file: MountedFile)] {
        let result = try withTree { tree throws(TreeError) in
            let old = tree.path(of: plan.parent).map { $0 + [plan.name.bytes] }
            let new = tree.path(of: plan.newParent).map { $0 + [plan.newName.bytes] }
            let result = try tree.rename(
                plan.name, in: plan.parent, to: plan.newName, in: plan.newParent, rule: plan.rule, at: .now())
            markJudgedAnew(result.moved, from: old, to: new, in: &tree)
            if let exchanged = result.exchanged { markJudgedAnew(exchanged, from: new, to: old, in: &tree) }
            return result
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
        return pathsChanged(below: result.moved) + (result.exchanged.map { pathsChanged(below: $0) } ?? [])
    }

    private static let anyVideo = Array("a.mp4".utf8)

    /// What the journal knows of a file goes by what becomes of its path: another directory above it may decide that otherwise.
    private func markJudgedAnew(
        _ moved: NodeID, from old: [[UInt8]]?, to new: [[UInt8]]?, in tree: inout FileTree<MountedFile>
    ) {
        // Whatever the names of directories say of files, they say of any.
        guard let old, let new, verdict(on: old + [Self.anyVideo]) != verdict(on: new + [Self.anyVideo]) else { return }
        let judgedAnew = tree.files(atOrBelow: moved).map(\.0).filter { node in
            guard let path = tree.path(of: node) else { return false }
            return verdict(on: path) != verdict(on: old + path.dropFirst(new.count))
        }
        tree.markChanged(judgedAnew)
    }

    /// What was uploaded under a name is told by the upload of the file that took it.
    private func supersede(_ file: MountedFile, by successor: MountedFile) {
        let look = file.look
        successor.takeOver(look.superseded + [look.version?.upload?.sessionLabel].compactMap { $0 })
        if let upload = successor.upload { upload.tell(superseded: successor.superseded) }
    }

    /// Everything at or below a node has another path: what becomes of it is decided anew.
    private func pathsChanged(below moved: NodeID) -> [(node: NodeID, file: MountedFile)] {
        let files = tree.withLock { $0.files(atOrBelow: moved) }
        for (node, file) in files { nameWasSet(file, node: node) }
        return files.map { (node: $0.0, file: $0.1) }
    }

    /// Another content, or an upload, has come into a file. The path by which it was made may be an old one by now, and whoever
    /// changed or removed that found what the file held before.
    ///
    /// - Parameter upload: what has come. Whoever removed the file may have taken its content away since.
    func contentWasSet(in file: MountedFile, node: NodeID, upload: Upload?) {
        nameWasSet(file, node: node)
        guard path(of: node) == nil else { return }
        let (own, predecessors, _) = file.removed()
        for upload in predecessors + [own, upload].compactMap({ $0 }) {
            unlist(upload, of: node)
            cancel(upload, reason: Self.wasRemoved)
        }
    }

    /// Decides what becomes of a file by the path that it has now, which its upload bears in its status document.
    private func nameWasSet(_ file: MountedFile, node: NodeID) {
        var known: [[UInt8]]?
        while let path = path(of: node), path != known {
            file.renamed(to: verdict(on: path))
            if let upload = file.upload, upload.identity.path != path { tell(path, to: upload) }
            known = path
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
}

extension Upload {
    /// Its document names the earlier uploads of its name.
    func tell(superseded earlier: [SessionLabel]) {
        updateIdentity { identity in
            identity.supersededUploadIDs = earlier.compactMap(\.uploadID)
        }
    }
}
