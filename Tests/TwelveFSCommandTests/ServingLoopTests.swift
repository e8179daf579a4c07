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
        private let timeouts = Mutex<[Duration]>([])

        var drainTimeouts: [Duration] { timeouts.withLock { $0 } }

        func untilDetached() async { await detachment.wait() }

        func drainAndStop(within timeout: Duration) async -> DrainOutcome {
            timeouts.withLock { $0.append(timeout) }
            drainBegan.open()
            await drained.wait()
            defer { detachment.open() }
            return DrainOutcome(resumable: Task.isCancelled ? 1 : 0)
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

        init() {
            (signals, sending) = AsyncStream.makeStream(of: UnixSignal.self)
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
                drainTimeout: { .seconds(42) },
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
        #expect(around.mount.drainTimeouts == [.seconds(42)])
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
        #expect(around.mount.drainTimeouts.count == 1)
    }

    @Test func hangUpReopensTheLogAndGoesOn() async throws {
        let running = around.run()
        await around.ready.wait()
        around.send(.sighup)
        await around.reopened.wait()
        #expect(around.mount.drainTimeouts.isEmpty)
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
        #expect(around.mount.drainTimeouts == [.seconds(42)])
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
        #expect(around.mount.drainTimeouts == [.zero])
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
        #expect(around.mount.drainTimeouts == [.zero])
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
