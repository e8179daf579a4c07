import Descriptors
import Formats
import Glibc
import Synchronization
import UploadCore

/// The directory of spool files below a state directory, and the account of the space in it.
///
/// `spool/` holds one file for each version, `orphans/` what was found there and belongs to none; both 0700, the files
/// 0600. One process at a time uses a state directory: its owner sees to that.
public final class SpoolDirectory: Sendable {
    /// `spool/`.
    private let spool: Descriptor
    /// `orphans/`.
    private let orphans: Descriptor
    private let ledger: Mutex<SpaceLedger>
    /// Of the spool files that are open now.
    let descriptors: DescriptorCache
    private let files = Mutex(Files())
    private let releaseHandler = Mutex(ReleaseHandler())

    /// In a type of its own: a closure that is a lock's whole value is wrapped once more each time it is looked at.
    private struct ReleaseHandler {
        var call: (@Sendable () -> Void)?
    }

    private struct Files {
        /// The files that are open.
        var open: [String: OpenFile] = [:]
        /// Bytes that files hold which are neither open nor removed.
        var resting: [String: Int64] = [:]
        var nextIdentity: UInt64 = 0
    }

    private struct OpenFile {
        let identity: UInt64
        weak let file: SpoolFile?
    }

    /// Opens the spool below `stateDirectory`, which exists, and makes it where it does not.
    ///
    /// - Parameters:
    ///   - stateDirectory: Path of the state directory.
    ///   - limit: What all versions may have together; nil when only the disk bounds them.
    ///   - diskReserve: What is to stay free on the disk. When nil: a tenth of the disk, and at least 1 GiB where there
    ///     is no limit, at most that where there is one.
    ///   - descriptorLimit: How many spool files stay open that nobody uses. When nil: a quarter of what the process may
    ///     have open, at most 256.
    ///   - descriptorReserve: What is left to others of the descriptors that the process may have.
    public init(
        stateDirectory: String, limit: ByteCount? = nil, diskReserve: ByteCount? = nil, descriptorLimit: Int? = nil,
        descriptorReserve: DescriptorReserve = .ofProcess
    ) throws(SpoolError) {
        descriptors = DescriptorCache(
            limit: descriptorLimit ?? Self.usualDescriptorLimit, reserve: descriptorReserve)
        let state = try Descriptor("open \(stateDirectory)") {
            Glibc.open(stateDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        spool = try Self.makeDirectory("spool", in: state)
        orphans = try Self.makeDirectory("orphans", in: state)
        try SpoolError.check("fsync") { fsync(state.number) }
        let reserve = Self.usualReserve(limit: limit, disk: try Self.disk(of: spool))
        ledger = Mutex(SpaceLedger(limit: limit?.bytes, diskReserve: diskReserve?.bytes ?? reserve))
    }

    private static func makeDirectory(_ name: String, in parent: borrowing Descriptor) throws(SpoolError) -> Descriptor
    {
        let parent = parent.number
        if mkdirat(parent, name, 0o700) != 0, errno != EEXIST {
            throw SpoolError(errno: errno, operation: "mkdir \(name)")
        }
        return try Descriptor("open \(name)") {
            openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        }
    }

    // MARK: Files

    /// Makes a spool file, empty, under a name that no other has; throws ``SpoolError/gone`` when the directory was
    /// removed.
    public func create() throws(SpoolError) -> SpoolFile {
        while true {
            let digits = String(UInt64.random(in: .min ... .max), radix: 16)
            let name = String(repeating: "0", count: 16 - digits.utf8.count) + digits
            do throws(SpoolError) {
                let descriptor = try descriptors.opened { () throws(SpoolError) in
                    try Descriptor("create") {
                        openat(spool.number, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_t(0o600))
                    }.take()
                }
                return adopt(name, descriptor, occupied: SegmentMap())
            } catch {
                if case .failed(code: EEXIST, _) = error { continue }
                // In a directory that has no name any more nothing can be made.
                if case .failed(code: ENOENT, _) = error { throw .gone }
                throw error
            }
        }
    }

    /// Opens a spool file that is there; whoever has it open already shares it.
    ///
    /// Throws ``SpoolError/failed(code:operation:)`` with `ENOENT` when there is none.
    public func open(_ name: String) throws(SpoolError) -> SpoolFile {
        if let file = openFile(name) { return file }
        var occupied = SegmentMap()
        let descriptor = try descriptors.opened { () throws(SpoolError) in
            let descriptor = try Descriptor("open") { openat(spool.number, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC) }
            for range in try SpoolFile.dataRanges(of: descriptor.number).ranges {
                occupied.insert(SpaceBlocks.pagesCovering(range))
            }
            return descriptor.take()
        }
        return adopt(name, descriptor, occupied: occupied)
    }

    /// A spool file that is there and cannot be opened at present: it is opened when it is used, and whoever uses it is told
    /// if it cannot be opened then.
    ///
    /// Throws ``SpoolError/failed(code:operation:)`` with `ENOENT` when there is none.
    public func openLater(_ name: String) throws(SpoolError) -> SpoolFile {
        if let file = openFile(name) { return file }
        var status = stat()
        try SpoolError.check("stat") { fstatat(spool.number, name, &status, AT_SYMLINK_NOFOLLOW) }
        var occupied = SegmentMap()
        if status.st_blocks > 0 {
            occupied.insert(SpaceBlocks.pagesCovering(0..<Int64(status.st_blocks).multipliedClamped(by: 512)))
        }
        return adopt(name, nil, occupied: occupied)
    }

    /// A spool file that is not there any more: whoever uses it is told that it is ``SpoolError/gone``.
    public func missing(_ name: String) -> SpoolFile {
        openFile(name) ?? adopt(name, nil, occupied: SegmentMap())
    }

    /// Opens a file anew whose descriptor was closed meanwhile; throws ``SpoolError/gone`` when it has no name any more.
    func reopen(_ name: String) throws(SpoolError) -> Int32 {
        do throws(SpoolError) {
            let descriptor = try Descriptor("open") { openat(spool.number, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC) }
            return descriptor.take()
        } catch {
            if case .failed(code: ENOENT, _) = error { throw .gone }
            throw error
        }
    }

    private static var usualDescriptorLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 64 }
        return Int(min(limit.rlim_cur / 4, 256))
    }

