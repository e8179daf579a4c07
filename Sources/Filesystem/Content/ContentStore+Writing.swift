import FileTree
import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// Writing: into the version that can be changed, or beside one that is committed.

extension ContentStore {
    /// Writes into the spool and tells the upload. Fewer bytes than given are taken where the size limit is reached;
    /// the first byte past it is `EFBIG`.
    ///
    /// - Parameters:
    ///   - node: the file that the caller names beside its handle.
    ///   - mayMakeSpace: whether something may be given back for it.
    package func write(
        _ data: UnsafeRawBufferPointer, to node: NodeID? = nil, handle: UInt64, at offset: Int64,
        context: FuseRequestContext, mayMakeSpace: Bool = true
    ) throws(FuseErrno) -> Int {
        let open: OpenFile
        do throws(FuseErrno) {
            open = try handles.get(handle)
        } catch {
            // Of a handle that is not known nobody can write; the file may be open otherwise.
            guard let node, let file = namespace.anyFile(node) else { throw error }
            open = OpenFile(node: node, file: file, canWrite: false)
        }
        return try write(data, to: open, at: offset, context: context, mayMakeSpace: mayMakeSpace)
    }

    /// The one place where a write is refused: whatever the reason, the file is not committed without these bytes.
    func write(
        _ data: UnsafeRawBufferPointer, to open: OpenFile, at offset: Int64, context: FuseRequestContext,
        mayMakeSpace: Bool = true
    ) throws(FuseErrno) -> Int {
        guard !data.isEmpty else { return 0 }
        let write = PendingChange(
            open: open, pid: context.pid, range: offset..<offset + Int64(data.count), mayMakeSpace: mayMakeSpace)
        var begun: FileVersion?
        do throws(WriteRefusal) {
            return try self.write(data, write, &begun)
        } catch {
            // Together with the end of the change: in between, a close could commit what lacks it.
            open.file.refuseWrite(begun, of: write.range, because: error.reason)
            if error.isWorthTelling {
                logger.error("a write was refused", metadata: ["reason": "\(error.reason.message)"])
            }
            throw error.errno
        }
    }

    /// What a write did reached nobody: its caller takes it for undone.
    package func writeWasNotAnswered(_ range: Range<Int64>, of handle: UInt64) {
        guard let open = try? handles.get(handle) else { return }
        open.file.refuseWrite(nil, of: range, because: WriteRefusal.unanswered)
    }

    /// Writes where a change belongs.
    ///
    /// - Parameter begun: the version that is being changed, when it is refused: the change is to be ended then.
    private func write(
        _ data: UnsafeRawBufferPointer, _ write: PendingChange, _ begun: inout FileVersion?
    ) throws(WriteRefusal) -> Int {
        do throws(UploadFailure) {
            while true {
                // Before it is asked whether it may be: what waits for its name waits no more, since it lacks something.
                switch try beginChange(of: write.open.file) {
                case .cancelled: throw WriteRefusal.cancelled
                case .version(let version):
                    begun = version
                    try checkAllowed(write)
                    return try self.write(data, write, into: version)
                case .another(after: nil):
                    try checkAllowed(write)
                    try beginFirstVersion(for: write)
                case .another(after: let last?):
                    defer { write.open.file.endUse(of: last) }
                    try checkAllowed(write)
                    if let count = try self.write(data, write, besides: last, &begun) { return count }
                }
            }
        } catch {
            throw WriteRefusal(error)
        }
    }

    private func checkAllowed(_ write: PendingChange) throws(UploadFailure) {
        guard write.open.canWrite else { throw WriteRefusal.notForWriting }
        guard namespace.isWritable else { throw WriteRefusal.ending }
    }

    /// A change of a file's content that somebody asks for.
    struct PendingChange: Sendable {
        var open: OpenFile
        /// The thread that asks; 0 for one that cannot be seen.
        var pid: Int32
        /// What it wants to write; empty for a new size.
        var range: Range<Int64>
        /// Whether something may be given back for it.
        var mayMakeSpace = true
    }

