internal import CFuse3
import Glibc

/// A request that libfuse waits for an answer to; whoever holds one must send exactly one answer.
///
/// Here is everything that sending may entail: counting references before, and undoing it when the caller is gone.
struct FuseRequest: @unchecked Sendable {
    // Unchecked: libfuse lets any thread answer a request, and the holder is the only one that touches it until then.
    private let pointer: OpaquePointer
    /// Keeps libfuse's session, which the request points into.
    let core: SessionCore
    /// The inode that an OPEN or OPENDIR is about, to release when its answer is not taken.
    private let opened: Opened
    /// Bytes that the kernel has space for.
    let capacity: Int

    /// What an answer of type ``FuseOpen`` opens.
    enum Opened {
        case nothing
        case file(InodeNumber)
        case directory(InodeNumber)
    }

    init(_ pointer: OpaquePointer, core: SessionCore, opened: Opened = .nothing, capacity: Int = 0) {
        self.pointer = pointer
        self.core = core
        self.opened = opened
        self.capacity = capacity
    }

    /// - Parameter error: nil for success without anything to tell.
    func send(error: FuseErrno?) {
        // libfuse takes 0 ..< 1000; another number would make an answer that the kernel refuses, and a caller that hangs.
        let number = error?.rawValue ?? 0
        fuse_reply_err(pointer, (0..<1000).contains(number) ? number : EIO)
    }

    func send(_ entry: FuseEntry) {
        var parameters = fuse_entry_param(entry)
        core.lookups.raise(entry.inode)
        if fuse_reply_entry(pointer, &parameters) != 0 {
            core.forget(entry.inode, by: 1)
        }
    }

    func sendNegativeEntry(timeout: Duration) {
        var parameters = fuse_entry_param()
        parameters.entry_timeout = timeout.inSeconds
        fuse_reply_entry(pointer, &parameters)
    }

    func send(_ created: FuseCreated) {
        var parameters = fuse_entry_param(created.entry)
        var information = fuse_file_info(created.open)
        core.lookups.raise(created.entry.inode)
        if fuse_reply_create(pointer, &parameters, &information) != 0 {
            core.operations.release(created.entry.inode, handle: created.open.handle)
            core.forget(created.entry.inode, by: 1)
        }
    }

    func send(_ open: FuseOpen) {
        var information = fuse_file_info(open)
        guard fuse_reply_open(pointer, &information) != 0 else { return }
        switch opened {
        case .file(let inode): core.operations.release(inode, handle: open.handle)
        case .directory(let inode): core.operations.releasedir(inode, handle: open.handle)
        case .nothing: break
        }
    }

    func send(_ attributes: FileAttributes, timeout: Duration) {
        var status = stat(attributes)
        fuse_reply_attr(pointer, &status, timeout.inSeconds)
    }

    func send(linkTarget: [UInt8]) {
        _ = linkTarget.withCString { fuse_reply_readlink(pointer, $0) }
    }

    func send(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { send($0) }
    }

    func send(_ bytes: UnsafeRawBufferPointer) {
        // The kernel refuses an answer that is longer than what it asked for, and the caller would wait for ever.
        let count = min(bytes.count, capacity)
        fuse_reply_buf(pointer, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count)
    }

    func send(filling fill: (UnsafeMutableRawBufferPointer) throws(FuseErrno) -> Int) {
        withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 16) { buffer in
            do throws(FuseErrno) {
                let count = try fill(buffer)
                send(UnsafeRawBufferPointer(rebasing: buffer.prefix(max(0, count))))
            } catch {
                send(error: error)
            }
        }
    }

    func send(_ listing: DirectoryPlusListing) {
        for inode in listing.inodes {
            core.lookups.raise(inode)
        }
        let error = listing.bytes.withUnsafeBytes { bytes in
            fuse_reply_buf(pointer, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        if error != 0 {
            for inode in listing.inodes {
                core.forget(inode, by: 1)
            }
        }
    }

    /// False when the kernel does not wait for the answer any more.
    func send(written count: Int) -> Bool {
        fuse_reply_write(pointer, count) == 0
    }

    func send(offset: Int64) {
        fuse_reply_lseek(pointer, off_t(offset))
    }

    func send(_ statistics: FileSystemStatistics) {
        var values = statvfs(statistics)
        fuse_reply_statfs(pointer, &values)
    }

    /// Answers GETXATTR and LISTXATTR: a caller with no space asks for the size.
    func send(sized value: [UInt8]) {
        if capacity == 0 {
            fuse_reply_xattr(pointer, value.count)
        } else if value.count > capacity {
            send(error: .outOfRange)
        } else {
            send(value)
        }
    }

    var isInterrupted: Bool {
        fuse_req_interrupted(pointer) != 0
    }

    /// Has libfuse post the token when the caller is interrupted; before this returns, when it was already.
    func notifyOfInterrupt(as token: InterruptDispatcher.Token) {
        fuse_req_interrupt_func(
            pointer,
            { request, token in
                // libfuse keeps the request and with it the session until this returns.
                guard let request, let core = SessionCore.of(request) else { return }
                core.interrupts.post(InterruptDispatcher.Token(number: UInt(bitPattern: token)))
            }, UnsafeMutableRawPointer(bitPattern: token.number))
    }
}
