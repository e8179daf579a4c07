import CSpool
import Glibc
import Synchronization
import UploadCore

/// The bytes of one version, in a sparse file on disk. It is opened when it is used; see ``DescriptorCache``.
///
/// Any thread may call at any time. Bytes written by one call and read by another at the same time are the caller's to
/// keep apart, as with any file. Calls block on the disk, and so may the last reference to a large file that was removed.
public final class SpoolFile: Sendable {
    /// Its name in the spool's directory.
    public let name: String

    let directory: SpoolDirectory
    /// Tells this object from an earlier or later one for the same file.
    private let identity: UInt64
    private let state: Mutex<State>

    private struct State {
        /// What the ledger has granted this file.
        var granted: SegmentMap
        /// Those parts of it that are, or are being, written.
        var written: SegmentMap
        var isRemoved = false
        /// Whether the directory's entry is known to be on disk.
        var isEntryOnDisk = false
        /// The first failure to bring bytes to the disk: the kernel tells it once and forgets the bytes, so that a
        /// later success would mean nothing.
        var syncFailure: SpoolError?
    }

    /// A file whose descriptor the directory keeps under `identity`; `occupied` is what it holds and the ledger knows.
    init(name: String, directory: SpoolDirectory, identity: UInt64, occupied: SegmentMap) {
        self.name = name
        self.directory = directory
        self.identity = identity
        self.state = Mutex(State(granted: occupied, written: occupied))
    }

    deinit {
        directory.descriptors.remove(identity)
        let state = state.withLock { $0 }
        directory.closed(
            name, identity: identity, granted: state.granted.byteCount, written: state.written.byteCount,
            isRemoved: state.isRemoved)
    }

    /// Calls `body` with the file's descriptor, opened where it is not.
    ///
    /// - Throws: ``SpoolError/gone`` where it would have to be opened, and somebody else took its name away.
    func withDescriptor<Value>(
        isWrite: Bool = false, _ body: (Int32) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        try directory.descriptors.use(
            identity, isWrite: isWrite,
            reopening: { () throws(SpoolError) in try directory.reopen(name) }, body)
    }

    // MARK: Bytes

    /// Writes all of `bytes` at `offset`. When it throws, part of them may have been written.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(SpoolError) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        let (end, overflow) = offset.addingReportingOverflow(Int64(bytes.count))
        guard offset >= 0, !overflow else { throw .tooLarge }

