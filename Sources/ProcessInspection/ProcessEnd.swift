import CProcess
import Dispatch
import Glibc
import Synchronization

/// How a process ended.
public enum ProcessEnd: Sendable, Equatable {
    /// It called `exit` with that status, or returned from `main`.
    case exited(status: Int32)
    /// A signal ended it.
    case killed(signal: Int32)
    /// It has ended, and nobody told how.
    case unknown

    /// From what `wait` tells.
    package init(code: Int32) {
        let signal = code & 0x7f
        self = signal == 0 ? .exited(status: code >> 8 & 0xff) : .killed(signal: signal)
    }
}

/// A process whose end is told: to whoever asks before, and to whoever asks after it.
///
/// The end comes when the process's parent has taken notice of it, which may be a while after its descriptors were closed,
/// and never where the parent does not. It is watched as long as somebody keeps this.
public final class WatchedProcess: Sendable {
    /// Called with the end.
    public typealias Handler = @Sendable (ProcessEnd) -> Void

    /// The process's id.
    public let pid: Int32
    private let state = Mutex(State())
    private let whenUnwatched: @Sendable () -> Void

    private struct State {
        var end: ProcessEnd?
        var handlers: [Handler] = []
    }

    /// A process that somebody watches.
    ///
    /// - Parameter whenUnwatched: called when nobody keeps this any more.
    package init(pid: Int32, whenUnwatched: @escaping @Sendable () -> Void = {}) {
        self.pid = pid
        self.whenUnwatched = whenUnwatched
    }

    deinit { whenUnwatched() }

    /// How it ended; nil while it has not, or its parent has not taken notice.
    public var end: ProcessEnd? { state.withLock { $0.end } }

    /// Calls `handler` with the end, on another thread; at once, and on this one, when that is known.
    public func whenEnded(_ handler: @escaping Handler) {
        let end = state.withLock { state in
            if state.end == nil { state.handlers.append(handler) }
            return state.end
        }
        if let end { handler(end) }
    }

    /// It has ended so.
    package func ended(_ end: ProcessEnd) {
        let handlers = state.withLock { state in
            defer { state.handlers = [] }
            guard state.end == nil else { return [Handler]() }
            state.end = end
            return state.handlers
        }
        for handler in handlers { handler(end) }
    }
}
