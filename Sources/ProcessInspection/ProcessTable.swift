import Glibc
import Synchronization

/// What `/proc` tells about the processes that write into the mount.
///
/// Everything in it is taken as hostile and short-lived. Processes vanish, names hold anything, permission is denied:
/// each of these gives "unknown", never a wrong answer. And nothing may wait. A process that is in the middle of `exec`
/// keeps readers of many of its files waiting (`stat`, the links in `fd`, `cwd`, `exe`; `ps` hangs with them), and a page
/// fault in a mount those of others (`cmdline`, `environ`, `maps`); it may itself be waiting for an answer of ours. So
/// `status`, `comm` and listings are read, which never wait; `fdinfo`, links, and whatever asks a file system are looked
/// at on threads that can be left behind.
///
/// Ids are those of the process or of any of its threads, as a FUSE request bears them. 0 means a process of another pid
/// namespace, and has no properties.
public final class ProcessTable: Sendable {
    /// Where `/proc` is.
    package let root: String
    /// Runs what might hang.
    package let threads = DisposableThreads()
    /// Asks for a file's status.
    package let fileStatus: FileStatus.Call

    private let latest = Mutex<ProcessSnapshot?>(nil)

    /// The table at `/proc`, or a tree of files like it.
    public convenience init(root: String = "/proc") {
        self.init(root: root, fileStatus: FileStatus.systemCall)
    }

    /// One that asks for files in a way of its own.
    package init(root: String, fileStatus: @escaping FileStatus.Call) {
        self.root = root
        self.fileStatus = fileStatus
    }

    /// The process that a thread belongs to (`Tgid`); nil when it is unknown or of another pid namespace.
    public func threadGroup(of pid: Int32) -> Int32? {
        status(of: pid).flatMap { Self.id("Tgid", in: $0) }
    }

    /// The process's name, at most 15 bytes of anything (`comm` of its first thread).
    public func command(of pid: Int32) -> [UInt8]? {
        guard let group = threadGroup(of: pid), var name = contents(of: path(group, "comm"), limit: 4096).value,
            name.last == UInt8(ascii: "\n")
        else { return nil }
        name.removeLast()
        return name
    }

    /// The process that started this one, or took it over; nil when that is unknown or of another pid namespace.
    public func parent(of pid: Int32) -> Int32? {
        status(of: pid).flatMap { Self.id("PPid", in: $0) }
    }

    /// The supplementary groups of a thread, if it acts for this user (`fsuid`); nil where it does not, or they are not to be
    /// seen.
    public func groups(of thread: Int32, user: UInt32) -> Set<UInt32>? {
        func numbers(_ line: ArraySlice<UInt8>) -> [UInt32?] {
            line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.map { UInt32(decimal: $0) }
        }
        guard let status = status(of: thread), let users = status["Uid"], numbers(users).last == user,
            let listed = status["Groups"]
        else { return nil }
        let groups = numbers(listed)
        return groups.contains(nil) ? nil : Set(groups.compactMap { $0 })
    }

    /// The signals that wait for a thread: of this very thread, which need not be its process's first.
    public func pendingSignals(of thread: Int32) -> PendingSignals? { lookAtSignals(of: thread).value }

    /// The signals that wait for a thread: of this very thread, which need not be its process's first.
    public func lookAtSignals(of thread: Int32) -> Look<PendingSignals> {
        lookAtStatus(of: thread).compactMap { PendingSignals($0) }
    }

    // MARK: - Which processes there are

    /// The processes of now, or of a moment that lies no further back than that.
    ///
    /// Taken when a file is opened: whoever may have inherited a descriptor of it later is not among them. A listing of
    /// a thousand processes takes about a millisecond; one serves all the files that are opened within a second.
    ///
    /// Empty when `/proc` cannot be listed: then every process counts as a later one.
    public func snapshot(noOlderThan age: Duration = .seconds(1)) -> ProcessSnapshot {
        let now = ContinuousClock.now
        if let latest = latest.withLock({ $0 }), latest.taken + age >= now { return latest }
        let processes = threads.run { [self] _ in listing().value } ?? nil
        let snapshot = ProcessSnapshot(taken: now, processes: processes ?? [])
        latest.withLock { $0 = snapshot }
        return snapshot
    }

    /// The processes of now, by id and the number that `/proc` gave the process's directory: another one for each process.
    func listing() -> Look<Set<ProcessSnapshot.Process>> {
        var processes: Set<ProcessSnapshot.Process> = []
        let listed = RawFile.eachEntry(of: root) { entry in
            if let pid = entry.number, pid > 0 {
                processes.insert(ProcessSnapshot.Process(pid: pid, directory: entry.inode))
            }
            return true
        }
        return listed.flatMap { .found(processes) }
    }

    // MARK: - What the other parts read

    /// `/proc/<pid>/<name>`.
    func path(_ pid: Int32, _ name: String) -> String {
        "\(root)/\(pid)/\(name)"
    }

    /// The lines of a process's or thread's `status`.
    func status(of pid: Int32) -> KeyedLines? { lookAtStatus(of: pid).value }

    /// The lines of a process's or thread's `status`.
    func lookAtStatus(of pid: Int32) -> Look<KeyedLines> {
        guard pid > 0 else { return .absent }
        // Most of it is the list of supplementary groups: at most 65536 of them, ten digits each.
        return contents(of: path(pid, "status"), limit: 1 << 20).flatMap { .found(KeyedLines($0)) }
    }

    /// A whole file. When the process has no descriptor left, it is read by a thread that has descriptors of its own.
    func contents(of path: String, limit: Int) -> Look<[UInt8]> {
        let look = RawFile.look(at: path, limit: limit)
        guard case .failed = look else { return look }
        return threads.run { _ in RawFile.look(at: path, limit: limit) } ?? .failed
    }

    /// A process's id under a key of `status`.
    static func id(_ key: StaticString, in status: KeyedLines) -> Int32? {
        status[key].flatMap { Int32(decimal: $0) }.flatMap { $0 > 0 ? $0 : nil }
    }
}

/// The processes that there were at a moment.
public struct ProcessSnapshot: Sendable {
    /// A process that is not mistaken for a later one of the same id.
    struct Process: Sendable, Hashable {
        let pid: Int32
        let directory: UInt64
    }

    let taken: ContinuousClock.Instant
    let processes: Set<Process>

    /// No process was there: every one has come since.
    public static var none: ProcessSnapshot { ProcessSnapshot(taken: .now, processes: []) }

    /// Whether a process was there. False, too, when the kernel forgot in between which number its directory had.
    func contains(_ process: Process) -> Bool {
        // Number 1 is what the kernel fills in where it has none.
        process.directory > 1 && processes.contains(process)
    }
}
