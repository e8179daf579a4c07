import Dispatch
import Glibc
import Synchronization
import UploadCore

/// What survives a crash besides the spool's bytes: uploads, their sessions and chunks, and the tree, in SQLite.
///
/// Whoever has something to be written down says so and goes on; a thread of the journal's own asks for it, and writes
/// everything that has come together in one transaction. What must not be answered before it is written waits in
/// ``whenWritten(durably:_:)``. What could not be written is kept and tried again. Another thread puts what is written on
/// disk, for those who wait for that: nobody else waits for the disk.
public final class Journal: Sendable {
    /// Gives what is to be written down, as it is at that moment. Called on the journal's thread, once.
    public typealias Source = @Sendable () -> [JournalChange]
    /// Is told how the writing went.
    public typealias Handler = @Sendable (Result<Void, JournalError>) -> Void

    private struct State: Sendable {
        var sources: [Source] = []
        /// What the sources gave and is not written yet.
        var unwritten: [JournalChange] = []
        var handlers: [(durably: Bool, handler: Handler)] = []
        /// Commits that were made, and how many of them are known to be on disk.
        var commits = 0
        var commitsOnDisk = 0
        /// Those who wait for the disk.
        var diskHandlers: [Handler] = []
        var isPuttingOnDisk = false
        var isScheduled = false
        var isScheduledSoon = false
        /// Why nothing could be written, when last tried.
        var writeFailure: JournalError?
        /// Why what is written could not be put on disk, when last tried.
        var diskFailure: JournalError?
        /// Whether what is told is kept until somebody says that it counts.
        var isHeld = false
        var isClosed = false
    }

    /// What an earlier journal came to that could not be read whole.
    public struct Damage: Sendable, Equatable {
        /// The name under which it was set aside in the state directory.
        public var setAside: String
        /// What was wrong with it.
        public var reason: String
    }

    /// What the journal knew when it was opened.
    public let contents: JournalContents
    /// What was wrong with it, if anything.
    public let damage: Damage?
    /// The boot of the machine that this is; empty when it is not known.
    public let bootID: String
    private let database: JournalDatabase
    private let synchronize: @Sendable (Int32) -> Int32
    private let queue = DispatchQueue(label: "twelvefs.journal")
    private let diskQueue = DispatchQueue(label: "twelvefs.journal.disk")
    private let state = Mutex(State())

    /// How long records may wait for others that losing would only cost sending some bytes again.
    private static let patience = DispatchTimeInterval.milliseconds(50)
    private static let retryInterval = DispatchTimeInterval.seconds(1)

    /// Opens the journal of a state directory, and makes it where there is none. Blocks on the disk.
    ///
    /// - Throws: when there is neither a journal nor a way to make one. One that is damaged is set aside instead, and
    ///   its intact records are recovered: see ``damage``.
    public convenience init(stateDirectory: String, bootID: String) throws(JournalError) {
        try self.init(stateDirectory: stateDirectory, bootID: bootID, synchronize: { fsync($0) })
    }

    /// The same with another `fsync`, for tests: 0, or -1 with errno set.
    package init(
        stateDirectory: String, bootID: String, synchronize: @escaping @Sendable (Int32) -> Int32
    ) throws(JournalError) {
        let opened = try JournalDatabase.open(in: stateDirectory)
        self.synchronize = synchronize
        database = opened.database
        contents = opened.contents
        damage = opened.damage.map { Damage(setAside: $0.setAside, reason: $0.reason) }
        self.bootID = bootID
    }

    /// Whether the journal of a state directory has uploads to recover, or may have, since it is damaged. Blocks on
    /// the disk.
    public static func hasUploadsToResume(in stateDirectory: String) -> Bool { uploadsToResume(in: stateDirectory) > 0 }

    /// How many those are; at least one where it is damaged.
    public static func uploadsToResume(in stateDirectory: String) -> Int {
        JournalDatabase.uploadsToResume(in: stateDirectory)
    }

    /// Writes nothing before ``begin()``, whatever is told: what came of an attempt that fails is not to be known.
    public func hold() { state.withLock { $0.isHeld = true } }

    /// Writes what was told meanwhile, and from now on what is told.
    public func begin() {
        let isFirst = state.withLock { state in
            state.isHeld = false
            return Self.schedule(&state, soon: true)
        }
        if isFirst { start(soon: true) }
    }

    /// Returns when its thread has looked at what it was told by now; for tests.
    package func settle() { queue.sync {} }

    // MARK: Telling

    /// Has `source` asked for what is to be written down; soon, or, where losing it costs little, together with others.
    public func enqueue(canWait: Bool = false, _ source: @escaping Source) {
        let isFirst = state.withLock { state -> Bool in
            state.sources.append(source)
            return Self.schedule(&state, soon: !canWait)
        }
        if isFirst { start(soon: !canWait) }
    }

    /// Calls `handler` once everything that was recorded before is written down; `durably`: on disk, so that it survives
    /// the machine's end as well as the process's.
    public func whenWritten(durably: Bool, _ handler: @escaping Handler) {
        let (isFirst, isClosed) = state.withLock { state -> (Bool, Bool) in
            guard !state.isClosed else { return (false, true) }
            state.handlers.append((durably, handler))
            return (Self.schedule(&state, soon: true), false)
        }
        if isClosed { return handler(.failure(.failed("it is closed"))) }
        if isFirst { start(soon: true) }
    }

