import CSpool
import Glibc

extension SpoolFile {
    /// Takes over the first `count` bytes of another spool file, within the disk where its file system can.
    ///
    /// Space is taken for all of it first; throws ``SpoolError/noSpace`` when there is none.
    public func copy(from other: SpoolFile, count: Int64) throws(SpoolError) {
        try reserve(0..<count)
        try other.withDescriptor { source throws(SpoolError) in
            try withDescriptor(isWrite: true) { target throws(SpoolError) in
                var (from, to) = (Int64(0), Int64(0))
                while to < count {
                    let moved = spool_copy_file_range(source, &from, target, &to, Int(count - to))
                    if moved < 0, errno == EINTR { continue }
                    if moved < 0 { throw SpoolError(errno: errno, operation: "copy_file_range") }
                    // The other file ends here: what is left reads as zeros there, and so it does here.
                    if moved == 0 { break }
                }
            }
        }
        try truncate(to: count)
    }
}
