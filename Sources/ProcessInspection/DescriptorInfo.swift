import Glibc

/// What `/proc/<pid>/fdinfo/<number>` says of an open descriptor.
package struct DescriptorInfo: Sendable, Equatable {
    /// Where the next `read` or `write` without an offset goes.
    package let position: Int64
    /// The flags it was opened with.
    package let flags: Int32
    /// The mount it was opened through.
    package let mountID: Int32
    /// The inode; nil on kernels before 5.14, which do not tell.
    package let inode: UInt64?

    /// It can be read and not be written.
    package var isReadOnly: Bool { flags & O_ACCMODE == O_RDONLY && flags & DescriptorInfo.pathOnly == 0 }
    /// It can be written.
    package var canWrite: Bool {
        let mode = flags & O_ACCMODE
        return (mode == O_WRONLY || mode == O_RDWR) && flags & DescriptorInfo.pathOnly == 0
    }
    /// It was opened as a directory.
    package var isDirectory: Bool { flags & O_DIRECTORY != 0 }
    /// It does not outlive an `exec`.
    package var closesOnExec: Bool { flags & O_CLOEXEC != 0 }

    /// `O_PATH`, which Glibc shows to C programs only: neither read nor written, and never flushed.
    static let pathOnly: Int32 = 0o10_000_000

    /// From the file's first bytes; nil when one of the lines that every kernel prints is missing or makes no sense.
    package init?(parsing bytes: [UInt8]) {
        let lines = KeyedLines(bytes)
        guard let position = lines["pos"].flatMap({ Int64(decimal: $0) }),
            let flags = lines["flags"].flatMap({ UInt32(octal: $0) }),
            let mountID = lines["mnt_id"].flatMap({ Int32(decimal: $0) })
        else { return nil }
        let inode = lines["ino"]
        self.position = position
        self.flags = Int32(bitPattern: flags)
        self.mountID = mountID
        self.inode = inode.flatMap { UInt64(decimal: $0) }
    }
}
