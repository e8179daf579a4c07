import FileTree
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
        // Taken out of the listing a moment ago: what were written into it now would go nowhere.
        guard file.opened(canWrite: canWrite, by: opener, among: processes) else { throw .staleFileHandle }
        let number = handles.add(OpenFile(node: node, file: file, canWrite: canWrite))
        return FuseOpen(handle: number, directIO: canWrite, noFlush: !canWrite)
    }

    // MARK: Reading

    /// At most `count` bytes, fewer only where the file ends.
    package func read(_ handle: UInt64, at offset: Int64, count: Int) throws(FuseErrno) -> [UInt8] {
        let file = try handles.get(handle).file
        guard let version = file.version else { return [] }
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
        !file.isEvicted(version) && !(version.upload?.hasGivenUp(range) ?? false)
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
        let write = PendingChange(open: open, pid: context.pid, range: offset..<offset + Int64(data.count))
        while true {
            switch open.file.beginChange() {
            case .cancelled:
                open.file.refuseWrite(of: write.range, because: nil)
                throw .ioError
            case .version(let version):
                return try self.write(data, write, into: version)
            case .another(after: nil):
                try beginFirstVersion(for: write)
            case .another(after: let last?):
                defer { open.file.endUse(of: last) }
                if let count = try self.write(data, write, besides: last) { return count }
            }
        }
    }

    /// A change of a file's content that somebody asks for.
    private struct PendingChange: Sendable {
        var open: OpenFile
        /// The thread that asks; 0 for one that cannot be seen.
        var pid: Int32
        /// What it wants to write; empty for a new size.
        var range: Range<Int64>
    }

    /// Writes into the version that can be changed.
    private func write(
        _ data: UnsafeRawBufferPointer, _ write: PendingChange, into begun: FileVersion
    ) throws(FuseErrno) -> Int {
        var version = begun
        let (file, node) = (write.open.file, write.open.node)
        if version.upload == nil, version.isToBeUploaded, version.size == 0 {
            version.upload = uploadForContent(of: version, in: file, node: node)
        }
        recordWriter(process(of: write.pid, writingInto: file), of: file)
        do throws(UploadFailure) {
            findSize(file, node: node, pid: write.pid, upTo: write.range.upperBound)
            let terms = try self.terms(of: version, for: write.range)
            if let room = terms.room { try obtainRoom(for: room, in: version.spool) }
            // Again where the file was truncated meanwhile: then this write comes after that.
            repeat {
                try put(data, terms.range, into: version)
            } while !file.endWrite(&version, written: terms.range)
            return terms.range.count
        } catch {
            file.refuseWrite(version, of: write.range, because: error.message)
            throw refused(error)
        }
    }

    /// Writes into another version beside one that is committed, which takes its place when that has succeeded; nil when
    /// somebody else was faster. What is refused leaves everything as it was.
    private func write(
        _ data: UnsafeRawBufferPointer, _ write: PendingChange, besides last: FileVersion
    ) throws(FuseErrno) -> Int? {
        let (file, node) = (write.open.file, write.open.node)
        do throws(UploadFailure) {
            var next = try version(after: last, keeping: last.size, in: file, node: node)
            let taken: Range<Int64>
            do throws(UploadFailure) {
                let terms = try self.terms(of: next, for: write.range)
                taken = terms.range
                if let room = terms.room { try obtainRoom(for: room, in: next.spool) }
                try put(data, taken, into: next)
            } catch {
                dropUnused(next)
                throw error
            }
            next.size = max(next.size, taken.upperBound)
            next.hasContent = true
            guard file.install(next, after: last) else {
                dropUnused(next)
                return nil
            }
            replaced(last, by: next, in: file)
            recordWriter(process(of: write.pid, writingInto: file), of: file)
            findSize(file, node: node, pid: write.pid, upTo: taken.upperBound)
            while !file.endWrite(&next, written: taken) { try put(data, taken, into: next) }
            return taken.count
        } catch {
            file.refuseWrite(of: write.range, because: error.message)
            throw refused(error)
        }
    }

    private func put(
        _ data: UnsafeRawBufferPointer, _ range: Range<Int64>, into version: FileVersion
    ) throws(UploadFailure) {
        do throws(SpoolError) {
            try version.spool.write(UnsafeRawBufferPointer(rebasing: data[..<range.count]), at: range.lowerBound)
        } catch {
            throw error.uploadFailure
        }
        version.upload?.apply(.wrote(range))
    }

    private func refused(_ failure: UploadFailure) -> FuseErrno {
        // Room may come yet, and a write that waits for it is tried many times.
        if failure.kind != .noSpace {
            logger.error("a write was refused", metadata: ["reason": "\(failure.message)"])
        }
        return FuseErrno(failure)
    }

    /// The process that a writing thread belongs to. Asked anew only when another thread writes than last time, since
    /// asking costs more than a small write.
    private func process(of thread: Int32, writingInto file: MountedFile) -> Int32? {
        if let process = file.process(ofLastWriter: thread) { return process }
        guard let process = writers.threadGroup(of: thread) else { return nil }
        file.setLastWriter(thread: thread, process: process)
        return process
    }

    /// Remembers who writes; a new writer is looked at more closely.
    private func recordWriter(_ writer: Int32?, of file: MountedFile) {
        guard file.addWriter(writer), let writer, let command = writers.command(of: writer) else { return }
        guard file.version?.name == .upload else { return }
        if command.elementsEqual("rsync".utf8) { file.isWrittenInPlace() }
        if command.elementsEqual("aria2c".utf8) { file.isWrittenByAria2() }
    }

    /// How much of a write fits below the size limit, and the range whose room it wants first; throws when nothing
    /// fits, when the size is known for certain and is over it, and for a part that was given up.
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
        hint: "Mount with a larger --max-file-size, as far as the platform takes such files.")

    // MARK: Versions

    /// Puts the first version into a file that has none.
    private func beginFirstVersion(for change: PendingChange) throws(FuseErrno) {
        let (file, node) = (change.open.file, change.open.node)
        do throws(UploadFailure) {
            var first = try version(after: nil, keeping: 0, in: file, node: node)
            if first.isToBeUploaded { first.upload = beginUpload(of: first, in: file, node: node) }
            guard file.install(first, after: nil) else { return dropUnused(first) }
            file.abandonChange(of: first)
        } catch {
            logger.error("no new content could be begun", metadata: ["reason": "\(error.message)"])
            file.refuseWrite(of: change.range, because: error.message)
            throw FuseErrno(error)
        }
    }

    /// The upload of what is written through a handle, begun where there is no version yet; nil where nothing is to be
    /// uploaded, or what is there is committed.
    func uploadToBeWritten(_ open: OpenFile) throws(FuseErrno) -> Upload? {
        if open.file.version == nil {
            try beginFirstVersion(for: PendingChange(open: open, pid: 0, range: 0..<0))
        }
        return open.file.version.flatMap { $0.phase == .writing ? $0.upload : nil }
    }

    /// A version that is to take another's place: empty, or with the first bytes of that one's content.
    ///
    /// Whoever calls keeps the last one from being evicted meanwhile. One that keeps bytes has an upload already, where it is
    /// to be uploaded.
    private func version(
        after last: FileVersion?, keeping count: Int64, in file: MountedFile, node: NodeID
    ) throws(UploadFailure) -> FileVersion {
        try checkJournal()
        let name = path(of: node).map { verdict(on: $0) } ?? .keepLocally
        let bytes: SpoolFile
        do throws(SpoolError) { bytes = try spool.create() } catch { throw error.uploadFailure }
        var next = FileVersion(spool: bytes, name: name)
        guard let last, count > 0 else { return next }
        do throws(UploadFailure) {
            try obtainRoom(for: 0..<count, in: next.spool)
            do throws(SpoolError) {
                try next.spool.copy(from: last.spool, count: count)
                // Asked afterwards, as when it is read.
                guard holds(0..<count, of: last, in: file) else { throw SpoolError.givenUp }
            } catch {
                throw error.uploadFailure
            }
        } catch {
            dropUnused(next)
            throw error
        }
        next.size = count
        next.hasContent = true
        if next.isToBeUploaded { next.upload = beginUpload(of: next, in: file, node: node) }
        return next
    }

    /// Begins the upload of a version with what it holds by now.
    private func beginUpload(of version: FileVersion, in file: MountedFile, node: NodeID) -> Upload? {
        guard let path = path(of: node) else { return nil }
        let upload = engine.begin(identity(for: path), spool: version.spool)
        if version.size > 0 { upload.apply(.wrote(0..<version.size)) }
        if let declared = file.declaredHint { upload.apply(.hinted(declared)) }
        return upload
    }

    /// The upload of a version that held nothing until now.
    private func uploadForContent(of version: FileVersion, in file: MountedFile, node: NodeID) -> Upload? {
        guard let upload = beginUpload(of: version, in: file, node: node) else { return nil }
        let (attached, predecessors) = file.attach(upload, to: version)
        if attached !== upload { forget(upload) }
        for old in predecessors { upload.takePlace(of: old, reason: Self.overwritten) }
        if attached === upload { tellSuperseded(file, to: upload) }
        return attached
    }

    /// What follows for a version whose place another one has taken.
    private func replaced(_ last: FileVersion, by next: FileVersion, in file: MountedFile) {
        if let upload = next.upload { tellSuperseded(file, to: upload) }
        last.upload?.updateIdentity { $0.isListed = false }
        // Its bytes go as soon as its upload does not need them any more.
        if let upload = last.upload { keeper.retire(upload) } else { removeSpool(last.spool) }
    }

    func tellSuperseded(_ file: MountedFile, to upload: Upload) {
        let earlier = file.superseded
        upload.updateIdentity { identity in
            identity.supersededUploadIDs = earlier.compactMap { $0.inspect { $0.uploadID } }
        }
    }

    private func dropUnused(_ version: FileVersion) {
        if let upload = version.upload { forget(upload) }
        removeSpool(version.spool)
    }

    func forget(_ upload: Upload) {
        upload.forgetInJournal()
        engine.forget(upload)
    }

    // MARK: Truncating and extending

    /// Sets the size. What changes nothing, or is refused, leaves the file exactly as it was.
    package func truncate(
        _ file: MountedFile, node: NodeID, to size: Int64, context: FuseRequestContext, hasHandle: Bool
    ) throws(FuseErrno) {
        guard size >= 0 else { throw .invalidArgument }
        let before = file.version
        if size == 0, before == nil { return }
        if size == before?.size ?? 0, let before, before.phase != .writing { return }
        let name = before?.name ?? path(of: node).map { verdict(on: $0) } ?? .keepLocally
        if name.isUploaded, size > configuration.maxFileSize { throw .fileTooLarge }
        let open = OpenFile(node: node, file: file, canWrite: true)
        let change = PendingChange(open: open, pid: context.pid, range: 0..<0)
        var isDone = false
        while !isDone {
            switch file.beginChange() {
            case .cancelled: throw .ioError
            case .version(let version): isDone = try truncate(version, to: size, change)
            case .another(after: nil): try beginFirstVersion(for: change)
            case .another(after: let last?):
                defer { file.endUse(of: last) }
                isDone = try truncate(besides: last, to: size, change)
            }
        }
        if !hasHandle, file.look.writeHandles == 0 { lastWriterReleased(file, node: node) }
    }

    static let overwritten = UploadFailure(
        .replaced, message: "the file was overwritten before the platform had confirmed it")

    /// Truncates or extends the version that can be changed.
    private func truncate(
        _ begun: FileVersion, to size: Int64, _ change: PendingChange
    ) throws(FuseErrno) -> Bool {
        let file = change.open.file
        var version = begun
        if version.upload == nil, version.isToBeUploaded, version.size == 0, size > 0 {
            version.upload = uploadForContent(of: version, in: file, node: change.open.node)
        }
        let first = version
        let writer = writers.threadGroup(of: change.pid)
        do throws(SpoolError) {
            // Again where a write ended meanwhile: then this comes after the write.
            repeat {
                try version.spool.truncate(to: size)
                version.upload?.apply(.truncated(to: size))
            } while !file.endTruncation(&version, to: size, by: writer)
        } catch {
            file.abandonChange(of: version)
            throw FuseErrno(error.uploadFailure)
        }
        declareSize(size, of: first, in: file)
        return true
    }

    /// Makes another version of that size beside one that is committed, which takes its place as the last step; false when
    /// somebody else was faster.
    private func truncate(
        besides last: FileVersion, to size: Int64, _ change: PendingChange
    ) throws(FuseErrno) -> Bool {
        let file = change.open.file
        var next: FileVersion
        do throws(UploadFailure) {
            next = try version(after: last, keeping: min(size, last.size), in: file, node: change.open.node)
        } catch {
            logger.error("no new content could be begun", metadata: ["reason": "\(error.message)"])
            throw FuseErrno(error)
        }
        do throws(SpoolError) {
            try next.spool.truncate(to: size)
        } catch {
            dropUnused(next)
            throw FuseErrno(error.uploadFailure)
        }
        if next.size < size { next.upload?.apply(.truncated(to: size)) }
        next.size = size
        next.hasContent = size > 0
        if let writer = writers.threadGroup(of: change.pid) { next.writers.insert(writer) }
        // One that was promised to be safe goes on until this one is.
        let outlives = size == 0 && last.upload.map { $0.isWhollyDurable && $0.currentState.isUnderWay } ?? false
        if outlives, next.isToBeUploaded { next.predecessors = [last.upload].compactMap { $0 } }
        guard file.install(next, after: last) else {
            dropUnused(next)
            return false
        }
        replaced(last, by: next, in: file)
        if size == 0, next.predecessors.isEmpty { cancel(last.upload, reason: Self.overwritten) }
        file.abandonChange(of: next)
        return true
    }

    /// A size that is set before anything is written declares how much will be; set anew, it declares that.
    private func declareSize(_ size: Int64, of version: FileVersion, in file: MountedFile) {
        guard let upload = version.upload else { return }
        if size == 0 { return upload.apply(.hinted(file.declaredHint)) }
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
        let version = open.file.promised()
        if version?.upload == nil { note([open.node]) }
        return version
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
