import Formats
import Glibc
import UploadCore

extension SpoolFile {
    /// When its bytes were last written, by the disk's file system.
    public func lastWritten() throws(SpoolError) -> Timestamp {
        let status = try withDescriptor { descriptor throws(SpoolError) in
            var status = stat()
            try SpoolError.check("fstat") { fstat(descriptor, &status) }
            return status
        }
        return Timestamp(
            millisecondsSince1970: Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000)
    }
}
