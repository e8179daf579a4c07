import FuseLowLevel
import Logging
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// Contents: opening, reading, writing, cutting, and making durable.

extension MountedFilesystem {
    // MARK: Handles

    func open(_ node: NodeID, flags: FileOpenFlags, context: FuseRequestContext) throws(FuseErrno) -> FuseOpen {
        if flags.canWrite { try checkWritable() }
        let file = try withTree { tree throws(TreeError) in try tree.file(node) }
        if flags.truncates, flags.canWrite {
            try truncate(file, node: node, to: 0, context: context, hasHandle: true)
        }
        return openHandle(file, node: node, canWrite: flags.canWrite, context: context)
    }

    /// A handle that can write bypasses the page cache: the kernel then asks for no `security.capability` before each
    /// write, writes arrive with their writer's pid, and a shared writable mapping is refused. One that only reads needs
    /// no FLUSH.
    func openHandle(
        _ file: MountedFile, node: NodeID, canWrite: Bool, context: FuseRequestContext
    ) -> FuseOpen {
        let opener = canWrite ? writers.threadGroup(of: context.pid) : nil
        let processes = canWrite ? writers.snapshot() : nil
        file.state.withLock { state in
            state.handles += 1
            guard canWrite else { return }
            if state.writeHandles == 0 {
                state.openers = []
                state.processesBefore = processes
            }
            state.writeHandles += 1
            if let opener { state.openers.insert(opener) }
        }
        let number = handles.add(OpenFile(node: node, file: file, canWrite: canWrite))
        return FuseOpen(handle: number, directIO: canWrite, noFlush: !canWrite)
    }

    // MARK: Reading

