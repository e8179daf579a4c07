/// The answer to one request, to be given exactly once.
///
/// The type sees to that: every way to answer consumes the reply, and one that is dropped answers EIO. `Payload` is
/// what a success carries; each has its own `succeed`. To answer later, make it a ``DeferredReply``.
///
/// Answer with no lock of the file system's held: when the caller is found to be gone, `succeed` of an open calls
/// ``FuseOperations/release(_:handle:)``, and of an entry ``FuseOperations/forgotten(_:)``, before it returns.
public struct FuseReply<Payload>: ~Copyable, Sendable {
    /// Nil once it is answered or handed on; `discard self` is not to be had for a type that holds a reference.
    private var request: FuseRequest?

    init(_ request: FuseRequest) {
        self.request = request
    }

    deinit {
        request?.send(error: .ioError)
    }

    /// Answers with an error.
    public consuming func fail(_ error: FuseErrno) {
        request.take()?.send(error: error)
    }

    /// Keeps the request open for an answer from any thread at any later time.
    public consuming func deferred() -> DeferredReply<Payload> {
        DeferredReply(request.take())
    }

    /// How many bytes the kernel has space for: in a directory listing, an attribute's value, or a read. 0 elsewhere.
    var capacity: Int { request?.capacity ?? 0 }

    /// Ends the duty to answer: whoever takes the request sends.
    consuming func taken() -> FuseRequest? {
        request.take()
    }
}

extension FuseReply where Payload == Void {
    /// Done.
    public consuming func succeed() {
        taken()?.send(error: nil)
    }
}

extension FuseReply where Payload == FuseEntry {
    /// Makes the entry known to the kernel.
    public consuming func succeed(_ entry: FuseEntry) {
        taken()?.send(entry)
    }

    /// There is no such name, and the kernel need not ask again for this long.
    public consuming func succeedWithoutEntry(for timeout: Duration) {
        taken()?.sendNegativeEntry(timeout: timeout)
    }
}

extension FuseReply where Payload == FuseCreated {
    /// The file is created and open.
    public consuming func succeed(_ entry: FuseEntry, _ open: FuseOpen) {
        taken()?.send(FuseCreated(entry: entry, open: open))
    }
}

extension FuseReply where Payload == FileAttributes {
    /// - Parameter timeout: for how long the kernel may answer `stat` from its own copy.
    public consuming func succeed(_ attributes: FileAttributes, timeout: Duration = .zero) {
        taken()?.send(attributes, timeout: timeout)
    }
}

extension FuseReply where Payload == FuseOpen {
    /// The file or directory is open.
    public consuming func succeed(_ open: FuseOpen) {
        taken()?.send(open)
    }
}

extension FuseReply where Payload == FuseLinkTarget {
    /// - Parameter target: without a terminating zero; the kernel takes at most 4095 bytes.
    public consuming func succeed(_ target: [UInt8]) {
        taken()?.send(linkTarget: target)
    }
}

extension FuseReply where Payload == FuseData {
    /// - Parameter bytes: no more than was asked for; what is over is cut off.
    public consuming func succeed(_ bytes: [UInt8]) {
        taken()?.send(bytes)
    }

    /// - Parameter bytes: no more than was asked for; what is over is cut off. Not used after the call.
    public consuming func succeed(_ bytes: UnsafeRawBufferPointer) {
        taken()?.send(bytes)
    }

    /// Answers with what a closure reads, with no other copy of it: `reply.answer { buffer throws(FuseErrno) in … pread … }`
    ///
    /// - Parameter fill: is given as many bytes as were asked for, uninitialized, and answers how many of them it filled, or
    ///   throws the error to answer with.
    public consuming func answer(filling fill: (UnsafeMutableRawBufferPointer) throws(FuseErrno) -> Int) {
        taken()?.send(filling: fill)
    }
}

extension FuseReply where Payload == FuseWritten {
    /// - Parameter count: bytes taken, from the beginning; at most what was written.
    /// - Returns: whether the answer was given.
    @discardableResult
    public consuming func succeed(_ count: Int) -> Bool {
        taken()?.send(written: count) ?? false
    }
}

extension FuseReply where Payload == FuseOffset {
    /// - Parameter offset: in bytes from the file's beginning.
    public consuming func succeed(_ offset: Int64) {
        taken()?.send(offset: offset)
    }
}

extension FuseReply where Payload == FileSystemStatistics {
    /// What `df` shows.
    public consuming func succeed(_ statistics: FileSystemStatistics) {
        taken()?.send(statistics)
    }
}

extension FuseReply where Payload == ExtendedAttributeValue {
    /// - Parameter value: the whole value. A caller that only asks for its size gets that, one without space for it ERANGE.
    public consuming func succeed(_ value: [UInt8]) {
        taken()?.send(sized: value)
    }
}

extension FuseReply where Payload == ExtendedAttributeNames {
    /// - Parameter names: each without a terminating zero.
    public consuming func succeed(_ names: [[UInt8]]) {
        taken()?.send(sized: names.flatMap { $0 + [0] })
    }
}

extension FuseReply where Payload == DirectoryListing {
    /// A listing with the space that the kernel gave.
    public func emptyListing() -> DirectoryListing {
        DirectoryListing(capacity: capacity)
    }

    /// - Parameter listing: with no entry in it, the directory's end.
    public consuming func succeed(_ listing: DirectoryListing) {
        taken()?.send(listing.bytes)
    }
}

extension FuseReply where Payload == DirectoryPlusListing {
    /// A listing with the space that the kernel gave.
    public func emptyListing() -> DirectoryPlusListing {
        DirectoryPlusListing(capacity: capacity)
    }

    /// - Parameter listing: with no entry in it, the directory's end.
    public consuming func succeed(_ listing: DirectoryPlusListing) {
        taken()?.send(listing)
    }
}
