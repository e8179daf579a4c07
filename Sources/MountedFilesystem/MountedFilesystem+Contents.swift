import FuseLowLevel
import Logging
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// Contents: opening, reading, writing, cutting, and making durable.

extension MountedFilesystem {
    // MARK: Handles

    package func open(_ node: NodeID, flags: FileOpenFlags, context: FuseRequestContext) throws(FuseErrno) -> FuseOpen {
        if flags.canWrite { try checkWritable() }
        let file = try file(node)
        let open = try openHandle(file, node: node, canWrite: flags.canWrite, context: context)
        guard flags.truncates, flags.canWrite else { return open }
        do throws(FuseErrno) {
            try truncate(file, node: node, to: 0, context: context, hasHandle: true)
        } catch {
            release(open.handle)
            throw error
        }
        return open
    }

    /// The file of an inode that the kernel knows. One that was forgotten here meanwhile is stale: the kernel then
    /// looks its name up anew, once, instead of telling the caller that a file which it is about to make is not there.
    func file(_ node: NodeID) throws(FuseErrno) -> MountedFile {
        do throws(FuseErrno) {
            return try withTree { tree throws(TreeError) in try tree.file(node) }
        } catch {
            throw error == .noSuchFileOrDirectory ? .staleFileHandle : error
        }
    }

    /// A handle that can write bypasses the page cache: the kernel then asks for no `security.capability` before each
    /// write, writes arrive with their writer's pid, and a shared writable mapping is refused. One that only reads needs
    /// no FLUSH.
    package func openHandle(
        _ file: MountedFile, node: NodeID, canWrite: Bool, context: FuseRequestContext
    ) throws(FuseErrno) -> FuseOpen {
        let opener = canWrite ? writers.threadGroup(of: context.pid) : nil
        let processes = canWrite ? writers.snapshot() : nil
        let isOpen = file.state.withLock { state in
            // Taken out of the listing a moment ago: what were written into it now would go nowhere.
            if state.isRemoved, state.handles == 0 { return false }
            state.handles += 1
            state.version?.lastUse = .now
            guard canWrite else { return true }
            if state.writeHandles == 0 {
                state.openers = []
                state.processesBefore = processes
                (state.refused, state.refusal) = (SegmentMap(), nil)
            }
            state.writeHandles += 1
            if let opener { state.openers.insert(opener) }
            return true
        }
        guard isOpen else { throw .staleFileHandle }
        let number = handles.add(OpenFile(node: node, file: file, canWrite: canWrite))
        return FuseOpen(handle: number, directIO: canWrite, noFlush: !canWrite)
    }

    // MARK: Reading

