import Dispatch
import FileTree
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine

// What FUSE asks, handed on: each method calls one of the file system's own and replies with what it says.
//
// Left out: getxattr and its like (every buffered write would ask), access (`default_permissions` sees to it), links
// and devices (`EPERM` by default), lseek.

extension MountedFilesystem: FuseOperations {
    /// How long the kernel may believe names and attributes: only the kernel changes them, through us.
    private static let entryLifetime: Duration = .seconds(1)

    package func started(_ connection: FuseConnection) {
        logger.debug("the kernel speaks to us", metadata: ["max_write": "\(connection.maximumWrite)"])
    }

    package func stopped() {
        logger.debug("the kernel is done with us")
    }

    package func forgotten(_ inode: InodeNumber) {
        // Nothing: nodes go with their last handle or name, and the status directory's numbers stay.
    }

    // MARK: Names

    package func lookup(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseEntry>
    ) {
        do throws(FuseErrno) {
            reply.succeed(try entry(name, in: parent))
        } catch {
            reply.fail(error)
        }
    }

    private func entry(_ name: [UInt8], in parent: InodeNumber) throws(FuseErrno) -> FuseEntry {
        if parent == .root, name == StatusDirectory.name { return try statusEntry(.root) }
        if StatusDirectory.owns(parent) {
            return try statusEntry(try status.lookup(name, in: try status.node(of: parent)))
        }
        return entry(try lookup(name, in: NodeID(parent.rawValue)))
    }

    private func entry(_ found: Found) -> FuseEntry {
        FuseEntry(
            inode: found.attributes.inode, generation: 0, attributes: found.attributes,
            attributeTimeout: Self.entryLifetime,
            entryTimeout: mayVanish(found.node) ? .zero : Self.entryLifetime)
    }

    /// Whether a name may go without anybody's removing it, as that of an interrupted file does: the kernel has to ask for
    /// it each time, or whoever tries again would see, for a moment, a file that is not there.
    private func mayVanish(_ node: NodeID) -> Bool {
        guard let file = tree.withLock({ try? $0.file(node) }) else { return false }
        guard let version = file.version else { return true }
        guard let upload = version.upload, version.phase != .ended(.partial) else { return false }
        return upload.currentState != .completed
    }

    /// The kernel believes nothing of the status directory: it changes by itself.
    private func statusEntry(_ node: StatusDirectory.Node) throws(FuseErrno) -> FuseEntry {
        let inode = status.inode(of: node)
        return FuseEntry(
            inode: inode, generation: 0, attributes: try status.attributes(of: inode), attributeTimeout: .zero,
            entryTimeout: .zero)
    }

    package func mkdir(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>
    ) {
        do throws(FuseErrno) {
            let parent = try ownDirectory(parent)
            reply.succeed(entry(try makeDirectory(name, in: parent, permissions: permissions, context: context)))
        } catch {
            reply.fail(error)
        }
    }

    package func rmdir(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        do throws(FuseErrno) {
            try removeDirectory(name, in: try ownDirectory(parent))
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
            try removeFile(name, in: parent)
            guard let upload = downloadCompleted(byRemoving: name, in: parent, pid: context.pid) else {
                return reply.succeed()
            }
            confirm(upload, CloseWait(reply.deferred())) { () throws(FuseErrno) in }
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
            let wait = journalled(CloseWait(reply.deferred()))
            rename(name, in: parent, to: newName, in: newParent, flags: flags, pid: context.pid, wait)
        } catch {
            reply.fail(error)
        }
    }

    package func readlink(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseLinkTarget>
    ) {
        do throws(FuseErrno) {
            reply.succeed(try status.target(of: try status.node(of: inode)))
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
                reply.succeed(try status.attributes(of: inode), timeout: .zero)
            } else {
                reply.succeed(try attributes(of: NodeID(inode.rawValue)), timeout: Self.entryLifetime)
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
            reply.succeed(try statistics())
        } catch {
            reply.fail(error)
        }
    }

    // MARK: Files

    package func create(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, flags: FileOpenFlags,
        context: FuseRequestContext, reply: consuming FuseReply<FuseCreated>
    ) {
        do throws(FuseErrno) {
            let (node, file) = try createFile(
                name, in: try ownDirectory(parent), permissions: permissions, context: context)
            let entry = entry(try found(node))
            reply.succeed(entry, try openHandle(file, node: node, canWrite: flags.canWrite, context: context))
        } catch {
            reply.fail(error)
        }
    }

    package func open(
        _ inode: InodeNumber, flags: FileOpenFlags, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>
    ) {
        do throws(FuseErrno) {
            if StatusDirectory.owns(inode) {
                reply.succeed(try status.open(inode, flags: flags))
            } else {
                reply.succeed(try open(NodeID(inode.rawValue), flags: flags, context: context))
            }
        } catch {
            reply.fail(error)
        }
    }

    package func read(
        _ inode: InodeNumber, handle: UInt64, at offset: Int64, count: Int, context: FuseRequestContext,
        reply: consuming FuseReply<FuseData>
    ) {
        let outcome: Result<[UInt8], FuseErrno>
        do throws(FuseErrno) {
            if StatusDirectory.owns(inode) {
                outcome = .success(try status.read(handle, at: offset, count: count))
            } else {
                outcome = .success(try read(handle, at: offset, count: count))
            }
        } catch {
            outcome = .failure(error)
        }
        switch outcome {
        case .success(let bytes):
            reply.succeed(bytes)
        case .failure(let error):
            guard error == .ioError, let remote = remoteRead(handle, at: offset, count: count) else {
                return reply.fail(error)
            }
            read(remote, reply.deferred())
        }
    }

