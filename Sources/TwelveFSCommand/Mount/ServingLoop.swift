import Logging
import UnixSignals

/// Serves from the first question to the platform to the last byte drained: what happens to a mount comes in here, one thing
/// after another, and only here is it decided what follows.
package struct ServingLoop: Sendable {
    package let logger: Logger
    /// Asks the platform and begins to serve; nothing is mounted when it throws.
    package let start: @Sendable () async throws -> any RunningMount
    /// Tells whoever waits that the mount is usable, or why not; false when nobody waits any more.
    package let reportReady: @Sendable (CommandFailure?) -> Bool
    /// How long this drain may take.
    package let drainTimeout: @Sendable () -> Duration
    package let reopenLog: @Sendable () -> Void

    package init(
        logger: Logger, start: @escaping @Sendable () async throws -> any RunningMount,
        reportReady: @escaping @Sendable (CommandFailure?) -> Bool, drainTimeout: @escaping @Sendable () -> Duration,
        reopenLog: @escaping @Sendable () -> Void
    ) {
        self.logger = logger
        self.start = start
        self.reportReady = reportReady
        self.drainTimeout = drainTimeout
        self.reopenLog = reopenLog
    }

    private enum Event: Sendable {
        case signal(UnixSignal)
        case started(any RunningMount)
        case refused(any Error)
        case detached
        case drained(DrainOutcome)
    }

    private enum State {
        case starting(Task<Void, Never>, isUnwanted: Bool)
        case serving(any RunningMount)
        case draining(Task<Void, Never>)
    }

    /// - Parameter signals: SIGTERM and SIGINT end the mount, a second one ends the drain; SIGHUP reopens the log.
    /// - Returns: what is left.
    /// - Throws: a ``CommandFailure`` when the mount could not be started; it was told to `reportReady`.
    package func run<Signals: AsyncSequence & Sendable>(
        signals: Signals
    ) async throws -> DrainOutcome where Signals.Element == UnixSignal, Signals.Failure == Never {
        let (events, happened) = AsyncStream.makeStream(of: Event.self)
        let listening = Task { for await signal in signals { happened.yield(.signal(signal)) } }
        defer { listening.cancel() }

        let starting = Task {
            do {
                happened.yield(.started(try await start()))
            } catch {
                happened.yield(.refused(error))
            }
        }
        var state = State.starting(starting, isUnwanted: false)
        var watching: Task<Void, Never>?
        defer { watching?.cancel() }

        for await event in events {
            switch (event, state) {
            case (.signal(.sighup), _):
                reopenLog()
                logger.info("log reopened")
            case (.signal, .starting(let task, _)):
                task.cancel()
                state = .starting(task, isUnwanted: true)
            case (.signal(let signal), .serving(let mount)):
                logger.notice("stopping", metadata: ["signal": "\(signal)"])
                state = .draining(drain(mount, within: drainTimeout(), happened))
            case (.signal(let signal), .draining(let task)):
                logger.notice("stopping at once", metadata: ["signal": "\(signal)"])
                task.cancel()

            case (.started(let mount), .starting(_, let isUnwanted)):
                watching = Task {
                    await mount.untilDetached()
                    happened.yield(.detached)
                }
                state = began(mount, isUnwanted: isUnwanted, happened)
            case (.refused(let error), _):
                let failure = CommandFailure(wrapping: error)
                logger.error("not mounted", metadata: ["reason": "\(failure)"])
                _ = reportReady(failure)
                throw failure

            case (.detached, .serving(let mount)):
                logger.notice("unmounted by somebody else; finishing uploads")
                state = .draining(drain(mount, within: drainTimeout(), happened))
            case (.drained(let outcome), _):
                return outcome
            // The end of what is ending already, and nothing else can start twice.
            case (.detached, .draining), (.detached, .starting), (.started, .serving), (.started, .draining):
                break
            }
        }
        // The stream is never finished: only a cancelled caller ends up here.
        throw CancellationError()
    }

    /// The mount is usable: it is served, or taken away again where nobody waits for it any more.
    private func began(
        _ mount: any RunningMount, isUnwanted: Bool, _ happened: AsyncStream<Event>.Continuation
    ) -> State {
        if !isUnwanted, reportReady(nil) {
            logger.notice("mounted")
            return .serving(mount)
        }
        logger.notice("nobody waits for this mount any more; unmounting")
        return .draining(drain(mount, within: .zero, happened))
    }

    private func drain(
        _ mount: any RunningMount, within timeout: Duration, _ happened: AsyncStream<Event>.Continuation
    ) -> Task<Void, Never> {
        Task { happened.yield(.drained(await mount.drainAndStop(within: timeout))) }
    }
}
