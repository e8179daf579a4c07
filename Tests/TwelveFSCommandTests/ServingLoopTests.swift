import Logging
import Synchronization
import Testing
import TwelveFSCommand
import UnixSignals

import struct TestSupport.ShownStatements

@Suite struct ServingLoopTests {
    /// A mount whose drain ends when it is told to, or by cancellation.
    private final class FakeMount: RunningMount {
        let detachment = StartGate()
        let drained = StartGate()
        let drainBegan = StartGate()
        /// What a drain comes to, one after the other; the last one ends.
        let busy = Mutex<[[String]]>([])
        private let orders = Mutex<[DrainOrder]>([])

        var drainOrders: [DrainOrder] { orders.withLock { $0 } }

        func untilDetached() async { await detachment.wait() }

        func drainAndStop(
            _ order: DrainOrder, showing: @escaping @Sendable ([String]) -> Void
        ) async -> DrainEnd {
            orders.withLock { $0.append(order) }
            drainBegan.open()
            if let users = busy.withLock({ $0.popLast() }) {
                showing(users)
                return .busy(users)
            }
            await drained.wait()
            defer { detachment.open() }
            return .ended(DrainOutcome(resumable: Task.isCancelled ? 1 : 0))
        }
    }

    /// What was asked of the loop's surroundings.
    private final class Surroundings: Sendable {
        let mount = FakeMount()
        let ready = StartGate()
        let reopened = StartGate()
        let words = Mutex<[CommandFailure?]>([])
        let signals: AsyncStream<UnixSignal>
        private let sending: AsyncStream<UnixSignal>.Continuation
        let news: AsyncStream<DrainNews>
        private let tell: AsyncStream<DrainNews>.Continuation
        /// What the next signals mean.
        let orders = Mutex<[DrainOrder]>([])
        static let order = DrainOrder(timeout: .seconds(42))

        init() {
            (signals, sending) = AsyncStream.makeStream(of: UnixSignal.self)
            (news, tell) = AsyncStream.makeStream(of: DrainNews.self)
        }

        func send(_ signal: UnixSignal) { sending.yield(signal) }

        func run(
            isAwaited: Bool = true, start: @escaping @Sendable (FakeMount) async throws -> any RunningMount = { $0 }
        ) -> Task<DrainOutcome, any Error> {
            let loop = ServingLoop(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                start: { [mount] in try await start(mount) },
                reportReady: { [self] failure in
                    words.withLock { $0.append(failure) }
                    ready.open()
                    return isAwaited
                },
                order: { [self] in orders.withLock { $0.isEmpty ? Self.order : $0.removeFirst() } },
                tell: { [self] in tell.yield($0) },
                reopenLog: { [self] in reopened.open() })
            return Task { [signals] in try await loop.run(signals: signals) }
        }
    }

    private let around = Surroundings()

    @Test(arguments: [UnixSignal.sigterm, .sigint]) func signalDrainsAndEnds(_ signal: UnixSignal) async throws {
        let running = around.run()
        await around.ready.wait()
        around.send(signal)
        await around.mount.drainBegan.wait()
        around.mount.drained.open()
        #expect(try await running.value == DrainOutcome())
        #expect(around.mount.drainOrders == [Surroundings.order])
        #expect(around.words.withLock { $0 } == [nil])
    }

    @Test(.shows("drain-at-once")) func secondSignalEndsTheDrain() async throws {
        let running = around.run()
        await around.ready.wait()
        around.send(.sigterm)
        await around.mount.drainBegan.wait()
        around.send(.sigint)
        // Nobody opens `drained`: only cancellation ends the wait.
        #expect(try await running.value == DrainOutcome(resumable: 1))
        #expect(around.mount.drainOrders.count == 1)
    }

