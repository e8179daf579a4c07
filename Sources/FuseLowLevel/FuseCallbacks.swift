internal import CFuse3
import Glibc

/// libfuse's callbacks: each fetches the context, copies the arguments and calls one method.
///
/// All that ``FuseOperations`` has are set: a default that answers ENOSYS is to the kernel what an unset callback is.
/// `write_buf` is not: with splicing off, `write` gets the receive buffer itself. `access`, `ioctl`, `poll`, `bmap`, the
/// locks and `copy_file_range` stay unset, and libfuse answers ENOSYS for them.
func fuseCallbacks() -> fuse_lowlevel_ops {
    var callbacks = fuse_lowlevel_ops()
    callbacks.`init` = { userdata, information in
        guard let information else { return }
        SessionCore.of(userdata: userdata)?.negotiate(information)
    }
    setNameCallbacks(&callbacks)
    setEntryCallbacks(&callbacks)
    setInodeCallbacks(&callbacks)
    setFileCallbacks(&callbacks)
    setDirectoryCallbacks(&callbacks)
    setExtendedAttributeCallbacks(&callbacks)
    return callbacks
}

/// A request as it arrives: libfuse's pointer, unpacked.
private struct Call {
    let pointer: OpaquePointer
    let core: SessionCore
    let context: FuseRequestContext

    init?(_ pointer: OpaquePointer?) {
        guard let pointer, let core = SessionCore.of(pointer), let caller = fuse_req_ctx(pointer)?.pointee else {
            return nil
        }
        self.pointer = pointer
        self.core = core
        context = FuseRequestContext(
            pid: caller.pid, uid: caller.uid, gid: caller.gid, umask: UInt16(caller.umask & 0o777))
    }

    var operations: any FuseOperations { core.operations }

    func reply<Payload>(
        opened: FuseRequest.Opened = .nothing, capacity: Int = 0
    ) -> FuseReply<Payload> {
        FuseReply(FuseRequest(pointer, core: core, opened: opened, capacity: capacity))
    }

    /// For requests that libfuse wants no answer to.
    func done() {
        fuse_reply_none(pointer)
    }

    /// For RELEASE and RELEASEDIR: nobody waits, but the kernel keeps the request until it is answered.
    func succeed() {
        fuse_reply_err(pointer, 0)
    }
}

/// libfuse passes names that end with a zero byte, and never nil.
private func bytes(_ name: UnsafePointer<CChar>?) -> [UInt8] {
    name.map { [UInt8](cString: $0) } ?? []
}

private func setNameCallbacks(_ callbacks: inout fuse_lowlevel_ops) {
    callbacks.lookup = { request, parent, name in
        guard let call = Call(request) else { return }
        call.operations.lookup(
            bytes(name), in: InodeNumber(rawValue: parent), context: call.context, reply: call.reply())
    }
    callbacks.forget = { request, inode, count in
        guard let call = Call(request) else { return }
        call.core.forget(InodeNumber(rawValue: inode), by: count)
        call.done()
    }
    callbacks.forget_multi = { request, count, forgets in
        guard let call = Call(request) else { return }
        for forget in UnsafeBufferPointer(start: forgets, count: count) {
            call.core.forget(InodeNumber(rawValue: forget.ino), by: forget.nlookup)
        }
        call.done()
    }
    callbacks.mkdir = { request, parent, name, mode in
        guard let call = Call(request) else { return }
        call.operations.mkdir(
            bytes(name), in: InodeNumber(rawValue: parent), permissions: UInt16(mode & 0o7777),
            context: call.context, reply: call.reply())
    }
    callbacks.mknod = { request, parent, name, mode, device in
        guard let call = Call(request) else { return }
        call.operations.mknod(
            bytes(name), in: InodeNumber(rawValue: parent), mode: mode, device: UInt64(device),
            context: call.context, reply: call.reply())
    }
    callbacks.symlink = { request, target, parent, name in
        guard let call = Call(request) else { return }
        call.operations.symlink(
            bytes(name), in: InodeNumber(rawValue: parent), target: bytes(target), context: call.context,
            reply: call.reply())
    }
    callbacks.link = { request, inode, parent, name in
        guard let call = Call(request) else { return }
        call.operations.link(
            InodeNumber(rawValue: inode), to: bytes(name), in: InodeNumber(rawValue: parent),
            context: call.context, reply: call.reply())
    }
}

