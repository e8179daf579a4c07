import Glibc
import ProcessInspection
import SystemPackage

/// The process that serves a mount, as it says so in its lock file.
package struct ServerRecord: Codable, Equatable {
    package var pid: Int32
    /// Of that process, in clock ticks since boot (`/proc/<pid>/stat`): with it, a pid that was given anew is told apart.
    package var startTime: UInt64
    package var mountPoint: String
    /// Whether the mount has been usable: then one that is not there any more was taken away. Nil for not yet.
    package var wasMounted: Bool?

    package init(pid: Int32, startTime: UInt64, mountPoint: String) {
        self.pid = pid
        self.startTime = startTime
        self.mountPoint = mountPoint
    }

    /// Whether the process is still there; one that has ended and waits for its parent is not.
    package var isRunning: Bool { ProcessClock.startTime(of: pid) == startTime }
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
    package static func take(in stateDirectory: String, servingAt mountPoint: String) throws -> StateLock {
        do {
            let descriptor = try FileDescriptor.open(
                path(in: stateDirectory), .readWrite, options: [.create, .noFollow, .closeOnExec],
                permissions: .ownerReadWrite)
            let lock = StateLock(descriptor)
            var attempts = 50
            while try !lock.tryLock(LOCK_EX) {
                let holder = StateFile.read(ServerRecord.self, from: path(in: stateDirectory))
                attempts -= 1
                // A command that only asks who holds the lock has it for a moment; a holder that runs keeps it,
                // unless its mount is gone.
                if let holder, try UploadHandover.isPossible(holder, stateDirectory),
                    try UploadHandover.request(holder, isFree: { try lock.tryLock(LOCK_EX) })
                {
                    break
                }
                guard attempts > 0, holder?.isRunning != true else { throw inUse(stateDirectory, by: holder) }
                usleep(10_000)
            }
            try lock.write(
                ServerRecord(
                    pid: getpid(), startTime: ProcessClock.startTime(of: getpid()) ?? 0, mountPoint: mountPoint))
            return lock
        } catch let error as Errno {
            throw CommandFailure(
                "cannot write to the state directory \(stateDirectory): \(error.words)",
                hint: "Give another one with --state-dir")
        }
    }

    /// Who holds the lock of `stateDirectory`; nil when nobody does.
    ///
    /// - Throws: `Errno` when the lock cannot be looked at (`permissionDenied`: it belongs to another user).
    package static func holder(in stateDirectory: String) throws -> ServerRecord? {
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(
                path(in: stateDirectory), .readOnly, options: [.noFollow, .closeOnExec])
        } catch Errno.noSuchFileOrDirectory {
            return nil
        }
        let probe = StateLock(descriptor)
        guard try !probe.tryLock(LOCK_SH) else { return nil }
        return StateFile.read(ServerRecord.self, from: path(in: stateDirectory))
    }

    /// Tells whoever looks that the mount is there, so that it is known to be gone when it is.
    package func recordMounted(at mountPoint: String) throws {
        var record = ServerRecord(
            pid: getpid(), startTime: ProcessClock.startTime(of: getpid()) ?? 0, mountPoint: mountPoint)
        record.wasMounted = true
        try write(record)
    }

    private static func path(in stateDirectory: String) -> String { "\(stateDirectory)/lock" }

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
            "the state directory \(stateDirectory) is in use by process \(holder.pid), which serves \(holder.mountPoint)",
            hint: "Give another one with --state-dir, or 'twelvefs unmount \(holder.mountPoint)' first")
    }
}

/// What `/proc` tells of processes.
package enum ProcessClock {
    /// When process `pid` was started, in clock ticks since boot; nil when there is no such process or it has ended (a zombie).
    package static func startTime(of pid: Int32) -> UInt64? {
        guard let descriptor = try? FileDescriptor.open("/proc/\(pid)/stat", .readOnly, options: .closeOnExec),
            let bytes = try? descriptor.closeAfter({ try descriptor.readAll(atMost: 4096) }),
            // The second field, the name in parentheses, may itself hold spaces and parentheses.
            let end = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
        // Fields are counted from the third, the state: the start time is the 22nd.
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }

    /// Makes `ps` and `/proc/<pid>/comm` call this process `twelvefs`, however its file is named.
    package static func nameThisProcess() {
        guard let descriptor = try? FileDescriptor.open("/proc/self/comm", .writeOnly, options: .closeOnExec) else {
            return
        }
        _ = try? descriptor.closeAfter { try descriptor.writeAll("twelvefs".utf8) }
    }
}
