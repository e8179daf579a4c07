import Logging
import Synchronization
import Testing
import TwelveFSCommand
import UnixSignals

import struct TestSupport.ShownStatements
import func TestSupport.eventually

@Suite struct ServingLoopTests {
    /// A mount whose drain ends when it is told to, and serves on where nobody asks for the end any more.
    private final class FakeMount: RunningMount {
        let detachment = StartGate()
        let drained = StartGate()
        let drainBegan = StartGate()
        private let agenda = Mutex<DrainAgenda?>(nil)
        private let count = Mutex(0)

        private let isTakenAway = Mutex(false)

        var isMounted: Bool { !isTakenAway.withLock { $0 } }

        func takeAway() { isTakenAway.withLock { $0 = true } }

        /// How often it was to end.
        var drains: Int { count.withLock { $0 } }

        func untilDetached() async { await detachment.wait() }

        /// What the agenda says `seconds` from now.
        func step(users: [String] = [], isIdle: Bool = false, after seconds: Int = 0) -> EndRule.Step? {
            agenda.withLock { $0 }?.step(users: users, isIdle: isIdle, at: .now + .seconds(seconds))
        }

        func drainAndStop(_ agenda: DrainAgenda) async -> DrainEnd {
            self.agenda.withLock { $0 = agenda }
            count.withLock { $0 += 1 }
            drainBegan.open()
            await drained.wait()
            if agenda.isEmpty { return .servesOn(["a.mp4 (cp, pid 7)"]) }
            defer { detachment.open() }
            return .ended(DrainOutcome(resumable: 1))
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
        private let orders: AsyncStream<OrderEvent>
        private let ordering: AsyncStream<OrderEvent>.Continuation
        static let drainTimeout = 42

        init() {
            (signals, sending) = AsyncStream.makeStream(of: UnixSignal.self)
            (orders, ordering) = AsyncStream.makeStream(of: OrderEvent.self)
        }

        func send(_ signal: UnixSignal) { sending.yield(signal) }

        func place(_ order: ServerOrder, by client: FakeClient) { ordering.yield(.placed(order, by: client.client)) }

        func withdraw(_ client: FakeClient) { ordering.yield(.withdrawn(client.client.id)) }

        func run(
            isAwaited: Bool = true, start: @escaping @Sendable (FakeMount) async throws -> any RunningMount = { $0 }
        ) -> Task<DrainOutcome, any Error> {
            let loop = ServingLoop(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                start: { [mount] in try await start(mount) },
                leftBehind: { DrainOutcome(resumable: 2) },
                reportReady: { [self] failure in
                    words.withLock { $0.append(failure) }
                    ready.open()
                    return isAwaited
                },
                drainTimeout: .seconds(Self.drainTimeout),
                reopenLog: { [self] in reopened.open() })
            return Task { [signals, orders] in try await loop.run(signals: signals, orders: orders) }
        }
    }

    private let around = Surroundings()

    @Test(arguments: [UnixSignal.sigterm, .sigint]) func signalDrainsAndEnds(_ signal: UnixSignal) async throws {
        let running = around.run()
        await around.ready.wait()
        around.send(signal)
        await around.mount.drainBegan.wait()
        #expect(around.mount.step(users: ["a"], after: Surroundings.drainTimeout - 1) == .wait)
        #expect(around.mount.step(users: ["a"], after: Surroundings.drainTimeout + 1) == .force)
        around.mount.drained.open()
        #expect(try await running.value == DrainOutcome(resumable: 1))
        #expect(around.mount.drains == 1)
        #expect(around.words.withLock { $0 } == [nil])
    }

    @Test(.shows("drain-at-once")) func secondSignalEndsTheDrain() async throws {
        let running = around.run()
        await around.ready.wait()
        around.send(.sigterm)
        await around.mount.drainBegan.wait()
        #expect(around.mount.step(users: ["a"]) == .wait)
        around.send(.sigint)
        try await eventually("it is not waited for any more") { around.mount.step(users: ["a"]) == .force }
        around.mount.drained.open()
        _ = try await running.value
        #expect(around.mount.drains == 1)
    }

    @Test(.shows("drain-together")) func signalBesideAnOrderIsTheFirst() async throws {
        let client = FakeClient(1)
        let running = around.run()
        await around.ready.wait()
        around.place(.unmount(timeout: .seconds(60), isForced: false), by: client)
        await around.mount.drainBegan.wait()
        around.send(.sigterm)
        try await eventually("the signal's order holds") {
            around.mount.step(users: ["a"], after: Surroundings.drainTimeout + 1) == .force
        }
        #expect(around.mount.step(users: ["a"]) == .wait)
        around.mount.drained.open()
        _ = try await running.value
        #expect(await client.last() == .ended(DrainOutcome(resumable: 1)))
    }

    @Test(.shows("drain-busy")) func aBusyMountServesOnAndTheNextSignalIsTheFirstAgain() async throws {
        let client = FakeClient(1)
        around.mount.drained.open()
        let running = around.run { mount in BusyMount(mount: mount) }
        await around.ready.wait()
        around.place(.unmount(timeout: .zero, isForced: false), by: client)
        #expect(await client.last() == .busy(users: ["a.mp4 (cp, pid 7)"]))
        around.send(.sigterm)
        #expect(try await running.value == DrainOutcome(resumable: 1))
    }

