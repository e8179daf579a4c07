internal import CFuse3
import Formats
import Glibc

extension Duration {
    /// Seconds, as libfuse wants timeouts.
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}

extension FileTime {
    init(_ time: timespec) {
        self.init(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    var timespec: timespec {
        Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    }
}

extension stat {
    init(_ attributes: FileAttributes) {
        self.init()
        st_ino = UInt(attributes.inode.rawValue)
        st_mode = attributes.kind.rawValue | UInt32(attributes.permissions & 0o7777)
        st_nlink = .init(attributes.linkCount)
        st_uid = attributes.uid
        st_gid = attributes.gid
        st_size = Int(attributes.size)
        st_blocks = Int(attributes.blocks)
        st_blksize = .init(attributes.preferredBlockSize)
        st_atim = attributes.accessTime.timespec
        st_mtim = attributes.modificationTime.timespec
        st_ctim = attributes.changeTime.timespec
    }
}

extension fuse_entry_param {
    init(_ entry: FuseEntry) {
        self.init()
        ino = entry.inode.rawValue
        generation = entry.generation
        attr = stat(entry.attributes)
        attr_timeout = entry.attributeTimeout.inSeconds
        entry_timeout = entry.entryTimeout.inSeconds
    }
}

extension fuse_file_info {
    init(_ open: FuseOpen) {
        self.init()
        fh = open.handle
        direct_io = open.directIO ? 1 : 0
        keep_cache = open.keepCache ? 1 : 0
        noflush = open.noFlush ? 1 : 0
        nonseekable = open.nonSeekable ? 1 : 0
        cache_readdir = open.cacheReaddir ? 1 : 0
    }
}

extension statvfs {
    init(_ statistics: FileSystemStatistics) {
        self.init()
        f_bsize = UInt(statistics.blockSize)
        f_frsize = UInt(statistics.fragmentSize)
        f_blocks = .init(statistics.blocks)
        f_bfree = .init(statistics.freeBlocks)
        f_bavail = .init(statistics.availableBlocks)
        f_files = .init(statistics.files)
        f_ffree = .init(statistics.freeFiles)
        f_favail = .init(statistics.freeFiles)
        f_namemax = UInt(statistics.maximumNameLength)
    }
}

extension FileAttributeChanges {
    /// - Parameter toSet: the `FUSE_SET_ATTR_*` bits.
    init(_ attributes: stat, toSet: Int32) {
        func isSet(_ bit: Int32) -> Bool { toSet & bit != 0 }
        self.init(
            permissions: isSet(FUSE_SET_ATTR_MODE) ? UInt16(attributes.st_mode & 0o7777) : nil,
            uid: isSet(FUSE_SET_ATTR_UID) ? attributes.st_uid : nil,
            gid: isSet(FUSE_SET_ATTR_GID) ? attributes.st_gid : nil,
            size: isSet(FUSE_SET_ATTR_SIZE) ? Int64(attributes.st_size) : nil,
            // The kernel sets both bits for "now": the time beside it is its own, and the file system's clock decides.
            accessTime: isSet(FUSE_SET_ATTR_ATIME_NOW)
                ? .now : isSet(FUSE_SET_ATTR_ATIME) ? .at(FileTime(attributes.st_atim)) : nil,
            modificationTime: isSet(FUSE_SET_ATTR_MTIME_NOW)
                ? .now : isSet(FUSE_SET_ATTR_MTIME) ? .at(FileTime(attributes.st_mtim)) : nil,
            changeTime: isSet(FUSE_SET_ATTR_CTIME) ? FileTime(attributes.st_ctim) : nil)
    }
}