        try reserveSpace(for: offset..<end, writing: true)
        try withDescriptor(isWrite: true) { descriptor throws(SpoolError) in
            do throws(FullTransfer.CallError) {
                try FullTransfer.write(bytes.count) { done in
                    let moved = pwrite(descriptor, base + done, bytes.count - done, off_t(offset) + done)
                    return moved < 0 ? .failure(FullTransfer.CallError(code: errno)) : .success(moved)
                }
            } catch {
                throw SpoolError(errno: error.code, operation: "write")
            }
        }
    }

    /// Reads at `offset` until `buffer` is full or the file ends; returns how many bytes. Holes read as zeros.
    public func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(SpoolError) -> Int {
        guard let base = buffer.baseAddress, offset >= 0, offset <= .max - Int64(buffer.count) else { return 0 }
        return try withDescriptor { descriptor throws(SpoolError) in
            do throws(FullTransfer.CallError) {
                return try FullTransfer.read(buffer.count) { done in
                    let moved = pread(descriptor, base + done, buffer.count - done, off_t(offset) + done)
                    return moved < 0 ? .failure(FullTransfer.CallError(code: errno)) : .success(moved)
                }
            } catch {
                throw SpoolError(errno: error.code, operation: "read")
            }
        }
    }

    /// The file's length in bytes, holes included.
    public func size() throws(SpoolError) -> Int64 {
        try withDescriptor { descriptor throws(SpoolError) in
            var status = stat()
            try SpoolError.check("fstat") { fstat(descriptor, &status) }
            return Int64(status.st_size)
        }
    }

    /// Sets the file's length: what is beyond is given back to the disk; what is gained reads as zeros.
    public func truncate(to size: Int64) throws(SpoolError) {
        guard size >= 0 else { throw .tooLarge }
        try withDescriptor(isWrite: true) { descriptor throws(SpoolError) in
            _ = try SpoolError.check("ftruncate") { ftruncate(descriptor, off_t(size)) }
        }
        releaseSpace(of: size..<Int64.max)
    }

    /// Gives the range back to the disk; it reads as zeros afterwards and the file's length stays.
    public func punchHole(_ range: Range<Int64>) throws(SpoolError) {
        guard !range.isEmpty else { return }
        try withDescriptor { descriptor throws(SpoolError) in
            _ = try SpoolError.check("fallocate") {
                spool_fallocate(
                    descriptor, Int32(SPOOL_PUNCH_HOLE) | Int32(SPOOL_KEEP_SIZE), range.lowerBound,
                    range.upperBound - range.lowerBound)
            }
        }
        releaseSpace(of: range)
    }

    /// Gives everything back to the disk, up to the end of its last block, and to the spool what was granted beyond it; the
    /// length stays.
    public func punchEverything() throws(SpoolError) {
        let size = try size()
        if size > 0 { try punchHole(SpaceBlocks.pagesCovering(0..<size)) }
        releaseSpace(of: 0..<Int64.max)
    }

    /// The parts that hold data, as the disk tells; what was never written, or was punched out, is not among them. A
    /// disk that cannot tell reports the whole file.
    public func dataRanges() throws(SpoolError) -> SegmentMap {
        try withDescriptor { descriptor throws(SpoolError) in try Self.dataRanges(of: descriptor) }
    }

    static func dataRanges(of descriptor: Int32) throws(SpoolError) -> SegmentMap {
        var ranges = SegmentMap()
        var position: off_t = 0
        while true {
            do throws(FullTransfer.CallError) {
                let start = try FullTransfer.retry { lseek(descriptor, position, Int32(SPOOL_SEEK_DATA)) }
                let end = try FullTransfer.retry { lseek(descriptor, start, Int32(SPOOL_SEEK_HOLE)) }
                ranges.insert(Int64(start)..<Int64(end))
                position = end
            } catch {
                // There is no data after `position`.
                if error.code == ENXIO { return ranges }
                throw SpoolError(errno: error.code, operation: "lseek")
            }
        }
    }

    // MARK: Durability

    /// Returns once every byte written so far, and the file's name, are on disk.
    ///
    /// Once it has failed for this file it always does: the kernel reports a lost write only once. Throws
    /// ``SpoolError/gone`` when somebody else took the file's name away: its bytes would end with this process.
    public func synchronize() throws(SpoolError) {
        let (failure, isEntryOnDisk) = state.withLock { ($0.syncFailure, $0.isEntryOnDisk) }
        if let failure { throw failure }
        do throws(SpoolError) {
            try withDescriptor { descriptor throws(SpoolError) in
                try SpoolError.check("fdatasync") { fdatasync(descriptor) }
                try checkName(descriptor)
            }
            if !isEntryOnDisk { try directory.synchronize() }
            directory.descriptors.isClean(identity)
        } catch {
            state.withLock { $0.syncFailure = $0.syncFailure ?? error }
            throw error
        }
        state.withLock { $0.isEntryOnDisk = true }
    }

    private func checkName(_ descriptor: Int32) throws(SpoolError) {
        var status = stat()
        try SpoolError.check("fstat") { fstat(descriptor, &status) }
        if status.st_nlink == 0, !state.withLock({ $0.isRemoved }) { throw .gone }
    }

    /// Takes the file out of the spool. It can be read and written until the last reference goes; only then has the
    /// spool its space back. Doing it again does nothing.
    public func remove() throws(SpoolError) {
        if state.withLock({ $0.isRemoved }) { return }
        // Whoever reads it still can, and it could not be opened again.
        do throws(SpoolError) {
            try withDescriptor { _ throws(SpoolError) in directory.descriptors.keep(identity) }
        } catch {
            // Somebody else has removed it, or nothing can be opened: then nobody reads it.
            guard error == .gone || error.isOutOfDescriptors else { throw error }
        }
        try directory.unlink(name)
        state.withLock { $0.isRemoved = true }
    }

    /// Takes the file out of the spool and gives its bytes and its descriptor back at once: whoever still wants to use it is
    /// told that it is ``SpoolError/gone``.
    public func discard() throws(SpoolError) {
        try remove()
        do throws(SpoolError) {
            try truncate(to: 0)
        } catch {
            // Its bytes went with its name.
            guard error == .gone || error.isOutOfDescriptors else { throw error }
        }
        // An upload that is remembered for its status has this file still.
        directory.descriptors.release(identity)
    }

    // MARK: Space

    /// Makes sure that there is space for what will be written into the range; throws ``SpoolError/noSpace`` otherwise.
    ///
    /// A write does this by itself; asking ahead keeps two writers from filling the spool with halves.
    public func reserve(_ range: Range<Int64>) throws(SpoolError) {
        guard range.lowerBound >= 0 else { throw .tooLarge }
        try reserveSpace(for: range, writing: false)
    }

    private func reserveSpace(for range: Range<Int64>, writing: Bool) throws(SpoolError) {
        guard !range.isEmpty else { return }
        let hasSpace = state.withLock { writing ? $0.written.covers(range) : $0.granted.covers(range) }
        if hasSpace { return }
        // Close to the limit there may still be space for the bytes themselves.
        if try take(SpaceBlocks.covering(range), writing: writing) { return }
        if try take(SpaceBlocks.pagesCovering(range), writing: writing) { return }
        throw .noSpace
    }

    private func take(_ blocks: Range<Int64>, writing: Bool) throws(SpoolError) -> Bool {
        switch ask(for: blocks, writing: writing, diskFree: nil) {
        case .granted: return true
        case .refused: return false
        case .measureFirst: break
        }
        let diskFree = try directory.diskFree()
        return ask(for: blocks, writing: writing, diskFree: diskFree) == .granted
    }

    private func ask(for blocks: Range<Int64>, writing: Bool, diskFree: Int64?) -> SpaceLedger.Answer {
        state.withLock { state in
            let missing = state.granted.missing(in: blocks)
            let fresh = writing ? state.written.missing(in: blocks) : 0
            let answer = directory.withLedger { ledger in
                let answer = missing == 0 ? .granted : ledger.reserve(missing, diskFree: diskFree)
                if answer == .granted { ledger.wrote(fresh) }
                return answer
            }
            if answer == .granted {
                state.granted.insert(blocks)
                if writing { state.written.insert(blocks) }
            }
            return answer
        }
    }

    private func releaseSpace(of range: Range<Int64>) {
        let pages = SpaceBlocks.pagesWithin(range)
        let released = state.withLock { state in
            let granted = state.granted.byteCount
            let unwritten = granted - state.written.byteCount
            state.granted.remove(pages)
            state.written.remove(pages)
            let released = granted - state.granted.byteCount
            let releasedUnwritten = unwritten - (state.granted.byteCount - state.written.byteCount)
            directory.withLedger { $0.release(released, unwritten: releasedUnwritten) }
            return released
        }
        if released > 0 { directory.spaceWasReleased() }
    }
}
