import Dispatch
import SandboxPlatform
import Synchronization
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// A 403 to one call of one upload, and what becomes of that upload.
struct RefusedCall: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable, Equatable {
        /// Another session is opened, and the file goes up again.
        case newSession
        /// It completes with the session that it has.
        case completed
        /// It fails, and says what its user can do.
        case failed(UploadFailure.Kind)
    }

    var call: RequestKind
    /// Nil: a page of somebody in between, without any code.
    var code: String?
    var outcome: Outcome

    var testDescription: String { "\(code ?? "a page") to \(call.rawValue)" }

    var fault: InjectedFault {
        InjectedFault(
            on: [call], code.map { .refusal($0, status: 403) } ?? .status(403, body: "<html>Forbidden</html>"))
    }

    private static let sessionCalls: [RequestKind] = [.urls, .report, .status]
    private static let planCodes = [
        "region_not_allowed", "api_upgrade_required", "api_allowed_for_paid_plan", "api_not_allowed",
        "tags_not_allowed",
    ]

    static let all: [RefusedCall] =
        [RequestKind.urls, .report].map { RefusedCall(call: $0, code: "read_not_allowed", outcome: .newSession) }
        + planCodes.flatMap { code in
            ([.create] + sessionCalls).map { RefusedCall(call: $0, code: code, outcome: .failed(.accessRefused)) }
        }
        // The key is good, as one cheap call tells: it is the account that may not open a session, or the session that
        // does not take this, whatever the reason.
        + ["nobody_knows", nil].flatMap { code in
            [RefusedCall(call: .create, code: code, outcome: .failed(.accessRefused))]
                + [RequestKind.urls, .report].map {
                    RefusedCall(call: $0, code: code, outcome: .failed(.requestRefused))
                }
        }
        // All of it was reported by then: its asset tells what the session does not.
        + ["read_not_allowed", "nobody_knows", nil].map { RefusedCall(call: .status, code: $0, outcome: .completed) }
        + [RefusedCall(call: .create, code: "read_not_allowed", outcome: .failed(.accessRefused))]
}

