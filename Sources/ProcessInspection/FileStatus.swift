import Formats
import Glibc

/// What `stat` says of a file, as far as it is used here.
package struct FileStatus: Sendable, Equatable {
    package var device: DeviceNumber
    package var inode: UInt64
    package var size: Int64
    package var isRegular: Bool

    package init(device: DeviceNumber, inode: UInt64, size: Int64, isRegular: Bool) {
        self.device = device
        self.inode = inode
        self.size = size
        self.isRegular = isRegular
    }

    /// Asks for a file's status.
    ///
    /// - Parameters:
    ///   - path: links are followed.
    ///   - isCached: what the kernel remembers will do; the file system, which may hang or be one's own, is not asked.
    package typealias Call = @Sendable (_ path: String, _ isCached: Bool) -> FileStatus?

    /// Asks the kernel.
    package static let systemCall: Call = { path, isCached in
        var status = stat()
        guard fstatat(AT_FDCWD, path, &status, noAutomount | (isCached ? doNotSync : 0)) == 0 else { return nil }
        return FileStatus(
            device: DeviceNumber(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            isRegular: status.st_mode & S_IFMT == S_IFREG)
    }

    /// `AT_NO_AUTOMOUNT`, which Glibc shows to C programs only.
    private static let noAutomount: Int32 = 0x800
    /// `AT_STATX_DONT_SYNC`; the kernel takes it with `fstatat`, too.
    private static let doNotSync: Int32 = 0x4000
}
