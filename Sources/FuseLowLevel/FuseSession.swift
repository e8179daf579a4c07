internal import CFuse3
import Formats
import Glibc
import Synchronization

/// A FUSE mount and the threads that serve it.
///
/// `init` → ``mount()`` → ``start()`` → … → ``unmount(lazily:)`` and ``stop()``, in either order. Where nobody calls these
/// two, `deinit` does. None of them may be called from within an operation: they wait for the workers.
///
/// The workers are threads of this session's own, named `fuse-worker-N`. They block all signals, are never
/// cancelled, and no signal handler is installed.
public final class FuseSession: Sendable {
    /// Absolute, links resolved.
    public let mountpoint: String
    private let options: FuseMountOptions
    private let workerCount: Int
    let core: SessionCore
    private let resources = Mutex(Resources())

    private struct Resources {
        /// Ours until the connection is cut.
        var device: Int32?
        var helper: Fusermount.Helper?
        var isMounted = false
        var mountID: Int32?
        var threads: [NativeThread] = []
        var isStarted = false
    }

    /// Prepares a session; nothing is mounted yet.
    ///
    /// - Parameters:
    ///   - mountpoint: an existing directory. A dead mount on it has to be gone before ``mount()`` only.
    ///   - operations: the file system. It is held until the session is gone and nobody can answer a request any more; a
    ///     file system that holds its session in turn should do so weakly.
    ///   - workerCount: threads that take requests; at least 1. Each needs a buffer of 1 MiB.
    ///   - log: takes libfuse's messages, which are the whole process's: the newest session's handler gets them all.
    /// - Throws: `unusableMountPoint`, `invalidOption`, `system`.
    public init(
        mountpoint: String, options: FuseMountOptions = FuseMountOptions(), operations: any FuseOperations,
        workerCount: Int = 4, log: @escaping FuseLogHandler
    ) throws(FuseError) {
        FuseLog.redirect(to: log)
        self.mountpoint = try Self.resolved(mountpoint)
        self.options = options
        self.workerCount = max(1, workerCount)
        core = try SessionCore(operations: operations, options: options)
    }

