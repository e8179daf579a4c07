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
        /// Whether it may be renamed: a device, or what the caller has handed over, is only written to.
        var isRegular: Bool
    }

    private let place: Place
    private let cap: ByteCount
    private let takesStandardError: Bool
    /// Held while a line is written: lines of several threads stay whole, and none goes to a file that is just rotated away.
    private let open: Mutex<Open>

    /// Where it is: in a directory that is held open, or what the caller has handed us open (`/dev/stderr`).
    private enum Place {
        case file(FileLocation)
        case handedOver(String)
    }

    /// Opens or makes the file that a path leads to now; it stays with that directory.
    ///
    /// - Parameter takesStandardError: whether what else writes to standard error (libfuse, a crash) shall end up in it too.
    /// - Throws: a ``CommandFailure``, also where somebody else may have put it there.
    package convenience init(
        path: String, cap: ByteCount = .mebibytes(16), takesStandardError: Bool = false
    ) throws {
        try self.init(path, cap, takesStandardError) {
            guard !NamedFile.isHandedOver(path) else { return .handedOver(path) }
            return .file(try PathWalk.file(at: absolutePath(path), steps: .any))
        }
    }

    /// Opens or makes a file of the state directory.
    package convenience init(
        _ file: FileLocation, cap: ByteCount = .mebibytes(16), takesStandardError: Bool = false
    ) throws {
        try self.init(file.path, cap, takesStandardError) { .file(file) }
    }

    private init(
        _ path: String, _ cap: ByteCount, _ takesStandardError: Bool, _ place: () throws -> Place
    ) throws {
        self.cap = cap
        self.takesStandardError = takesStandardError
        do {
            let place = try place()
            self.place = place
            open = Mutex(try Self.open(place, takesStandardError))
        } catch let error as UntrustedPath {
            throw CommandFailure(
                "the log file \(path) is not safe: \(error.words)", hint: error.remedy ?? Self.elsewhere)
        } catch let error as Errno {
            throw CommandFailure("the log file \(path) cannot be written: \(error.words)", hint: Self.elsewhere)
        }
    }

    private static let elsewhere = "Give another one with --log-file"

    deinit {
        open.withLock { try? $0.descriptor.close() }
    }

    /// Appends the line. A log that cannot be written is no reason to stop anything.
    package func write(_ line: String) {
        open.withLock { open in
            let length = Int64(line.utf8.count)
            if open.isRegular, open.size > 0, open.size + length > cap.bytes {
                if case .file(let file) = place { try? file.rename(to: "\(file.name).1") }
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
        guard let next = try? Self.open(place, takesStandardError) else { return }
        try? open.descriptor.close()
        open = next
    }

    private static func open(_ place: Place, _ takesStandardError: Bool) throws -> Open {
        let descriptor =
            switch place {
            case .file(let file): try NamedFile.openForAppending(file)
            case .handedOver(let path): try FileDescriptor.open(path, .writeOnly, options: [.append, .closeOnExec])
            }
        do {
            if takesStandardError, dup2(descriptor.rawValue, STDERR_FILENO) < 0 { throw Errno(rawValue: errno) }
            guard case .file = place else { return Open(descriptor: descriptor, size: 0, isRegular: false) }
            let status = try PathStatus(of: descriptor)
            return Open(
                descriptor: descriptor, size: status.isRegular ? status.size : 0, isRegular: status.isRegular)
        } catch {
            try? descriptor.close()
            throw error
        }
    }
}
