import FileTree
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine

// Looking up, creating and removing files and directories.

extension Namespace {
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
        let file = MountedFile(creator: context.uid)
        let attributes = newAttributes(configuration.fileMode ?? permissions, context)
        let node = try withTree { tree throws(TreeError) in
            try tree.createFile(name, in: parent, attributes: attributes, file: file, at: .now())
        }
        return (node, file)
    }

    /// Removes a file's name. What was not confirmed is cancelled; what was keeps its asset.
    package func removeFile(_ name: [UInt8], in parent: NodeID) throws(FuseErrno) {
        try checkWritable()
        try removeFile(name, in: parent, reason: Self.wasRemoved)
    }

    static let wasRemoved = UploadFailure(
        .cancelled, message: "the file was removed before the platform had confirmed it")

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
        let (upload, predecessors, isUnused) = file.removed()
        unlist(upload, of: node)
        for old in predecessors + [upload].compactMap({ $0 }) {
            if let successor { successor.takePlace(of: old, reason: reason) } else { cancel(old, reason: reason) }
        }
        if isUnused { discard(file, node: node) }
    }

    /// The path of an upload leads to it no more.
    func unlist(_ upload: Upload?, of node: NodeID) {
        let (owner, file) = tree.withLock { tree -> (UInt32?, MountedFile?) in
            let found = try? tree.node(node)
            return (found?.attributes.userID, found?.file)
        }
        // Where all files belong to one user, whoever made it is to learn what became of it all the same.
        let creator = configuration.fixedUID.flatMap { _ in file?.creator }
        upload?.updateIdentity { identity in
            guard identity.isListed else { return }
            identity.isListed = false
            (identity.lastOwner, identity.creator) = (owner, creator)
        }
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
        guard let upload = version?.upload else { return reclaimer.remove(version?.spool) }
        if upload.currentState.isUnderWay { reclaimer.retire(upload) } else { reclaimer.remove(upload) }
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
    func ownName(_ bytes: [UInt8], in parent: NodeID) throws(FuseErrno) -> FileName {
        let name = try fileName(bytes)
        if parent == .root, name.bytes == StatusNames.directory { throw .permissionDenied }
        return name
    }

    func checkUploadable(_ name: FileName, in parent: NodeID) throws(FuseErrno) {
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
