import Dispatch
import Glibc
import Synchronization

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
}

/// `stat` with a deadline, since the file system that is asked may hang: network mounts, and mounts served by programs.
///
/// Each call is made on a thread of its own, which is left behind when the deadline passes. While ``threadLimit`` of
/// them are left behind, nothing is asked. Local files are asked in the same way, with more patience: what a descriptor
/// refers to can change between the look at its mount and the call.
package final class BoundedStat: Sendable {
    /// What came of a call.
    package enum Answer: Sendable, Equatable {
        /// The file's status.
        case status(FileStatus)
        /// The call failed: there is no such file any more, or it must not be looked at.
        case failed
        /// The file system did not answer in time, or was not asked because too many calls hang already.
        case late
    }

    /// Which file systems are waited for how long.
    package struct Patience: Sendable {
        /// For those on a local disk: a busy machine must not look like a hanging one.
        package var local: Duration
        /// For all others: the writer waits meanwhile.
        package var remote: Duration

        package init(local: Duration = .seconds(2), remote: Duration = .milliseconds(100)) {
            self.local = local
            self.remote = remote
        }
    }

    /// How many threads may be left behind.
    package static let threadLimit = 4

    /// Makes the call: the path, and whether what the kernel remembers will do.
    package typealias Call = @Sendable (_ path: String, _ cached: Bool) -> FileStatus?

    private let patience: Patience
    private let call: Call
    private let leftBehind = Mutex(0)

    /// - Parameters:
    ///   - patience: how long an answer is waited for.
    ///   - call: what asks for it; another one than the system's in tests.
    package init(patience: Patience = Patience(), call: @escaping Call = BoundedStat.systemCall) {
        self.patience = patience
        self.call = call
    }

    /// What the kernel remembers of a file, without asking its file system.
    package func cached(_ path: String) -> Answer {
        answer(within: patience.remote) { [call] in call(path, true) }
    }

    /// What a file's own file system says.
    ///
    /// - Parameters:
    ///   - isLocal: it is on a local disk.
    ///   - device: a file of that device is not asked for; what the kernel remembers of it is told.
    package func status(_ path: String, isLocal: Bool, unlessOn device: DeviceNumber) -> Answer {
        answer(within: isLocal ? patience.local : patience.remote) { [call] in
            let remembered = call(path, true)
            return remembered == nil || remembered?.device == device ? remembered : call(path, false)
        }
    }

    /// How many calls were given up and have not ended yet.
    package var outstanding: Int { leftBehind.withLock { $0 } }

    private func answer(within deadline: Duration, _ body: @escaping @Sendable () -> FileStatus?) -> Answer {
        guard outstanding < Self.threadLimit else { return .late }
        let job = Job()
        let started = DetachedThread.start {
            let status = body()
            let wasGivenUp = job.state.withLock { state in
                defer { state = .ended(status) }
                if case .givenUp = state { return true }
                return false
            }
            if wasGivenUp { self.leftBehind.withLock { $0 -= 1 } }
            job.ended.signal()
        }
        guard started else { return .late }
        let (seconds, attoseconds) = deadline.components
        let nanoseconds = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        _ = job.ended.wait(timeout: .now() + .nanoseconds(nanoseconds))
        return job.state.withLock { state in
            switch state {
            case .ended(.some(let status)): return .status(status)
            case .ended(.none): return .failed
            case .running, .givenUp:
                state = .givenUp
                // Counted before the thread can see that it was given up.
                leftBehind.withLock { $0 += 1 }
                return .late
            }
        }
    }

    /// `fstatat`, following links.
    package static let systemCall: Call = { path, cached in
        var status = stat()
        let flags = AT_NO_AUTOMOUNT | (cached ? AT_STATX_DONT_SYNC : 0)
        guard fstatat(AT_FDCWD, path, &status, flags) == 0 else { return nil }
        return FileStatus(
            device: DeviceNumber(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            isRegular: status.st_mode & S_IFMT == S_IFREG)
    }

    /// What Glibc shows to C programs only: linux/fcntl.h. The kernel takes both with `fstatat`, too.
    private static let AT_NO_AUTOMOUNT: Int32 = 0x800
    private static let AT_STATX_DONT_SYNC: Int32 = 0x4000

    /// Outlives the waiting: the thread may answer long after nobody wants to know.
    private final class Job: Sendable {
        let state = Mutex(State.running)
        let ended = DispatchSemaphore(value: 0)

        enum State {
            case running, givenUp
            case ended(FileStatus?)
        }
    }
}

/// A thread that nobody waits for.
enum DetachedThread {
    /// - Returns: false when the system has no thread left.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        let work = Unmanaged.passRetained(Work(body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // A thread inherits the mask of its maker: with every signal blocked, the process's signals go to other threads.
        var all = sigset_t()
        var previous = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &previous)
        defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
        var thread = pthread_t()
        let result = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        if result != 0 { work.release() }
        return result == 0
    }

    private final class Work {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }
}
