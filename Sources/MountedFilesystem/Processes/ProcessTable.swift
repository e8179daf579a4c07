import Glibc
import Synchronization

/// What `/proc` tells about the processes that write into the mount.
///
/// Everything in it is taken as hostile and short-lived. Processes vanish, names hold anything, permission is denied:
/// each of these gives "unknown", never a wrong answer. Nothing that is read can wait: `stat`, `status`, `comm`,
/// `fdinfo` and the texts of links take no lock that a program can hold, whereas `cmdline`, `environ`, `maps` and others
/// wait for the lock on a process's memory, which a page fault in a mount can hold for ever.
///
/// Ids are those of the process or of any of its threads, as a FUSE request bears them. 0 means a process of another pid
/// namespace, and has no properties.
public final class ProcessTable: Sendable {
    /// Where `/proc` is.
    package let root: String
    /// Asks files of others for their size.
    package let boundedStat: BoundedStat
    /// When the processes that the last listing showed were started.
    private let known = Mutex<[Int32: KnownProcess]>([:])

    /// The table at `/proc`, or a tree of files like it.
    public convenience init(root: String = "/proc") {
        self.init(root: root, boundedStat: BoundedStat())
    }

    /// One that asks for sizes in a way of its own.
    package init(root: String, boundedStat: BoundedStat) {
        self.root = root
        self.boundedStat = boundedStat
    }

    /// The process that a thread belongs to (`Tgid`); nil when it is unknown or of another pid namespace.
    public func threadGroup(of pid: Int32) -> Int32? {
        status(of: pid).flatMap { KeyedLines($0)["Tgid"] }.flatMap { Int32(decimal: $0) }.flatMap { $0 > 0 ? $0 : nil }
    }

    /// The process's name, at most 15 bytes of anything (`comm` of its first thread).
    public func command(of pid: Int32) -> [UInt8]? {
        guard let group = threadGroup(of: pid), var name = RawFile.contents(of: path(group, "comm"), limit: 4096),
            name.last == UInt8(ascii: "\n")
        else { return nil }
        name.removeLast()
        return name
    }

    /// When the process was started.
    public func startTime(of pid: Int32) -> ClockTicks? {
        threadGroup(of: pid).flatMap { stat(of: $0) }?.startTime
    }

    /// The process that started this one, or took it over; nil when that is unknown or of another pid namespace.
    public func parent(of pid: Int32) -> Int32? {
        stat(of: pid).flatMap { $0.parent > 0 ? $0.parent : nil }
    }

    /// The signals that wait for a thread: of this very thread, which need not be its process's first.
    public func pendingSignals(of thread: Int32) -> PendingSignals? {
        status(of: thread).flatMap { PendingSignals(parsing: $0) }
    }

    // MARK: - What the other parts read

    /// `/proc/<pid>/<name>`.
    package func path(_ pid: Int32, _ name: String) -> String {
        "\(root)/\(pid)/\(name)"
    }

    /// The process's or thread's own `stat`.
    package func stat(of pid: Int32) -> ProcessStat? {
        guard pid > 0 else { return nil }
        return RawFile.contents(of: path(pid, "stat"), limit: 4096).flatMap { ProcessStat(parsing: $0) }
    }

    /// The processes that were started at that moment or later, except the kernel's own and those to leave out.
    ///
    /// The listing itself tells a process from an earlier one of the same id: `/proc` numbers the directory of each
    /// process anew. Hence `stat`, which costs ten times as much as an entry of the listing, is read once for each process.
    ///
    /// - Parameter seen: the processes that need not be told again; those that are told are added.
    package func processes(startedSince moment: ClockTicks, except seen: inout Set<SeenProcess>) -> [Int32] {
        let earlier = known.withLock { $0 }
        var current: [Int32: KnownProcess] = [:]
        current.reserveCapacity(earlier.count + 16)
        var found: [Int32] = []
        RawFile.eachEntry(of: root) { entry in
            guard let pid = entry.number, pid > 0 else { return true }
            let inode = entry.inode
            let process: KnownProcess
            // Inode number 1 is what the kernel fills in where it has none.
            if let same = earlier[pid], same.inode == inode, inode > 1 {
                process = same
            } else if let stat = stat(of: pid) {
                process = KnownProcess(inode: inode, startTime: stat.isKernelThread ? nil : stat.startTime)
            } else {
                return true
            }
            current[pid] = process
            if let startTime = process.startTime, startTime >= moment,
                seen.insert(SeenProcess(pid: pid, inode: inode)).inserted
            {
                found.append(pid)
            }
            return true
        }
        known.withLock { [current] in $0 = current }
        return found
    }

    /// A process as one listing showed it.
    package struct SeenProcess: Hashable {
        let pid: Int32
        let inode: UInt64
    }

    private struct KnownProcess {
        let inode: UInt64
        /// Nil for a thread of the kernel's own.
        let startTime: ClockTicks?
    }

    private func status(of pid: Int32) -> [UInt8]? {
        guard pid > 0 else { return nil }
        // Most of it is the list of supplementary groups: at most 65536 of them, ten digits each.
        return RawFile.contents(of: path(pid, "status"), limit: 1 << 20)
    }
}
