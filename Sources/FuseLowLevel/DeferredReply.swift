internal import CFuse3
import Synchronization

/// A reply that is answered later, from any thread: the first answer wins, and each answer tells whether it was the first.
///
/// Dropped without an answer, it answers EIO.
///
/// ## Interrupts, and every race around them
/// The kernel sends one INTERRUPT when a signal reaches the waiting caller (any signal that wakes it, even one that it
/// ignores afterwards), never a second, and goes on waiting: the file system decides whether to answer EINTR.
///
/// libfuse calls back on the worker that read the INTERRUPT, with the request's own lock held, so the callback only posts
/// this reply's token (a number, no pointer) to the session's ``InterruptDispatcher``, whose thread runs the handler.
/// - *Interrupted before a handler is registered*: libfuse calls back from within the registration.
/// - *Answered while libfuse is about to call back*: libfuse keeps the request alive meanwhile; the token is found
///   withdrawn, or its reply answered, and nothing happens.
/// - *Answered while the dispatcher is about to run the handler*: the handler is taken out under this reply's lock, and
///   only if nobody has answered. One that was taken out just before the answer still runs; it cannot
///   reach the freed request, because the only way there is this reply, where its answer comes second and is dropped.
/// - *Answered from the handler*: no lock is held while it runs.
/// - *Registered while another thread answers*: registration holds this reply's lock, and an answer takes the request out
///   under the same lock before it is sent, so libfuse never hears of a request that is freed.
/// - *Locks*: this reply's → libfuse's request's → libfuse's session's; libfuse's request's → the dispatcher's. The
///   dispatcher holds none while it takes this reply's, so there is no circle.
public final class DeferredReply<Payload>: Sendable {
    private struct State {
        /// Nil once it is answered.
        var request: FuseRequest?
        var token: InterruptDispatcher.Token?
        var handler: (@Sendable () -> Void)?
    }

    private let state: Mutex<State>

    init(_ request: FuseRequest?) {
        state = Mutex(State(request: request))
    }

    deinit {
        fail(.ioError)
    }

    /// Answers with an error.
    @discardableResult
    public func fail(_ error: FuseErrno) -> Bool {
        answer { $0.send(error: error) }
    }

    /// Whether somebody has answered already.
    public var isAnswered: Bool {
        state.withLock { $0.request == nil }
    }

    /// Whether the caller has been interrupted so far; false once it is answered.
    public var isInterrupted: Bool {
        state.withLock { $0.request?.isInterrupted ?? false }
    }

    /// Has a handler run, on the session's dispatcher thread, when the caller is interrupted; at once when it was already.
    ///
    /// It runs at most once, and is dropped when the reply is answered. It must not block: other interrupts wait behind it.
    /// It may be running while another thread answers. Capture the reply weakly: a handler that holds it keeps a forgotten
    /// reply from answering EIO. A second call replaces the first's handler.
    public func onInterrupt(_ handler: @escaping @Sendable () -> Void) {
        state.withLock { state in
            guard let request = state.request else { return }
            state.handler = handler
            let token = state.token ?? request.core.interrupts.issueToken(for: self)
            state.token = token
            request.notifyOfInterrupt(as: token)
        }
    }

    /// Takes the request out, so that nobody else can answer it, and sends the answer with no lock held.
    func answer(_ send: (FuseRequest) -> Void) -> Bool {
        let (request, token, handler) = state.withLock { state in
            (state.request.take(), state.token.take(), state.handler.take())
        }
        guard let request else { return false }
        if let token {
            request.core.interrupts.withdraw(token)
        }
        // What the handler captured may have a deinit that does anything: it is dropped after the lock.
        _ = handler
        send(request)
        return true
    }
}

extension DeferredReply: Interruptible {
    func interrupted() {
        let handler = state.withLock { $0.handler.take() }
        handler?()
    }
}

extension DeferredReply where Payload == Void {
    /// Done.
    @discardableResult
    public func succeed() -> Bool {
        answer { $0.send(error: nil) }
    }
}

extension DeferredReply where Payload == FuseEntry {
    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ entry: FuseEntry) -> Bool {
        answer { $0.send(entry) }
    }

    /// See ``FuseReply``.
    @discardableResult
    public func succeedWithoutEntry(for timeout: Duration) -> Bool {
        answer { $0.sendNegativeEntry(timeout: timeout) }
    }
}

extension DeferredReply where Payload == FuseCreated {
    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ entry: FuseEntry, _ open: FuseOpen) -> Bool {
        answer { $0.send(FuseCreated(entry: entry, open: open)) }
    }
}

extension DeferredReply where Payload == FileAttributes {
    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ attributes: FileAttributes, timeout: Duration = .zero) -> Bool {
        answer { $0.send(attributes, timeout: timeout) }
    }
}

extension DeferredReply where Payload == FuseOpen {
    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ open: FuseOpen) -> Bool {
        answer { $0.send(open) }
    }
}

extension DeferredReply where Payload == FuseLinkTarget {
    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ target: [UInt8]) -> Bool {
        answer { $0.send(linkTarget: target) }
    }
}

extension DeferredReply where Payload == FuseData {
    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ bytes: [UInt8]) -> Bool {
        answer { $0.send(bytes) }
    }

    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        answer { $0.send(bytes) }
    }

    /// See ``FuseReply``. The closure is only called when nobody has answered.
    @discardableResult
    public func answer(filling fill: (UnsafeMutableRawBufferPointer) throws(FuseErrno) -> Int) -> Bool {
        answer { $0.send(filling: fill) }
    }
}

extension DeferredReply where Payload == FuseWritten {
    /// See ``FuseReply``. False also when the kernel does not wait for it any more.
    @discardableResult
    public func succeed(_ count: Int) -> Bool {
        var isGiven = false
        return answer { isGiven = $0.send(written: count) } && isGiven
    }
}

extension DeferredReply where Payload == FuseOffset {
    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ offset: Int64) -> Bool {
        answer { $0.send(offset: offset) }
    }
}

extension DeferredReply where Payload == FileSystemStatistics {
    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ statistics: FileSystemStatistics) -> Bool {
        answer { $0.send(statistics) }
    }
}

extension DeferredReply where Payload == ExtendedAttributeValue {
    /// See ``FuseReply``.
    @discardableResult
    public func succeed(_ value: [UInt8]) -> Bool {
        answer { $0.send(sized: value) }
    }
}