    private func openFile(_ name: String) -> SpoolFile? {
        files.withLock { $0.open[name]?.file }
    }

    /// The one object for a file that was just opened: what it holds is counted, unless someone was faster.
    private func adopt(_ name: String, _ descriptor: Int32?, occupied: SegmentMap) -> SpoolFile {
        let identity = files.withLock { files in
            files.nextIdentity += 1
            return files.nextIdentity
        }
        if let descriptor { descriptors.add(identity, descriptor) }
        let file = SpoolFile(name: name, directory: self, identity: identity, occupied: occupied)
        ledger.withLock { $0.adopt(occupied.byteCount) }
        // Whichever of the two is not returned goes outside the lock, which its deinit takes.
        let shared = files.withLock { files in
            if let other = files.open[name]?.file { return other }
            files.open[name] = OpenFile(identity: identity, file: file)
            let rested = files.resting.removeValue(forKey: name) ?? 0
            ledger.withLock { $0.release(rested, unwritten: 0) }
            return file
        }
        return shared
    }

    /// A file's last reference went: a removed one's space is free again, another's stays counted.
    func closed(_ name: String, identity: UInt64, granted: Int64, written: Int64, isRemoved: Bool) {
        files.withLock { files in
            // Someone may have opened it again meanwhile, and counts what it holds.
            let isLast = files.open[name]?.identity == identity
            if isLast { files.open[name] = nil }
            let kept = isLast && !isRemoved ? written : 0
            if kept > 0 { files.resting[name] = kept }
            ledger.withLock { $0.release(granted - kept, unwritten: granted - written) }
        }
        spaceWasReleased()
    }

