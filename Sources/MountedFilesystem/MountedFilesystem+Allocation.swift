import FuseLowLevel
import UploadCore
import UploadEngine
import UploadStore

// fallocate: room is not set aside for it, but what it tells of the final size is taken.

extension MountedFilesystem {
    package func fallocate(
        _ inode: InodeNumber, handle: UInt64, mode: FileAllocationMode, offset: Int64, length: Int64,
        context: FuseRequestContext, reply: consuming FuseReply<Void>
    ) {
        do throws(FuseErrno) {
            if StatusDirectory.owns(inode) { throw .badFileDescriptor }
            try allocate(handle, mode: mode, offset: offset, length: length, context: context)
            reply.succeed()
        } catch {
            reply.fail(error)
        }
    }

    /// Extends the file, keeps its size, or empties a range of it, as `fallocate(2)` says; other modes are `EOPNOTSUPP`.
    package func allocate(
        _ handle: UInt64, mode: FileAllocationMode, offset: Int64, length: Int64, context: FuseRequestContext
    ) throws(FuseErrno) {
        try checkWritable()
        let open = try handles.get(handle)
        guard open.canWrite else { throw .badFileDescriptor }
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard offset >= 0, length > 0 else { throw .invalidArgument }
        guard !overflow else { throw .fileTooLarge }
        switch mode {
        case []:
            guard end > open.file.size else { return }
            try truncate(open.file, node: open.node, to: end, context: context, hasHandle: true)
        case .keepSize:
            try guessSize(end, of: open)
        case [.punchHole, .keepSize], [.zeroRange, .keepSize]:
            try empty(offset..<min(end, max(offset, open.file.size)), of: open, context: context)
        case .zeroRange:
            if end > open.file.size {
                try truncate(open.file, node: open.node, to: end, context: context, hasHandle: true)
            }
            try empty(offset..<end, of: open, context: context)
        default:
            throw .notSupported
        }
    }

    /// A writer that sets room aside means to fill it: a guess at the size, if nothing better is known.
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
