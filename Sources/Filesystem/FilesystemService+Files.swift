import Dispatch
import FileTree
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine
import UploadStore

// What FUSE asks of files and their content.

extension FilesystemService {
    package func create(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, flags: FileOpenFlags,
        context: FuseRequestContext, reply: consuming FuseReply<FuseCreated>
    ) {
        do throws(FuseErrno) {
            // Before there is a file: one that is refused leaves none.
            try checkMayChange(context.pid)
            try admission.admit(context.pid)
            let (node, file) = try namespace.createFile(
                name, in: try ownDirectory(parent), permissions: permissions, context: context)
            let entry = self.entry(try namespace.found(node))
            let open = try content.openHandle(
                file, node: node, canWrite: flags.canWrite, isExclusive: flags.isExclusive, context: context)
            reply.succeed(entry, open)
        } catch {
            reply.fail(error)
        }
    }

    package func open(
        _ inode: InodeNumber, flags: FileOpenFlags, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>
    ) {
        do throws(FuseErrno) {
            if StatusDirectory.owns(inode) {
                reply.succeed(try status.open(inode, flags: flags, for: visitor(context)))
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
                outcome = .success(try content.read(handle, at: offset, count: count))
            }
        } catch {
            outcome = .failure(error)
        }
        switch outcome {
        case .success(let bytes):
            reply.succeed(bytes)
        case .failure(let error):
            guard error == .ioError, let remote = content.remoteRead(handle, at: offset, count: count) else {
                return reply.fail(error)
            }
            content.read(remote, reply.deferred())
        }
    }

    package func write(
        _ data: UnsafeRawBufferPointer, to inode: InodeNumber, handle: UInt64, at offset: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<FuseWritten>
    ) {
        let outcome: Result<Int, FuseErrno>
        do throws(FuseErrno) {
            outcome = .success(
                try content.write(
                    data, to: NodeID(inode.rawValue), handle: handle, at: offset, context: context,
                    mayMakeSpace: !throttle.hasQueue))
        } catch {
            outcome = .failure(error)
        }
        switch outcome {
        case .success(let count):
            guard let upload = throttle.uploadToKeepUpWith(handle) else {
                if reply.succeed(count) { return }
                return content.writeWasNotAnswered(offset..<offset + Int64(count), of: handle)
            }
            throttle.hold(reply.deferred(), written: count, for: upload)
        case .failure(.noSpace):
            let pending = WriteThrottle.PendingWrite(
                data: Array(data), node: NodeID(inode.rawValue), handle: handle, offset: offset, context: context)
            throttle.waitForSpace(pending, WriteThrottle.Answer(reply.deferred()))
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
        BackgroundWork.decide { self.committer.close(handle, context: context, wait) }
    }

    package func release(_ inode: InodeNumber, handle: UInt64) {
        if StatusDirectory.owns(inode) { status.release(handle) } else { releaseFile(handle) }
    }

    private func releaseFile(_ handle: UInt64) {
        let file = try? content.handles.get(handle).file
        committer.release(handle)
        if file?.evictable != nil { space.fileWasClosed() }
    }

    /// Answered from another thread: a disk may take its time, and FUSE's own threads are few.
    package func fsync(
        _ inode: InodeNumber, handle: UInt64, dataOnly: Bool, context: FuseRequestContext,
        reply: consuming FuseReply<Void>
    ) {
        if StatusDirectory.owns(inode) { return reply.succeed() }
        let reply = reply.deferred()
        let open: OpenFile
        do throws(FuseErrno) {
            open = try content.handles.get(handle)
        } catch {
            reply.fail(error)
            return
        }
        BackgroundWork.useDisk {
            self.durability.synchronize(open) { result in
                switch result {
                case .success: reply.succeed()
                case .failure(let error): reply.fail(error)
                }
            }
        }
    }

    package func open(_ node: NodeID, flags: FileOpenFlags, context: FuseRequestContext) throws(FuseErrno) -> FuseOpen {
        if flags.canWrite {
            try checkMayChange(context.pid)
            try admission.admit(context.pid)
        }
        let file = try namespace.file(node)
        let open = try content.openHandle(file, node: node, canWrite: flags.canWrite, context: context)
        guard flags.truncates, flags.canWrite else { return open }
        do throws(FuseErrno) {
            try content.truncate(file, node: node, to: 0, context: context)
        } catch {
            committer.release(open.handle)
            throw error
        }
        return open
    }

    package func fallocate(
        _ inode: InodeNumber, handle: UInt64, mode: FileAllocationMode, offset: Int64, length: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        do throws(FuseErrno) {
            if StatusDirectory.owns(inode) { throw .badFileDescriptor }
            try content.allocate(handle, mode: mode, offset: offset, length: length, context: context)
            reply.succeed()
        } catch {
            reply.fail(error)
        }
    }

    // MARK: Extended attributes

    package func getxattr(
        _ inode: InodeNumber, name: [UInt8], context: FuseRequestContext,
        reply: consuming FuseReply<ExtendedAttributeValue>
    ) {
        do throws(FuseErrno) {
            reply.succeed(try attributes.extendedAttribute(name, of: inode))
        } catch {
            reply.fail(error)
        }
    }

    /// None are listed: they are not the user's, and `rsync -X` would try to remove what its source has not.
    package func listxattr(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<ExtendedAttributeNames>
    ) {
        reply.succeed([])
    }

    package func setxattr(
        _ inode: InodeNumber, name: [UInt8], value: [UInt8], flags: ExtendedAttributeFlags,
        context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        do throws(FuseErrno) {
            try attributes.set(name, to: value, flags: flags, of: inode, context: context)
            reply.succeed()
        } catch {
            reply.fail(error)
        }
    }

    package func removexattr(
        _ inode: InodeNumber, name: [UInt8], context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        do throws(FuseErrno) {
            try attributes.remove(name, of: inode)
            reply.succeed()
        } catch {
            reply.fail(error)
        }
    }
}