    /// Takes a file out of the spool, open or not; one that is open gives its space back when it is closed. Nothing
    /// happens when there is none.
    public func remove(_ name: String) throws(SpoolError) {
        if let file = openFile(name) { return try file.remove() }
        try unlink(name)
        files.withLock { files in
            let rested = files.resting.removeValue(forKey: name) ?? 0
            ledger.withLock { $0.release(rested, unwritten: 0) }
        }
        spaceWasReleased()
    }

    func unlink(_ name: String) throws(SpoolError) {
        if unlinkat(spool.number, name, 0) != 0, errno != ENOENT {
            throw SpoolError(errno: errno, operation: "unlink")
        }
    }

    /// Returns once the names of all files are on disk.
    func synchronize() throws(SpoolError) {
        try SpoolError.check("fsync") { fsync(spool.number) }
    }

    // MARK: Leftovers

    /// The names in the spool that nobody has opened since it was: what an earlier process left.
    public func leftovers() throws(SpoolError) -> [String] {
        let names = try DirectoryNames.list(spool.number)
        return files.withLock { files in
            names.filter { files.open[$0] == nil && files.resting[$0] == nil }
        }
    }

    /// Moves the leftovers that are not in `known` to `orphans/`, never over one that is there, and returns the names
    /// that they bear now.
    @discardableResult
    public func setAsideOrphans(except known: Set<String> = []) throws(SpoolError) -> [String] {
        let strays = try leftovers().filter { !known.contains($0) }
        var taken = Set(try DirectoryNames.list(orphans.number))
        var moved: [String] = []
        for name in strays {
            var newName = name
            var number = 1
            while !taken.insert(newName).inserted {
                number += 1
                newName = "\(name).\(number)"
            }
            try SpoolError.check("rename") { renameat(spool.number, name, orphans.number, newName) }
            moved.append(newName)
        }
        if !moved.isEmpty {
            try SpoolError.check("fsync") { fsync(orphans.number) }
            try synchronize()
        }
        return moved
    }

    // MARK: Space

    /// The space in the spool as it is now, for `statfs`.
    public func space() throws(SpoolError) -> SpoolSpace {
        let diskFree = try diskFree()
        return ledger.withLock { $0.space(diskFree: diskFree) }
    }

    /// Has `handler` called whenever files have given space back, from now on. It must not block.
    public func whenSpaceIsReleased(_ handler: @escaping @Sendable () -> Void) {
        releaseHandler.withLock { $0.call = handler }
    }

    func spaceWasReleased() { releaseHandler.withLock { $0 }.call?() }

    func withLedger<Value>(_ body: (inout SpaceLedger) -> Value) -> Value {
        ledger.withLock { body(&$0) }
    }

    /// Bytes that the disk would give an ordinary user.
    func diskFree() throws(SpoolError) -> Int64 {
        try Self.disk(of: spool).free
    }

    private static func usualReserve(limit: ByteCount?, disk: (size: Int64, free: Int64)) -> Int64 {
        let gibibyte = ByteCount.gibibytes(1).bytes
        return limit == nil ? max(disk.size / 10, gibibyte) : min(disk.size / 10, gibibyte)
    }

    private static func disk(of directory: borrowing Descriptor) throws(SpoolError) -> (size: Int64, free: Int64) {
        let descriptor = directory.number
        var status = statvfs()
        try SpoolError.check("statvfs") { fstatvfs(descriptor, &status) }
        return (bytes(status.f_blocks, of: status.f_frsize), bytes(status.f_bavail, of: status.f_frsize))
    }

    /// Bytes of so many blocks. A file system that somebody made up may tell any numbers.
    package static func bytes(_ blocks: UInt, of size: UInt) -> Int64 {
        Int64(clamping: blocks.multipliedClamped(by: size))
    }
}
