import Filesystem
import ProcessInspection
import Synchronization
import UploadCore

/// Processes as a test wants them: each thread is its own process, and nobody holds what they have not been told to.
final class FakeWriters: WriterInspector {
    struct State: Sendable {
        var commands: [Int32: String] = [:]
        /// Processes that there are no more.
        var gone: Set<Int32> = []
        /// The supplementary groups of a process; nil where they are not to be seen.
        var groups: [Int32: Set<UInt32>] = [:]
        var dying: [Int32: String] = [:]
        /// How a process fares that is neither dying nor running; nil where the look fails.
        var closers: [Int32: CommitRule.CloseContext.Closer?] = [:]
        var holder = ProcessTable.Holder.nobody
        var sights: [Int32: WriterSight] = [:]
        /// The processes whose end is told, by the test.
        var watched: [Int32: WatchedProcess] = [:]
        /// How often a close's caller was looked at.
        var looks = 0
        /// How often it was looked for who has a file open.
        var holderLooks = 0
        /// The processes that were said to have had it, the last time.
        var lookedAt: Set<Int32> = []
        var askedToEnd: Set<Int32> = []
        /// The processes of which it is not to be seen whether they are asked to end.
        var unseenSignals: Set<Int32> = []
        /// Whether a process is an rsync that ends before it is done; nil where that is not to be seen.
        var rsyncs: [Int32: Bool?] = [:]
        /// How often it was looked whether one is.
        var signalLooks = 0
        /// Called once, when it has been looked for who has a file open: before anything follows from that.
        var onHolder: (@Sendable () -> Void)?
        /// Called once, when it is asked which program a process is: in the middle of its first write.
        var onCommand: [Int32: @Sendable () -> Void] = [:]
        /// Called once, when it is asked which process a thread belongs to: while a truncation by path makes another version.
        var onThreadGroup: [Int32: @Sendable () -> Void] = [:]
        var source: FoundSource?
        /// What is kept open of it.
        var held: HeldSource?
        /// Where in the mount a process stands.
        var directories: [Int32: String] = [:]
    }

    let state = Mutex(State())

    func change(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

    func threadGroup(of pid: Int32) -> Int32? {
        state.withLock { $0.onThreadGroup.removeValue(forKey: pid) }?()
        return state.withLock { $0.gone.contains(pid) } ? nil : pid
    }

    func command(of pid: Int32) -> [UInt8]? {
        let (name, hook) = state.withLock { ($0.commands[pid] ?? "cat", $0.onCommand.removeValue(forKey: pid)) }
        hook?()
        return Array(name.utf8)
    }

    func groups(of pid: Int32, user: UInt32) -> Set<UInt32>? { state.withLock { $0.groups[pid] } }

    func closer(_ pid: Int32) -> CommitRule.CloseContext.Closer? {
        state.withLock { state in
            state.looks += 1
            if let closer = state.closers[pid] { return closer }
            return state.dying[pid].map { .dying($0) } ?? .running
        }
    }

    func sight(of pid: Int32) -> WriterSight { state.withLock { $0.sights[pid] ?? .whole } }

    func watch(_ process: Int32, isVital: Bool) -> WatchedProcess? { state.withLock { $0.watched[process] } }

    func snapshot() -> ProcessSnapshot { ProcessTable().snapshot() }

    func holder(
        ofInode inode: UInt64, openers: Set<Int32>, notIn earlier: ProcessSnapshot
    ) -> ProcessTable.Holder {
        let (holder, hook) = state.withLock { state in
            state.holderLooks += 1
            state.lookedAt = openers
            return (state.holder, state.onHolder.take())
        }
        hook?()
        return holder
    }

    func holds(_ process: Int32, inode: UInt64) -> Bool? {
        switch state.withLock({ $0.holder }) {
        case .nobody: false
        case .process(let holder): holder == process
        case .hidden, .failed: nil
        }
    }

    func source(of pid: Int32, for target: SourceTarget) -> FoundSource? { state.withLock { $0.source } }

    func hold(_ source: FoundSource) -> HeldSource? { state.withLock { $0.held } }

    func currentSize(of source: FoundSource) -> Int64? { nil }

    func isAskedToEnd(_ pid: Int32) -> Bool? {
        state.withLock { state in
            state.signalLooks += 1
            return state.unseenSignals.contains(pid) ? nil : state.askedToEnd.contains(pid)
        }
    }

    func isRsyncAborting(_ pid: Int32) -> Bool? { state.withLock { $0.rsyncs[pid] ?? false } }

    func processesInside() -> [(process: Int32, path: [UInt8])] {
        state.withLock { $0.directories.map { (process: $0.key, path: Array($0.value.utf8)) } }
    }
}

/// A value that comes later, from another thread.
final class Late<Value: Sendable>: Sendable {
    private let state = Mutex<Value?>(nil)

    var value: Value? { state.withLock { $0 } }

    func set(_ value: Value) { state.withLock { $0 = value } }
}
