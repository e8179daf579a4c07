import Glibc

extension SpoolFile {
    /// Takes over the first `count` bytes of another spool file, within the disk where its file system can.
    ///
    /// Room is taken for all of it first; throws ``SpoolError/noSpace`` when there is none.
    public func copy(from other: SpoolFile, count: Int64) throws(SpoolError) {
        try reserve(0..<count)
        var (from, to) = (off64_t(0), off64_t(0))
        while Int64(to) < count {
            let moved = copy_file_range(other.descriptor, &from, descriptor, &to, Int(count - Int64(to)), 0)
            if moved < 0, errno == EINTR { continue }
            if moved < 0 { throw SpoolError("copy_file_range", errno: errno) }
            // The other file ends here: what is left reads as zeros there, and so it does here.
            if moved == 0 { break }
        }
        try truncate(to: count)
    }
}
