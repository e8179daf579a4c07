import Dispatch

/// Runs blocking file work on a thread that may block.
///
/// A file below a mount answers when its file system does: were it read on Swift's few cooperative threads, a mount that hangs
/// would hang the test's own clock with it.
package func offload<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async {
            continuation.resume(with: Result { try work() })
        }
    }
}
