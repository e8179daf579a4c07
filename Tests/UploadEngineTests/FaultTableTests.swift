import PlatformClient
import SandboxPlatform
import Testing
import UploadCore
import UploadEngine

import func TestSupport.eventually

/// One thing that goes wrong, and all that is to come of it.
struct FaultRow: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable {
        case completed
        case failed(UploadFailure.Kind)
        /// Nothing but time can help.
        case waiting
    }

    /// What the status document says meanwhile, or at the end of what fails.
    struct Words: Sendable, Equatable {
        var waitingFor: StatusDocument.WaitingFor?
        var code: String?
        var httpStatus: Int?
    }

    var testDescription: String
    var faults: [InjectedFault] = []
    var sandbox: @Sendable (inout SandboxConfiguration) -> Void = { _ in }
    var platform: @Sendable (inout PlatformConfiguration) -> Void = { _ in }
    /// In bytes; chunks have 1000.
    var size = 900
    /// Whether nobody listens until the last wait.
    var isDown = false
    /// On the engine's clock, with the longest wait drawn each time.
    var waits: [Duration] = []
    var words: Words?
    /// All requests of these kinds; those of a platform that was started again, since then.
    var requests: [RequestKind: Int] = [.create: 1, .put: 1, .report: 1]
    var outcome = Outcome.completed

    init(_ what: String, _ change: (inout FaultRow) -> Void) {
        testDescription = what
        change(&self)
    }

    /// A failure of a PUT that passes after `times`: each costs a URL.
    static func put(_ what: String, _ fault: InjectedFault, _ waits: [Duration], _ words: Words?) -> FaultRow {
        FaultRow(what) { row in
            row.faults = [fault]
            row.waits = waits
            row.words = words
            row.requests[.put] = 1 + (fault.count ?? 0)
            row.requests[.urls] = fault.count
        }
    }

    /// A failure of a call that passes.
    static func call(
        _ what: String, _ fault: InjectedFault, _ waits: [Duration], _ words: Words?,
        more: (inout FaultRow) -> Void = { _ in }
    ) -> FaultRow {
        FaultRow(what) { row in
            row.faults = [fault]
            row.waits = waits
            row.words = words
            for kind in fault.on { row.requests[kind, default: 0] += fault.count ?? 0 }
            more(&row)
        }
    }
}

extension InjectedFault {
    /// A fault that is changed before it is used.
    init(_ kind: RequestKind, _ answer: Answer, _ change: (inout InjectedFault) -> Void = { _ in }) {
        self.init(on: [kind], answer)
        change(&self)
    }
}

extension InjectedFault.Answer {
    /// A refusal as the store words it.
    static func s3(_ status: Int, _ code: String, _ message: String = "no") -> InjectedFault.Answer {
        .status(status, body: "<Error><Code>\(code)</Code><Message>\(message)</Message></Error>")
    }
}

