import SandboxPlatform
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// An account has made all the calls that it may make a day.
@Suite(.timeLimit(.minutes(2))) struct RateLimitTests {
    private static let day = Duration.seconds(80_000)

    private static func limit(_ kinds: Set<RequestKind>, after: Int = 0) -> InjectedFault {
        var fault = InjectedFault(on: kinds, .rateLimited(retryAfter: day))
        (fault.count, fault.skip) = (nil, after)
        return fault
    }

    private static let calls: Set<RequestKind> = [.create, .urls, .report, .status, .asset, .assets, .delete]

    /// Nothing of it is called before the day is over; closes are answered, and nothing is lost.
    @Test(.shows("error-rate-limit", "status-waiting")) func isWaitedForAndLosesNothing() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(Self.limit(Self.calls, after: 1))
            let begin = time.now
            let first = try stage.upload("a.mp4", bytes(2500))
            let answers = Answers()
            _ = first.whenAnswered { answers.add($0) }
            try await eventually("it waits for the limit's end") { first.status().waitingFor == .rateLimit }
            let second = try stage.upload("b.mp4", bytes(2500))
            _ = second.whenAnswered { answers.add($0) }
            try await eventually("so does the next") { second.status().waitingFor == .rateLimit }

            let end = ManualTime.dawn.advanced(by: Self.day)
            for upload in [first, second] {
                let status = upload.status()
                #expect(status.retryAt == end)
                #expect(status.error?.message.contains("rate limit") == true)
                #expect(status.error?.httpStatus == 429)
                #expect(status.error?.traceID != nil)
            }
            time.advance(by: .seconds(300))
            try await eventually("the closes are answered") { answers.kinds == [.stalled, .stalled] }
            for _ in 1...50 { time.advance(by: .seconds(1500)) }
            let calls = stage.sandbox.journal().filter { Self.calls.contains($0.kind) }
            #expect(calls.map(\.kind) == [.create, .report])
            #expect(first.status().retryAt == end)

            stage.sandbox.clearFaults()
            time.advance(by: begin + Self.day - time.now)
            for (upload, name) in [(first, "a.mp4"), (second, "b.mp4")] {
                #expect(await upload.end() == .completed)
                #expect(upload.status().retryAt == nil)
                #expect(try await stage.content(of: name) == bytes(2500))
            }
            #expect(stage.sandbox.journal(of: .put).count == 6, "what was stored is not sent again")
        }
    }

    /// Chunks whose URLs are at hand are no calls of the account's.
    @Test func chunksGoOnMeanwhile() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock, sandbox: { $0.initialURLs = 3 }) { stage in
            stage.sandbox.add(Self.limit(Self.calls, after: 1))
            let upload = try stage.upload("a.mp4", bytes(4500))
            try await eventually("what can be sent is sent") { upload.status().bytesUploaded == 3000 }
            let status = upload.status()
            #expect(status.waitingFor == .rateLimit)
            #expect(status.retryAt == ManualTime.dawn.advanced(by: Self.day))
            stage.sandbox.clearFaults()
            time.advance(by: Self.day)
            #expect(await upload.end() == .completed)
        }
    }

    /// Longer than a day is nonsense.
    @Test(.shows("error-rate-limit")) func moreThanADayIsNotWaitedFor() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(InjectedFault(on: [.create], .status(429, headers: ["Retry-After": "864000"])))
            let upload = try stage.upload("a.mp4", bytes(900))
            try await eventually("it waits") { upload.status().retryAt != nil }
            #expect(upload.status().retryAt == ManualTime.dawn.advanced(by: .seconds(86_400)))
            time.advance(by: .seconds(86_400))
            #expect(await upload.end() == .completed)
        }
    }

    /// What waits for something else says so, with when it is tried again.
    @Test(.shows("status-waiting")) func backoffsAndOutagesTellTheirEndToo() async throws {
        let time = ManualTime()
        try await EngineStage.with(
            clock: time.clock,
            engine: { engine in
                engine.upload.retryPolicy = RetryPolicy()
                engine.random = { 1 }
            }
        ) { stage in
            stage.sandbox.add(InjectedFault(on: [.create], .status(503)))
            let upload = try stage.upload("a.mp4", bytes(900))
            try await eventually("it waits") { upload.status().retryAt != nil }
            #expect(upload.status().retryAt == ManualTime.dawn.advanced(by: .milliseconds(500)))
            #expect(upload.status().waitingFor == .network)
            time.advance(by: .milliseconds(500))
            try await upload.answer().get()
            #expect(upload.status().retryAt == nil)

            try await stage.stopPlatform()
            let next = try stage.upload("b.mp4", bytes(900))
            try await eventually("it waits for the network") { next.status().retryAt != nil }
            #expect(next.status().retryAt == ManualTime.dawn.advanced(by: .milliseconds(3500)))
            try await stage.startPlatform()
            time.advance(by: .seconds(3))
            try await next.answer().get()
        }
    }
}
