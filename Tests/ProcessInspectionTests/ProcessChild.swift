import Foundation
import Glibc

/// A real process, not waited for before its end is asked for: as a zombie it still has a `stat`.
final class Child: @unchecked Sendable {
    // Changed by `end` alone, which the one test that has the child calls.
    private var isWaitedFor = false
    let pid: pid_t

    /// Starts a program with no descriptors but the three, all of them `/dev/null`, and every signal as the system has it.
    init(_ arguments: String...) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for number: Int32 in 0...2 {
            posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
        }
        // Closing what is not open is no error.
        for number: Int32 in 3..<1024 { posix_spawn_file_actions_addclose(&actions, number) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var pid: pid_t = 0
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        let result = posix_spawnp(&pid, arguments[0], &actions, &attributes, &argv, environ)
        guard result == 0 else {
            throw NeverCameTrue(description: "\(arguments): \(String(cString: strerror(result)))")
        }
        self.pid = pid
    }

    /// Kills it if need be, and waits for it. To be called at the end of the test.
    func end() {
        if isWaitedFor { return }
        isWaitedFor = true
        kill(pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }

    /// The state's letter in `status`.
    var state: Character? {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        return status.split(separator: "\n").first { $0.hasPrefix("State:") }?.dropFirst(7).first
    }
}

/// A directory for one test.
final class ProcessTestDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "processes-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// To be called at the end of the test: an object lives only until its last use, which may be before the directory's.
    func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// A file of that many bytes.
    func file(_ name: String, size: Int = 0) throws -> String {
        try Data(count: size).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
        return "\(path)/\(name)"
    }

    /// A file with that text.
    func file(_ name: String, text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
        return "\(path)/\(name)"
    }

    /// A pipe with a name, whose writers find a reader that reads nothing: they wait as soon as it is full.
    func fullPipe(_ name: String) throws -> FullPipe {
        guard mkfifo("\(path)/\(name)", 0o600) == 0 else { throw NeverCameTrue(description: "mkfifo") }
        let descriptor = open("\(path)/\(name)", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw NeverCameTrue(description: "open of a pipe") }
        return FullPipe(path: "\(path)/\(name)", reader: descriptor)
    }
}

/// A pipe with a name.
struct FullPipe {
    let path: String
    let reader: Int32

    /// The writer has come so far: nothing that it needed for its own start is open any more.
    var isWrittenTo: Bool {
        var pipe = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
        return poll(&pipe, 1, 0) == 1 && pipe.revents & Int16(POLLIN) != 0
    }

    func close() {
        Glibc.close(reader)
    }
}
