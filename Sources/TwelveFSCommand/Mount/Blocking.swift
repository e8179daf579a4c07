import Dispatch
import Synchronization

/// Runs `body` in a task and holds the calling thread until it is done: for the main thread, between the part of a command
/// that must not have other threads beside it and the part that needs them.
func waitFor<Success: Sendable>(_ body: @escaping @Sendable () async throws -> Success) throws -> Success {
    let outcome = BlockingResult<Success>()
    let done = DispatchSemaphore(value: 0)
    Task {
        do {
            let success = try await body()
            outcome.result.withLock { $0 = .success(success) }
        } catch {
            outcome.result.withLock { $0 = .failure(error) }
        }
        done.signal()
    }
    done.wait()
    guard let result = outcome.result.withLock({ $0 }) else { throw CancellationError() }
    return try result.get()
}

private final class BlockingResult<Success: Sendable>: Sendable {
    let result = Mutex<Result<Success, any Error>?>(nil)
}

/// Runs what blocks on a thread of its own, outside of Swift's pool.
func offPool<Success: Sendable>(_ body: @escaping @Sendable () throws -> Success) async throws -> Success {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
}

/// As ``offPool(_:)``, for what can't fail.
func offPool<Success: Sendable>(_ body: @escaping @Sendable () -> Success) async -> Success {
    await withCheckedContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(returning: body()) }
    }
}
