import SystemPackage

#if canImport(Glibc)
import Glibc
#endif

/// The one word of the serving process to the command that started it: the mount is usable, or why not.
package struct Readiness {
    /// What goes through the pipe.
    private struct Word: Codable {
        var failure: String?
        var status: ExitStatus
    }

    /// Where the word goes: the pipe at standard output.
    private let descriptor: Int32

    /// Takes standard output for the word, and leaves `/dev/null` there.
    package static func takingStandardOutput() throws -> Readiness {
        let pipe = dup(STDOUT_FILENO)
        guard pipe >= 0, fcntl(pipe, F_SETFD, FD_CLOEXEC) == 0 else { throw Errno(rawValue: errno) }
        let null = try FileDescriptor.open("/dev/null", .readWrite, options: .closeOnExec)
        try null.closeAfter {
            for stream in [STDIN_FILENO, STDOUT_FILENO] where dup2(null.rawValue, stream) < 0 {
                throw Errno(rawValue: errno)
            }
        }
        return Readiness(descriptor: pipe)
    }

    /// Says that the mount is usable, or why not, once.
    ///
    /// - Returns: false when nobody listens any more: the command was interrupted, and nobody wants the mount.
    package func say(_ failure: CommandFailure?) -> Bool {
        let pipe = FileDescriptor(rawValue: descriptor)
        defer { try? pipe.close() }
        let word = Word(failure: failure?.description, status: failure?.status ?? .success)
        return (try? pipe.writeAll(StateFile.encoded(word))) != nil
    }

    /// The other end: returns for a usable mount.
    ///
    /// - Throws: the ``CommandFailure`` that was said, or one about how `child` ended without a word.
    package static func decoded(_ bytes: [UInt8], orEndOf child: pid_t, logFile: String?) throws {
        if let word = try? StateFile.decoded(Word.self, from: bytes) {
            guard let failure = word.failure else { return }
            throw CommandFailure(failure, status: word.status)
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        let signal = status & 0x7F
        let end = signal == 0 ? "with status \(status >> 8 & 0xFF)" : "by signal \(signal)"
        throw CommandFailure(
            "the serving process ended \(end) before the mount was usable",
            hint: "Try --foreground\(logFile.map { ", or look into \($0)" } ?? "")")
    }
}
