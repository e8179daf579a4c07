/// What a file system does. ``FuseSession`` calls one method a request, on one of its worker threads, several at once.
///
/// Each method is given a ``FuseReply`` that has to be answered once: at once, or later from any thread by making it a
/// ``DeferredReply``. One that is dropped unanswered answers EIO. Methods must not wait for the network, or a few waiting
/// requests take all workers.
///
/// What the kernel holds meanwhile: a RENAME that is not answered blocks everything in both directories, a WRITE every
/// other writer and `chmod` of the file; CREATE, UNLINK, MKDIR and LOOKUP the directory; a FLUSH nobody but its caller.
///
/// **Operations left out.** The defaults answer as a file system without the feature does, and the kernel remembers
/// ENOSYS for the life of the mount, so that later calls do not arrive at all: from `flush` (every close then
/// succeeds at once), `fsync` and `fsyncdir` (succeed), `setxattr`, `getxattr`, `listxattr`, `removexattr` and `fallocate`
/// (fail with EOPNOTSUPP), `lseek` (all is data), and a `rename` with flags (fails with EINVAL). An implementation
/// must therefore never answer ENOSYS for one file or attribute only: EOPNOTSUPP or ENODATA say that.
///
/// **Implementing `getxattr` costs a round trip for every buffered write**, since the kernel asks for
/// `security.capability` before each; handles with ``FuseOpen/directIO`` set are spared. `access`, locks, `ioctl`, `poll` and
/// `copy_file_range` are not offered: `default_permissions` checks access, the kernel keeps locks itself and
/// copies through read and write.
///
/// **Handles after the end.** When the connection ends by force (the process that mounted stops, an abort), open files
/// get no `release`: ``stopped()`` stands for all of them.
public protocol FuseOperations: AnyObject, Sendable {
    /// The mount answers from now on. Called once, before any other request.
    func started(_ connection: FuseConnection)

    /// No request will arrive any more, not even a `release` for what is open. Called once, after every worker has
    /// ended, and only when `started` was.
    func stopped()

    /// The kernel dropped its last reference to an inode: the lookup count fell to zero.
    ///
    /// Drop the inode if it has no name and no handle. Keep it if it still has a name: a lookup may be making it known
    /// again at this moment, and the count is not asked again. Never called for the root.
    func forgotten(_ inode: InodeNumber)

    /// Answer with ENOENT, or (to have the kernel remember that there is no such name) ``FuseReply/succeedWithoutEntry(for:)``.
    func lookup(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseEntry>)

    /// - Parameter handle: for `fstat`, when the kernel tells it; a file that has no name any more is asked for so.
    func getattr(
        _ inode: InodeNumber, handle: UInt64?, context: FuseRequestContext, reply: consuming FuseReply<FileAttributes>)

    /// Answer with all attributes as they are afterwards.
    ///
    /// - Parameter handle: for `ftruncate` and the like, when the kernel tells it.
    func setattr(
        _ inode: InodeNumber, changes: FileAttributeChanges, handle: UInt64?, context: FuseRequestContext,
        reply: consuming FuseReply<FileAttributes>)

    func readlink(_ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseLinkTarget>)

    /// - Parameter permissions: the low 12 bits of the mode; the umask has been applied.
    func mkdir(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>)

    /// Pipes, sockets and devices; regular files too, but for those the kernel prefers `create`.
    func mknod(
        _ name: [UInt8], in parent: InodeNumber, mode: UInt32, device: UInt64, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>)

    func symlink(
        _ name: [UInt8], in parent: InodeNumber, target: [UInt8], context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>)

    /// A hard link. Its answer raises the lookup count as a lookup does.
    func link(
        _ inode: InodeNumber, to name: [UInt8], in parent: InodeNumber, context: FuseRequestContext,
        reply: consuming FuseReply<FuseEntry>)

    /// Removes a name. The file lives on while it has handles, and stays askable until it is forgotten.
    func unlink(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>)

    func rmdir(
        _ name: [UInt8], in parent: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<Void>)

    func rename(
        _ name: [UInt8], in parent: InodeNumber, to newName: [UInt8], in newParent: InodeNumber,
        flags: FileRenameFlags, context: FuseRequestContext, reply: consuming FuseReply<Void>)