    /// Writes into the version that can be changed.
    private func write(
        _ data: UnsafeRawBufferPointer, _ write: PendingChange, into begun: FileVersion
    ) throws(UploadFailure) -> Int {
        var version = begun
        let (file, node) = (write.open.file, write.open.node)
        if version.upload == nil, version.isToBeUploaded, version.size == 0 {
            version.upload = uploadForContent(of: version, in: file, node: node)
        }
        recordWriter(try writer(write.pid, into: file), through: write.open)
        findSize(file, node: node, pid: write.pid, upTo: write.range.upperBound)
        let terms = try self.terms(of: version, for: write.range)
        if let needed = terms.space { try space.reserve(needed, in: version.spool, mayMakeSpace: write.mayMakeSpace) }
        // Again where the file was truncated meanwhile: then this write comes after that.
        repeat {
            try put(data, terms.range, into: version)
        } while !file.endWrite(&version, written: terms.range)
        return terms.range.count
    }

    /// Writes into another version beside one that is committed, which takes its place when that has succeeded; nil when
    /// somebody else was faster. What is refused leaves everything as it was.
    private func write(
        _ data: UnsafeRawBufferPointer, _ write: PendingChange, besides last: FileVersion,
        _ begun: inout FileVersion?
    ) throws(UploadFailure) -> Int? {
        let (file, node) = (write.open.file, write.open.node)
        let writer = try writer(write.pid, into: file)
        guard var next = try version(besides: last, keeping: last.size, in: file, node: node) else { return nil }
        let taken: Range<Int64>
        do throws(UploadFailure) {
            let terms = try self.terms(of: next, for: write.range)
            taken = terms.range
            if let needed = terms.space { try space.reserve(needed, in: next.spool, mayMakeSpace: write.mayMakeSpace) }
            try put(data, taken, into: next)
        } catch {
            reclaimer.drop(next)
            throw error
        }
        next.size = max(next.size, taken.upperBound)
        next.hasContent = true
        guard file.install(next, after: last) else {
            reclaimer.drop(next)
            return nil
        }
        begun = next
        replaced(last, by: next, in: file, node: node)
        recordWriter(writer, through: write.open)
        findSize(file, node: node, pid: write.pid, upTo: taken.upperBound)
        while !file.endWrite(&next, written: taken) { try put(data, taken, into: next) }
        return taken.count
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

    /// The process that a writing thread belongs to. Asked anew only when another thread writes than last time, since
    /// asking costs more than a small write.
    func writer(_ thread: Int32, into file: MountedFile) throws(UploadFailure) -> VersionWriters.Writer {
        if let writer = file.writer(ofLastWriter: thread) { return writer }
        let writer = try admission.writer(thread)
        file.setLastWriter(thread: thread, writer)
        return writer
    }

    /// Remembers who writes; a new writer is looked at more closely.
    ///
    /// An rsync that made the file with `O_EXCL` copies it (from `--temp-dir`, into a backup), and no truncation ends that.
    func recordWriter(_ writer: VersionWriters.Writer, through open: OpenFile) {
        let file = open.file
        var writer = writer
        writer.handle = open.handle
        guard file.addWriter(writer), let process = writer.process else { return }
        admission.exits.writesAnother(process)
        guard let command = writers.command(of: process) else { return }
        guard file.version?.name == .upload else { return }
        if command.elementsEqual("rsync".utf8), !open.isExclusive { file.isWrittenInPlace() }
        if command.elementsEqual("aria2c".utf8) { file.isWrittenByAria2() }
    }

    /// How much of a write fits below the size limit, and the range whose space it wants first; throws when nothing
    /// fits, when the size is known for certain and is over it, or over what the platform takes, and for a part that was
    /// released.
    private func terms(
        of version: FileVersion, for wanted: Range<Int64>
    ) throws(UploadFailure) -> (range: Range<Int64>, space: Range<Int64>?) {
        guard let upload = version.upload else { return (wanted, wanted) }
        let terms = upload.inspect { $0.terms(forWriting: wanted) }
        let limit = configuration.maxFileSize
        if let hint = terms.hint, hint.source.isExact, hint.size > limit { throw Self.tooLarge }
        guard wanted.lowerBound < limit else { throw Self.tooLarge }
        if let objection = terms.objection { throw objection }
        return (wanted.lowerBound..<min(wanted.upperBound, limit), terms.space)
    }

    static let tooLarge = UploadFailure(
        .tooLarge, message: "the file is larger than --max-file-size allows",
        hint: "mount with a larger --max-file-size, as far as the platform takes such files")
}
