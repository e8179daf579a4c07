internal import CFuse3
import Glibc

/// `fusermount3`, the set-user-id helper of FUSE: mounts and unmounts for users, and for root just as well.
///
/// libfuse could run it, but it forks where `posix_spawn` is safe beside other threads, lets the helper write to standard
/// error where its reason has to be told, and leaves open the socket that `auto_unmount` hangs on to whatever this
/// process executes later. The protocol is the one of libfuse's own `lib/mount.c` (3.14): the device comes back
/// through the socket that `_FUSE_COMMFD` names.
enum Fusermount {
    /// A mount as it was made.
    struct Mounted: Sendable {
        /// `/dev/fuse`, connected to the mount.
        let device: Int32
        /// The helper that stays for `auto_unmount`.
        let helper: Helper?
    }

    /// The `fusermount3` that waits for this process's end.
    struct Helper: Sendable {
        fileprivate let process: pid_t
        /// When it is closed, by us or because we died, the helper unmounts what it finds dead.
        fileprivate let socket: Int32

        /// Lets the helper go. It only unmounts a mount that is dead, so it is called after an unmount.
        func dismiss() {
            close(socket)
            waitForExit(of: process)
        }
    }

    /// Descriptors of the child above standard error: the socket, and nothing else.
    private static let childSocket: Int32 = 3

    /// - Parameters:
    ///   - path: absolute.
    ///   - options: as `-o` takes them.
    static func mount(at path: String, options: String, staysBehind: Bool) throws(FuseError) -> Mounted {
        var sockets: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &sockets) == 0 else {
            throw systemError("cannot make a socket for fusermount3")
        }
        let ours = sockets[0]
        let child: Child
        do {
            defer { close(sockets[1]) }
            child = try spawn(["-o", options, "--", path], passing: sockets[1])
        } catch {
            close(ours)
            throw error
        }
        let device = twelvefs_receive_descriptor(ours)
        guard device >= 0 else {
            close(ours)
            let reason = child.finish().message
            throw FuseError(.mountRefused, "cannot mount on \(path): \(reason)")
        }
        if staysBehind {
            close(child.standardError)
            return Mounted(device: device, helper: Helper(process: child.process, socket: ours))
        }
        close(ours)
        _ = child.finish()
        return Mounted(device: device, helper: nil)
    }

    /// - Parameter lazily: detach it now, even if files are open; the connection ends when the last is closed.
    static func unmount(_ path: String, lazily: Bool) throws(FuseError) {
        let (isSuccess, message) = try spawn(["-u"] + (lazily ? ["-z"] : []) + ["--", path], passing: nil).finish()
        guard !isSuccess else { return }
        // fusermount3 speaks no other language, and has no other way to tell.
        let kind: FuseError.Kind =
            message.contains(FuseErrno.resourceBusy.description)
            ? .busy
            : message.contains("not found in") || message.contains("not mounted") ? .notMounted : .unmountRefused
        throw FuseError(kind, "cannot unmount \(path): \(message)")
    }

    private struct Child {
        let process: pid_t
        /// The reading end of a pipe.
        let standardError: Int32

        /// Reads what it says until it has ended.
        func finish() -> (isSuccess: Bool, message: String) {
            var said: [UInt8] = []
            withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
                while true {
                    let count = read(standardError, buffer.baseAddress, buffer.count)
                    if count < 0 && errno == EINTR { continue }
                    guard count > 0 else { break }
                    said += buffer.prefix(count)
                }
            }
            close(standardError)
            let status = waitForExit(of: process)
            let lines = String(decoding: said, as: UTF8.self).split(separator: "\n").map { line in
                line.hasPrefix("fusermount3: ") ? line.dropFirst("fusermount3: ".count) : line
            }
            let message = lines.joined(separator: "; ")
            return (status == 0, message.isEmpty ? "fusermount3 gave no reason" : message)
        }
    }

    private static func spawn(_ arguments: [String], passing socket: Int32?) throws(FuseError) -> Child {
        var pipes: [Int32] = [-1, -1]
        guard twelvefs_pipe(&pipes) == 0 else {
            throw systemError("cannot make a pipe for fusermount3")
        }
        // Out of the way of the descriptors that the child gets, should ours be closed.
        let writer = fcntl(pipes[1], F_DUPFD_CLOEXEC, 10)
        close(pipes[1])
        let passed = socket.map { fcntl($0, F_DUPFD_CLOEXEC, 10) }
        defer {
            close(writer)
            if let passed { close(passed) }
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, writer, 2)
        // Nothing else: the helper that stays behind would keep a caller's pipes and terminals open.
        if let passed {
            posix_spawn_file_actions_adddup2(&actions, passed, childSocket)
        }
        twelvefs_close_from(&actions, passed == nil ? childSocket : childSocket + 1)

        // None of our environment, which may hold secrets.
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        let environment = ["PATH=\(path)", "_FUSE_COMMFD=\(childSocket)"]
        var process = pid_t()
        var error = ENOENT
        for program in ["fusermount3", "/usr/bin/fusermount3", "/usr/local/bin/fusermount3"] where error == ENOENT {
            error = withCStrings(["fusermount3"] + arguments) { arguments in
                withCStrings(environment) { environment in
                    posix_spawnp(&process, program, &actions, nil, arguments, environment)
                }
            }
        }
        guard error == 0 else {
            close(pipes[0])
            throw error == ENOENT
                ? FuseError(.fusermountMissing, "fusermount3 is not installed (Debian: apt-get install fuse3)")
                : FuseError(.system, "cannot run fusermount3: \(FuseErrno.text(of: error))")
        }
        return Child(process: process, standardError: pipes[0])
    }

    private static func systemError(_ what: String) -> FuseError {
        FuseError(.system, "\(what): \(FuseErrno.text(of: errno))")
    }
}

/// - Returns: the status as `waitpid` has it; -1 when somebody else has waited for it.
@discardableResult
private func waitForExit(of process: pid_t) -> Int32 {
    var status: Int32 = -1
    while waitpid(process, &status, 0) == -1 {
        guard errno == EINTR else { return -1 }
    }
    return status
}

/// An array of C strings that ends with nil, as `posix_spawn` takes arguments.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var copies = strings.map { strdup($0) } + [nil]
    defer { copies.forEach { free($0) } }
    return copies.withUnsafeMutableBufferPointer { buffer in
        // Has at least its terminating element, so there is an address.
        body(buffer.baseAddress.unsafelyUnwrapped)
    }
}