private func setEntryCallbacks(_ callbacks: inout fuse_lowlevel_ops) {
    callbacks.unlink = { request, parent, name in
        guard let call = Call(request) else { return }
        call.operations.unlink(
            bytes(name), in: InodeNumber(rawValue: parent), context: call.context, reply: call.reply())
    }
    callbacks.rmdir = { request, parent, name in
        guard let call = Call(request) else { return }
        call.operations.rmdir(
            bytes(name), in: InodeNumber(rawValue: parent), context: call.context, reply: call.reply())
    }
    callbacks.rename = { request, parent, name, newParent, newName, flags in
        guard let call = Call(request) else { return }
        call.operations.rename(
            bytes(name), in: InodeNumber(rawValue: parent), to: bytes(newName),
            in: InodeNumber(rawValue: newParent), flags: FileRenameFlags(rawValue: flags), context: call.context,
            reply: call.reply())
    }
    callbacks.create = { request, parent, name, mode, information in
        guard let call = Call(request), let information else { return }
        call.operations.create(
            bytes(name), in: InodeNumber(rawValue: parent), permissions: UInt16(mode & 0o7777),
            flags: FileOpenFlags(rawValue: information.pointee.flags), context: call.context, reply: call.reply())
    }
}

private func setInodeCallbacks(_ callbacks: inout fuse_lowlevel_ops) {
    callbacks.getattr = { request, inode, information in
        guard let call = Call(request) else { return }
        call.operations.getattr(
            InodeNumber(rawValue: inode), handle: information?.pointee.fh, context: call.context,
            reply: call.reply())
    }
    callbacks.setattr = { request, inode, attributes, toSet, information in
        guard let call = Call(request), let attributes else { return }
        call.operations.setattr(
            InodeNumber(rawValue: inode), changes: FileAttributeChanges(attributes.pointee, toSet: toSet),
            handle: information?.pointee.fh, context: call.context, reply: call.reply())
    }
    callbacks.readlink = { request, inode in
        guard let call = Call(request) else { return }
        call.operations.readlink(InodeNumber(rawValue: inode), context: call.context, reply: call.reply())
    }
    callbacks.statfs = { request, inode in
        guard let call = Call(request) else { return }
        call.operations.statfs(InodeNumber(rawValue: inode), context: call.context, reply: call.reply())
    }
}

