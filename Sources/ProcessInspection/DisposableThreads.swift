import CProcess
import Dispatch
import Glibc
import Synchronization

/// Runs what might hang on a thread of its own, which is left behind when it does.
///
/// While ``limit`` threads are left behind, nothing more is run: they must not become ever more. One that comes back
/// after all makes space again.
///
/// Unless it says otherwise, each has a descriptor table of its own, which begins empty: looks work when the process is out
/// of descriptors, and one that hangs keeps nothing of the process's open. So what runs there must start no other thread,
/// which would share that table, and must know of no descriptor.
package final class DisposableThreads: Sendable {
    /// How many threads may be left behind.
    package static let limit = 4

    private let leftBehind = Mutex(0)

    package init() {}

    /// What `body` returns, or nil when it got stuck, or was not run.
    ///
    /// - Parameters:
    ///   - sharesDescriptors: whether it uses the process's descriptors, or opens one for it.
    ///   - body: says by ``Steps/next(within:)`` that it is still moving, and how long its next step may take.
    package func run<Value: Sendable>(
        sharesDescriptors: Bool = false, _ body: @escaping @Sendable (_ steps: Steps) -> Value
    ) -> Value? {
        guard outstanding < Self.limit else { return nil }
        let job = Job<Value>()
        let started = DetachedThread.start {
            // Where the kernel is older than 5.9 it looks with the process's own descriptors.
            if !sharesDescriptors { _ = process_unshare_descriptors() }
            let value = body(job.steps)
            let wasAbandoned = job.state.withLock { state in
                defer { state = .ended(value) }
                if case .abandoned = state { return true }
                return false
            }
            if wasAbandoned { self.leftBehind.withLock { $0 -= 1 } }
            job.ended.signal()
        }
        guard started else { return nil }
        while true {
            let deadline = job.steps.deadline
            if job.ended.wait(timeout: deadline) == .timedOut, job.steps.deadline > deadline { continue }
            return job.state.withLock { state in
                switch state {
                case .ended(let value): return value
                case .running, .abandoned:
                    state = .abandoned
                    // Counted before the thread can see that it was abandoned.
                    leftBehind.withLock { $0 += 1 }
                    return nil
                }
            }
        }
    }

    /// How many threads were abandoned and have not ended yet.
    package var outstanding: Int { leftBehind.withLock { $0 } }

    /// How a thread shows that it is not stuck.
    package final class Steps: Sendable {
        private let latest: Mutex<DispatchTime>

        init() {
            latest = Mutex(.now() + .seconds(2))
        }

        /// The step before is done.
        ///
        /// - Parameter patience: how long the next one may take. The default is for what only a busy machine delays.
        package func next(within patience: DispatchTimeInterval = .seconds(2)) {
            let deadline = DispatchTime.now() + patience
            latest.withLock { $0 = deadline }
        }

        var deadline: DispatchTime { latest.withLock { $0 } }
    }

    /// Outlives the waiting: the thread may come back long after nobody wants to know.
    private final class Job<Value: Sendable>: Sendable {
        let steps = Steps()
        let state = Mutex(State.running)
        let ended = DispatchSemaphore(value: 0)

        enum State {
            case running, abandoned
            case ended(Value)
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