    @Test(.shows("drain-busy")) func aBusyMountServesOnAndTheNextSignalIsTheFirstAgain() async throws {
        let asked = DrainOrder(timeout: .seconds(1), isForced: false, request: "one")
        around.orders.withLock { $0 = [asked] }
        around.mount.busy.withLock { $0 = [["a.mp4 (cp, pid 7)"]] }
        let running = around.run()
        await around.ready.wait()
        around.send(.sigterm)
        var news = around.news.makeAsyncIterator()
        let users = ["a.mp4 (cp, pid 7)"]
        #expect(await news.next() == DrainNews(requests: ["one"], users: users, isBusy: false))
        #expect(await news.next() == DrainNews(requests: ["one"], users: users, isBusy: true))
        around.mount.drained.open()
        around.send(.sigterm)
        #expect(try await running.value == DrainOutcome())
        #expect(around.mount.drainOrders == [asked, Surroundings.order])
    }

    @Test func whoAsksWithoutForceForWhatEndsAlreadyWaitsForIt() async throws {
        let second = DrainOrder(timeout: .zero, isForced: false, request: "two")
        around.orders.withLock { $0 = [Surroundings.order, second] }
        let running = around.run()
        await around.ready.wait()
        around.send(.sigterm)
        await around.mount.drainBegan.wait()
        around.send(.sigterm)
        var news = around.news.makeAsyncIterator()
        #expect(await news.next() == DrainNews(requests: ["two"], users: [], isBusy: false))
        around.mount.drained.open()
        #expect(try await running.value == DrainOutcome(), "it was not cut short")
    }

    @Test func hangUpReopensTheLogAndGoesOn() async throws {
        let running = around.run()
        await around.ready.wait()
        around.send(.sighup)
        await around.reopened.wait()
        #expect(around.mount.drainOrders.isEmpty)
        around.mount.drained.open()
        around.send(.sigterm)
        #expect(try await running.value == DrainOutcome())
    }

    @Test func mountThatIsGoneIsDrainedUnmounted() async throws {
        let running = around.run()
        await around.ready.wait()
        around.mount.detachment.open()
        await around.mount.drainBegan.wait()
        around.mount.drained.open()
        #expect(try await running.value == DrainOutcome())
        #expect(around.mount.drainOrders == [Surroundings.order])
    }

    @Test func refusalIsToldOnceAndThrown() async throws {
        let running = around.run { _ in throw CommandFailure("no luck", hint: "try again") }
        await #expect(throws: CommandFailure("no luck", hint: "try again")) { try await running.value }
        #expect(around.words.withLock { $0 } == [CommandFailure("no luck", hint: "try again")])
    }

    @Test func mountThatNobodyWaitsForIsTakenAway() async throws {
        around.mount.drained.open()
        let running = around.run(isAwaited: false)
        #expect(try await running.value == DrainOutcome())
        #expect(around.mount.drainOrders == [DrainOrder(timeout: .zero)])
    }

    @Test func signalWhileStartingCancelsTheStart() async throws {
        let began = StartGate()
        let running = around.run { _ in
            began.open()
            await StartGate().wait()
            throw CancellationError()
        }
        await began.wait()
        around.send(.sigterm)
        await #expect(throws: CommandFailure.self) { try await running.value }
        #expect(around.words.withLock { $0.count } == 1)
    }

    @Test func startThatSucceedsAllTheSameIsTakenBack() async throws {
        let began = StartGate()
        around.mount.drained.open()
        let running = around.run { mount in
            began.open()
            await StartGate().wait()
            return mount
        }
        await began.wait()
        around.send(.sigterm)
        #expect(try await running.value == DrainOutcome())
        #expect(around.mount.drainOrders == [DrainOrder(timeout: .zero)])
        #expect(around.words.withLock { $0.isEmpty })
    }
}

/// Opened once; whoever waits goes on then, or when cancelled.
private final class StartGate: Sendable {
    private let stream: AsyncStream<Never>
    private let continuation: AsyncStream<Never>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(of: Never.self)
    }

    func open() { continuation.finish() }

    func wait() async { for await _ in stream {} }
}
