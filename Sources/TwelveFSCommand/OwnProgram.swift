import FoundationEssentials
import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// This program once more, as a process of its own.
enum OwnProgram {
    /// Starts it with standard input and output as given, and none for errors; nothing else of ours is open in it.
    ///
    /// - Throws: `Errno`, or what keeps `/proc` from being listed.
    static func spawn(
        _ arguments: [String], input: FileDescriptor, output: FileDescriptor, signalMask: sigset_t
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.rawValue, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output.rawValue, STDOUT_FILENO)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        // What we inherited ourselves must not live on in the child (closing what is closed already does no harm).
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            guard let descriptor = Int32(name), descriptor > 2 else { continue }
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signalMask = signalMask
        posix_spawnattr_setsigmask(&attributes, &signalMask)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        var environment = ProcessInfo.processInfo.environment.filter { !SecretVariables.contain($0.key) }
        environment[CrashReports.variable] = environment[CrashReports.variable] ?? CrashReports.none
        let variables = environment.map { "\($0.key)=\($0.value)" }

        var child = pid_t()
        let status = withCStrings(["twelvefs"] + arguments) { arguments in
            withCStrings(variables) { variables in
                posix_spawn(&child, executable(), &actions, &attributes, arguments, variables)
            }
        }
        guard status == 0 else { throw Errno(rawValue: status) }
        return child
    }

    /// The file that we run from. Its real name, since the kernel names a process after it; if an update took it away, the
    /// link that still leads to it.
    private static func executable() -> String {
        guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            access(path, X_OK) == 0
        else { return "/proc/self/exe" }
        return path
    }

    /// Gives `body` a null-terminated array of C strings that live as long as the call.
    private static func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}

/// A pipe whose ends no other program inherits.
struct ClosedPipe {
    let reading: FileDescriptor
    let writing: FileDescriptor

    init() throws {
        try Self.openStandardStreams()
        (reading, writing) = try FileDescriptor.pipe()
        for end in [reading, writing] where fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) != 0 {
            throw Errno(rawValue: errno)
        }
    }

    /// Makes sure that descriptors 0 to 2 are open, so that no pipe takes such a number.
    private static func openStandardStreams() throws {
        for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
            // The lowest free number, which is this one.
            _ = try FileDescriptor.open("/dev/null", .readWrite)
        }
    }
}
