#if canImport(Glibc)
import Glibc
#endif

/// How a new mount gets the uploads of a process whose mount is gone and that continues them: it asks that process, which
/// alone knows whether its mount is gone. From another mount namespace it only looks so.
enum UploadHandover {
    /// How long the other process may take to put on disk what it leaves.
    private static let patience: Duration = .seconds(60)

    /// Asks the process that has the lock, and waits until `isFree`; false when the process keeps what it has.
    ///
    /// - Throws: a ``CommandFailure`` when that process is stopped; `CancellationError` when this one is asked to end.
    static func request(in stateDirectory: OpenDirectory, isFree: () throws -> Bool) throws -> Bool {
        guard let line = try? ServerLine(to: stateDirectory), (try? line.give(.handOver)) != nil else { return false }
        let deadline = ContinuousClock.now + patience
        var isSilent = false
        while ContinuousClock.now < deadline {
            if isAskedToEnd { throw CancellationError() }
            if try isFree() { return true }
            guard !isSilent else {
                // It has said its last word. The lock of another process can only be tried.
                usleep(10_000)
                continue
            }
            switch try line.listen() {
            case .answer(.refused), .answer(.busy): return false
            case .answer(.waiting), .answer(.ended), .silence: break
            case .end: isSilent = true
            }
        }
        return try isFree()
    }

    /// Whether a signal to end waits: they are blocked until the mount serves (``MountSupervisor``).
    private static var isAskedToEnd: Bool {
        var pending = sigset_t()
        sigpending(&pending)
        return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1
    }
}