/// What the platform refuses to one upload is nothing to the others, unless it is the key.
@Suite(.timeLimit(.minutes(2))) struct RefusalTests {
    /// On a clock that stands still: whoever waited for anything would wait for ever.
    @Test(arguments: RefusedCall.all) func holdsUpNoOtherUpload(_ refusal: RefusedCall) async throws {
        let time = ManualTime()
        try await EngineStage.with(
            clock: time.clock,
            sandbox: {
                $0.initialURLs = 1
                $0.assetURLs = refusal.call != .status
            }
        ) { stage in
            stage.sandbox.add(InjectedFault(on: [.put], .hang))
            let beside = try stage.upload("beside.mp4", bytes(900))
            try await stage.sandbox.waitForJournal { $0.contains { $0.kind == .put } }

            stage.sandbox.add(refusal.fault)
            let upload = try stage.upload("a.mp4", bytes(2000))
            switch refusal.outcome {
            case .newSession:
                try await upload.answer().get()
                #expect(upload.status().abandonedUploadIDs.count == 1)
            case .completed:
                try await upload.answer().get()
                #expect(upload.status().abandonedUploadIDs.isEmpty)
            case .failed(let kind):
                guard case .failure(let failure) = await upload.answer() else {
                    Issue.record("answered with success")
                    return
                }
                #expect(failure.kind == kind)
                #expect(upload.currentState == .failed)
                let error = try #require(upload.status().error)
                #expect(error.httpStatus == 403)
                #expect(error.code == refusal.code || refusal.code == nil)
                #expect(error.hint?.contains("twelvefs retry") == true)
            }
            #expect(stage.sandbox.journal().contains { $0.kind == refusal.call && $0.status == 403 })

            #expect(beside.status().waitingFor == nil)
            #expect(beside.status().error == nil)
            stage.sandbox.clearFaults()
            try await beside.answer().get()
            try await stage.upload("next.mp4", bytes(900)).answer().get()

            if case .failed = refusal.outcome {
                try upload.retry()
                try await upload.answer().get()
            }
            #expect(try await stage.content(of: "a.mp4") == bytes(2000))
        }
    }

    @Test(arguments: [(401, "unauthorized"), (403, "unauthorized"), (403, "api_key_invalid"), (401, "nobody_knows")])
    func aRefusedKeyHoldsUpAll(status: Int, code: String) async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            var refusal = InjectedFault(on: [], .refusal(code, status: status))
            refusal.count = nil
            stage.sandbox.add(refusal)
            let first = try stage.upload("a.mp4", bytes(900))
            try await eventually("it waits for a key") { first.status().waitingFor == .key }
            let second = try stage.upload("b.mp4", bytes(900))
            try await eventually("so does the next") { second.status().waitingFor == .key }
            #expect(second.status().error?.code == code)
            #expect(stage.sandbox.journal().count == 1)
            stage.sandbox.clearFaults()
            time.advance(by: .seconds(5))
            for upload in [first, second] { try await upload.answer().get() }
        }
    }

    // MARK: What no code explains

    /// The one cheap call says what the first one did not: that the key is revoked.
    @Test func aKeyThatTurnsOutToBeRefusedHoldsUpAll() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(InjectedFault(on: [.create], .refusal("nobody_knows", status: 403)))
            stage.sandbox.add(
                InjectedFault(on: [.assets], .refusal("api_key_invalid", status: 403, message: "no such key")))
            let first = try stage.upload("a.mp4", bytes(900))
            try await eventually("it waits for a key") { first.status().waitingFor == .key }
            #expect(first.status().error?.message == "no such key")
            let second = try stage.upload("b.mp4", bytes(900))
            try await eventually("so does the next") { second.status().waitingFor == .key }
            time.advance(by: .seconds(5))
            for upload in [first, second] { try await upload.answer().get() }
        }
    }

    /// Could not tell is neither: it is tried again in a while, alone.
    @Test(arguments: [InjectedFault.Answer.refusal("nobody_knows", status: 403), .status(500), .html, .reset])
    func whatCannotBeToldIsTriedAgainAlone(answer: InjectedFault.Answer) async throws {
        let time = ManualTime()
        try await EngineStage.with(
            clock: time.clock,
            engine: { engine in
                engine.upload.retryPolicy = RetryPolicy()
                engine.random = { 1 }
            }
        ) { stage in
            stage.sandbox.add(InjectedFault(on: [.create], .refusal("nobody_knows", status: 403)))
            stage.sandbox.add(InjectedFault(on: [.assets], answer))
            let upload = try stage.upload("a.mp4", bytes(900))
            try await eventually("it waits for half a second") {
                time.deadlines.first == time.now + .milliseconds(500)
            }
            #expect(upload.currentState == .finishing)
            let status = upload.status()
            #expect(status.error?.code == "nobody_knows")
            #expect(status.waitingFor == nil)
            #expect(status.retryAt != nil)
            try await stage.upload("b.mp4", bytes(900)).answer().get()
            time.advance(by: .milliseconds(500))
            try await upload.answer().get()
        }
    }

    /// While an account has made all its calls of the day, none is made to look into a refusal either.
    @Test func noCallIsMadeToLookIntoARefusalWhileNoneMayBeMade() async throws {
        let time = ManualTime()
        try await EngineStage.with(clock: time.clock) { stage in
            stage.sandbox.add(InjectedFault(on: [.create], .refusal("nobody_knows", status: 403)))
            stage.sandbox.add(InjectedFault(on: [.create], .rateLimited(retryAfter: .seconds(3600))))
            // The first one's answer is here, and is not looked at before the second one's.
            let isFirst = Mutex(true)
            let goOn = DispatchSemaphore(value: 0)
            stage.log.listen { message in
                let isHeld = isFirst.withLock { isFirst in
                    defer { if message == "api call" { isFirst = false } }
                    return isFirst && message == "api call"
                }
                if isHeld { goOn.wait() }
            }
            let first = try stage.upload("a.mp4", bytes(900))
            try await eventually("it is refused") { !isFirst.withLock { $0 } }
            let second = try stage.upload("b.mp4", bytes(900))
            try await eventually("it waits for the limit's end") { second.status().waitingFor == .rateLimit }
            goOn.signal()
            try await eventually("the first one waits, too") { first.status().error?.code == "nobody_knows" }
            #expect(first.currentState == .finishing)
            #expect(stage.sandbox.journal(of: .assets).isEmpty)
            time.advance(by: .seconds(3600))
            for upload in [first, second] { #expect(await upload.end() == .completed) }
        }
    }

    // MARK: Deletes

    /// An asset that nobody needs is deleted as far as that is possible: what refuses it for good is not asked again.
    @Test(arguments: ["read_not_allowed", "api_not_allowed", "resource_not_exist", "resource_in_use"])
    func aDeleteThatIsRefusedIsNotRepeated(code: String) async throws {
        try await EngineStage.with { stage in
            let status = ["resource_not_exist": 404, "resource_in_use": 409][code] ?? 403
            var refusal = InjectedFault(on: [.delete], .refusal(code, status: status))
            refusal.count = nil
            stage.sandbox.add(refusal)
            let upload = try stage.begin("a.mp4")
            upload.apply(.hinted(SizeHint(size: 5000, source: .copiedSource)))
            try upload.write(bytes(2000), at: 0)
            try await eventually("a session is open") { upload.status().uploadID != nil }
            upload.apply(.interrupted(UploadFailure(.interrupted, message: "killed")))
            await stage.engine.finishCleaning()
            #expect(stage.sandbox.journal(of: .delete).count == 1)
            try await stage.upload("b.mp4", bytes(900)).answer().get()
        }
    }
}
