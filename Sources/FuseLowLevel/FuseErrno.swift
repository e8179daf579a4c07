import Glibc

/// The reason a request is refused with: an `errno` value, as the program that made the system call sees it.
public struct FuseErrno: RawRepresentable, Error, Sendable, Hashable, CustomStringConvertible {
    /// The positive number, as in `errno.h`.
    public let rawValue: Int32

    /// A positive number, as in `errno.h`.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The C library's words for it, such as "No such file or directory".
    public var description: String {
        FuseErrno.text(of: rawValue)
    }

    /// `strerror` without its static buffer: workers ask for texts at the same time.
    static func text(of number: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress, strerror_r(number, base, buffer.count) == 0 else {
                return "errno \(number)"
            }
            return String(cString: base)
        }
    }
}

extension FuseErrno {
    /// EPERM
    public static let notPermitted = FuseErrno(rawValue: EPERM)
    /// ENOENT
    public static let noSuchFileOrDirectory = FuseErrno(rawValue: ENOENT)
    /// EINTR
    public static let interrupted = FuseErrno(rawValue: EINTR)
    /// EIO
    public static let ioError = FuseErrno(rawValue: EIO)
    /// EBADF
    public static let badFileDescriptor = FuseErrno(rawValue: EBADF)
    /// EAGAIN
    public static let resourceTemporarilyUnavailable = FuseErrno(rawValue: EAGAIN)
    /// ENOMEM
    public static let noMemory = FuseErrno(rawValue: ENOMEM)
    /// EACCES
    public static let permissionDenied = FuseErrno(rawValue: EACCES)
    /// EBUSY
    public static let resourceBusy = FuseErrno(rawValue: EBUSY)
    /// EEXIST
    public static let fileExists = FuseErrno(rawValue: EEXIST)
    /// EXDEV
    public static let improperLink = FuseErrno(rawValue: EXDEV)
    /// ENOTDIR
    public static let notDirectory = FuseErrno(rawValue: ENOTDIR)
    /// EISDIR
    public static let isDirectory = FuseErrno(rawValue: EISDIR)
    /// EINVAL
    public static let invalidArgument = FuseErrno(rawValue: EINVAL)
    /// ENFILE
    public static let tooManyOpenFiles = FuseErrno(rawValue: ENFILE)
    /// EFBIG
    public static let fileTooLarge = FuseErrno(rawValue: EFBIG)
    /// ENOSPC
    public static let noSpace = FuseErrno(rawValue: ENOSPC)
    /// EROFS
    public static let readOnlyFileSystem = FuseErrno(rawValue: EROFS)
    /// ERANGE
    public static let outOfRange = FuseErrno(rawValue: ERANGE)
    /// ENAMETOOLONG
    public static let fileNameTooLong = FuseErrno(rawValue: ENAMETOOLONG)
    /// ENOSYS. For many operations the kernel remembers it for the life of the mount: see ``FuseOperations``.
    public static let noFunction = FuseErrno(rawValue: ENOSYS)
    /// ENOTEMPTY
    public static let directoryNotEmpty = FuseErrno(rawValue: ENOTEMPTY)
    /// ENODATA: there is no such extended attribute.
    public static let noData = FuseErrno(rawValue: ENODATA)
    /// E2BIG
    public static let argumentListTooLong = FuseErrno(rawValue: E2BIG)
    /// EOPNOTSUPP
    public static let notSupported = FuseErrno(rawValue: EOPNOTSUPP)
    /// ENXIO: for `lseek`, there is no data (or hole) beyond the offset.
    public static let noSuchDeviceOrAddress = FuseErrno(rawValue: ENXIO)
    /// ENODEV
    public static let noSuchDevice = FuseErrno(rawValue: ENODEV)
    /// ESTALE: the inode number means nothing any more. The kernel looks the name up again, once.
    public static let staleFileHandle = FuseErrno(rawValue: ESTALE)
    /// ETIMEDOUT
    public static let timedOut = FuseErrno(rawValue: ETIMEDOUT)
    /// EDQUOT
    public static let diskQuotaExceeded = FuseErrno(rawValue: EDQUOT)
}
