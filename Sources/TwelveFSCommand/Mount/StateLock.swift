import Glibc
import ProcessInspection
import SystemPackage

/// The process that serves a mount, as it says so in its lock file.
package struct ServerRecord: Codable, Equatable {
    package var pid: Int32
    /// Of that process, in clock ticks since boot (`/proc/<pid>/stat`): with it, a pid that was given anew is told apart.
    package var startTime: UInt64
    package var mountPoint: String
    /// Where the number means that process: an inode of `/proc/<pid>/ns/pid`. Nil for one of an earlier version.
    package var pidNamespace: UInt64?
    /// Its version; nil for an earlier one, which takes no orders.
    package var version: String?

    package init(
        pid: Int32, startTime: UInt64, mountPoint: String, pidNamespace: UInt64? = nil, version: String? = nil
    ) {
        self.pid = pid
        self.startTime = startTime
        self.mountPoint = mountPoint
        self.pidNamespace = pidNamespace
        self.version = version
    }

    /// This process's.
    static func ours(servingAt mountPoint: String) -> ServerRecord {
        ServerRecord(
            pid: getpid(), startTime: ProcessClock.startTime(of: getpid()) ?? 0, mountPoint: mountPoint,
            pidNamespace: ProcessClock.pidNamespace, version: TwelveFS.version)
    }

    /// Whether the process is still there; one that has ended and waits for its parent is not. Nil for one of another pid
    /// namespace, where its number may be that of any process.
    package var isRunning: Bool? {
        guard isNumberedHere else { return nil }
        return ProcessClock.startTime(of: pid) == startTime
    }

    /// Whether its number means it here.
    package var isNumberedHere: Bool { pidNamespace == nil || pidNamespace == ProcessClock.pidNamespace }

    /// `process 4242`
    package var words: String { "process \(pid)\(isNumberedHere ? "" : " of another pid namespace")" }
}

