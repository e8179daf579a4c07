internal import CFuse3

/// What the file system tells the kernel unasked.
///
/// From any thread, with no lock of the file system's held, and **never from within an operation on the same inode** (or, for a
/// name, its directory): the kernel takes locks for it that the caller of that operation holds, and both would wait
/// for ever. A deferred reply counts as within the operation until it is answered.
extension FuseSession {
    /// Drops the kernel's copy of a file's attributes.
    ///
    /// - Returns: nil, or why not: `noSuchFileOrDirectory` when the kernel does not know the inode.
    @discardableResult
    public func invalidateAttributes(of inode: InodeNumber) -> FuseErrno? {
        notify { fuse_lowlevel_notify_inval_inode($0, inode.rawValue, -1, 0) }
    }

    /// Drops the kernel's copy of a file's attributes and of its content from an offset on.
    ///
    /// - Parameters:
    ///   - offset: in bytes.
    ///   - length: in bytes; 0 up to the end.
    /// - Returns: nil, or why not: `noSuchFileOrDirectory` when the kernel does not know the inode.
    @discardableResult
    public func invalidateContent(of inode: InodeNumber, from offset: Int64 = 0, length: Int64 = 0) -> FuseErrno? {
        notify { fuse_lowlevel_notify_inval_inode($0, inode.rawValue, off_t(offset), off_t(length)) }
    }

    /// Has the kernel ask for a name again.
    ///
    /// - Returns: nil, or why not: `noSuchFileOrDirectory` when the kernel does not know the name.
    @discardableResult
    public func invalidateEntry(_ name: [UInt8], in parent: InodeNumber) -> FuseErrno? {
        notify { session in
            name.withCString { fuse_lowlevel_notify_inval_entry(session, parent.rawValue, $0, name.count) }
        }
    }

    /// - Parameter send: answers with 0 or -errno.
    private func notify(_ send: (OpaquePointer) -> Int32) -> FuseErrno? {
        let result = send(core.session)
        return result == 0 ? nil : FuseErrno(rawValue: -result)
    }
}
