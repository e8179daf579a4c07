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
        let (seconds, nanoseconds) = (Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec))
        return Timestamp(
            millisecondsSince1970: seconds.multipliedClamped(by: 1000).addingClamped(nanoseconds / 1_000_000))
    }
}