/// The lock of a state directory: `flock` on the file `lock` in it, which the kernel takes back however its holder ends.
///
/// The file tells who holds it. What it says is true while the lock is held, and only then: so a process is found by the
/// lock and never by a pid file that may be old.
package final class StateLock: Sendable {
    private let descriptor: FileDescriptor

    private init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
    }

    deinit {
        try? descriptor.close()
    }

    /// Takes the lock of `stateDirectory` for this process, which serves `mountPoint`.
    ///
    /// - Throws: a ``CommandFailure`` that names the holder when it is taken, or why the directory cannot be written.
    package static func take(in stateDirectory: OpenDirectory, servingAt mountPoint: String) throws -> StateLock {
        do {
            let file = file(in: stateDirectory)
            let lock = StateLock(try file.open(O_RDWR | O_CREAT, mode: S_IRUSR | S_IWUSR))
            var attempts = 50
            while try !lock.tryLock(LOCK_EX) {
                let holder = StateFile.read(ServerRecord.self, from: file)
                attempts -= 1
                // A command that only asks who holds the lock has it for a moment; a holder that runs keeps it,
                // unless its mount is gone.
                if holder?.isRunning != false,
                    try UploadHandover.request(in: stateDirectory, isFree: { try lock.tryLock(LOCK_EX) })
                {
                    break
                }
                guard attempts > 0, holder?.isRunning != true else { throw inUse(stateDirectory.path, by: holder) }
                usleep(10_000)
            }
            try lock.write(.ours(servingAt: mountPoint))
            return lock
        } catch let error as Errno {
            throw CommandFailure(
                "cannot write to the state directory \(stateDirectory.path): \(error.words)",
                hint: "Give another one with --state-dir")
        }
    }

    /// Who says in the lock of `stateDirectory`, which is `owner`'s, to hold it; nil when nobody does.
    ///
    /// - Throws: `Errno` when the lock cannot be looked at (`permissionDenied`: it belongs to another user).
    package static func holder(
        in stateDirectory: OpenDirectory, of owner: uid_t = geteuid()
    ) throws -> ServerRecord? {
        guard let lock = try existing(in: stateDirectory, of: owner), try !lock.tryLock(LOCK_SH) else { return nil }
        return StateFile.read(ServerRecord.self, from: file(in: stateDirectory), of: owner)
    }

    /// Runs `body` while nobody can begin to serve `mountPoint` with `stateDirectory`, which is `owner`'s; false when somebody
    /// does.
    package static func whileNobodyServes(
        _ mountPoint: String, in stateDirectory: OpenDirectory?, of owner: uid_t, _ body: () throws -> Void
    ) throws -> Bool {
        // Nobody can serve with one that is gone; of one that is another's only its owner can tell.
        let lock = stateDirectory.flatMap { directory in try? existing(in: directory, of: owner) }
        return try withExtendedLifetime(lock) {
            if let lock, let stateDirectory, try !lock.tryLock(LOCK_SH) {
                let holder = StateFile.read(ServerRecord.self, from: file(in: stateDirectory), of: owner)
                guard let holder, holder.isRunning != false, holder.mountPoint != mountPoint else { return false }
            }
            try body()
            return true
        }
    }

    private static func file(in stateDirectory: OpenDirectory) -> FileLocation { stateDirectory.file("lock") }

    /// Nil when there is none, or only what its owner has put in its place.
    private static func existing(in stateDirectory: OpenDirectory, of owner: uid_t) throws(Errno) -> StateLock? {
        let lock: StateLock
        do throws(Errno) {
            lock = StateLock(try file(in: stateDirectory).open(O_RDONLY))
        } catch .noSuchFileOrDirectory {
            return nil
        }
        let status = try PathStatus(of: lock.descriptor)
        return status.isRegular && status.owner == owner ? lock : nil
    }

    private func tryLock(_ kind: Int32) throws -> Bool {
        guard flock(descriptor.rawValue, kind | LOCK_NB) != 0 else { return true }
        let error = Errno(rawValue: errno)
        guard error == .wouldBlock else { throw error }
        return false
    }

    /// In place, not by renaming: the lock is on this very file.
    private func write(_ record: ServerRecord) throws {
        try descriptor.resize(to: 0)
        _ = try descriptor.writeAll(toAbsoluteOffset: 0, StateFile.encoded(record))
    }

    private static func inUse(_ stateDirectory: String, by holder: ServerRecord?) -> CommandFailure {
        guard let holder else {
            return CommandFailure(
                "the state directory \(stateDirectory) is in use", hint: "Give another one with --state-dir")
        }
        return CommandFailure(
            "the state directory \(stateDirectory) is in use by \(holder.words), which serves \(holder.mountPoint)",
            hint: "Give another one with --state-dir, or 'twelvefs unmount \(holder.mountPoint)' first"
                + (holder.version == nil ? "; an earlier version without its mount ends by 'kill \(holder.pid)'" : ""))
    }
}

/// What `/proc` tells of processes.
package enum ProcessClock {
    /// When process `pid` was started, in clock ticks since boot; nil when there is no such process or it has ended (a zombie).
    package static func startTime(of pid: Int32) -> UInt64? {
        // Fields are counted from the third, the state: the start time is the 22nd.
        guard let fields = fields(of: pid), fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }

    /// Whether a signal or a debugger has stopped it, so that it answers nothing.
    static func isStopped(_ pid: Int32) -> Bool {
        let state = fields(of: pid)?.first
        return state == "T" || state == "t"
    }

    private static func fields(of pid: Int32) -> [Substring]? {
        guard let descriptor = try? FileDescriptor.open("/proc/\(pid)/stat", .readOnly, options: .closeOnExec),
            let bytes = try? descriptor.closeAfter({ try descriptor.readAll(atMost: 4096) }),
            // The second field, the name in parentheses, may itself hold spaces and parentheses.
            let end = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        return String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
    }

    /// Where this process's number means this process; nil where `/proc` does not tell.
    static let pidNamespace: UInt64? = (try? PathStatus(at: "/proc/self/ns/pid")).map { UInt64($0.inode) }

    /// Makes `ps` and `/proc/<pid>/comm` call this process `twelvefs`, however its file is named.
    package static func nameThisProcess() {
        guard let descriptor = try? FileDescriptor.open("/proc/self/comm", .writeOnly, options: .closeOnExec) else {
            return
        }
        _ = try? descriptor.closeAfter { try descriptor.writeAll("twelvefs".utf8) }
    }
}
