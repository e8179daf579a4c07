internal import CFuse3
import Glibc
import Synchronization

/// libfuse's session and what its callbacks need.
///
/// It lives as long as anybody may answer a request, which can be long after the mount is gone: each ``FuseRequest`` holds
/// it, and libfuse's session is destroyed with it.
final class SessionCore: @unchecked Sendable {
    // Unchecked: libfuse locks what it shares between threads.
    let session: OpaquePointer
    private let target: CallbackTarget
    let operations: any FuseOperations
    let lookups = LookupCounts()
    let interrupts = InterruptDispatcher()
    private let maximumRead: UInt32?

    /// How far the session is, for those who wait.
    let state = Monitor(State())
    /// Asked by every worker before every request.
    let isEnding = Atomic<Bool>(false)
    /// Readable once the session is ending: wakes the workers that wait for a request.
    let endingEvent: Int32

    struct State: Sendable {
        var connection: FuseConnection?
        var runningWorkers = 0
        /// Set once, by whatever ends the session first.
        var end: FuseSessionEnd?
        /// The operations know that it has ended.
        var isOver = false
    }

    /// What libfuse's userdata points to: made before the session, without which there is no core.
    private final class CallbackTarget {
        /// Unsafe is right: the core owns the session, and with it all callbacks.
        unowned(unsafe) var core: SessionCore?
    }

    /// The largest WRITE, in bytes; what the limits of libfuse and the kernel, 256 pages, come to.
    static let maximumWrite: UInt32 = 1 << 20
    /// Background requests before the kernel holds back others. With its default of 12, twelve held reads delay other files'
    /// reads and releases.
    static let maximumBackground: UInt32 = 1024

    init(operations: any FuseOperations, options: FuseMountOptions) throws(FuseError) {
        self.operations = operations
        maximumRead = options.maximumRead
        let target = CallbackTarget()
        var callbacks = fuseCallbacks()
        let (session, messages) = FuseLog.capturing {
            // Unretained: the core holds it until the session is destroyed.
            twelvefs_session_new(
                Self.sessionOptions(options), &callbacks, Unmanaged.passUnretained(target).toOpaque())
        }
        guard let session else {
            throw FuseError(.invalidOption, messages.isEmpty ? "libfuse refused to make a session" : messages)
        }
        endingEvent = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        self.session = session
        self.target = target
        target.core = self
        guard endingEvent >= 0 else {
            throw FuseError(.system, "cannot make an event descriptor: \(FuseErrno.text(of: errno))")
        }
    }

    deinit {
        fuse_session_destroy(session)
        close(endingEvent)
    }

    /// Those that libfuse itself has to know; the rest goes to fusermount3.
    private static func sessionOptions(_ options: FuseMountOptions) -> String {
        var names: [String] = []
        if let maximumRead = options.maximumRead { names.append("max_read=\(maximumRead)") }
        if options.tracesRequests { names.append("debug") }
        return names.joined(separator: ",")
    }

    static func of(userdata: UnsafeMutableRawPointer?) -> SessionCore? {
        guard let userdata else { return nil }
        return Unmanaged<CallbackTarget>.fromOpaque(userdata).takeUnretainedValue().core
    }

    /// The core whose session a request belongs to.
    static func of(_ request: OpaquePointer) -> SessionCore? {
        of(userdata: fuse_req_userdata(request))
    }

    /// Lowers an inode's lookup count, and tells the file system when the kernel holds no reference any more.
    func forget(_ inode: InodeNumber, by count: UInt64) {
        if lookups.lower(inode, by: count) {
            operations.forgotten(inode)
        }
    }

    /// INIT: what is asked of the kernel.
    func negotiate(_ information: UnsafeMutablePointer<fuse_conn_info>) {
        let wanted: FuseCapabilities = [
            .asyncRead, .atomicTruncation, .automaticInvalidation, .readdirplus, .automaticReaddirplus,
            .asyncDirectIO, .parallelDirectoryOperations,
        ]
        // Writeback caching would send writes late, in any order and with no writer to be known by. Splicing was no faster
        // than copying. The kernel has to clear set-user-id bits and check access itself.
        let unwanted: FuseCapabilities = [
            .writebackCache, .spliceRead, .spliceWrite, .spliceMove, .posixACL, .handlesKillPrivileges,
            .exportSupport,
        ]
        twelvefs_want(information, wanted.rawValue, unwanted.rawValue)
        information.pointee.max_write = min(information.pointee.max_write, Self.maximumWrite)
        information.pointee.max_background = Self.maximumBackground
        information.pointee.congestion_threshold = Self.maximumBackground / 4 * 3
        if let maximumRead {
            // libfuse wants it both here and as a mount option.
            information.pointee.max_read = maximumRead
        }
        let connection = FuseConnection(
            major: information.pointee.proto_major, minor: information.pointee.proto_minor,
            offered: FuseCapabilities(rawValue: information.pointee.capable),
            used: FuseCapabilities(rawValue: information.pointee.want),
            maximumWrite: Int(information.pointee.max_write),
            maximumBackground: Int(Self.maximumBackground))
        operations.started(connection)
        state.update { $0.connection = connection }
    }

    /// Whether the kernel's INIT has been taken.
    var isStarted: Bool {
        state.read { $0.connection != nil }
    }

    /// Has all workers end; the first reason is kept.
    func end(_ reason: FuseSessionEnd) {
        state.update { state in
            if state.end == nil { state.end = reason }
        }
        isEnding.store(true, ordering: .releasing)
        eventfd_write(endingEvent, 1)
    }

    /// Waits for the workers to end; of a session that has had none there is nothing to be told.
    func waitForWorkers() {
        state.wait { $0.runningWorkers == 0 && ($0.isOver || $0.connection == nil) ? () : nil }
        state.update { $0.isOver = true }
    }

    /// A worker has left its loop. The last one tells the operations.
    func workerEnded(_ reason: FuseSessionEnd) {
        end(reason)
        let (isLast, wasStarted) = state.update { state in
            state.runningWorkers -= 1
            return (state.runningWorkers == 0, state.connection != nil)
        }
        guard isLast else { return }
        if wasStarted {
            operations.stopped()
        }
        lookups.removeAll()
        state.update { $0.isOver = true }
    }
}
