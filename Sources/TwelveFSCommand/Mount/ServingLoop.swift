import Logging
import UnixSignals

/// Serves from the first question to the platform to the last byte drained: what happens to a mount comes in here, one thing
/// after another, and only here is it decided what follows.
package struct ServingLoop: Sendable {
    package let logger: Logger
    /// Asks the platform and begins to serve; nothing is mounted when it throws.
    package let start: @Sendable () async throws -> any RunningMount
    /// What an earlier mount has left, for whoever has asked for the end of one that has not come to be.
    package let leftBehind: @Sendable () -> DrainOutcome
    /// Tells whoever waits that the mount is usable, or why not; false when nobody waits any more.
    package let reportReady: @Sendable (CommandFailure?) -> Bool
    /// How long an end may take where nobody says otherwise.
    package let drainTimeout: Duration
    package let reopenLog: @Sendable () -> Void

    package init(
        logger: Logger, start: @escaping @Sendable () async throws -> any RunningMount,
        leftBehind: @escaping @Sendable () -> DrainOutcome = { DrainOutcome() },
        reportReady: @escaping @Sendable (CommandFailure?) -> Bool, drainTimeout: Duration,
        reopenLog: @escaping @Sendable () -> Void
    ) {
        self.logger = logger
        self.start = start
        self.leftBehind = leftBehind
        self.reportReady = reportReady
        self.drainTimeout = drainTimeout
        self.reopenLog = reopenLog
    }

    /// - Parameters:
    ///   - signals: SIGTERM and SIGINT end the mount by force when `drainTimeout` is over, and a second one at once; SIGHUP
    ///     reopens the log.
    ///   - orders: of other processes; nil where none can be taken.
    /// - Returns: what is left.
    /// - Throws: a ``CommandFailure`` when the mount could not be started; it was told to `reportReady`.
    package func run<Signals: AsyncSequence & Sendable>(
        signals: Signals, orders: AsyncStream<OrderEvent>? = nil
    ) async throws -> DrainOutcome where Signals.Element == UnixSignal, Signals.Failure == Never {
        let (events, happened) = AsyncStream.makeStream(of: ServingEvent.self)
        let listening = Task { for await signal in signals { happened.yield(.signal(signal)) } }
        defer { listening.cancel() }
        let receiving = orders.map { orders in Task { for await order in orders { happened.yield(.order(order)) } } }
        defer { receiving?.cancel() }

        let starting = Task {
            do {
                happened.yield(.started(try await start()))
            } catch {
                happened.yield(.refused(error))
            }
        }
        var course = ServingCourse(loop: self, starting: starting, happened: happened)
        defer { course.watching?.cancel() }
        for await event in events {
            if let outcome = try course.take(event) { return outcome }
        }
        // The stream is never finished: only a cancelled caller ends up here.
        throw CancellationError()
    }
}

/// What happens to a mount.
private enum ServingEvent: Sendable {
    case signal(UnixSignal)
    case order(OrderEvent)
    case started(any RunningMount)
    case refused(any Error)
    case detached
    case drained(DrainEnd)
}

/// How far a mount has come between its start and its end.
private struct ServingCourse {
    private enum State {
        case starting(Task<Void, Never>, isUnwanted: Bool)
        case serving(any RunningMount)
        case draining(any RunningMount)
    }

    let loop: ServingLoop
    let happened: AsyncStream<ServingEvent>.Continuation
    private(set) var watching: Task<Void, Never>?
    private var state: State
    /// Who asks for the end.
    private let agenda = DrainAgenda()
    /// Somebody has taken the mount away: nothing is served any more.
    private var isDetached = false
    /// Mounts that ask for the uploads while the last files of a mount that was taken away are still open.
    private var heirs: [OrderClient] = []
    /// A signal has come already: the next one does not wait.
    private var isSignalled = false

    init(loop: ServingLoop, starting: Task<Void, Never>, happened: AsyncStream<ServingEvent>.Continuation) {
        self.loop = loop
        self.happened = happened
        state = .starting(starting, isUnwanted: false)
    }

