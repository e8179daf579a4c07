/// What a file system answers that does not have an operation. ``FuseOperations`` tells what the kernel remembers.
extension FuseOperations {
    /// Takes no notice.
    public func started(_ connection: FuseConnection) {}

    /// Takes no notice.
    public func stopped() {}

    /// Takes no notice.
    public func forgotten(_ inode: InodeNumber) {}

    /// EINVAL: nothing here is a symbolic link.
    public func readlink(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseLinkTarget>
    ) {
        reply.fail(.invalidArgument)
    }

    /// EPERM.
    public func mkdir(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>
    ) {
        reply.fail(.notPermitted)
    }

    /// EPERM.
    public func mknod(
        _ name: [UInt8], in parent: InodeNumber, mode: UInt32, device: UInt64, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>
    ) {
        reply.fail(.notPermitted)
    }

    /// EPERM.
    public func symlink(
        _ name: [UInt8], in parent: InodeNumber, target: [UInt8], context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>
    ) {
        reply.fail(.notPermitted)
    }

    /// EPERM.
    public func link(
        _ inode: InodeNumber, to name: [UInt8], in parent: InodeNumber, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>
    ) {
        reply.fail(.notPermitted)
    }

    /// EPERM.
    public func unlink(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        reply.fail(.notPermitted)
    }

    /// EPERM.
    public func rmdir(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        reply.fail(.notPermitted)
    }

    /// EPERM.
    public func rename(
        _ name: [UInt8], in parent: InodeNumber, to newName: [UInt8], in newParent: InodeNumber,
        flags: FileRenameFlags, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        reply.fail(.notPermitted)
    }

    /// EPERM.
    public func create(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, flags: FileOpenFlags,
        context: FuseRequestContext, reply: consuming FuseReply<FuseCreated>
    ) {
        // Not ENOSYS: the kernel would remember that, and try mknod and open instead.
        reply.fail(.notPermitted)
    }

    /// EPERM.
    public func write(
        _ data: UnsafeRawBufferPointer, to inode: InodeNumber, handle: UInt64, at offset: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<FuseWritten>
    ) {
        reply.fail(.notPermitted)
    }

    /// ENOSYS.
    public func flush(
        _ inode: InodeNumber, handle: UInt64, context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        reply.fail(.noFunction)
    }

    /// Takes no notice.
    public func release(_ inode: InodeNumber, handle: UInt64) {}

    /// ENOSYS.
    public func fsync(
        _ inode: InodeNumber, handle: UInt64, dataOnly: Bool, context: FuseRequestContext,
        reply: consuming FuseReply<Void>
    ) {
        reply.fail(.noFunction)
    }

    /// Success, with handle 0.
    public func opendir(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>
    ) {
        reply.succeed(FuseOpen(handle: 0))
    }

    /// Takes no notice.
    public func releasedir(_ inode: InodeNumber, handle: UInt64) {}

    /// ENOSYS.
    public func fsyncdir(
        _ inode: InodeNumber, handle: UInt64, dataOnly: Bool, context: FuseRequestContext,
        reply: consuming FuseReply<Void>
    ) {
        reply.fail(.noFunction)
    }

    /// Nothing is known: all counts are 0.
    public func statfs(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FileSystemStatistics>
    ) {
        reply.succeed(
            FileSystemStatistics(
                blockSize: 4096, fragmentSize: 4096, blocks: 0, freeBlocks: 0, availableBlocks: 0))
    }

    /// ENOSYS.
    public func setxattr(
        _ inode: InodeNumber, name: [UInt8], value: [UInt8], flags: ExtendedAttributeFlags,
        context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        reply.fail(.noFunction)
    }

    /// ENOSYS.
    public func getxattr(
        _ inode: InodeNumber, name: [UInt8], context: FuseRequestContext,
        reply: consuming FuseReply<ExtendedAttributeValue>
    ) {
        reply.fail(.noFunction)
    }

    /// ENOSYS.
    public func listxattr(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<ExtendedAttributeNames>
    ) {
        reply.fail(.noFunction)
    }

    /// ENOSYS.
    public func removexattr(
        _ inode: InodeNumber, name: [UInt8], context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        reply.fail(.noFunction)
    }

    /// ENOSYS.
    public func fallocate(
        _ inode: InodeNumber, handle: UInt64, mode: FileAllocationMode, offset: Int64, length: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        reply.fail(.noFunction)
    }

    /// ENOSYS.
    public func lseek(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, to target: SeekTarget,
        context: FuseRequestContext, reply: consuming FuseReply<FuseOffset>
    ) {
        reply.fail(.noFunction)
    }
}
