import Dispatch
import Synchronization

/// Where the file system does what may take a while, so that FUSE's own threads, which are few, do not: decisions, disk
/// work and timers each in a place of their own, and none behind another.
///
/// Libdispatch's global and concurrent queues share about as many threads as there are processors, and get others a second
/// apart: a dozen files that are being put on a slow disk would hold up every close. A serial queue gets a thread of its
/// own at once, of 255 at most. So each job has a queue of its own, and disk work is bounded.
package enum BackgroundWork {
    /// Runs a decision: it may look at many processes, but waits for no disk and no network.
    package static func decide(_ decision: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "twelvefs.decision").async(execute: decision)
    }

    /// Runs what blocks on the disk. Beyond ``DiskJobs/limit`` at a time it waits for another such job to end.
    package static func useDisk(_ job: @escaping @Sendable () -> Void) {
        diskJobs.add(job)
    }

    /// Calls `handler` when `interval` is over. It must not block: other timers wait behind it.
    package static func after(_ interval: DispatchTimeInterval, _ handler: @escaping @Sendable () -> Void) {
        timers.asyncAfter(deadline: .now() + interval, execute: handler)
    }

    private static let diskJobs = DiskJobs()
    private static let timers = DispatchQueue(label: "twelvefs.timers")
}

/// Jobs that block on the disk, each on a thread of its own while there are not too many.
package final class DiskJobs: Sendable {
    /// So many at a time: half of the threads that libdispatch has for serial queues.
    package static let limit = 128

    private struct State: Sendable {
        var running = 0
        var waiting: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    package init() {}

    package func add(_ job: @escaping @Sendable () -> Void) {
        let isNext = state.withLock { state in
            guard state.running < Self.limit else {
                state.waiting.append(job)
                return false
            }
            state.running += 1
            return true
        }
        if isNext { start(job) }
    }

    private func start(_ first: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "twelvefs.disk").async {
            var job: (@Sendable () -> Void)? = first
            while let current = job {
                current()
                job = self.next()
            }
        }
    }

    private func next() -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.running -= 1
            return nil
        }
    }
}

extension DispatchTimeInterval {
    init(_ duration: Duration) {
        self = .milliseconds(Int(max(0, min(duration / .milliseconds(1), 1e12))))
    }
}
