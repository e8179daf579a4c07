import FuseLowLevel
import Glibc
import Testing

/// A program that runs beside the test.
final class ChildProcess: Sendable {
    let id: pid_t
    private let exitStatus = Monitor<Int32?>(nil)

    /// - Parameter script: for `sh -c`.
    init(shell script: String) throws {
        var arguments: [UnsafeMutablePointer<CChar>?] = ["sh", "-c", script].map { (text: String) in strdup(text) }
        arguments.append(nil)
        defer { arguments.forEach { free($0) } }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var id = pid_t()
        let error = posix_spawn(&id, "/bin/sh", nil, &attributes, &arguments, nil)
        guard error == 0 else { throw SystemCallError(error) }
        self.id = id
        let exitStatus = exitStatus
        let waiting = try NativeThread(name: "wait-child") { [id] in
            var status: Int32 = 0
            while waitpid(id, &status, 0) == -1 && errno == EINTR {}
            exitStatus.update { $0 = status }
        }
        waiting.detach()
    }

    /// Creates a file, truncates and closes it: one open, one close. (A shell's redirection duplicates the descriptor, and
    /// so closes twice.) A close that fails makes its exit code 1.
    convenience init(closing path: String) throws {
        try self.init(shell: "exec truncate -s 0 \(path)")
    }

    func kill(_ signal: Int32) {
        _ = Glibc.kill(id, signal)
    }

    /// - Returns: the status as `waitpid` has it; nil when it does not end.
    func waitUntilExit() -> Int32? {
        exitStatus.wait(atMost: patience) { $0 }
    }

    /// - Returns: the exit code; nil when a signal ended it, or nothing did.
    func exitCode() -> Int32? {
        guard let status = waitUntilExit(), status & 0x7f == 0 else { return nil }
        return status >> 8
    }
}