    package func write(
        _ data: UnsafeRawBufferPointer, to inode: InodeNumber, handle: UInt64, at offset: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<FuseWritten>
    ) {
        let outcome: Result<Int, FuseErrno>
        do throws(FuseErrno) {
            outcome = .success(try write(data, handle: handle, at: offset, context: context))
        } catch {
            outcome = .failure(error)
        }
        switch outcome {
        case .success(let count):
            guard let upload = uploadToKeepUpWith(handle) else { return reply.succeed(count) }
            hold(reply.deferred(), written: count, for: upload)
        case .failure(.noSpace) where room.isComing:
            let pending = PendingWrite(data: Array(data), handle: handle, offset: offset, context: context)
            waitForRoom(pending, reply.deferred())
        case .failure(let error):
            reply.fail(error)
        }
    }

    /// Decided on another thread: it may take a look at many processes, and FUSE's own threads are few.
    package func flush(
        _ inode: InodeNumber, handle: UInt64, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        if StatusDirectory.owns(inode) { return reply.succeed() }
        let wait = CloseWait(reply.deferred())
        Self.closing.async { self.close(handle, context: context, wait) }
    }

    private static let closing = DispatchQueue(label: "twelvefs.closing", attributes: .concurrent)

    /// Decides what a close means, and answers it at once or when that is done.
    package func close(_ handle: UInt64, context: FuseRequestContext, _ wait: CloseWait) {
        do throws(FuseErrno) {
            switch try flush(handle, context: context) {
            case .now(nil): wait.answer(.success(()))
            case .now(let errno?): wait.answer(.failure(errno))
            case .when(let upload, let scope): self.wait(for: upload, committing: scope, pid: context.pid, wait)
            case .whenKept(let open): waitForJournal(of: open, pid: context.pid, wait)
            }
        } catch {
            wait.answer(.failure(error))
        }
    }

    package func release(_ inode: InodeNumber, handle: UInt64) {
        if StatusDirectory.owns(inode) { status.release(handle) } else { release(handle) }
    }

    /// Answered from another thread: a disk may take its time, and FUSE's own threads are few.
    package func fsync(
        _ inode: InodeNumber, handle: UInt64, dataOnly: Bool, context: FuseRequestContext,
        reply: consuming FuseReply<Void>
    ) {
        if StatusDirectory.owns(inode) { return reply.succeed() }
        let reply = reply.deferred()
        DispatchQueue.global().async {
            self.synchronize(handle) { result in
                switch result {
                case .success: reply.succeed()
                case .failure(let error): reply.fail(error)
                }
            }
        }
    }

    // MARK: Directories

    package func opendir(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>
    ) {
        reply.succeed(FuseOpen(handle: 0))
    }

    package func releasedir(_ inode: InodeNumber, handle: UInt64) {}

    package func readdir(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<FuseLowLevel.DirectoryListing>
    ) {
        do throws(FuseErrno) {
            var listing = reply.emptyListing()
            for entry in try listed(inode, from: offset) where !listing.append(entry) { break }
            reply.succeed(listing)
        } catch {
            reply.fail(error)
        }
    }

    package func readdirplus(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryPlusListing>
    ) {
        do throws(FuseErrno) {
            var listing = reply.emptyListing()
            for listed in try listed(inode, from: offset) {
                // Gone since it was listed: left out, as if it had gone a moment earlier.
                guard let entry = try? plusEntry(listed) else { continue }
                guard listing.append(entry, named: listed.name, nextOffset: listed.nextOffset) else { break }
            }
            reply.succeed(listing)
        } catch {
            reply.fail(error)
        }
    }

    private func plusEntry(_ listed: FuseLowLevel.DirectoryEntry) throws(FuseErrno) -> FuseEntry {
        if StatusDirectory.owns(listed.inode) {
            return try statusEntry(try status.node(of: listed.inode))
        }
        return entry(try found(NodeID(listed.inode.rawValue)))
    }

    /// The entries after an offset: "." and ".." first, then a directory's own in the order of their making.
    private func listed(
        _ inode: InodeNumber, from offset: Int64
    ) throws(FuseErrno) -> [FuseLowLevel.DirectoryEntry] {
        var entries: [FuseLowLevel.DirectoryEntry] = []
        let dots: [[UInt8]] = [Array(".".utf8), Array("..".utf8)]
        for (index, name) in dots.enumerated() where offset <= index {
            entries.append(.init(name: name, inode: inode, kind: .directory, nextOffset: Int64(index) + 1))
        }
        if StatusDirectory.owns(inode) {
            let all = try status.entries(of: try status.node(of: inode))
            for (index, entry) in all.enumerated().dropFirst(Int(max(0, offset - 2))) {
                let number = status.inode(of: entry.node)
                entries.append(
                    .init(name: entry.name, inode: number, kind: entry.node.kind, nextOffset: Int64(index) + 3))
            }
        } else {
            let cookie = UInt64(max(0, offset - 2))
            let found = try withTree { tree throws(TreeError) in
                try tree.entries(in: NodeID(inode.rawValue), after: cookie).prefix(Self.entriesAtATime).map { $0 }
            }
            entries += found.map { entry in
                .init(
                    name: entry.name.bytes, inode: InodeNumber(rawValue: entry.node.rawValue),
                    kind: entry.isDirectory ? .directory : .regular, nextOffset: Int64(entry.cookie) + 2)
            }
        }
        return entries
    }

    /// More than fit into one answer.
    private static let entriesAtATime = 1024
}

extension StatusDirectory.Node {
    var kind: FileKind {
        switch self {
        case .root, .byName: .directory
        case .alias, .link: .symbolicLink
        case .summary, .metrics, .document: .regular
        }
    }
}