    /// The real path of a directory; of one beneath a dead mount, which answers nothing, the path as it is.
    private static func resolved(_ mountpoint: String) throws(FuseError) -> String {
        var status = stat()
        var error = stat(mountpoint, &status) == 0 ? 0 : errno
        if error == ENOTCONN || error == ECONNABORTED { return mountpoint }
        if error == 0, status.st_mode & FileKind.mask != FileKind.directory.rawValue { error = ENOTDIR }
        guard error == 0, let resolved = realpath(mountpoint, nil) else {
            throw FuseError(
                .unusableMountPoint,
                "cannot mount on \(mountpoint): \(FuseErrno(rawValue: error == 0 ? errno : error))")
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    deinit {
        stop()
        // Nobody is left to be told of a failure; `auto_unmount` comes after this process.
        try? unmount(lazily: true)
    }

    /// Mounts, by way of `fusermount3`, as root and as an ordinary user alike.
    ///
    /// With ``FuseMountOptions/autoUnmount`` a `fusermount3` stays behind, in a session of its own, and unmounts once this
    /// process has died. It is spawned, not forked, so other threads may exist.
    ///
    /// - Throws: `mountRefused` with the reason of fusermount3, `fusermountMissing`, `system`.
    public func mount() throws(FuseError) {
        guard !resources.withLock({ $0.isMounted }) else {
            throw FuseError(.mountRefused, "this session is mounted already")
        }
        let before = Set(try MountTable().entries.map(\.id))
        let mounted = try Fusermount.mount(
            at: mountpoint, options: options.argument(), staysBehind: options.autoUnmount)
        let flags = fcntl(mounted.device, F_GETFL)
        // libfuse is told of a mounted device by this kind of path, and owns the descriptor from here on.
        guard fcntl(mounted.device, F_SETFL, flags | O_NONBLOCK) == 0,
            fuse_session_mount(core.session, "/dev/fd/\(mounted.device)") == 0
        else {
            close(mounted.device)
            try? Fusermount.unmount(mountpoint, lazily: true)
            mounted.helper?.dismiss()
            throw FuseError(.system, "libfuse did not take the device")
        }
        let id = newMount(since: before)
        resources.withLock { resources in
            resources.isMounted = true
            resources.device = mounted.device
            resources.helper = mounted.helper
            resources.mountID = id
        }
    }

    /// The id of the mount that has come since, by its name too: the mount point may have been exchanged meanwhile.
    private func newMount(since before: Set<Int32>) -> Int32? {
        guard let table = try? MountTable() else { return nil }
        let ours = "user_id=\(getuid())"
        let new = table.entries.filter {
            $0.isFuse && !before.contains($0.id) && $0.superOptions.split(separator: ",").contains(ours[...])
        }
        let entry =
            new.last { $0.mountPoint == Array(mountpoint.utf8) } ?? new.last { $0.source == options.fsname }
            ?? table.topmostEntry(at: mountpoint)
        return entry?.id
    }

    /// The mount's id, as `/proc/<pid>/fdinfo` and `/proc/<pid>/mountinfo` have it; nil when nothing is mounted.
    public var mountID: Int32? {
        resources.withLock { $0.mountID }
    }

    /// Starts the workers, and returns once the kernel has shaken hands: the mount can be used then.
    ///
    /// - Throws: `notMounted` before ``mount()``, `protocolMismatch`, `system`.
    public func start() throws(FuseError) {
        let device = resources.withLock { resources -> Int32? in
            guard !resources.isStarted, let device = resources.device else { return nil }
            resources.isStarted = true
            return device
        }
        guard let device else {
            throw FuseError(.notMounted, "only a fresh mount can be started")
        }
        do {
            try core.interrupts.start()
            for number in 1...workerCount {
                try startWorker(number, device: device)
            }
        } catch {
            stop()
            throw error
        }
        let failure = core.state.wait { state -> FuseError?? in
            if case .failed(let error) = state.end { return .some(error) }
            if state.connection != nil { return .some(nil) }
            if state.end != nil { return .some(FuseError(.notMounted, "unmounted before it could start")) }
            return nil
        }
        if let failure {
            stop()
            throw failure
        }
    }

    private func startWorker(_ number: Int, device: Int32) throws(FuseError) {
        let core = core
        let poller = try Worker.makePoller(device: device, core: core)
        core.state.update { $0.runningWorkers += 1 }
        do {
            let thread = try NativeThread(name: "fuse-worker-\(number)") {
                var worker = Worker(core: core, poller: poller)
                core.workerEnded(worker.run())
            }
            resources.withLock { $0.threads.append(thread) }
        } catch {
            close(poller)
            core.state.update { $0.runningWorkers -= 1 }
            throw error
        }
    }

    /// Ends the service: workers finish the request they are at and end; then the connection is cut, so that
    /// whoever still waits for an answer gets an error rather than waiting for ever. The mount, if it is still
    /// there, is dead (ENOTCONN) until it is unmounted.
    ///
    /// Deferred replies can be answered up to and including ``FuseOperations/stopped()``; later answers go nowhere.
    /// May be called more than once, and for a session that the kernel ended.
    public func stop() {
        core.end(.stopped)
        let threads = resources.withLock { resources in
            defer { resources.threads = [] }
            return resources.threads
        }
        for thread in threads {
            thread.join()
        }
        // Somebody else may be joining them.
        core.waitForWorkers()
        core.interrupts.stop()
        cutConnection()
    }

    /// Puts `/dev/null` in place of the device, under the same number: late answers write to that, and not to
    /// whatever gets the number next.
    private func cutConnection() {
        guard let device = resources.withLock({ $0.device.take() }) else { return }
        fuse_session_exit(core.session)
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { return }
        _ = twelvefs_duplicate_as(null, device)
        close(null)
    }

    /// Takes the mount away. Workers go on meanwhile, and end by themselves when the connection does.
    ///
    /// - Parameter lazily: take it out of the directory tree even while files in it are open. These are served until they
    ///   are closed, or until ``stop()``. Without, open files are refused with `busy`.
    /// - Throws: `busy`, `unmountRefused`, `system`. Nothing is thrown when the mount is gone already.
    public func unmount(lazily: Bool) throws(FuseError) {
        let (isMounted, id) = resources.withLock { ($0.isMounted, $0.mountID) }
        guard isMounted else { return }
        // Somebody may have unmounted it, and even mounted something else there: that is not ours to take away.
        let table = try MountTable()
        let entry = id.map { table[$0] } ?? table.topmostEntry(at: mountpoint)
        if let entry, entry.isFuse, table.topmostEntry(atMountPoint: entry.mountPoint)?.id == entry.id {
            if lazily {
                try MountTable.detach(entry)
            } else {
                try MountTable.unmount(String(decoding: entry.mountPoint, as: UTF8.self), lazily: false)
            }
        }
        let helper = resources.withLock { resources in
            resources.isMounted = false
            resources.mountID = nil
            return resources.helper.take()
        }
        helper?.dismiss()
    }

    /// Waits until the session serves no longer and the operations have been told so.
    public func waitUntilEnded() -> FuseSessionEnd {
        core.state.wait { $0.isOver ? $0.end : nil }
    }

    /// How often the kernel knows each inode: entries told, less those forgotten. Empty once the session has ended.
    package var lookupCounts: [InodeNumber: UInt64] { core.lookups.inodes }
}
