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
    /// How the mount is to end that a signal has come for.
    package let order: @Sendable () -> DrainOrder
    /// Tells those who asked for the end how it fares.
    package let tell: @Sendable (DrainNews) -> Void
    package let reopenLog: @Sendable () -> Void

    package init(
        logger: Logger, start: @escaping @Sendable () async throws -> any RunningMount,
        reportReady: @escaping @Sendable (CommandFailure?) -> Bool, order: @escaping @Sendable () -> DrainOrder,
        tell: @escaping @Sendable (DrainNews) -> Void, reopenLog: @escaping @Sendable () -> Void
    ) {
        self.logger = logger
        self.start = start
        self.reportReady = reportReady
        self.order = order
        self.tell = tell
        self.reopenLog = reopenLog
    }

    private enum Event: Sendable {
        case signal(UnixSignal)
        case started(any RunningMount)
        case refused(any Error)
        case detached
        case isUsed(by: [String])
        case drained(DrainEnd)
    }

    /// What is known of the end that is being made.
    private struct Ending {
        var news = DrainNews(requests: [], users: [], isBusy: false)
        /// What came meanwhile, and counts where that end comes to nothing.
        var again: DrainOrder?
    }

    private enum State {
        case starting(Task<Void, Never>, isUnwanted: Bool)
        case serving(any RunningMount)
        case draining(any RunningMount, Task<Void, Never>)
    }

    /// - Parameter signals: SIGTERM and SIGINT end the mount, a second one ends the drain, unless who asks would rather wait;
    ///   SIGHUP reopens the log.
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
        var ending = Ending()
        var watching: Task<Void, Never>?
        defer { watching?.cancel() }

        for await event in events {
            switch (event, state) {
            case (.signal(.sighup), _):
                reopenLog()
                logger.info("log reopened")
            case (.signal(let signal), _):
                state = signalled(signal, state, &ending, happened)
            case (.isUsed(let users), _):
                ending.news.users = users
                tell(ending.news)

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
                state = .draining(mount, drain(mount, order(), happened))
            case (.detached, .draining):
                ending.again = ending.again ?? order()
            case (.drained(.ended(let outcome)), _):
                return outcome
            case (.drained(.busy(let users)), .draining(let mount, _)):
                state = isBusy(mount, with: users, ending, happened)
            // The end of what is ending already, and nothing else can start twice.
            case (.detached, .starting), (.started, .serving), (.started, .draining), (.drained, .serving),
                (.drained, .starting):
                break
            }
        }
        // The stream is never finished: only a cancelled caller ends up here.
        throw CancellationError()
    }

    /// A signal to end: the first one begins that, a second one cuts it short.
    private func signalled(
        _ signal: UnixSignal, _ state: State, _ ending: inout Ending, _ happened: AsyncStream<Event>.Continuation
    ) -> State {
        switch state {
        case .starting(let task, _):
            task.cancel()
            return .starting(task, isUnwanted: true)
        case .serving(let mount):
            let order = order()
            logger.notice("stopping", metadata: ["signal": "\(signal)"])
            ending = Ending()
            ending.news.requests = [order.request].compactMap { $0 }
            return .draining(mount, drain(mount, order, happened))
        case .draining(_, let task):
            let order = order()
            if let request = order.request { ending.news.requests.append(request) }
            tell(ending.news)
            if order.isForced {
                ending.again = DrainOrder(timeout: .zero, request: order.request)
                logger.notice("stopping at once", metadata: ["signal": "\(signal)"])
                task.cancel()
            }
            return state
        }
    }

    /// It serves on, unless something has come meanwhile that ends it all the same.
    private func isBusy(
        _ mount: any RunningMount, with users: [String], _ ending: Ending,
        _ happened: AsyncStream<Event>.Continuation
    ) -> State {
        if let again = ending.again { return .draining(mount, drain(mount, again, happened)) }
        logger.notice("not unmounted: it is busy", metadata: ["users": "\(users.joined(separator: ", "))"])
        tell(DrainNews(requests: ending.news.requests, users: users, isBusy: true))
        return .serving(mount)
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
        return .draining(mount, drain(mount, DrainOrder(timeout: .zero), happened))
    }

    private func drain(
        _ mount: any RunningMount, _ order: DrainOrder, _ happened: AsyncStream<Event>.Continuation
    ) -> Task<Void, Never> {
        Task {
            happened.yield(.drained(await mount.drainAndStop(order) { happened.yield(.isUsed(by: $0)) }))
        }
    }
}
