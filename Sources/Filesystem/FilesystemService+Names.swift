import Dispatch
import FileTree
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine
import UploadStore

// What FUSE asks of names and attributes.
//
// Left out: access (`default_permissions` sees to it), links and devices (`EPERM` by default), lseek.

extension FilesystemService: FuseOperations {
    /// How long the kernel may believe names and attributes: only the kernel changes them, through us.
    private static let entryLifetime: Duration = .seconds(1)

    package func started(_ connection: FuseConnection) {
        logger.debug("the kernel speaks to us", metadata: ["max_write": "\(connection.maximumWrite)"])
    }

    package func stopped() {
        logger.debug("the kernel is done with us")
    }

    package func forgotten(_ inode: InodeNumber) {
        // Nothing: nodes go with their last handle or name, and the status directory keeps none.
    }

    // MARK: Names

    package func lookup(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseEntry>
    ) {
        do throws(FuseErrno) {
            reply.succeed(try entry(name, in: parent, context))
        } catch {
            reply.fail(error)
        }
    }

    private func entry(
        _ name: [UInt8], in parent: InodeNumber, _ context: FuseRequestContext
    ) throws(FuseErrno) -> FuseEntry {
        if parent == .root, name == StatusNames.directory { return try statusEntry(.root, for: visitor(context)) }
        if StatusDirectory.owns(parent) {
            let visitor = visitor(context)
            return try statusEntry(try status.lookup(name, in: .init(parent), for: visitor), for: visitor)
        }
        return entry(try namespace.lookup(name, in: NodeID(parent.rawValue)))
    }

    func entry(_ found: Namespace.Found) -> FuseEntry {
        FuseEntry(
            inode: found.attributes.inode, generation: 0, attributes: found.attributes,
            attributeTimeout: Self.entryLifetime,
            entryTimeout: mayVanish(found.node) ? .zero : Self.entryLifetime)
    }

    /// Whether a name may go without anybody's removing it, as that of an interrupted file does: the kernel has to ask for
    /// it each time, or whoever tries again would see, for a moment, a file that is not there.
    private func mayVanish(_ node: NodeID) -> Bool {
        guard let file = namespace.anyFile(node) else { return false }
        guard let version = file.version else { return true }
        guard let upload = version.upload, version.phase != .ended(.partial) else { return false }
        return upload.currentState != .completed
    }

    /// The kernel believes nothing of the status directory: it changes by itself, and who looks sees what they may see.
    func statusEntry(_ node: StatusDirectory.Node, for visitor: StatusVisitor) throws(FuseErrno) -> FuseEntry {
        FuseEntry(
            inode: node.inode, generation: 0, attributes: try status.attributes(of: node.inode, for: visitor),
            attributeTimeout: .zero, entryTimeout: .zero)
    }

    /// Who asks for something in the status directory.
    package func visitor(_ context: FuseRequestContext) -> StatusVisitor {
        StatusVisitor(
            context, namespace: namespace, writers: admission.writers, configuration: namespace.configuration)
    }

    package func mkdir(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>
    ) {
        do throws(FuseErrno) {
            let parent = try ownDirectory(parent)
            try checkMayChange(context.pid)
            reply.succeed(
                entry(try namespace.makeDirectory(name, in: parent, permissions: permissions, context: context)))
        } catch {
            reply.fail(error)
        }
    }

    package func rmdir(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        do throws(FuseErrno) {
            try checkMayChange(context.pid)
            try namespace.removeDirectory(name, in: try ownDirectory(parent))
            reply.succeed()
        } catch {
            reply.fail(error)
        }
    }

    package func unlink(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        do throws(FuseErrno) {
            let parent = try ownDirectory(parent)
            try checkMayChange(context.pid)
            try namespace.removeFile(name, in: parent)
            guard let upload = committer.downloadCompleted(byRemoving: name, in: parent, pid: context.pid) else {
                return reply.succeed()
            }
            closing.confirm(upload, CloseWait(reply.deferred())) { () throws(FuseErrno) in }
        } catch {
            reply.fail(error)
        }
    }

    package func rename(
        _ name: [UInt8], in parent: InodeNumber, to newName: [UInt8], in newParent: InodeNumber,
        flags: FileRenameFlags, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        do throws(FuseErrno) {
            let (parent, newParent) = (try ownDirectory(parent), try ownDirectory(newParent))
            try checkMayChange(context.pid)
            let wait = closing.journalled(CloseWait(reply.deferred()))
            committer.rename(name, in: parent, to: newName, in: newParent, flags: flags, pid: context.pid, wait)
        } catch {
            reply.fail(error)
        }
    }

    package func readlink(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseLinkTarget>
    ) {
        do throws(FuseErrno) {
            reply.succeed(try status.target(of: .init(inode), for: visitor(context)))
        } catch {
            reply.fail(error)
        }
    }

    /// A directory in which names can be made and removed: any but the status directory's.
    func ownDirectory(_ inode: InodeNumber) throws(FuseErrno) -> NodeID {
        if StatusDirectory.owns(inode) { throw .permissionDenied }
        return NodeID(inode.rawValue)
    }

    // MARK: Attributes

    package func getattr(
        _ inode: InodeNumber, handle: UInt64?, context: FuseRequestContext, reply: consuming FuseReply<FileAttributes>
    ) {
        do throws(FuseErrno) {
            if StatusDirectory.owns(inode) {
                reply.succeed(try status.attributes(of: inode, for: visitor(context)), timeout: .zero)
            } else {
                reply.succeed(try namespace.attributes(of: NodeID(inode.rawValue)), timeout: Self.entryLifetime)
            }
        } catch {
            reply.fail(error)
        }
    }

    package func setattr(
        _ inode: InodeNumber, changes: FileAttributeChanges, handle: UInt64?, context: FuseRequestContext,
        reply: consuming FuseReply<FileAttributes>
    ) {
        do throws(FuseErrno) {
            let node = try ownDirectory(inode)
            let attributes = try setAttributes(of: node, changes, handle: handle, context: context)
            reply.succeed(attributes, timeout: Self.entryLifetime)
        } catch {
            reply.fail(error)
        }
    }

    package func statfs(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FileSystemStatistics>
    ) {
        do throws(FuseErrno) {
            reply.succeed(try space.statistics())
        } catch {
            reply.fail(error)
        }
    }

    /// A size is set in the content, everything else in the names. Without a handle, the file is closed by it as well.
    package func setAttributes(
        of node: NodeID, _ changes: FileAttributeChanges, handle: UInt64?, context: FuseRequestContext
    ) throws(FuseErrno) -> FileAttributes {
        if let size = changes.size {
            // Through a handle it is what is open that changes.
            if handle == nil { try checkMayChange(context.pid) } else { try namespace.checkWritable() }
            let file = try namespace.file(node)
            try content.truncate(file, node: node, to: size, isByName: handle == nil, context: context)
            if handle == nil, file.look.writeHandles == 0 {
                if committer.lastWriterReleased(file, node: node) { throw .ioError }
                let look = file.look
                // Its name went meanwhile, and nobody else gives back what was just made of it.
                if look.handles == 0, look.isRemoved { namespace.discard(file, node: node) }
            }
        }
        return try namespace.setAttributes(of: node, changes)
    }
}