    /// At most `count` bytes, fewer only where the file ends.
    package func read(_ handle: UInt64, at offset: Int64, count: Int) throws(FuseErrno) -> [UInt8] {
        let file = try handles.get(handle).file
        guard let version = file.state.withLock({ $0.version }) else { return [] }
        let wanted = Int(min(Int64(count), max(0, version.size - offset)))
        guard wanted > 0 else { return [] }
        var failure: SpoolError?
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, initialized in
            do throws(SpoolError) {
                initialized = try version.spool.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
            } catch {
                failure = error
            }
        }
        if let failure { throw FuseErrno(failure.uploadFailure) }
        // Asked afterwards: what is given up counts as gone before it is, and never reads as zeros.
        guard holds(offset..<offset + Int64(wanted), of: version, in: file) else { throw .ioError }
        return bytes
    }

    /// Whether a range of a version is in the spool.
    func holds(_ range: Range<Int64>, of version: FileVersion, in file: MountedFile) -> Bool {
        let isEvicted = file.state.withLock { state in
            state.version.map { $0.spool === version.spool && $0.isEvicted } ?? false
        }
        return !isEvicted && !(version.upload?.hasGivenUp(range) ?? false)
    }

    // MARK: Writing

    /// Writes into the spool and tells the upload. Fewer bytes than given are taken where the size limit is reached;
    /// the first byte past it is `EFBIG`.
    package func write(
        _ data: UnsafeRawBufferPointer, handle: UInt64, at offset: Int64, context: FuseRequestContext
    ) throws(FuseErrno) -> Int {
        try checkWritable()
        let open = try handles.get(handle)
        guard open.canWrite else { throw .badFileDescriptor }
        return try write(data, to: open, at: offset, context: context)
    }

    func write(
        _ data: UnsafeRawBufferPointer, to open: OpenFile, at offset: Int64, context: FuseRequestContext
    ) throws(FuseErrno) -> Int {
        guard !data.isEmpty else { return 0 }
        let wanted = offset..<offset + Int64(data.count)
        var version: FileVersion
        do throws(FuseErrno) {
            version = try beginChange(of: open.file, node: open.node, keepingContent: true)
        } catch {
            open.file.state.withLock { $0.refused.insert(wanted) }
            throw error
        }
        noteWriter(process(of: context.pid, writingInto: open.file), of: open.file, node: open.node)
        let taken: Range<Int64>
        do throws(UploadFailure) {
            findSize(open.file, node: open.node, pid: context.pid, upTo: wanted.upperBound)
            let terms = try self.terms(of: version, for: wanted)
            taken = terms.range
            if let room = terms.room { try obtainRoom(for: room, in: version.spool) }
            // Again where the file was cut meanwhile: then this write comes after the cut.
            repeat {
                do throws(SpoolError) {
                    try version.spool.write(UnsafeRawBufferPointer(rebasing: data[..<taken.count]), at: offset)
                } catch {
                    throw error.uploadFailure
                }
                version.upload?.apply(.wrote(taken))
            } while !endWriting(to: open.file, &version, written: taken)
        } catch {
            endWriting(to: open.file, version, refused: wanted, because: error)
            // Room may come yet, and a write that waits for it is tried many times.
            if error.kind != .noSpace {
                logger.error("a write was refused", metadata: ["reason": "\(error.message)"])
            }
            throw FuseErrno(error)
        }
        return taken.count
    }

    /// The version that a change goes into, begun if there is none or the last one is frozen. It is not frozen before
    /// the change has come back.
    func beginChange(
        of file: MountedFile, node: NodeID, keepingContent: Bool
    ) throws(FuseErrno) -> FileVersion {
        while true {
            if file.state.withLock({ $0.isGivenUp }) { throw .ioError }
            try ensureVersion(of: file, node: node, keepingContent: keepingContent)
            let begun = file.state.withLock { state -> FileVersion? in
                // Another close may have frozen it since.
                guard let version = state.version, !version.isFrozen else { return nil }
                state.version?.changesUnderWay += 1
                return state.version
            }
            if let begun { return begun }
        }
    }

    /// The process that a writing thread belongs to. Asked anew only when another thread writes than last time, since
    /// asking costs more than a small write.
    private func process(of thread: Int32, writingInto file: MountedFile) -> Int32? {
        if let last = file.state.withLock({ $0.lastWriter }), last.thread == thread { return last.process }
        guard let process = writers.threadGroup(of: thread) else { return nil }
        file.state.withLock { $0.lastWriter = (thread: thread, process: process) }
        return process
    }

    /// Remembers who writes; a new writer is looked at more closely.
    private func noteWriter(_ writer: Int32?, of file: MountedFile, node: NodeID) {
        let isNew = file.state.withLock { state in
            if state.version?.isWrittenInPlace == true { state.version?.awaitsFinalTruncation = true }
            guard let writer else { return false }
            return state.version?.writers.insert(writer).inserted ?? false
        }
        guard isNew, let writer, writers.command(of: writer) == Array("rsync".utf8) else { return }
        guard let path = path(of: node), verdict(on: path) == .upload else { return }
        file.state.withLock { state in
            state.version?.isWrittenInPlace = true
            state.version?.awaitsFinalTruncation = true
        }
    }

    /// The write has come back; false when the file was cut since it began, so that its bytes may be gone.
    private func endWriting(to file: MountedFile, _ begun: inout FileVersion, written: Range<Int64>) -> Bool {
        let now = NodeTime.now()
        let (isOver, current) = file.state.withLock { state -> (Bool, FileVersion?) in
            // Gone with its file.
            guard let version = state.version, version.spool === begun.spool else { return (true, nil) }
            guard version.cutsDone == begun.cutsDone else { return (false, version) }
            state.version?.changesUnderWay -= 1
            state.version?.writesDone += 1
            state.version?.refused.remove(written)
            state.version?.size = max(version.size, written.upperBound)
            state.version?.hasContent = true
            state.modified = now
            return (true, nil)
        }
        if let current { begun = current }
        return isOver
    }

    private func endWriting(
        to file: MountedFile, _ begun: FileVersion, refused: Range<Int64>, because reason: UploadFailure
    ) {
        file.state.withLock { state in
            guard state.version?.spool === begun.spool else { return }
            state.version?.changesUnderWay -= 1
            state.version?.refused.insert(refused)
            state.version?.refusal = reason
            state.version?.hasContent = true
        }
    }

    /// How much of a write fits below the size limit, and the range whose room it wants first; throws when nothing
    /// fits, when the size is known for certain and is over it, or over what the platform takes, and for a part that was
    /// given up.
    private func terms(
        of version: FileVersion, for wanted: Range<Int64>
    ) throws(UploadFailure) -> (range: Range<Int64>, room: Range<Int64>?) {
        guard let upload = version.upload else { return (wanted, wanted) }
        let terms = upload.inspect { $0.terms(forWriting: wanted) }
        let limit = configuration.maxFileSize
        if let hint = terms.hint, hint.source.isExact, hint.size > limit { throw Self.tooLarge }
        guard wanted.lowerBound < limit else { throw Self.tooLarge }
        if let objection = terms.objection { throw objection }
        return (wanted.lowerBound..<min(wanted.upperBound, limit), terms.room)
    }

    private static let tooLarge = UploadFailure(
        .tooLarge, message: "the file is larger than --max-file-size allows",
        hint: "mount with a larger --max-file-size, as far as the platform takes such files")

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
        do throws(UploadFailure) { try checkJournal() } catch { throw refusal(of: error, on: file) }
        var next: FileVersion
        do throws(SpoolError) {
            next = FileVersion(spool: try spool.create(), upload: nil)
            if keepingContent, let last, last.size > 0 {
                guard holds(0..<last.size, of: last, in: file) else { throw SpoolError.givenUp }
                try next.spool.copy(from: last.spool, count: last.size)
                next.size = last.size
            }
        } catch {
            throw refusal(of: error.uploadFailure, on: file)
        }
        if let path = path(of: node), verdict(on: path).isUploaded {
            next.upload = engine.begin(identity(for: path), spool: next.spool)
            if next.size > 0 { next.upload?.apply(.wrote(0..<next.size)) }
            if let declared = declaredHint(for: file) { next.upload?.apply(.hinted(declared)) }
        }
        let begun = next
        let (isUsed, old, earlier) = file.state.withLock { state -> (Bool, FileVersion?, [Upload]) in
            if let current = state.version, !current.isFrozen { return (false, nil, []) }
            let old = state.version
            if let upload = old?.upload { state.superseded.append(upload) }
            let earlier = state.superseded
            state.version = begun
            state.version?.refused = state.refused
            state.version?.refusal = state.refusal
            (state.refused, state.refusal) = (SegmentMap(), nil)
            return (true, old, earlier)
        }
        begun.upload?.updateIdentity { identity in
            identity.supersededUploadIDs = earlier.compactMap { $0.inspect { $0.uploadID } }
        }
        guard isUsed else { return dropUnused(begun) }
        old?.upload?.updateIdentity { $0.isListed = false }
        retire(old)
    }

    /// What is said when no version can be begun: a close will tell it, too.
    private func refusal(of failure: UploadFailure, on file: MountedFile) -> FuseErrno {
        logger.error("no new content could be begun", metadata: ["reason": "\(failure.message)"])
        file.state.withLock { $0.refusal = failure }
        return FuseErrno(failure)
    }

    /// A version that another took the place of: its bytes go as soon as its upload does not need them any more.
    private func retire(_ version: FileVersion?) {
        guard let version else { return }
        guard let upload = version.upload else { return removeSpool(version.spool) }
        keeper.retire(upload)
    }

    private func dropUnused(_ version: FileVersion) {
        if let upload = version.upload {
            upload.forgetInJournal()
            engine.forget(upload)
        }
        removeSpool(version.spool)
    }

    // MARK: Cutting and extending

    package func truncate(
        _ file: MountedFile, node: NodeID, to size: Int64, context: FuseRequestContext, hasHandle: Bool
    ) throws(FuseErrno) {
        guard size >= 0 else { throw .invalidArgument }
        let before = file.state.withLock { $0.version }
        if size == 0, before == nil { return }
        if size == before?.size ?? 0, before?.isFrozen ?? true, size > 0 { return }
        // What was staged is not replaced: the version goes on, from nothing.
        let isReplaced = size == 0 && before?.isFrozen == true && before?.isStaged == false
        let replaced = isReplaced ? before?.upload : nil
        // One that was promised to be safe goes on until this one is.
        let outlives = replaced.map { $0.isWhollyDurable && $0.currentState.isUnderWay } ?? false
        let writer = writers.threadGroup(of: context.pid)
        // First of all: where nothing can be begun, nothing is replaced.
        var version = try beginChange(of: file, node: node, keepingContent: size > 0)
        if !outlives { cancel(replaced, reason: Self.overwritten) }
        if outlives, let replaced {
            version.upload?.takePlace(of: replaced, reason: Self.overwritten)
            if version.upload == nil { cancel(replaced, reason: Self.overwritten) }
        }
        let first = version
        do throws(FuseErrno) {
            try checkSize(size, of: version)
            // Again where a write came back meanwhile: then this cut comes after the write.
            repeat {
                do throws(SpoolError) {
                    try version.spool.truncate(to: size)
                } catch {
                    throw FuseErrno(error.uploadFailure)
                }
                version.upload?.apply(.truncated(to: size))
            } while !endCut(of: file, &version, to: size, by: writer)
        } catch {
            file.state.withLock { state in
                if state.version?.spool === version.spool { state.version?.changesUnderWay -= 1 }
            }
            throw error
        }
        declareSize(size, of: first, in: file)
        if !hasHandle, file.state.withLock({ $0.writeHandles == 0 }) { lastWriterReleased(file, node: node) }
    }

    /// Whether a file may get a size, as far as that is known.
    private func checkSize(_ size: Int64, of version: FileVersion) throws(FuseErrno) {
        guard let upload = version.upload, size > version.size else { return }
        if size > configuration.maxFileSize { throw FuseErrno(Self.tooLarge) }
        if let refusal = upload.inspect({ $0.sizeObjection(toSize: size) }) { throw FuseErrno(refusal) }
    }

    private static let overwritten = UploadFailure(
        .replaced, message: "the file was overwritten before the platform had confirmed it")

    /// The cut has come back; false when a write did since it began, so that bytes may lie beyond the end.
    private func endCut(
        of file: MountedFile, _ begun: inout FileVersion, to size: Int64, by writer: Int32?
    ) -> Bool {
        let now = NodeTime.now()
        let (isOver, current) = file.state.withLock { state -> (Bool, FileVersion?) in
            // Gone with its file.
            guard let version = state.version, version.spool === begun.spool else { return (true, nil) }
            guard version.writesDone == begun.writesDone else { return (false, version) }
            state.version?.changesUnderWay -= 1
            state.version?.cutsDone += 1
            state.version?.size = size
            state.version?.refused.remove(size..<Int64.max)
            state.version?.awaitsFinalTruncation = false
            if size == 0 { state.version?.source = nil }
            if size == 0 { state.version?.hintSearch = .notTried }
            if size > 0 { state.version?.hasContent = true }
            if let writer { state.version?.writers.insert(writer) }
            state.modified = now
            return (true, nil)
        }
        if let current { begun = current }
        return isOver
    }

    /// A size that is set before anything is written declares how much will be; set anew, it declares that.
    private func declareSize(_ size: Int64, of version: FileVersion, in file: MountedFile) {
        guard let upload = version.upload else { return }
        if size == 0 { return upload.apply(.hinted(declaredHint(for: file))) }
        guard configuration.usesSizeHints else { return }
        let isFirst = !version.hasContent && version.size == 0
        guard isFirst || upload.inspect({ $0.hint?.source }) == .declared else { return }
        upload.apply(.hinted(SizeHint(size: size, source: .declared)))
    }

    // MARK: Durability

    /// Puts what was written on disk, with everything that is needed to find it again. Blocks on the disk.
    package func synchronize(_ handle: UInt64, _ answer: @escaping @Sendable (Result<Void, FuseErrno>) -> Void) {
        do throws(FuseErrno) {
            synchronize(try handles.get(handle), answer)
        } catch {
            answer(.failure(error))
        }
    }

    /// The same for what is open.
    func synchronize(_ open: OpenFile, _ answer: @escaping @Sendable (Result<Void, FuseErrno>) -> Void) {
        guard let version = promise(open) else {
            return whenJournalled(durably: true) { answer($0.mapError { FuseErrno($0) }) }
        }
        putOnDisk(version.spool, of: version.upload) { answer($0.mapError { FuseErrno($0) }) }
    }

    /// Has the journal told of a file that has no upload: nobody else tells of it before its writer lets go of it. Its version
    /// is returned.
    @discardableResult
    func promise(_ open: OpenFile) -> FileVersion? {
        let version = open.file.state.withLock { state in
            if state.version?.upload == nil { state.isPromised = true }
            return state.version
        }
        if version?.upload == nil { note([open.node]) }
        return version
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

extension [UInt8] {
    /// `withUnsafeBytes` that keeps the type of what is thrown.
    func withBytes<Value>(
        _ body: (UnsafeRawBufferPointer) throws(FuseErrno) -> Value
    ) throws(FuseErrno) -> Value {
        let outcome = withUnsafeBytes { bytes -> Result<Value, FuseErrno> in
            do throws(FuseErrno) { return .success(try body(bytes)) } catch { return .failure(error) }
        }
        return try outcome.get()
    }
}

extension Optional {
    /// The value, or this error.
    func orThrow(_ error: FuseErrno) throws(FuseErrno) -> Wrapped {
        guard let self else { throw error }
        return self
    }
}
