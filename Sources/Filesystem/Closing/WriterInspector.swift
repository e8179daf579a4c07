import Glibc
import ProcessInspection
import Synchronization
import UploadCore

/// What the commit rule and the size hints ask about other processes. Answers come from `/proc`; tests give their own.
package protocol WriterInspector: Sendable {
    /// The process that a thread belongs to; nil when it is not visible here.
    func threadGroup(of pid: Int32) -> Int32?
    /// The program's name (`comm`): bytes, and anybody's.
    func command(of pid: Int32) -> [UInt8]?
    /// The groups that a thread of this user is in, besides its own; nil where they are not to be seen.
    func groups(of pid: Int32, user: UInt32) -> Set<UInt32>?
    /// How the process fares that closes a file; nil when the look failed, and may succeed when it is repeated.
    func closer(_ pid: Int32) -> CommitRule.CloseContext.Closer?
    /// What can be told of a process that is to write.
    func sight(of pid: Int32) -> WriterSight
    /// Watches a process for how it ends; nil where that is not told, or too many are watched.
    ///
    /// - Parameter isVital: whether nothing else tells it.
    func watch(_ process: Int32, isVital: Bool) -> WatchedProcess?
    /// The processes that there are, to tell from them those that are started later.
    func snapshot() -> ProcessSnapshot
    /// Whether any process has the file open for writing.
    func holder(ofInode inode: UInt64, openers: Set<Int32>, notIn earlier: ProcessSnapshot) -> ProcessTable.Holder
    /// Whether a process has the file open for writing; nil where that is not to be seen.
    func holds(_ process: Int32, inode: UInt64) -> Bool?
    /// The file that a writer copies into the target.
    func source(of pid: Int32, for target: SourceTarget) -> FoundSource?
    /// Keeps a source open, while its reader waits; nil where that is not possible.
    func hold(_ source: FoundSource) -> HeldSource?
    /// The size of a source now, in bytes; nil when nobody can tell any more.
    func currentSize(of source: FoundSource) -> Int64?
    /// Whether a signal is on its way to the thread that wants it to stop what it does, or it is gone; nil where that is not
    /// to be seen.
    func isAskedToEnd(_ pid: Int32) -> Bool?
    /// Whether the process is an rsync that ends before it is done, and cleans up; nil where that is not to be seen.
    func isRsyncAborting(_ pid: Int32) -> Bool?
    /// The processes that stand in a directory of the mount, and where.
    func processesInside() -> [(process: Int32, path: [UInt8])]
}

