import PlatformClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct CancellingClockTests {
    @Test("Who sleeps is woken at the deadline, though another one sleeps for longer since before")
    func sleepersAreWokenAtTheirDeadlines() async throws {
        let clock = CancellingClock()
        let long = Task { try await clock.sleep(for: .seconds(3600)) }
        try await eventually("it sleeps") { clock.load.sleepers == 1 }
        for milliseconds in [30, 5, 10] {
            let deadline = clock.now + .milliseconds(milliseconds)
            try await clock.sleep(until: deadline)
            #expect(clock.now >= deadline)
        }
        #expect(clock.load.sleepers == 1)
        long.cancel()
        await #expect(throws: CancellationError.self) { try await long.value }
    }

    @Test("A deadline that has passed is not waited for")
    func whatHasPassedIsNotWaitedFor() async throws {
        let clock = CancellingClock()
        try await clock.sleep(until: clock.now)
        #expect(clock.load.sleepers == 0)
    }

    @Test("Of sleeps that are cancelled nothing stays, however far away their deadlines are")
    func cancelledSleepsLeaveNothing() async throws {
        let clock = CancellingClock()
        for number in 1...1000 {
            let sleep = Task { try await clock.sleep(for: .seconds(3600 + number)) }
            if number % 2 == 0 { try await eventually("it sleeps") { clock.load.sleepers == 1 } }
            sleep.cancel()
            await #expect(throws: CancellationError.self) { try await sleep.value }
        }
        #expect(clock.load.sleepers == 0)
        #expect(clock.load.alarms == 1)
    }
}