    /// Creates and opens a regular file. If the caller is gone when the answer is sent, `release` is called with the
    /// handle, and the lookup count is as if nothing had been sent.
    func create(
        _ name: [UInt8], in parent: InodeNumber, permissions: UInt16, flags: FileOpenFlags,
        context: FuseRequestContext, reply: consuming FuseReply<FuseCreated>)

    /// Opens an existing file. O_TRUNC arrives here: see ``FileOpenFlags/truncates``. If the caller is gone when the
    /// answer is sent, `release` is called with the handle.
    func open(
        _ inode: InodeNumber, flags: FileOpenFlags, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>)

    /// Answer with exactly `count` bytes, or fewer only where the file ends: through the page cache the kernel takes the
    /// rest for zeros.
    func read(
        _ inode: InodeNumber, handle: UInt64, at offset: Int64, count: Int, context: FuseRequestContext,
        reply: consuming FuseReply<FuseData>)

    /// Answer with the number of bytes taken.
    ///
    /// - Parameter data: at most 1 MiB, the session's own receive buffer: **valid only until this method returns**, even
    ///   when the reply is deferred.
    func write(
        _ data: UnsafeRawBufferPointer, to inode: InodeNumber, handle: UInt64, at offset: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<FuseWritten>)

    /// One descriptor of an open file was closed; others may be left, and it may come several times for one handle. Its
    /// error is what `close` returns. Does not come for handles opened with ``FuseOpen/noFlush``.
    func flush(
        _ inode: InodeNumber, handle: UInt64, context: FuseRequestContext, reply: consuming FuseReply<Void>)

    /// The last descriptor and mapping of a handle is gone. Called once for each handle that was answered; nobody waits
    /// for it, so there is nothing to answer. It holds a worker while it runs.
    func release(_ inode: InodeNumber, handle: UInt64)

    /// - Parameter dataOnly: `fdatasync`: attributes that are not needed to read the data back may stay behind.
    func fsync(
        _ inode: InodeNumber, handle: UInt64, dataOnly: Bool, context: FuseRequestContext,
        reply: consuming FuseReply<Void>)

    func opendir(_ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FuseOpen>)

    /// Answer with entries from `offset` on: 0, or an earlier entry's `nextOffset`. An empty listing says that there are no
    /// more.
    func readdir(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryListing>)

    /// As `readdir`, with each entry's attributes: saves a LOOKUP for each. Packed entries raise their lookup counts when
    /// the answer is sent.
    func readdirplus(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, context: FuseRequestContext,
        reply: consuming FuseReply<DirectoryPlusListing>)

    /// As `release`, for directories.
    func releasedir(_ inode: InodeNumber, handle: UInt64)

    func fsyncdir(
        _ inode: InodeNumber, handle: UInt64, dataOnly: Bool, context: FuseRequestContext,
        reply: consuming FuseReply<Void>)

    func statfs(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<FileSystemStatistics>)

    func setxattr(
        _ inode: InodeNumber, name: [UInt8], value: [UInt8], flags: ExtendedAttributeFlags,
        context: FuseRequestContext, reply: consuming FuseReply<Void>)

    /// Answer with the whole value, whatever the caller has space for; ENODATA when there is none.
    func getxattr(
        _ inode: InodeNumber, name: [UInt8], context: FuseRequestContext,
        reply: consuming FuseReply<ExtendedAttributeValue>)

    /// Answer with the names.
    func listxattr(
        _ inode: InodeNumber, context: FuseRequestContext, reply: consuming FuseReply<ExtendedAttributeNames>)

    func removexattr(
        _ inode: InodeNumber, name: [UInt8], context: FuseRequestContext, reply: consuming FuseReply<Void>)

    func fallocate(
        _ inode: InodeNumber, handle: UInt64, mode: FileAllocationMode, offset: Int64, length: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<Void>)

    /// `SEEK_DATA` and `SEEK_HOLE` only: the kernel does the others itself.
    func lseek(
        _ inode: InodeNumber, handle: UInt64, from offset: Int64, to target: SeekTarget,
        context: FuseRequestContext, reply: consuming FuseReply<FuseOffset>)
}