    /// Returns, or throws, when ``whenWritten(durably:_:)`` would tell.
    public func written(durably: Bool) async throws(JournalError) {
        let outcome = await withCheckedContinuation { continuation in
            whenWritten(durably: durably) { continuation.resume(returning: $0) }
        }
        try outcome.get()
    }

    /// As ``written(durably:)``, for threads that may block.
    public func waitUntilWritten(durably: Bool) throws(JournalError) {
        let outcome = Mutex<Result<Void, JournalError>>(.success(()))
        let isOver = DispatchSemaphore(value: 0)
        whenWritten(durably: durably) { result in
            outcome.withLock { $0 = result }
            isOver.signal()
        }
        isOver.wait()
        try outcome.withLock { $0 }.get()
    }

    /// Why nothing can be written down at present; nil while it can.
    public var failure: JournalError? { state.withLock { $0.writeFailure ?? $0.diskFailure } }

    /// Writes what is left and closes the files. Blocks on the disk. What was told while it was held is not written.
    public func close() {
        queue.sync { drain() }
        diskQueue.sync {}
        queue.sync {
            let handlers = state.withLock { state in
                defer { (state.handlers, state.diskHandlers) = ([], []) }
                state.isClosed = true
                return state.handlers.map(\.handler) + state.diskHandlers
            }
            for handler in handlers { handler(.failure(.failed("it is closed"))) }
            database.close()
        }
    }

    // MARK: Writing

    private static func schedule(_ state: inout State, soon: Bool) -> Bool {
        if soon {
            defer { state.isScheduledSoon = true }
            return !state.isScheduledSoon
        }
        defer { state.isScheduled = true }
        return !state.isScheduled && !state.isScheduledSoon
    }

    private func start(soon: Bool) {
        if soon { queue.async { self.drain() } } else { startLater(Self.patience) }
    }

    private func startLater(_ interval: DispatchTimeInterval) {
        queue.asyncAfter(deadline: .now() + interval) { self.drain() }
    }

    /// Writes until there is nothing left to write, or it fails.
    private func drain() {
        while true {
            let taken: ([Source], [(durably: Bool, handler: Handler)])? = state.withLock { state in
                state.isScheduled = false
                state.isScheduledSoon = false
                if state.isHeld || state.isClosed { return nil }
                defer { (state.sources, state.handlers) = ([], []) }
                return (state.sources, state.handlers)
            }
            guard let (sources, handlers) = taken else { return }
            let fresh = sources.flatMap { $0() }
            let (changes, isDiskFailing) = state.withLock { state in
                state.unwritten += fresh
                return (state.unwritten, state.diskFailure != nil)
            }
            if changes.isEmpty, handlers.isEmpty { return }
            let result = write(changes)
            guard case .success = result else {
                for (_, handler) in handlers { handler(result) }
                // Kept, and tried again when time has passed, or somebody waits for it.
                startLater(Self.retryInterval)
                return
            }
            // While the disk fails nothing counts as written that is not known to be on it.
            for (durably, handler) in handlers where !durably && !isDiskFailing { handler(result) }
            putOnDisk(for: handlers.filter { $0.durably || isDiskFailing }.map(\.handler))
        }
    }

    private func write(_ changes: [JournalChange]) -> Result<Void, JournalError> {
        let result: Result<Void, JournalError>
        do throws(JournalError) {
            if !changes.isEmpty {
                try database.write(changes, durably: false)
                // Afterwards: what went into a file that lost its name meanwhile is not written down either.
                try database.checkPlace()
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        state.withLock { state in
            switch result {
            case .success:
                state.unwritten = []
                state.writeFailure = nil
                if !changes.isEmpty { state.commits += 1 }
            case .failure(let failure): state.writeFailure = failure
            }
        }
        return result
    }

    // MARK: The disk

    /// Tells the handlers when all that is written by now is on disk.
    private func putOnDisk(for handlers: [Handler]) {
        guard !handlers.isEmpty else { return }
        let isFirst = state.withLock { state in
            defer { state.isPuttingOnDisk = true }
            state.diskHandlers += handlers
            return !state.isPuttingOnDisk
        }
        if isFirst { diskQueue.async { self.putOnDisk() } }
    }

    /// Puts what is written on disk until nobody waits for that any more.
    private func putOnDisk() {
        while true {
            let (handlers, commits, isNeeded, hasFailed) = state.withLock { state in
                defer { state.diskHandlers = [] }
                state.isPuttingOnDisk = !state.diskHandlers.isEmpty
                let hasFailed = state.diskFailure != nil
                return (state.diskHandlers, state.commits, hasFailed || state.commitsOnDisk < state.commits, hasFailed)
            }
            if handlers.isEmpty { return }
            let result: Result<Void, JournalError>
            do throws(JournalError) {
                if hasFailed {
                    try database.emptyLog()
                } else if isNeeded {
                    try database.synchronizeLog(synchronize)
                }
                try database.checkPlace()
                result = .success(())
            } catch {
                result = .failure(error)
            }
            state.withLock { state in
                switch result {
                case .success:
                    state.commitsOnDisk = max(state.commitsOnDisk, commits)
                    state.diskFailure = nil
                case .failure(let failure): state.diskFailure = failure
                }
            }
            for handler in handlers { handler(result) }
        }
    }
}