    /// - Returns: what is left, in the end.
    mutating func take(_ event: ServingEvent) throws -> DrainOutcome? {
        switch (event, state) {
        case (.signal(.sighup), _):
            loop.reopenLog()
            loop.logger.info("log reopened")
        case (.signal(let signal), _):
            signalled(signal)
        case (.order(.placed(let order, let client)), _):
            ordered(order, by: client)
        case (.order(.withdrawn(let client)), _):
            agenda.withdraw(client)
            heirs.removeAll { $0.id == client }

        case (.started(let mount), .starting(_, let isUnwanted)):
            began(mount, isUnwanted: isUnwanted)
        case (.refused(let error), _):
            let failure = CommandFailure(wrapping: error)
            loop.logger.error("not mounted", metadata: ["reason": "\(failure)"])
            if !agenda.isEmpty { agenda.end(loop.leftBehind()) }
            _ = loop.reportReady(failure)
            throw failure

        case (.detached, .serving), (.detached, .draining):
            isDetached = true
            if case .serving = state { loop.logger.notice("unmounted by somebody else; finishing uploads") }
            end(DrainOrder(timeout: loop.drainTimeout))
            for heir in heirs { handOver(to: heir) }
            heirs = []
        case (.drained(.ended(let outcome)), _):
            agenda.end(outcome)
            return outcome
        case (.drained(.servesOn(let users)), .draining(let mount)):
            servesOn(mount, users)
        // Nothing else can start, or end, twice.
        case (.detached, .starting), (.started, .serving), (.started, .draining), (.drained, .serving),
            (.drained, .starting):
            break
        }
        return nil
    }

    private mutating func signalled(_ signal: UnixSignal) {
        if isSignalled {
            loop.logger.notice("stopping at once", metadata: ["signal": "\(signal)"])
            end(DrainOrder(timeout: .zero))
        } else {
            isSignalled = true
            loop.logger.notice("stopping", metadata: ["signal": "\(signal)"])
            end(DrainOrder(timeout: loop.drainTimeout))
        }
    }

    private mutating func ordered(_ order: ServerOrder, by client: OrderClient) {
        switch order {
        case .unmount(let timeout, let isForced):
            let order = DrainOrder(timeout: timeout ?? loop.drainTimeout, isForced: isForced, client: client)
            loop.logger.notice("asked to unmount", metadata: ["within": "\(order.timeout)", "force": "\(isForced)"])
            end(order)
        case .handOver where isDetached: handOver(to: client)
        case .handOver where isMounted: client.answer(.refused(reason: "it serves a mount"))
        case .handOver:
            heirs.append(client)
            client.answer(.waiting(users: []))
        }
    }

    private var isMounted: Bool {
        switch state {
        // It is about to be.
        case .starting: true
        case .serving(let mount), .draining(let mount): mount.isMounted
        }
    }

    private mutating func handOver(to heir: OrderClient) {
        loop.logger.notice("leaving the uploads to another mount")
        end(DrainOrder(timeout: .zero, client: heir))
    }

    /// Begins to end the mount, or has whoever ends it already know of one order more.
    private mutating func end(_ order: DrainOrder) {
        agenda.add(order)
        switch state {
        case .starting(let task, _):
            task.cancel()
            state = .starting(task, isUnwanted: true)
        case .serving(let mount):
            drain(mount)
        case .draining:
            break
        }
    }

    /// It serves on, unless somebody has asked meanwhile.
    private mutating func servesOn(_ mount: any RunningMount, _ users: [String]) {
        guard agenda.isEmpty else {
            drain(mount)
            return
        }
        loop.logger.notice("not unmounted", metadata: ["users": "\(users.joined(separator: ", "))"])
        state = .serving(mount)
    }

    /// The mount is usable: it is served, or taken away again where nobody waits for it any more.
    private mutating func began(_ mount: any RunningMount, isUnwanted: Bool) {
        let happened = happened
        watching = Task {
            await mount.untilDetached()
            happened.yield(.detached)
        }
        if !isUnwanted, loop.reportReady(nil) {
            loop.logger.notice("mounted")
            state = .serving(mount)
            return
        }
        loop.logger.notice("nobody waits for this mount any more; unmounting")
        agenda.add(DrainOrder(timeout: .zero))
        drain(mount)
    }

    private mutating func drain(_ mount: any RunningMount) {
        state = .draining(mount)
        let (agenda, happened) = (agenda, happened)
        Task { happened.yield(.drained(await mount.drainAndStop(agenda))) }
    }
}
