import Synchronization
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// Writes that wait for space, on a clock that only the test moves.
@Suite(.timeLimit(.minutes(2))) final class SpaceQueueTests: Sendable {
    private let time = ManualTime()
    private let queue: SpaceQueue
    private let tries = Mutex<[String]>([])

    init() { queue = SpaceQueue(clock: time.clock) }

    private var seen: [String] { tries.withLock { $0 } }

    private func wait(_ place: SpaceQueue.Place, _ name: String) {
        queue.wait(place) { isLast in self.tries.withLock { $0.append(isLast ? "\(name), last" : name) } }
    }

    /// What happens before does not matter: the deadline counts from the first refusal.
    @Test(.shows("space-wait")) func aWriteIsNotHeldPastItsDeadlineHoweverOftenItIsTriedAgain() async throws {
        let place = queue.enter(for: .seconds(10))
        try await eventually("its timer is set") { time.deadlines.count == 1 }
        wait(place, "a")
        #expect(seen == ["a"], "space may have come since it was refused")
        for _ in 1...9 {
            wait(place, "a")
            time.advance(by: .seconds(1))
            queue.spaceMayHaveCome()
        }
        #expect(seen.count == 10)
        wait(place, "a")
        time.advance(by: .seconds(1))
        try await eventually("it is tried for the last time") { seen.last == "a, last" }
        // What comes of that comes too late to wait on.
        wait(place, "a")
        #expect(seen.suffix(2) == ["a, last", "a, last"])
    }

    @Test func theFirstThatCameIsTriedFirstAndThenTheNext() {
        let (first, second) = (queue.enter(for: .seconds(10)), queue.enter(for: .seconds(10)))
        wait(second, "second")
        wait(first, "first")
        #expect(seen == ["first"])
        wait(first, "first")
        queue.spaceMayHaveCome()
        #expect(seen == ["first", "first"])
        queue.leave(first)
        #expect(seen == ["first", "first", "second"], "there may be more than it took")
    }

    @Test func spaceThatComesDuringATryIsNotMissed() {
        let place = queue.enter(for: .seconds(10))
        wait(place, "a")
        queue.spaceMayHaveCome()
        wait(place, "a")
        #expect(seen == ["a", "a"])
        wait(place, "a")
        #expect(seen == ["a", "a"], "once only")
    }

    @Test func aPlaceThatWasLeftIsTriedNoMore() async throws {
        let place = queue.enter(for: .seconds(10))
        wait(place, "a")
        wait(place, "a")
        queue.leave(place)
        queue.spaceMayHaveCome()
        try await eventually("its timer is gone") { time.deadlines.isEmpty }
        time.advance(by: .seconds(10))
        wait(place, "a")
        #expect(seen == ["a"])
    }

    /// The deadline of one that waits behind another is its own.
    @Test func theDeadlineIsEachWritesOwn() async throws {
        let first = queue.enter(for: .seconds(10))
        wait(first, "first")
        wait(first, "first")
        let second = queue.enter(for: .seconds(4))
        wait(second, "second")
        try await eventually("both timers are set") { time.deadlines.count == 2 }
        time.advance(by: .seconds(4))
        try await eventually("the second is tried") { seen == ["first", "second, last"] }
    }
}