    @Test(.shows("drain-withdrawn")) func orderThatIsTakenBackEndsNothing() async throws {
        let client = FakeClient(1)
        let running = around.run()
        await around.ready.wait()
        around.place(.unmount(timeout: nil, isForced: true), by: client)
        await around.mount.drainBegan.wait()
        around.withdraw(client)
        try await eventually("nobody asks for the end") { around.mount.step() == .stayBusy }
        around.mount.drained.open()
        around.send(.sigterm)
        _ = try await running.value
    }

    @Test(.shows("drain-handover")) func uploadsAreHandedOverWhenTheMountIsGoneAndOnlyThen() async throws {
        let (early, late) = (FakeClient(1), FakeClient(2))
        let running = around.run()
        await around.ready.wait()
        around.place(.handOver, by: early)
        #expect(await early.last() == .refused(reason: "it serves a mount"))
        #expect(around.mount.drains == 0)
        around.mount.detachment.open()
        await around.mount.drainBegan.wait()
        #expect(around.mount.step() == .wait)
        around.place(.handOver, by: late)
        try await eventually("it ends at once") { around.mount.step() == .detach }
        around.mount.drained.open()
        _ = try await running.value
        #expect(await late.last() == .ended(DrainOutcome(resumable: 1)))
    }

    @Test(.shows("drain-handover", "drain-lazy")) func whoAsksForUploadsWaitsForTheLastOpenFile() async throws {
        let heir = FakeClient(1)
        let running = around.run()
        await around.ready.wait()
        around.mount.takeAway()
        around.place(.handOver, by: heir)
        #expect(await heir.next() == .waiting(users: []))
        #expect(around.mount.drains == 0)
        around.mount.detachment.open()
        await around.mount.drainBegan.wait()
        try await eventually("it ends at once") { around.mount.step() == .detach }
        around.mount.drained.open()
        _ = try await running.value
        #expect(await heir.last() == .ended(DrainOutcome(resumable: 1)))
    }

    @Test func hangUpReopensTheLogAndGoesOn() async throws {
        let running = around.run()
        await around.ready.wait()
        around.send(.sighup)
        await around.reopened.wait()
        #expect(around.mount.drains == 0)
        around.mount.drained.open()
        around.send(.sigterm)
        _ = try await running.value
    }

    @Test func mountThatIsGoneIsDrainedUnmounted() async throws {
        let running = around.run()
        await around.ready.wait()
        around.mount.detachment.open()
        await around.mount.drainBegan.wait()
        #expect(around.mount.step(after: Surroundings.drainTimeout - 1) == .wait)
        #expect(around.mount.step(after: Surroundings.drainTimeout + 1) == .detach)
        around.mount.drained.open()
        _ = try await running.value
        #expect(around.mount.drains == 1)
    }

    @Test func refusalIsToldOnceAndThrown() async throws {
        let running = around.run { _ in throw CommandFailure("no luck", hint: "try again") }
        await #expect(throws: CommandFailure("no luck", hint: "try again")) { try await running.value }
        #expect(around.words.withLock { $0 } == [CommandFailure("no luck", hint: "try again")])
    }

    @Test func mountThatNobodyWaitsForIsTakenAway() async throws {
        around.mount.drained.open()
        let running = around.run(isAwaited: false)
        _ = try await running.value
        #expect(around.mount.drains == 1)
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

    @Test(.shows("drain-left")) func orderWhileStartingIsToldWhatAnEarlierMountHasLeft() async throws {
        let began = StartGate()
        let client = FakeClient(1)
        let running = around.run { _ in
            began.open()
            await StartGate().wait()
            throw CancellationError()
        }
        await began.wait()
        around.place(.unmount(timeout: nil, isForced: false), by: client)
        await #expect(throws: CommandFailure.self) { try await running.value }
        #expect(await client.last() == .ended(DrainOutcome(resumable: 2)))
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
        _ = try await running.value
        #expect(around.mount.drains == 1)
        #expect(around.words.withLock { $0.isEmpty })
    }
}

/// A mount that somebody is in for as long as nobody uses force.
private struct BusyMount: RunningMount {
    let mount: any RunningMount

    var isMounted: Bool { mount.isMounted }

    func untilDetached() async { await mount.untilDetached() }

    func drainAndStop(_ agenda: DrainAgenda) async -> DrainEnd {
        _ = agenda.step(users: ["a.mp4 (cp, pid 7)"], isIdle: true)
        return await mount.drainAndStop(agenda)
    }
}

/// Somebody who gives orders.
private final class FakeClient: Sendable {
    let client: OrderClient
    private let answers: AsyncStream<ServerAnswer>

    init(_ id: Int) {
        let (answers, answering) = AsyncStream.makeStream(of: ServerAnswer.self)
        self.answers = answers
        client = OrderClient(id: id) { answering.yield($0) }
    }

    func next() async -> ServerAnswer? { await answers.first { _ in true } }

    /// The next answer that tells more than that it takes its time.
    func last() async -> ServerAnswer? {
        await answers.first { if case .waiting = $0 { false } else { true } }
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