    /// At most `count` bytes, fewer only where the file ends.
    func read(_ handle: UInt64, at offset: Int64, count: Int) throws(FuseErrno) -> [UInt8] {
        let file = try handles.get(handle).file
        let (spool, size) = file.state.withLock { ($0.version?.spool, $0.version?.size ?? 0) }
        let wanted = Int(min(Int64(count), max(0, size - offset)))
        guard let spool, wanted > 0 else { return [] }
        var failure: SpoolError?
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, initialized in
            do throws(SpoolError) {
                initialized = try spool.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
            } catch {
                failure = error
            }
        }
        if let failure { throw FuseErrno(failure.uploadFailure) }
        return bytes
    }

    // MARK: Writing

    /// Writes into the spool and tells the upload. Fewer bytes than given are taken where the size limit is reached;
    /// the first byte past it is `EFBIG`.
    func write(
        _ data: UnsafeRawBufferPointer, handle: UInt64, at offset: Int64, context: FuseRequestContext
    ) throws(FuseErrno) -> Int {
        try checkWritable()
        let open = try handles.get(handle)
        guard open.canWrite else { throw .badFileDescriptor }
        guard !data.isEmpty else { return 0 }
        let writer = writers.threadGroup(of: context.pid)
        let version = try beginWriting(to: open.file, node: open.node, writer: writer)
        let wanted = offset..<offset + Int64(data.count)
        let taken: Range<Int64>
        do throws(FuseErrno) {
            findSize(open.file, node: open.node, pid: context.pid, upTo: wanted.upperBound)
            taken = try checkSize(wanted, of: open.file)
            do throws(SpoolError) {
                try version.spool.write(UnsafeRawBufferPointer(rebasing: data[..<taken.count]), at: offset)
            } catch {
                throw FuseErrno(error.uploadFailure)
            }
        } catch {
            endWriting(to: open.file, refused: wanted)
            throw error
        }
        // Told before the write counts as over: a commit in between would leave these bytes out.
        version.upload?.apply(.wrote(taken))
        endWriting(to: open.file, written: taken)
        return taken.count
    }

    /// The version that the write goes into, begun if there is none or the last one is frozen.
    private func beginWriting(
        to file: MountedFile, node: NodeID, writer: Int32?
    ) throws(FuseErrno) -> FileVersion {
        try ensureVersion(of: file, node: node, keepingContent: true)
        noteWriter(writer, of: file, node: node)
        return try file.state.withLock { state -> FileVersion? in
            guard state.version != nil else { return nil }
            state.version?.writesUnderWay += 1
            if state.version?.isWrittenInPlace == true { state.version?.awaitsFinalTruncation = true }
            return state.version
        }.orThrow(.ioError)
    }

    /// Remembers who writes; a new writer is looked at more closely.
    private func noteWriter(_ writer: Int32?, of file: MountedFile, node: NodeID) {
        guard let writer else { return }
        let isNew = file.state.withLock { $0.version?.writers.insert(writer).inserted ?? false }
        guard isNew, writers.command(of: writer) == Array("rsync".utf8) else { return }
        guard let path = path(of: node), verdict(on: path) == .upload else { return }
        file.state.withLock { $0.version?.isWrittenInPlace = true }
    }

    private func endWriting(to file: MountedFile, written: Range<Int64>) {
        let now = NodeTime.now()
        file.state.withLock { state in
            state.version?.writesUnderWay -= 1
            state.version?.refused.remove(written)
            let size = state.version?.size ?? 0
            state.version?.size = max(size, written.upperBound)
            state.version?.hasContent = true
            state.modified = now
        }
    }

    private func endWriting(to file: MountedFile, refused: Range<Int64>) {
        file.state.withLock { state in
            state.version?.writesUnderWay -= 1
            state.version?.refused.insert(refused)
            state.version?.hasContent = true
        }
    }

    /// How much of a write fits below the size limit; throws `EFBIG` when nothing does, or when the size is known for
    /// certain and is over it.
    private func checkSize(_ wanted: Range<Int64>, of file: MountedFile) throws(FuseErrno) -> Range<Int64> {
        let upload = file.state.withLock { $0.version?.upload }
        guard let upload else { return wanted }
        let limit = configuration.maxFileSize
        let hint = upload.inspect { $0.hint }
        if let hint, hint.source.isExact, hint.size > limit { throw .fileTooLarge }
        guard wanted.lowerBound < limit else { throw .fileTooLarge }
        return wanted.lowerBound..<min(wanted.upperBound, limit)
    }

    // MARK: Versions

    /// Makes sure that the file has a version that can be written to.
    ///
    /// After a commit that is a new one: empty, or, for a write in the middle, with the content of the last one.
    func ensureVersion(of file: MountedFile, node: NodeID, keepingContent: Bool) throws(FuseErrno) {
        let last = file.state.withLock { state in
            if let version = state.version, version.isStaged {
                state.version?.isFrozen = false
                state.version?.isStaged = false
            }
            return state.version
        }
        if let last, !last.isFrozen { return }
        var next: FileVersion
        do throws(SpoolError) {
            next = FileVersion(spool: try spool.create(), upload: nil)
            if keepingContent, let last, last.size > 0 {
                try next.spool.copy(from: last.spool, count: last.size)
                next.size = last.size
            }
        } catch {
            logger.error("the spool took no new file", metadata: ["reason": "\(error)"])
            throw FuseErrno(error.uploadFailure)
        }
        if let path = path(of: node), verdict(on: path).isUploaded {
            next.upload = engine.begin(identity(for: path), spool: next.spool)
            if next.size > 0 { next.upload?.apply(.wrote(0..<next.size)) }
        }
        let begun = next
        let (isUsed, old) = file.state.withLock { state -> (Bool, FileVersion?) in
            if let current = state.version, !current.isFrozen { return (false, nil) }
            let old = state.version
            if let upload = old?.upload { state.superseded.append(upload) }
            let earlier = state.superseded
            begun.upload?.updateIdentity { identity in
                identity.supersededUploadIDs = earlier.compactMap { $0.status().uploadID }
            }
            state.version = begun
            return (true, old)
        }
        if isUsed { retire(old) } else { dropUnused(begun) }
    }

    /// A version that another took the place of: its bytes go as soon as its upload does not need them any more.
    private func retire(_ version: FileVersion?) {
        guard let version else { return }
        guard let upload = version.upload else { return removeSpool(version.spool) }
        keeper.retire(upload)
    }

    private func dropUnused(_ version: FileVersion) {
        if let upload = version.upload { engine.forget(upload) }
        removeSpool(version.spool)
    }

    // MARK: Cutting and extending

    func truncate(
        _ file: MountedFile, node: NodeID, to size: Int64, context: FuseRequestContext, hasHandle: Bool
    ) throws(FuseErrno) {
        guard size >= 0 else { throw .invalidArgument }
        let before = file.state.withLock { $0.version }
        if size == 0, before == nil { return }
        if size == before?.size ?? 0, before?.isFrozen ?? true, size > 0 { return }
        if size == 0, let before, before.isFrozen {
            let reason = UploadFailure(
                .replaced, message: "the file was overwritten before the platform had confirmed it")
            cancel(before.upload, reason: reason)
        }
        try ensureVersion(of: file, node: node, keepingContent: size > 0)
        guard let version = file.state.withLock({ $0.version }) else { throw .ioError }
        if version.upload != nil, size > configuration.maxFileSize { throw .fileTooLarge }
        do throws(SpoolError) {
            try version.spool.truncate(to: size)
        } catch {
            throw FuseErrno(error.uploadFailure)
        }
        let isDeclaration = !version.hasContent && version.size == 0 && size > 0
        let now = NodeTime.now()
        let writer = writers.threadGroup(of: context.pid)
        file.state.withLock { state in
            state.version?.size = size
            state.version?.refused.remove(size..<Int64.max)
            state.version?.awaitsFinalTruncation = false
            if size == 0 { state.version?.source = nil }
            if size == 0 { state.version?.hintSearch = .notTried }
            if size > 0 { state.version?.hasContent = true }
            if let writer { state.version?.writers.insert(writer) }
            state.modified = now
        }
        version.upload?.apply(.truncated(to: size))
        if size == 0 { version.upload?.apply(.hinted(nil)) }
        if isDeclaration, configuration.usesSizeHints {
            version.upload?.apply(.hinted(SizeHint(size: size, source: .declared)))
        }
        if !hasHandle, file.state.withLock({ $0.writeHandles == 0 }) {
            commitInBackground(file, node: node, scope: .whole)
        }
    }

    // MARK: Durability

    /// Puts what was written on disk.
    func synchronize(_ handle: UInt64) throws(FuseErrno) {
        let file = try handles.get(handle).file
        guard let version = file.state.withLock({ $0.version }) else { return }
        do throws(SpoolError) {
            try version.spool.synchronize()
        } catch {
            logger.error("the spool could not be put on disk", metadata: ["reason": "\(error)"])
            throw FuseErrno(error.uploadFailure)
        }
        version.upload?.setDurable(true)
    }
}

extension NamePolicy.Verdict {
    /// Whether files of such a name become assets, sooner or later.
    var isUploaded: Bool {
        switch self {
        case .upload, .temporary: true
        case .keepLocally, .refuse: false
        }
    }
}

extension Optional {
    /// The value, or this error.
    func orThrow(_ error: FuseErrno) throws(FuseErrno) -> Wrapped {
        guard let self else { throw error }
        return self
    }
}
