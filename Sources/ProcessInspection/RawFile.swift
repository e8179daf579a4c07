import Descriptors
import Glibc

/// Bounded reads of small kernel files, by system calls alone.
///
/// Nothing here follows a link by accident, waits for the other end of a pipe, or reads more than it was told to:
/// what is read describes processes of others, which can vanish or change between any two calls.
enum RawFile {
    /// The whole file, or nil when it cannot be opened, cannot be read, or is longer than `limit` bytes.
    static func contents(of path: String, limit: Int) -> [UInt8]? { look(at: path, limit: limit).value }

    /// The whole file; what is longer than `limit` bytes is none of the kernel's and counts as hidden.
    static func look(at path: String, limit: Int) -> Look<[UInt8]> {
        withDescriptor(of: path) { descriptor in
            var bytes: [UInt8] = []
            // Most files here fit into one read; the second one is how the end is known.
            var capacity = min(limit, 4096)
            while bytes.count <= limit {
                switch readOnce(descriptor, upTo: capacity) {
                case .found(let more):
                    if more.isEmpty { return .found(bytes) }
                    bytes += more
                case let failure: return failure
                }
                // One byte past the limit tells a file that is too long from one that just fits.
                capacity = min(65536, limit + 1 - bytes.count)
            }
            return .hidden
        }
    }

    /// The file's first bytes, as one read gives them, or nil when it cannot be opened or read.
    static func start(of path: String, count: Int) -> [UInt8]? { lookAtStart(of: path, count: count).value }

    /// The file's first bytes, as one read gives them.
    static func lookAtStart(of path: String, count: Int) -> Look<[UInt8]> {
        withDescriptor(of: path) { readOnce($0, upTo: count) }
    }

    /// The text of a symbolic link, or nil when there is none or it does not fit into 4096 bytes.
    static func link(at path: String) -> [UInt8]? {
        var failed = false
        let text = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            let length = buffer.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { readlink(path, $0, text.count) } ?? -1
            }
            failed = length < 0 || length == buffer.count
            count = max(0, length)
        }
        return failed ? nil : text
    }

    /// Whether there is a symbolic link whose mode lets its owner write: in `/proc/<pid>/fd` it shows what the descriptor can.
    static func isWritableLink(at path: String) -> Look<Bool> {
        var status = stat()
        guard lstat(path, &status) == 0 else { return Look(failure: errno) }
        return .found(status.st_mode & S_IFMT == S_IFLNK && status.st_mode & S_IWUSR != 0)
    }

    /// Calls `body` with each entry of a directory but `.` and `..`, until it returns false.
    ///
    /// - Returns: whether all of it was listed, as far as `body` wanted.
    @discardableResult
    static func eachEntry(of path: String, _ body: (_ name: borrowing RawDirectoryEntry) -> Bool) -> Look<Void> {
        let descriptor = opened(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return Look(failure: errno) }
        guard let directory = fdopendir(descriptor) else {
            let failure = errno
            close(descriptor)
            return Look(failure: failure)
        }
        defer { closedir(directory) }
        while true {
            errno = 0
            guard let entry = readdir(directory) else { return errno == 0 ? .found(()) : Look(failure: errno) }
            let named = RawDirectoryEntry(entry)
            if named.isSelfOrParent { continue }
            if !body(named) { return .found(()) }
        }
    }

    /// As `open`: it fails, too, where only those descriptors are left that are for something else.
    private static func opened(_ path: String, _ flags: Int32) -> Int32 {
        let descriptor = open(path, flags)
        guard descriptor >= 0, !DescriptorReserve.ofProcess.allows(descriptor, for: .look) else { return descriptor }
        close(descriptor)
        errno = EMFILE
        return -1
    }

    private static func withDescriptor(of path: String, _ body: (Int32) -> Look<[UInt8]>) -> Look<[UInt8]> {
        // O_NONBLOCK: should a pipe stand where a kernel file is expected, opening it does not wait for its other end.
        let descriptor = opened(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { return Look(failure: errno) }
        defer { close(descriptor) }
        return body(descriptor)
    }

    private static func readOnce(_ descriptor: Int32, upTo count: Int) -> Look<[UInt8]> {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var length = read(descriptor, buffer.baseAddress, buffer.count)
            while length < 0, errno == EINTR { length = read(descriptor, buffer.baseAddress, buffer.count) }
            failure = length < 0 ? errno : 0
            initialized = max(0, length)
        }
        return failure == 0 ? .found(bytes) : Look(failure: failure)
    }
}

/// One entry of a directory, valid until the listing moves on.
struct RawDirectoryEntry: ~Copyable {
    private let entry: UnsafeMutablePointer<dirent>

    init(_ entry: UnsafeMutablePointer<dirent>) {
        self.entry = entry
    }

    /// The inode number that the listing gives.
    var inode: UInt64 { UInt64(entry.pointee.d_ino) }

    /// The name as a number in canonical decimal form, the only one that `/proc` uses; nil for other names.
    var number: Int32? {
        withName { name in
            guard name.count <= 10, name.first != UInt8(ascii: "0") || name.count == 1 else { return nil }
            return Int32(decimal: name)
        }
    }

    var isSelfOrParent: Bool {
        withName { $0.elementsEqual([UInt8(ascii: ".")]) || $0.elementsEqual([UInt8(ascii: "."), UInt8(ascii: ".")]) }
    }

    private func withName<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        // By address: an entry is as long as its name, and a copy of the whole structure would read past its end.
        let name = UnsafeRawPointer(entry) + Self.nameOffset
        return body(UnsafeRawBufferPointer(start: name, count: strlen(name.assumingMemoryBound(to: CChar.self))))
    }

    /// `d_name` follows two 8-byte fields, a 2-byte and a 1-byte one.
    private static let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 19
}
