internal import CFuse3
import Glibc

/// A thread of our own. Workers block in system calls, which neither Swift's cooperative pool nor libfuse's workers (which
/// are ended by `pthread_cancel`) are made for.
package final class NativeThread: @unchecked Sendable {
    // Unchecked: a pthread_t may be passed between threads; `join` or `detach` is called once, by its owner.
    private let thread: pthread_t

    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void

        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Starts a thread that takes no signals, so that they go to whoever expects them.
    ///
    /// - Parameter name: at most 15 bytes, as the kernel keeps it.
    package init(name: String, _ run: @escaping @Sendable () -> Void) throws(FuseError) {
        // Retained here, released by the new thread, or below when there is none.
        let body = Unmanaged.passRetained(Body(name: name, run: run))
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                twelvefs_name_this_thread(body.name)
                body.run()
                return nil
            }, body.toOpaque())
        guard error == 0 else {
            body.release()
            throw FuseError(.system, "cannot start a thread: \(FuseErrno.text(of: error))")
        }
        self.thread = thread
    }

    package func join() {
        pthread_join(thread, nil)
    }

    /// For a thread that nobody will join.
    package func detach() {
        pthread_detach(thread)
    }
}
