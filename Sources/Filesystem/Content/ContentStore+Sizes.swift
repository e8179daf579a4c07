import FileTree
import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

// Sizes: truncating and extending; of fallocate, what it tells of the final size is taken, and no space set aside.

extension ContentStore {
    /// Sets the size. What changes nothing, or is refused, leaves the file exactly as it was.
    ///
    /// - Parameter isByName: whether it comes through no handle: then no close follows.
    func truncate(
        _ file: MountedFile, node: NodeID, to size: Int64, isByName: Bool = false, context: FuseRequestContext
    ) throws(FuseErrno) {
        guard size >= 0 else { throw .invalidArgument }
        let before = file.version
        if size == 0, before == nil { return }
        if size == before?.size ?? 0, let before, before.phase != .writing { return }
        let name = before?.name ?? namespace.path(of: node).map { namespace.verdict(on: $0) } ?? .keepLocally
        try checkSize(size, of: before, name)
        let open = OpenFile(node: node, file: file, canWrite: true)
        let change = PendingChange(open: open, pid: context.pid, range: 0..<0)
        var writer: VersionWriters.Writer
        do throws(UploadFailure) { writer = try self.writer(context.pid, into: file) } catch { throw FuseErrno(error) }
        writer.isDone = isByName
        var isDone = false
        while !isDone {
            let place: MountedFile.ChangePlace
            do throws(UploadFailure) { place = try beginChange(of: file) } catch { throw FuseErrno(error) }
            switch place {
            case .cancelled: throw .ioError
            case .version(let version): isDone = try truncate(version, to: size, change, by: writer)
            case .another(after: nil):
                do throws(UploadFailure) { try beginFirstVersion(for: change) } catch { throw noNewContent(error) }
            case .another(after: let last?):
                defer { file.endUse(of: last) }
                isDone = try truncate(besides: last, to: size, change, by: writer)
            }
        }
    }

    static let overwritten = UploadFailure(
        .replaced, message: "the file was overwritten before the platform had confirmed it")

    /// Whether a file may get a size, as far as that is known.
    private func checkSize(
        _ size: Int64, of version: FileVersion?, _ name: NamePolicy.Verdict
    ) throws(FuseErrno) {
        guard name.isUploaded, size > version?.size ?? 0 else { return }
        if size > configuration.maxFileSize { throw FuseErrno(Self.tooLarge) }
        let refusal = version?.upload?.inspect { $0.sizeObjection(toSize: size) }
        if let refusal { throw FuseErrno(refusal) }
    }

    /// Truncates or extends the version that can be changed.
    private func truncate(
        _ begun: FileVersion, to size: Int64, _ change: PendingChange, by writer: VersionWriters.Writer
    ) throws(FuseErrno) -> Bool {
        let file = change.open.file
        var version = begun
        if version.upload == nil, version.isToBeUploaded, version.size == 0, size > 0 {
            version.upload = uploadForContent(of: version, in: file, node: change.open.node)
        }
        let first = version
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
        besides last: FileVersion, to size: Int64, _ change: PendingChange, by writer: VersionWriters.Writer
    ) throws(FuseErrno) -> Bool {
        let file = change.open.file
        var next: FileVersion
        do throws(UploadFailure) {
            let begun = try version(besides: last, keeping: min(size, last.size), in: file, node: change.open.node)
            guard let begun else { return false }
            next = begun
        } catch {
            throw noNewContent(error)
        }
        do throws(SpoolError) {
            try next.spool.truncate(to: size)
        } catch {
            reclaimer.drop(next)
            throw FuseErrno(error.uploadFailure)
        }
        if next.size < size { next.upload?.apply(.truncated(to: size)) }
        next.size = size
        next.hasContent = size > 0
        _ = next.writers.writes(writer)
        // One that was promised to be safe goes on until this one is, and so does one that another such one waits for.
        let outlives = size == 0 && last.upload?.isToOutlive ?? false
        if outlives, next.isToBeUploaded { next.predecessors = [last.upload].compactMap { $0 } }
        guard file.install(next, after: last, cutAt: size) else {
            reclaimer.drop(next)
            return false
        }
        let isWanted = size > 0 || !next.predecessors.isEmpty
        replaced(last, by: next, in: file, node: change.open.node, isWanted: isWanted)
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

    // MARK: fallocate

    /// Extends the file, keeps its size, or empties a range of it, as `fallocate(2)` says; other modes are `EOPNOTSUPP`.
    package func allocate(
        _ handle: UInt64, mode: FileAllocationMode, offset: Int64, length: Int64, context: FuseRequestContext
    ) throws(FuseErrno) {
        try namespace.checkWritable()
        let open = try handles.get(handle)
        guard open.canWrite else { throw .badFileDescriptor }
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard offset >= 0, length > 0 else { throw .invalidArgument }
        guard !overflow else { throw .fileTooLarge }
        switch mode {
        case []:
            guard end > open.file.size else { return }
            try truncate(open.file, node: open.node, to: end, context: context)
        case .keepSize:
            try guessSize(end, of: open)
        case [.punchHole, .keepSize], [.zeroRange, .keepSize]:
            try empty(offset..<min(end, max(offset, open.file.size)), of: open, context: context)
        case .zeroRange:
            if end > open.file.size {
                try truncate(open.file, node: open.node, to: end, context: context)
            }
            try empty(offset..<end, of: open, context: context)
        default:
            throw .notSupported
        }
    }

    /// A writer that sets space aside means to fill it: a guess at the size, if nothing better is known.
    private func guessSize(_ size: Int64, of open: OpenFile) throws(FuseErrno) {
        guard configuration.usesSizeHints, size <= configuration.maxFileSize else { return }
        // What is committed stays as it is: nothing is written yet.
        guard let upload = try uploadToBeWritten(open) else { return }
        upload.apply(.hinted(SizeHint(size: size, source: .preallocated)))
    }

    /// Writes zeros. In pieces, since holes in the spool would have to be told from what was never written.
    private func empty(_ range: Range<Int64>, of open: OpenFile, context: FuseRequestContext) throws(FuseErrno) {
        let zeros = [UInt8](repeating: 0, count: Int(clamping: min(Self.pieceOfZeros, Int64(range.count))))
        var position = range.lowerBound
        while position < range.upperBound {
            let count = Int(clamping: min(Int64(zeros.count), range.upperBound - position))
            let start = position
            let taken = try zeros.withBytes { bytes throws(FuseErrno) in
                try write(
                    UnsafeRawBufferPointer(rebasing: bytes[..<count]), to: open, at: start, context: context)
            }
            position += Int64(taken)
        }
    }

    private static let pieceOfZeros: Int64 = 1 << 20
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