/// The answers of `/proc`.
package final class ProcessInspector: WriterInspector {
    private let mountPoint: String
    private let table: ProcessTable
    private let ends: ProcessWatch
    /// Known once the mount exists, which is before the first question comes. There is one finder, since the bound on
    /// looks that hang lives in it.
    private let mount = Mutex<(identity: MountIdentity, finder: SourceHintFinder)?>(nil)

    /// Asks about the files of the mount at `mountPoint`: an absolute path without symbolic links.
    package init(mountPoint: String, table: ProcessTable = ProcessTable(), ends: ProcessWatch = ProcessWatch()) {
        self.mountPoint = mountPoint
        self.table = table
        self.ends = ends
    }

    package func threadGroup(of pid: Int32) -> Int32? { table.threadGroup(of: pid) }

    package func command(of pid: Int32) -> [UInt8]? { table.command(of: pid) }

    package func groups(of pid: Int32, user: UInt32) -> Set<UInt32>? {
        // Elsewhere the number is somebody else's.
        pid > 0 && table.matchesOwnNamespace ? table.groups(of: pid, user: user) : nil
    }

    package func closer(_ pid: Int32) -> CommitRule.CloseContext.Closer? {
        switch exit(of: pid) {
        case .running: .running
        // Nobody reads the answer of a close that `exec` makes, either, and all who look at the process wait for it.
        case .exiting(status: 0), .startingProgram: .exiting
        case .exitingUnknown: .ending
        case .exiting(let status): .dying(Self.words(for: .exited(status: status)))
        case .killed(let signal): .dying(Self.words(for: .killed(signal: signal)))
        case .unknown: .unseen
        case .failed: nil
        }
    }

    private func exit(of pid: Int32) -> ProcessTable.Exit {
        pid > 0 && table.matchesOwnNamespace ? table.exit(of: pid) : .unknown
    }

    /// Why an end spoils what the process had not closed; nil for one that does not.
    static func reason(_ end: ProcessEnd, of writer: VersionWriters.Record?, acceptingUnknown: Bool) -> String? {
        if writer?.isFileServer == true { return FileServer.reason }
        return switch end {
        case .exited(status: 0): nil
        case .unknown where acceptingUnknown: nil
        case .exited, .killed, .unknown: words(for: end)
        }
    }

    /// Why an end spoils what the process had not closed.
    static func words(for end: ProcessEnd) -> String {
        switch end {
        case .exited(let status): "its writer exited with status \(status) without closing it"
        case .killed(let signal): "its writer was killed by signal \(signal)"
        case .unknown: "its writer exited without closing it, and nobody could tell how"
        }
    }

    package func sight(of pid: Int32) -> WriterSight {
        guard pid > 0 else { return .unseen(.otherNamespace) }
        guard table.matchesOwnNamespace else { return .unseen(.otherProc) }
        return switch table.sight(of: pid) {
        case .descriptors: .whole
        case .status: ends.isAvailable ? .endOnly : .unseen(.olderKernel)
        case .nothing: .unseen(.hiddenByProc)
        case .failed: .failed
        }
    }

    package func watch(_ process: Int32, isVital: Bool) -> WatchedProcess? {
        ends.watch(process, isVital: isVital).value
    }

    package func snapshot() -> ProcessSnapshot { table.snapshot() }

    package func holder(
        ofInode inode: UInt64, openers: Set<Int32>, notIn earlier: ProcessSnapshot
    ) -> ProcessTable.Holder {
        guard let mount = located else { return .failed }
        return table.writer(
            holding: HeldFile(inode: inode, mount: mount.identity), openers: openers, notIn: earlier)
    }

    package func holds(_ process: Int32, inode: UInt64) -> Bool? {
        located.flatMap { table.isHolding(HeldFile(inode: inode, mount: $0.identity), process) }
    }

    package func source(of pid: Int32, for target: SourceTarget) -> FoundSource? {
        located?.finder.source(of: pid, for: target)
    }

    package func hold(_ source: FoundSource) -> HeldSource? { located?.finder.hold(source) }

    package func currentSize(of source: FoundSource) -> Int64? { located?.finder.currentSize(of: source) }

    package func isAskedToEnd(_ pid: Int32) -> Bool? {
        // Of one in another namespace nothing is told, and the number may be somebody else's here.
        guard pid > 0, table.matchesOwnNamespace else { return nil }
        switch table.lookAtSignals(of: pid) {
        case .found(let signals): return !signals.endingTheWait.isEmpty
        // Gone, or hidden by the options of /proc: the kernel knows.
        case .absent: return kill(pid, 0) != 0 && errno == ESRCH ? true : nil
        case .hidden, .failed: return nil
        }
    }

    /// rsync's clean-up (`_exit_cleanup`), whatever led to it, begins by ignoring the two signals by which its processes
    /// tell each other to end; while it works it catches them. Seen with 3.5.0.
    package func isRsyncAborting(_ pid: Int32) -> Bool? {
        guard let command = table.command(of: pid) else { return nil }
        guard command.elementsEqual("rsync".utf8) else { return false }
        return table.pendingSignals(of: pid)?.ignored.isSuperset(of: SignalSet(signals: [SIGUSR1, SIGUSR2]))
    }

    package func processesInside() -> [(process: Int32, path: [UInt8])] {
        located.map { table.processes(inside: mountPoint, on: $0.identity.device) } ?? []
    }

    /// Looks where the mount is, in the kernel's table: to be called while it is there. One that is taken away lazily goes on for
    /// whoever is in it, and cannot be found any more.
    package func locate() { _ = located }

    private var located: (identity: MountIdentity, finder: SourceHintFinder)? {
        if let known = mount.withLock({ $0 }) { return known }
        guard let identity = MountIdentity(mountPoint: mountPoint) else { return nil }
        let found = (identity: identity, finder: SourceHintFinder(table: table, mount: identity))
        return mount.withLock { mount in
            if let known = mount { return known }
            mount = found
            return found
        }
    }
}
