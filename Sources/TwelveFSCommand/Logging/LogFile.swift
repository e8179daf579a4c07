import Formats
import Synchronization
import SystemPackage
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// A log file: appended to, mode 0600, and bounded: at its cap it becomes `NAME.1` (in the place of the last one) and a new
/// one is begun.
package final class LogFile: LogSink {
    private struct Open {
        var descriptor: FileDescriptor
        var size: Int64
        /// Whether it may be renamed: a device or a pipe is only written to.
        var isRegular: Bool
    }

    private let path: String
    private let cap: ByteCount
    private let takesStandardError: Bool
    /// Held while a line is written: lines of several threads stay whole, and none goes to a file that is just rotated away.
    private let open: Mutex<Open>

    /// Opens or makes the file.
    ///
    /// - Parameter takesStandardError: whether what else writes to standard error (libfuse, a crash) shall end up in it too.
    /// - Throws: a ``CommandFailure``.
    package init(path: String, cap: ByteCount = .mebibytes(16), takesStandardError: Bool = false) throws {
        self.path = path
        self.cap = cap
        self.takesStandardError = takesStandardError
        do {
            open = Mutex(try Self.open(path, takesStandardError))
        } catch let error as Errno {
            throw CommandFailure(
                "the log file \(path) cannot be written: \(error.words)", hint: "Give another one with --log-file")
        }
    }

    deinit {
        open.withLock { try? $0.descriptor.close() }
    }

    /// Appends the line. A log that cannot be written is no reason to stop anything.
    package func write(_ line: String) {
        open.withLock { open in
            let length = Int64(line.utf8.count)
            if open.isRegular, open.size > 0, open.size + length > cap.bytes {
                rename(path, "\(path).1")
                reopen(&open)
            }
            if (try? open.descriptor.writeAll(line.utf8)) != nil { open.size += length }
        }
    }

    /// Begins the file of that name anew, for those who rename logs themselves (SIGHUP).
    package func reopen() {
        open.withLock { reopen(&$0) }
    }

    /// Stays with the file at hand when no new one can be opened.
    private func reopen(_ open: inout Open) {
        guard let next = try? Self.open(path, takesStandardError) else { return }
        try? open.descriptor.close()
        open = next
    }

    private static func open(_ path: String, _ takesStandardError: Bool) throws -> Open {
        let descriptor = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .append, .closeOnExec], permissions: .ownerReadWrite)
        do {
            if takesStandardError, dup2(descriptor.rawValue, STDERR_FILENO) < 0 { throw Errno(rawValue: errno) }
            let status = try PathStatus(of: descriptor)
            let isRegular = status.mode & S_IFMT == S_IFREG
            return Open(descriptor: descriptor, size: isRegular ? status.size : 0, isRegular: isRegular)
        } catch {
            try? descriptor.close()
            throw error
        }
    }
}