private func setFileCallbacks(_ callbacks: inout fuse_lowlevel_ops) {
    callbacks.open = { request, inode, information in
        guard let call = Call(request), let information else { return }
        let inode = InodeNumber(rawValue: inode)
        call.operations.open(
            inode, flags: FileOpenFlags(rawValue: information.pointee.flags), context: call.context,
            reply: call.reply(opened: .file(inode)))
    }
    callbacks.read = { request, inode, size, offset, information in
        guard let call = Call(request), let information else { return }
        call.operations.read(
            InodeNumber(rawValue: inode), handle: information.pointee.fh, at: Int64(offset), count: size,
            context: call.context, reply: call.reply(capacity: size))
    }
    callbacks.write = { request, inode, buffer, size, offset, information in
        guard let call = Call(request), let information else { return }
        call.operations.write(
            UnsafeRawBufferPointer(start: buffer, count: size), to: InodeNumber(rawValue: inode),
            handle: information.pointee.fh, at: Int64(offset), context: call.context, reply: call.reply())
    }
    callbacks.flush = { request, inode, information in
        guard let call = Call(request), let information else { return }
        call.operations.flush(
            InodeNumber(rawValue: inode), handle: information.pointee.fh, context: call.context,
            reply: call.reply())
    }
    callbacks.release = { request, inode, information in
        guard let call = Call(request), let information else { return }
        call.operations.release(InodeNumber(rawValue: inode), handle: information.pointee.fh)
        call.succeed()
    }
    callbacks.fsync = { request, inode, dataOnly, information in
        guard let call = Call(request), let information else { return }
        call.operations.fsync(
            InodeNumber(rawValue: inode), handle: information.pointee.fh, dataOnly: dataOnly != 0,
            context: call.context, reply: call.reply())
    }
    callbacks.fallocate = { request, inode, mode, offset, length, information in
        guard let call = Call(request), let information else { return }
        call.operations.fallocate(
            InodeNumber(rawValue: inode), handle: information.pointee.fh, mode: FileAllocationMode(rawValue: mode),
            offset: Int64(offset), length: Int64(length), context: call.context, reply: call.reply())
    }
    callbacks.lseek = { request, inode, offset, whence, information in
        guard let call = Call(request), let information else { return }
        // The kernel only sends SEEK_DATA (3) and SEEK_HOLE (4).
        call.operations.lseek(
            InodeNumber(rawValue: inode), handle: information.pointee.fh, from: Int64(offset),
            to: whence == 3 ? .data : .hole, context: call.context, reply: call.reply())
    }
}

private func setDirectoryCallbacks(_ callbacks: inout fuse_lowlevel_ops) {
    callbacks.opendir = { request, inode, _ in
        guard let call = Call(request) else { return }
        let inode = InodeNumber(rawValue: inode)
        call.operations.opendir(inode, context: call.context, reply: call.reply(opened: .directory(inode)))
    }
    callbacks.readdir = { request, inode, size, offset, information in
        guard let call = Call(request), let information else { return }
        call.operations.readdir(
            InodeNumber(rawValue: inode), handle: information.pointee.fh, from: Int64(offset), context: call.context,
            reply: call.reply(capacity: size))
    }
    callbacks.readdirplus = { request, inode, size, offset, information in
        guard let call = Call(request), let information else { return }
        call.operations.readdirplus(
            InodeNumber(rawValue: inode), handle: information.pointee.fh, from: Int64(offset), context: call.context,
            reply: call.reply(capacity: size))
    }
    callbacks.releasedir = { request, inode, information in
        guard let call = Call(request), let information else { return }
        call.operations.releasedir(InodeNumber(rawValue: inode), handle: information.pointee.fh)
        call.succeed()
    }
    callbacks.fsyncdir = { request, inode, dataOnly, information in
        guard let call = Call(request), let information else { return }
        call.operations.fsyncdir(
            InodeNumber(rawValue: inode), handle: information.pointee.fh, dataOnly: dataOnly != 0,
            context: call.context, reply: call.reply())
    }
}

private func setExtendedAttributeCallbacks(_ callbacks: inout fuse_lowlevel_ops) {
    callbacks.setxattr = { request, inode, name, value, size, flags in
        guard let call = Call(request) else { return }
        call.operations.setxattr(
            InodeNumber(rawValue: inode), name: bytes(name),
            value: [UInt8](UnsafeRawBufferPointer(start: value, count: size)),
            flags: ExtendedAttributeFlags(rawValue: flags), context: call.context, reply: call.reply())
    }
    callbacks.getxattr = { request, inode, name, size in
        guard let call = Call(request) else { return }
        call.operations.getxattr(
            InodeNumber(rawValue: inode), name: bytes(name), context: call.context,
            reply: call.reply(capacity: size))
    }
    callbacks.listxattr = { request, inode, size in
        guard let call = Call(request) else { return }
        call.operations.listxattr(
            InodeNumber(rawValue: inode), context: call.context, reply: call.reply(capacity: size))
    }
    callbacks.removexattr = { request, inode, name in
        guard let call = Call(request) else { return }
        call.operations.removexattr(
            InodeNumber(rawValue: inode), name: bytes(name), context: call.context, reply: call.reply())
    }
}
