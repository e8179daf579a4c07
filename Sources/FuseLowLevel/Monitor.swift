internal import CFuse3
import Glibc

/// A value behind a lock, on which threads can wait for a change.
///
/// `Synchronization.Mutex` has no condition variable, and the threads here are the session's own, which may block.
package final class Monitor<Value: Sendable>: @unchecked Sendable {
    // Unchecked: `value` is only touched with `lock` held; both C objects stay where they were allocated.
    private var value: Value
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init(_ value: Value) {
        self.value = value
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(lock)
        changed.deallocate()
        lock.deallocate()
    }

    /// Changes the value and wakes whoever waits.
    package func update<Result>(_ change: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(lock)
        }
        return change(&value)
    }

    package func read<Result>(_ body: (Value) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body(value)
    }

    /// Waits until `take` answers something, trying again after each change.
    package func wait<Result>(until take: (inout Value) -> Result?) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while true {
            if let result = take(&value) { return result }
            pthread_cond_wait(changed, lock)
        }
    }

    /// Waits until `take` answers something, but no longer than `limit`.
    ///
    /// - Returns: nil when the time ran out.
    package func wait<Result>(atMost limit: Duration, until take: (inout Value) -> Result?) -> Result? {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + Int(limit.components.attoseconds / 1_000_000_000)
        deadline.tv_sec += Int(limit.components.seconds) + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while true {
            if let result = take(&value) { return result }
            if pthread_cond_timedwait(changed, lock, &deadline) == ETIMEDOUT { return take(&value) }
        }
    }
}
