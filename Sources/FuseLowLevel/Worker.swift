internal import CFuse3
import Glibc
import Synchronization

/// Why a session serves no longer.
public enum FuseSessionEnd: Sendable, Hashable {
    /// The kernel's side is gone: unmounted (`fusermount3 -u`, `umount`) or aborted.
    case unmounted
    /// ``FuseSession/stop()`` was called.
    case stopped
    case failed(FuseError)
}

/// One thread's loop: receive a request, have it processed, until the session ends.
///
/// The device is non-blocking and read first; only when nothing is there does the thread wait, for the device or for the
/// end. Each thread waits with an epoll of its own, on which the device is exclusive, so that a request wakes one thread
/// rather than all.
///
/// Before it waits it looks again for a few dozen microseconds: a writer of small blocks sends its next request in less
/// time than it takes to put this thread to sleep and to wake it up (4 KiB writes: 2.7 times as many a second).
struct Worker: ~Copyable {
    private let core: SessionCore
    private let poller: Int32
    /// For how long after a request a thread looks for the next one without waiting, in nanoseconds.
    private static let patience: UInt64 = 50_000
    /// libfuse allocates the memory at the first receive, with `malloc`.
    private var buffer = fuse_buf()

    init(core: SessionCore, poller: Int32) {
        self.core = core
        self.poller = poller
    }

    deinit {
        free(buffer.mem)
        close(poller)
    }

    /// What a worker waits with, made before its thread so that a failure can be told.
    static func makePoller(device: Int32, core: SessionCore) throws(FuseError) -> Int32 {
        let poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard poller >= 0 else {
            throw FuseError(.system, "cannot make an epoll descriptor: \(FuseErrno.text(of: errno))")
        }
        guard twelvefs_epoll_add(poller, device, 1) == 0, twelvefs_epoll_add(poller, core.endingEvent, 0) == 0 else {
            let error = errno
            close(poller)
            throw FuseError(.system, "cannot wait for the FUSE device: \(FuseErrno.text(of: error))")
        }
        return poller
    }

    /// - Returns: why there is nothing more to do.
    mutating func run() -> FuseSessionEnd {
        var lastProcessed = Self.now()
        while !core.isEnding.load(ordering: .acquiring) {
            let received = fuse_session_receive_buf(core.session, &buffer)
            switch received {
            case 1...:
                fuse_session_process_buf(core.session, &buffer)
                lastProcessed = Self.now()
                if fuse_session_exited(core.session) != 0 {
                    // Either another worker found the connection gone, or this was an INIT that libfuse refused.
                    return core.isStarted
                        ? .unmounted
                        : .failed(FuseError(.protocolMismatch, "the kernel and libfuse do not agree on a protocol"))
                }
            case 0, -ENODEV:
                return .unmounted
            case -EAGAIN:
                if Self.now() &- lastProcessed > Self.patience { waitForRequestOrEnd() }
            case -EINTR:
                continue
            default:
                let text = FuseErrno.text(of: -received)
                return .failed(FuseError(.system, "reading from the FUSE device failed: \(text)"))
            }
        }
        return .stopped
    }

    /// Nanoseconds of the monotonic clock.
    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    private func waitForRequestOrEnd() {
        var event = epoll_event()
        // Whatever it answers, the loop looks for itself.
        _ = epoll_wait(poller, &event, 1, -1)
    }
}