/// What each fault of network, platform and store costs and what comes of it, on a clock that only the test moves.
@Suite(.timeLimit(.minutes(2))) struct FaultTableTests {
    private static let half = Duration.milliseconds(500)
    private static let lost = FaultRow.Words(waitingFor: .network, code: "connection_lost")

    private static let network: [FaultRow] = [
        FaultRow("connection refused") { row in
            row.isDown = true
            row.waits = [.seconds(3), .seconds(3), .seconds(3)]
            row.words = .init(waitingFor: .network, code: "unreachable")
        },
        FaultRow("a name that cannot be resolved") { row in
            // A label of more than 63 characters: no resolver has to be asked.
            row.platform = { $0.baseURL = "https://\(String(repeating: "a", count: 64)).test/v1.3" }
            row.waits = [.seconds(3), .seconds(3)]
            row.words = .init(waitingFor: .network, code: "dns_failed")
            row.requests = [:]
            row.outcome = .waiting
        },
        .put("reset before the body", InjectedFault(.put, .reset), [half], lost),
        .put("reset in the body", InjectedFault(.put, .reset) { $0.afterBytes = 500 }, [half], lost),
        .put("reset after the body", InjectedFault(.put, .reset) { $0.drain = true }, [half], lost),
        .put("reset after the chunk was stored", InjectedFault(.put, .reset) { $0.when = .after }, [half], lost),
        .put(
            "reset three times", InjectedFault(.put, .reset) { $0.count = 3 }, [half, .seconds(1), .seconds(2)], lost),
        FaultRow("a PUT that hangs") { row in
            row.faults = [InjectedFault(.put, .hang)]
            row.platform = { $0.progressTimeout = .seconds(2) }
            row.waits = [half]
            row.words = .init(waitingFor: .network, code: "timeout")
            row.requests[.put] = 2
            row.requests[.urls] = 1
        },
        FaultRow("a call that hangs") { row in
            row.faults = [InjectedFault(.create, .hang)]
            row.platform = { $0.callTimeout = .seconds(2) }
            row.requests[.create] = 2
            row.waits = [half]
            row.words = .init(waitingFor: .network, code: "timeout")
        },
        FaultRow("a report that hangs") { row in
            row.faults = [InjectedFault(.report, .hang)]
            row.platform = { $0.reportTimeout = .seconds(2) }
            row.waits = [half]
            row.words = .init(waitingFor: .network, code: "timeout")
            row.requests[.report] = 2
        },
        .call("reset before the report", InjectedFault(.report, .reset), [half], lost),
        .call(
            "the report is accepted, its answer lost", InjectedFault(.report, .reset) { $0.when = .after }, [half], lost
        ),
    ]

    private static let api: [FaultRow] =
        [408, 500, 502, 503, 504].map { status in
            .call(
                "\(status) of the API", InjectedFault(.create, .status(status)), [half],
                .init(waitingFor: .network, code: "platformUnavailable", httpStatus: status))
        } + [
            .call(
                "500 four times", InjectedFault(.report, .status(500)) { $0.count = 4 },
                [half, .seconds(1), .seconds(2), .seconds(4)],
                .init(waitingFor: .network, code: "platformUnavailable", httpStatus: 500)),
            .call(
                "429 with seconds", InjectedFault(.create, .status(429, headers: ["Retry-After": "7"])), [.seconds(7)],
                .init(waitingFor: .rateLimit, code: "rateLimited", httpStatus: 429)),
            .call(
                // The stand-in's clock stands still at 22:13:20.
                "429 with a date",
                InjectedFault(.create, .status(429, headers: ["Retry-After": "Tue, 14 Nov 2023 22:13:29 GMT"])),
                [.seconds(9)], .init(waitingFor: .rateLimit, code: "rateLimited", httpStatus: 429)
            ) { $0.sandbox = { $0.clock = ManualClock() } },
            .call(
                "429 without a word", InjectedFault(.create, .status(429)), [half],
                .init(waitingFor: .rateLimit, code: "rateLimited", httpStatus: 429)),
            .call(
                "a web page", InjectedFault(.create, .html), [half],
                .init(waitingFor: nil, code: "unreadableAnswer", httpStatus: 200)),
            FaultRow("a web page for ever") { row in
                row.faults = [InjectedFault(.create, .html) { $0.count = nil }]
                row.waits = [half, .seconds(1), .seconds(2), .seconds(4)]
                row.words = .init(waitingFor: nil, code: "unreadableAnswer", httpStatus: 200)
                row.requests = [.create: 5]
                row.outcome = .failed(.unreadableAnswer)
            },
            FaultRow("fewer URLs than asked") { row in
                row.size = 3000
                row.sandbox = {
                    $0.initialURLs = 1
                    $0.urlsPerCall = 1
                }
                row.requests[.put] = 3
                row.requests[.urls] = 2
            },
            FaultRow("a chunk fails after its report was accepted") { row in
                row.faults = [InjectedFault(.report, .failChunks([1]))]
                row.waits = [.milliseconds(200)]
                row.requests = [.create: 1, .put: 2, .urls: 1, .report: 2, .status: 1]
            },
            FaultRow("an answer to the report that does not say that the upload is complete") { row in
                row.sandbox = { $0.assetURLs = false }
                row.requests[.status] = 1
            },
            FaultRow("the session fails") { row in
                row.faults = [InjectedFault(.report, .session("failed"))]
                row.requests = [.create: 2, .put: 2, .report: 2, .status: 1]
            },
            FaultRow("the session expires") { row in
                row.faults = [InjectedFault(.report, .session("expired"))]
                row.requests = [.create: 2, .put: 2, .report: 2, .status: 1]
            },
            .call(
                "the key is refused half-way",
                InjectedFault(.report, .status(403, body: #"{"code":"api_key_invalid","message":"no"}"#)) {
                    $0.count = 2
                },
                [.seconds(5), .seconds(5)], .init(waitingFor: .key, code: "api_key_invalid", httpStatus: 403)),
            FaultRow("a session that is refused") { row in
                row.faults = [
                    InjectedFault(.create, .status(400, body: #"{"code":"parameter_invalid","message":"no"}"#))
                ]
                row.words = .init(waitingFor: nil, code: "parameter_invalid", httpStatus: 400)
                row.requests = [.create: 1]
                row.outcome = .failed(.sessionRefused)
            },
            FaultRow("a clock that is a day ahead of ours") { $0.sandbox = { $0.clockSkew = .seconds(86_400) } },
            FaultRow("a clock that is a day behind ours") { $0.sandbox = { $0.clockSkew = .seconds(-86_400) } },
        ]

    private static let store: [FaultRow] =
        [408, 500, 502, 503, 504].map { status in
            .put(
                "\(status) of the store", InjectedFault(.put, .status(status)), [half],
                .init(waitingFor: .network, code: "storeUnavailable", httpStatus: status))
        } + [
            .put(
                "SlowDown", InjectedFault(.put, .s3(503, "SlowDown")), [half],
                .init(waitingFor: .network, code: "SlowDown", httpStatus: 503)),
            .put(
                "429 of the store", InjectedFault(.put, .status(429, headers: ["Retry-After": "7"])), [.seconds(7)],
                .init(waitingFor: .network, code: "storeUnavailable", httpStatus: 429)),
            .put(
                "a URL that has expired", InjectedFault(.put, .s3(403, "AccessDenied", "Request has expired")), [], nil),
            .put(
                "URLs that keep expiring",
                InjectedFault(.put, .s3(403, "AccessDenied", "Request has expired")) { $0.count = 4 },
                [half, .seconds(1)],
                .init(waitingFor: nil, code: "AccessDenied", httpStatus: 403)),
            FaultRow("403 for another reason") { row in
                row.faults = [InjectedFault(.put, .s3(403, "SignatureDoesNotMatch"))]
                row.words = .init(waitingFor: nil, code: "SignatureDoesNotMatch", httpStatus: 403)
                // The session is asked whether it is to blame.
                row.requests = [.create: 1, .put: 1, .status: 1]
                row.outcome = .failed(.storeRefused)
            },
            .put(
                "a store that redirects",
                InjectedFault(.put, .status(307, headers: ["Location": "http://127.0.0.1:1/part?X-Amz-Signature=x"])),
                [half],
                .init(waitingFor: nil, code: "storeRedirected", httpStatus: 307)),
            FaultRow("a store that redirects for ever") { row in
                row.faults = [InjectedFault(.put, .status(308, headers: ["Location": "/part"])) { $0.count = nil }]
                row.waits = [half, .seconds(1), .seconds(2), .seconds(4)]
                row.words = .init(waitingFor: nil, code: "storeRedirected", httpStatus: 308)
                row.requests = [.create: 1, .put: 5, .urls: 4]
                row.outcome = .failed(.storeRedirected)
            },
            .put(
                "no ETag", InjectedFault(.put, .omit(["ETag"])), [half],
                .init(waitingFor: nil, code: "etag_missing", httpStatus: 200)),
            .put(
                "an ETag that is not the MD5",
                InjectedFault(.put, .replace(["ETag": .string(#""00000000000000000000000000000000""#)])), [half],
                .init(waitingFor: nil, code: "etag_mismatch", httpStatus: 200)),
            FaultRow("an ETag that is never the MD5") { row in
                let wrong = InjectedFault.Answer.replace(["ETag": .string(#""00000000000000000000000000000000""#)])
                row.faults = [InjectedFault(.put, wrong) { $0.count = nil }]
                row.waits = [half, .seconds(1), .seconds(2), .seconds(4)]
                row.words = .init(waitingFor: nil, code: "etag_mismatch", httpStatus: 200)
                row.requests = [.create: 1, .put: 5, .urls: 4]
                row.outcome = .failed(.checksumMismatch)
            },
            FaultRow("ETags that are no MD5, as encryption makes them") { $0.sandbox = { $0.opaqueETags = true } },
        ]

    @Test(arguments: network + api + store) func costsWhatTheTableSays(_ row: FaultRow) async throws {
        let time = ManualTime()
        try await EngineStage.with(
            clock: time.clock,
            engine: { engine in
                engine.uploadConcurrency = 1
                engine.upload.retryPolicy = RetryPolicy()
                engine.random = { 1 }
            }, sandbox: row.sandbox, platform: row.platform
        ) { stage in
            for fault in row.faults { stage.sandbox.add(fault) }
            if row.isDown { try await stage.stopPlatform() }
            let content = bytes(row.size)
            let upload = try stage.upload("a.mp4", content)
            for (number, wait) in row.waits.enumerated() {
                try await eventually(
                    "it waits \(wait), wait \(number + 1) of \(row.waits.count)", timeout: .seconds(15)
                ) {
                    time.deadlines.first == time.now + wait
                }
                if let words = row.words { #expect(Self.words(of: upload) == words) }
                if row.isDown, number + 1 == row.waits.count { try await stage.startPlatform() }
                time.advance(by: wait)
            }
            switch row.outcome {
            case .completed:
                try await upload.answer().get()
                #expect(try await stage.content(of: "a.mp4") == content)
                #expect(Self.words(of: upload) == FaultRow.Words())
            case .failed(let kind):
                let answer = await upload.answer()
                guard case .failure(let failure) = answer else {
                    Issue.record("answered with success")
                    return
                }
                #expect(failure.kind == kind)
                #expect(upload.currentState == .failed)
                #expect(Self.words(of: upload) == row.words)
                #expect(try await stage.sandbox.completeAssets().isEmpty)
            case .waiting:
                try await eventually("it waits on") { time.deadlines.first == time.now + row.waits[0] }
                #expect(upload.currentState == .finishing)
            }
            let kinds: Set<RequestKind> = [.create, .put, .urls, .report, .status]
            let requests = Dictionary(grouping: stage.sandbox.journal().map(\.kind).filter(kinds.contains), by: { $0 })
            #expect(requests.mapValues(\.count) == row.requests)
            if row.isDown { #expect(stage.log.count("unreachable", isPut: false) == row.waits.count) }
        }
    }

    private static func words(of upload: Upload) -> FaultRow.Words {
        let status = upload.status()
        return FaultRow.Words(
            waitingFor: status.waitingFor, code: status.error?.code, httpStatus: status.error?.httpStatus)
    }
}
