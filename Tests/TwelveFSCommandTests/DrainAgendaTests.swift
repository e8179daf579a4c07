import Synchronization
import Testing
import TwelveFSCommand

import struct TestSupport.ShownStatements

/// Several who ask for the end of one mount.
@Suite struct DrainAgendaTests {
    private let agenda = DrainAgenda()
    private let start = ContinuousClock.now
    private let users = ["a.mp4 (cp, pid 7)"]

    /// What somebody was answered.
    private final class Listener: Sendable {
        private let heard = Mutex<[ServerAnswer]>([])

        var answers: [ServerAnswer] { heard.withLock { $0 } }

        func client(_ id: Int) -> OrderClient {
            OrderClient(id: id) { answer in self.heard.withLock { $0.append(answer) } }
        }
    }

    private func add(_ seconds: Int, forced: Bool = false, id: Int = 0) -> Listener {
        let listener = Listener()
        agenda.add(
            DrainOrder(timeout: .seconds(seconds), isForced: forced, client: listener.client(id)), at: start)
        return listener
    }

    private func step(_ users: [String], after seconds: Int, isIdle: Bool = true) -> EndRule.Step {
        agenda.step(users: users, isIdle: isIdle, at: start + .seconds(seconds))
    }

    /// The longest and the shortest time that there are.
    @Test(arguments: [("[9223372036854775807,18446744073709551615]", false), ("[-9223372036854775808,0]", true)])
    func orderWithATimeThatCannotBeAddedToAMomentIsTaken(time: String, isOver: Bool) throws {
        let text = #"{"unmount":{"isForced":true,"timeout":\#(time)}}"#
        let order = try StateFile.decoded(ServerOrder.self, from: Array(text.utf8))
        guard case .unmount(let timeout?, let isForced) = order else {
            Issue.record("\(order)")
            return
        }
        agenda.add(DrainOrder(timeout: timeout, isForced: isForced), at: start)
        #expect(agenda.step(users: users, isIdle: false, at: start) == (isOver ? .force : .wait))
        #expect(agenda.pause(atMost: .seconds(1), at: start) == (isOver ? .zero : .seconds(1)))
    }

    @Test(.shows("drain-together")) func eachHasItsOwnTimeAndItsOwnAnswer() {
        let short = add(1, id: 1)
        let long = add(30, id: 2)
        #expect(step(users, after: 0) == .wait)
        #expect(step(users, after: 2) == .wait)
        #expect(short.answers == [.waiting(users: []), .waiting(users: users), .busy(users: users)])
        #expect(long.answers == [.waiting(users: []), .waiting(users: users)])
        #expect(step(users, after: 31) == .stayBusy)
        #expect(long.answers.last == .busy(users: users))
        #expect(short.answers.count == 3, "it has had its answer")
        #expect(agenda.isEmpty)
    }

    @Test(.shows("drain-together")) func forceWaitsForItsOwnTime() {
        let first = add(30, id: 1)
        let forcing = add(20, forced: true, id: 2)
        #expect(step(users, after: 19) == .wait)
        #expect(step(users, after: 20) == .force)
        agenda.end(DrainOutcome(resumable: 2))
        for listener in [first, forcing] { #expect(listener.answers.last == .ended(DrainOutcome(resumable: 2))) }
    }

    @Test func whoWantsNoMoreWaitingForUploadsDecides() {
        _ = add(30, id: 1)
        #expect(step([], after: 2, isIdle: false) == .wait)
        _ = add(1, id: 2)
        #expect(step([], after: 2, isIdle: false) == .detach)
    }

    @Test(.shows("drain-withdrawn")) func whatIsTakenBackHoldsNoMore() {
        _ = add(30, id: 1)
        _ = add(0, forced: true, id: 2)
        agenda.withdraw(2)
        #expect(step(users, after: 1) == .wait)
        agenda.withdraw(1)
        #expect(step(users, after: 1) == .stayBusy)
        #expect(step([], after: 1) == .stayBusy, "nobody asks for the end")
    }

    @Test func whoComesLaterIsToldWhoIsInside() {
        _ = add(30, id: 1)
        _ = step(users, after: 1)
        #expect(add(30, id: 2).answers == [.waiting(users: users)])
    }

    @Test func lastsUntilTheFirstIsOver() {
        _ = add(30, id: 1)
        #expect(agenda.pause(atMost: .seconds(60), at: start) == .seconds(30))
        _ = add(10, id: 2)
        #expect(agenda.pause(atMost: .seconds(60), at: start) == .seconds(10))
        #expect(agenda.pause(atMost: .seconds(1), at: start) == .seconds(1))
        #expect(agenda.pause(atMost: .seconds(1), at: start + .seconds(20)) == .zero)
    }
}
