internal import CFuse3
import Glibc

/// One name in a directory.
public struct DirectoryEntry: Sendable, Hashable {
    /// Up to 255 bytes, none of them zero or a slash.
    public var name: [UInt8]
    /// Only shown to programs (`d_ino`); makes nothing known to the kernel.
    public var inode: InodeNumber
    /// Shown to programs as `d_type`.
    public var kind: FileKind
    /// Where a later READDIR goes on after this entry: any number but 0 that stays good while the directory is open.
    public var nextOffset: Int64

    /// See the properties.
    public init(name: [UInt8], inode: InodeNumber, kind: FileKind, nextOffset: Int64) {
        self.name = name
        self.inode = inode
        self.kind = kind
        self.nextOffset = nextOffset
    }
}

/// What READDIR is answered with, packed as the kernel wants it.
public struct DirectoryListing: Sendable {
    private(set) var bytes: [UInt8] = []
    private let capacity: Int

    /// - Parameter capacity: in bytes. ``FuseReply/emptyListing()`` knows the kernel's.
    public init(capacity: Int) {
        self.capacity = capacity
    }

    /// Whether nothing has been packed.
    public var isEmpty: Bool { bytes.isEmpty }

    /// Packs an entry.
    ///
    /// - Returns: false, with nothing packed, when there is no space for it: answer then, the kernel asks for the rest.
    public mutating func append(_ entry: DirectoryEntry) -> Bool {
        var attributes = stat()
        attributes.st_ino = UInt(entry.inode.rawValue)
        attributes.st_mode = entry.kind.rawValue
        return bytes.packDirectoryEntry(named: entry.name, capacity: capacity) { name, buffer, size in
            // libfuse's packing does not look at the request.
            fuse_add_direntry(nil, buffer, size, name, &attributes, off_t(entry.nextOffset))
        }
    }
}

/// What READDIRPLUS is answered with: the names and what a LOOKUP of each would have answered.
public struct DirectoryPlusListing: Sendable {
    private(set) var bytes: [UInt8] = []
    /// The inodes that the kernel will know once it has this listing; one that is packed twice is counted twice.
    private(set) var inodes: [InodeNumber] = []
    private let capacity: Int

    /// - Parameter capacity: in bytes. ``FuseReply/emptyListing()`` knows the kernel's.
    public init(capacity: Int) {
        self.capacity = capacity
    }

    /// Whether nothing has been packed.
    public var isEmpty: Bool { bytes.isEmpty }

    /// Packs an entry and its attributes. "." and ".." are packed as names only, since the kernel does not count them.
    ///
    /// - Parameter nextOffset: see ``DirectoryEntry/nextOffset``.
    /// - Returns: false, with nothing packed, when there is no space for it: answer then, the kernel asks for the rest.
    public mutating func append(_ entry: FuseEntry, named name: [UInt8], nextOffset: Int64) -> Bool {
        let isCounted = name != [UInt8(ascii: ".")] && name != [UInt8(ascii: "."), UInt8(ascii: ".")]
        var parameters = fuse_entry_param(entry)
        if !isCounted {
            parameters.ino = 0
        }
        let isPacked = bytes.packDirectoryEntry(named: name, capacity: capacity) { name, buffer, size in
            fuse_add_direntry_plus(nil, buffer, size, name, &parameters, off_t(nextOffset))
        }
        if isPacked && isCounted {
            inodes.append(entry.inode)
        }
        return isPacked
    }
}

extension [UInt8] {
    /// Appends one entry if it fits.
    ///
    /// - Parameter pack: libfuse's packing. It answers with the bytes needed, and writes when it is given that much space.
    fileprivate mutating func packDirectoryEntry(
        named name: [UInt8], capacity: Int,
        _ pack: (UnsafePointer<CChar>, UnsafeMutablePointer<CChar>?, Int) -> Int
    ) -> Bool {
        name.withCString { name in
            let size = pack(name, nil, 0)
            guard count + size <= capacity else { return false }
            let start = count
            append(contentsOf: repeatElement(0, count: size))
            withUnsafeMutableBytes { bytes in
                _ = pack(name, bytes.baseAddress?.advanced(by: start).assumingMemoryBound(to: CChar.self), size)
            }
            return true
        }
    }
}

extension [UInt8] {
    /// The bytes with a terminating zero, as C wants names.
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: count + 1) { buffer in
            for (index, byte) in enumerated() {
                buffer.initializeElement(at: index, to: CChar(bitPattern: byte))
            }
            buffer.initializeElement(at: count, to: 0)
            // A buffer of one element or more has an address.
            return body(UnsafePointer(buffer.baseAddress.unsafelyUnwrapped))
        }
    }

    /// The bytes of a C string, without its zero.
    init(cString: UnsafePointer<CChar>) {
        self.init(UnsafeRawBufferPointer(start: cString, count: strlen(cString)))
    }
}
