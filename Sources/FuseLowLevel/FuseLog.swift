internal import CFuse3
import Glibc
import Synchronization

/// How grave a message of libfuse's is; as syslog has it.
public enum FuseLogLevel: UInt32, Sendable, CaseIterable, Comparable {
    case emergency = 0
    case alert
    case critical
    case error
    case warning
    case notice
    case info
    case debug

    /// The graver is the smaller, as in syslog.
    public static func < (left: FuseLogLevel, right: FuseLogLevel) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// Takes libfuse's messages, without the line end. Called from any thread.
public typealias FuseLogHandler = @Sendable (FuseLogLevel, String) -> Void

/// Where libfuse's messages go.
///
/// libfuse has one log for the process and does not say which session speaks: they all go to the newest session's handler.
/// What it prints with `perror` instead (a failed read from or write to the device) goes to standard error and cannot
/// be had.
enum FuseLog {
    private struct State {
        var handler: FuseLogHandler?
        /// Messages are kept here as well while somebody captures.
        var captured: [String]?
    }

    private static let state = Mutex(State())
    /// Only one at a time captures.
    private static let capturing = Mutex<Void>(())

    static func redirect(to handler: @escaping FuseLogHandler) {
        let previous = state.withLock { state in
            let previous = state.handler
            state.handler = handler
            return previous
        }
        // Its captures may have a deinit: dropped after the lock.
        _ = previous
        fuse_set_log_func { level, format, arguments in
            guard let format, let arguments else { return }
            FuseLog.receive(FuseLogLevel(rawValue: UInt32(level.rawValue)) ?? .error, format, arguments)
        }
    }

    /// Runs something of libfuse's that tells why it failed only in its log.
    static func capturing<Result>(_ body: () -> Result) -> (Result, messages: String) {
        capturing.withLock { _ in
            state.withLock { $0.captured = [] }
            let result = body()
            let messages = state.withLock { $0.captured.take() } ?? []
            return (result, messages.joined(separator: "; "))
        }
    }

    private static func receive(
        _ level: FuseLogLevel, _ format: UnsafePointer<CChar>, _ arguments: CVaListPointer
    ) {
        let line = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
            guard let base = buffer.baseAddress, vsnprintf(base, buffer.count, format, arguments) >= 0 else {
                return ""
            }
            return String(cString: base)
        }
        let text = String(line.drop { $0 == "\n" }.reversed().drop { $0 == "\n" }.reversed())
        guard !text.isEmpty else { return }
        let handler = state.withLock { state in
            state.captured?.append(text)
            return state.handler
        }
        handler?(level, text)
    }
}
