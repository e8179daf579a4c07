import Formats
import NIOCore
import NIOHTTP1
import PlatformClient
import Testing
import UploadCore

@Suite struct APIFailureTests {
    struct Row: Sendable, CustomTestStringConvertible {
        enum Call: Sendable { case create, createAudio, status, report, urls, asset, delete, list, key }
        let call: Call
        let status: Int
        var body = ""
        let kind: UploadFailure.Kind
        var code: String?
        var message: String?
        var hint: String?
        var testDescription: String { "\(call) \(status) \(body)" }
    }

    private static func error(_ code: String, _ message: String) -> String {
        JSONValue.object(["code": .string(code), "message": .string(message)]).text
    }

    private static let keys: [Row] = [
        Row(
            call: .asset, status: 401, body: error("api_key_invalid", "The API key is invalid"), kind: .keyRefused,
            code: "api_key_invalid", message: "The API key is invalid", hint: "/etc/the-key-file"),
        Row(call: .asset, status: 401, body: "<html>", kind: .keyRefused, hint: "/etc/the-key-file"),
        Row(call: .create, status: 403, body: error("unauthorized", "No."), kind: .keyRefused, code: "unauthorized"),
        Row(call: .key, status: 403, body: error("api_key_invalid", "No."), kind: .keyRefused, code: "api_key_invalid"),
        Row(
            call: .create, status: 400, body: error("api_key_invalid", "No."), kind: .keyRefused,
            code: "api_key_invalid"),
    ]

    /// 403 says three things, and which of them only its code tells.
    private static let denials: [Row] = [
        Row(
            call: .create, status: 403, body: error("region_not_allowed", "Not in your region."), kind: .accessRefused,
            code: "region_not_allowed", message: "Not in your region.", hint: "region"),
        Row(
            call: .report, status: 403, body: error("api_allowed_for_paid_plan", "Paid."), kind: .accessRefused,
            code: "api_allowed_for_paid_plan", hint: "choose another plan"),
        Row(
            call: .create, status: 403, body: error("api_not_allowed", "No."), kind: .accessRefused,
            code: "api_not_allowed", message: "No.", hint: "ask whoever manages it"),
        Row(
            call: .list, status: 403, body: error("api_upgrade_required", "From 1.4 on."), kind: .accessRefused,
            code: "api_upgrade_required", hint: "--api-url"),
        Row(
            call: .create, status: 403, body: error("tags_not_allowed", "Tag x."), kind: .accessRefused,
            code: "tags_not_allowed", hint: "--metadata"),
        Row(
            call: .create, status: 400, body: error("api_allowed_for_paid_plan", "Paid."), kind: .accessRefused,
            code: "api_allowed_for_paid_plan", hint: "twelvefs retry"),
        Row(call: .status, status: 403, body: error("read_not_allowed", "No."), kind: .sessionGone),
        Row(call: .report, status: 403, body: error("read_not_allowed", "No."), kind: .sessionGone),
        Row(
            call: .urls, status: 403, body: error("read_not_allowed", "No."), kind: .sessionGone,
            code: "read_not_allowed"),
        Row(
            call: .asset, status: 403, body: error("read_not_allowed", "No."), kind: .requestRefused,
            code: "read_not_allowed", message: "No.", hint: "another account"),
        Row(
            call: .delete, status: 403, body: error("read_not_allowed", "No."), kind: .requestRefused,
            code: "read_not_allowed"),
        // Nothing is named that could be gone.
        Row(call: .create, status: 403, body: error("read_not_allowed", "No."), kind: .accessUnclear),
        Row(
            call: .list, status: 403, kind: .accessUnclear, code: "accessUnclear",
            message: "the platform answered 403 (application/json, 0 bytes)", hint: "/etc/the-key-file"),
        Row(
            call: .report, status: 403, body: error("upload_not_allowed", "No."), kind: .accessUnclear,
            code: "upload_not_allowed", message: "No."),
        Row(call: .asset, status: 403, body: "<html>no entry</html>", kind: .accessUnclear, code: "accessUnclear"),
        Row(call: .status, status: 403, body: #"{"message":"Forbidden"}"#, kind: .accessUnclear, message: "Forbidden"),
        Row(call: .key, status: 403, body: "", kind: .accessUnclear),
        Row(
            call: .status, status: 400, body: error("resource_not_exist", "No upload"), kind: .sessionGone,
            code: "resource_not_exist"),
        Row(
            call: .asset, status: 400, body: error("resource_not_exist", "No asset"), kind: .requestRefused,
            code: "resource_not_exist"),
        // What the platform itself could not do is no verdict, whatever the code.
        Row(call: .create, status: 500, body: error("api_not_allowed", "No."), kind: .platformUnavailable),
    ]

    private static let refusals: [Row] = [
        Row(
            call: .create, status: 400, body: error("parameter_invalid", "The filename parameter is invalid"),
            kind: .sessionRefused,
            code: "parameter_invalid", message: "The filename parameter is invalid"),
        Row(
            call: .create, status: 400, body: error("parameter_invalid", "The total_size parameter is invalid"),
            kind: .sizeRefused,
            code: "parameter_invalid", hint: "too large"),
        Row(call: .create, status: 413, body: "<html>", kind: .sizeRefused),
        Row(
            call: .createAudio, status: 400, body: error("parameter_invalid", "The type parameter is invalid."),
            kind: .typeRefused, code: "parameter_invalid", message: "The type parameter is invalid.",
            hint: "--asset-type"),
        // There is nothing else that a video could be asked for as.
        Row(
            call: .create, status: 400, body: error("parameter_invalid", "The type parameter is invalid."),
            kind: .sessionRefused),
        Row(
            call: .createAudio, status: 400, body: error("parameter_invalid", "The filename parameter is invalid."),
            kind: .sessionRefused),
        Row(
            call: .createAudio, status: 400, body: error("parameter_invalid", "The total_size parameter is invalid."),
            kind: .sizeRefused),
        Row(
            call: .createAudio, status: 400,
            body: error("parameter_not_provided", "The type parameter is required but was not provided."),
            kind: .sessionRefused),
        Row(
            call: .createAudio, status: 403, body: error("parameter_invalid", "The type parameter is invalid."),
            kind: .accessUnclear),
        Row(
            call: .status, status: 400, body: error("parameter_invalid", "The type parameter is invalid."),
            kind: .requestRefused),
        Row(
            call: .report, status: 400, body: error("parameter_invalid", "proof"), kind: .requestRefused,
            code: "parameter_invalid"),
        Row(
            call: .status, status: 404, body: error("resource_not_exist", "No upload"), kind: .sessionGone,
            code: "resource_not_exist"),
        Row(call: .report, status: 404, kind: .sessionGone), Row(call: .urls, status: 410, kind: .sessionGone),
        Row(
            call: .asset, status: 404, body: error("resource_not_exist", "x"), kind: .requestRefused,
            code: "resource_not_exist"),
        Row(call: .create, status: 404, kind: .requestRefused, hint: "--api-url"),
        Row(
            call: .delete, status: 409, body: error("conflict", "in use"), kind: .conflict, code: "conflict",
            message: "in use"),
        Row(
            call: .urls, status: 429, body: error("too_many_requests", "Slow"), kind: .rateLimited,
            code: "too_many_requests"),
        Row(
            call: .urls, status: 400, body: error("too_many_requests", "Slow"), kind: .rateLimited,
            code: "too_many_requests"),
        Row(call: .report, status: 400, body: error("request_canceled_or_timed_out", "x"), kind: .platformUnavailable),
        Row(call: .report, status: 408, kind: .platformUnavailable),
        Row(call: .report, status: 500, kind: .platformUnavailable),
        Row(
            call: .report, status: 502, body: "<html>bad gateway</html>", kind: .platformUnavailable,
            code: "platformUnavailable", message: "answered 502"),
        Row(call: .report, status: 503, kind: .platformUnavailable),
        Row(call: .report, status: 599, kind: .platformUnavailable),
        Row(call: .asset, status: 418, kind: .requestRefused),
        Row(
            call: .asset, status: 400, body: #"{"error":{"code":"wrapped","message":"inside"}}"#, kind: .requestRefused,
            code: "wrapped", message: "inside"),
        Row(
            call: .asset, status: 400, body: #"{"code":5,"message":["x"]}"#, kind: .requestRefused,
            code: "requestRefused"),
        Row(
            call: .asset, status: 400, body: #"{"code":"no word","message":"  "}"#, kind: .requestRefused,
            code: "requestRefused"),
    ]

    @Test(arguments: keys + denials + refusals)
    func aStatusAndACodeTellWhatHappened(_ row: Row) async throws {
        try await ScriptedServer.run([.status(row.status, row.body)]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await Self.make(row.call, client) }
                #expect(failure?.kind == row.kind)
                #expect(failure?.httpStatus == row.status)
                if let code = row.code { #expect(failure?.code == code) }
                if let message = row.message {
                    #expect(failure?.message.contains(message) == true, "\(failure?.message ?? "")")
                }
                if let hint = row.hint { #expect(failure?.hint?.contains(hint) == true, "\(failure?.hint ?? "")") }
                #expect(failure?.retryAfter == nil)
            }
            #expect(server.requests.count == 1, "nothing is repeated here")
        }
    }

    private static func make(_ call: Row.Call, _ client: PlatformClient) async throws(UploadFailure) {
        switch call {
        case .create: _ = try await client.createSession(SessionRequest(filename: "a.mp4", type: .video, totalSize: 9))
        case .createAudio:
            _ = try await client.createSession(SessionRequest(filename: "a.mp3", type: .audio, totalSize: 9))
        case .status: _ = try await client.sessionStatus("u")
        case .report: _ = try await client.report([], for: "u")
        case .urls: _ = try await client.requestURLs(for: "u", start: 1, count: 2)
        case .asset: _ = try await client.asset("a")
        case .delete: try await client.deleteAsset("a")
        case .list: _ = try await client.incompleteUploads(page: 1, limit: 10)
        case .key: try await client.checkKey()
        }
    }

    // MARK: Whose fault it is

    @Test func theCheapestCallTellsThatTheKeyIsAccepted() async throws {
        try await ScriptedServer.run([.json(#"{"data":[],"page_info":null}"#)]) { server in
            try await withClient(of: server) { try await $0.checkKey() }
            #expect(server.requests.map(\.uri) == ["/v1.3/assets?page_limit=1"])
            #expect(server.requests.first?.method == "GET")
        }
    }

    @Test func aPageInThePlatformsPlaceAcceptsNoKey() async throws {
        try await ScriptedServer.run([.status(200, "<html>sign in</html>", type: "text/html")]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.checkKey() }
                #expect(failure?.kind == .unreadableAnswer)
            }
        }
    }

    // MARK: The names of calls

    @Test(arguments: [
        (["x-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736"], "4bf92f3577b34da6a3ce929d0e0e4736"),
        (["X-Request-Id: 1c2d-3e"], "1c2d-3e"),
        (["x-request-id: second", "x-trace-id: Root=1-57-bd;Sampled=1"], "Root=1-57-bd;Sampled=1"),
        (["x-trace-id: not a word", "x-request-id: second"], "second"),
        ([], nil), (["x-trace-id: "], nil), (["x-trace-id: a b"], nil), (["x-trace-id: \u{1B}[31m"], nil),
        (["x-trace-id: \(testKey)"], nil), (["x-trace-id: 1\(testKey)2"], nil), (["x-trace-id: tlk_other"], nil),
        (["x-trace-id: https://a/b"], nil), (["x-trace-id: Signature=\(testSignature)"], nil),
        (["x-trace-id: \(String(repeating: "a", count: 81))"], nil), (["x-trace-id: é"], nil),
    ])
    func aRefusedCallKeepsTheNameThatThePlatformGaveIt(_ headers: [String], _ traceID: String?) async throws {
        let log = RecordedLog()
        try await ScriptedServer.run([.status(500, "{}", headers: headers)]) { server in
            try await withClient(of: server, log: log) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.traceID == traceID)
            }
        }
        #expect(log.text.count == 1)
        #expect(log.text.first?.contains("trace_id=\(traceID ?? "")") == (traceID != nil), "\(log.text)")
        expectNoSecret(in: log.text)
    }

    @Test func messagesAreCutCleanedAndRidOfSecrets() async throws {
        let message = """
            key \(testKey) at https://store.example/a?X-Amz-Signature=\(testSignature) \u{1B}[31mred\u{202E} \
            X-Amz-Credential=AKIA/x tlk_other \(String(repeating: "long ", count: 200))
            """
        try await ScriptedServer.run([.status(400, Self.error("parameter_invalid", message))]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                let text = try #require(failure?.message)
                #expect(text.hasPrefix("key [removed] at [removed] [31mred [removed] [removed] long long"))
                #expect(text.count == 300)
                #expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0 != "\u{202E}" })
            }
        }
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func redirectsAreNotFollowed(_ status: Int) async throws {
        try await ScriptedServer.run([.json("{}")]) { elsewhere in
            let location = "Location: \(elsewhere.origin)/v1.3/assets/a"
            try await ScriptedServer.run([.status(status, headers: [location])]) { server in
                try await withClient(of: server) { client in
                    for call in [Row.Call.asset, .create, .delete] {
                        let failure = await failure { () async throws(UploadFailure) in
                            try await Self.make(call, client)
                        }
                        #expect(failure?.kind == .requestRefused)
                        #expect(failure?.httpStatus == status)
                        #expect(failure?.hint?.contains("redirects are not followed") == true)
                    }
                }
                #expect(server.requests.count == 3)
            }
            #expect(elsewhere.connections == 0)
        }
    }

    @Test func retryAfterIsReadInAllItsForms() {
        let now = Timestamp(millisecondsSince1970: 1_700_000_000_000)
        let date = ("Date", "Tue, 14 Nov 2023 22:00:00 GMT")
        let rows: [([(String, String)], Duration?)] = [
            ([], nil),
            ([("Retry-After", "7")], .seconds(7)),
            ([("Retry-After", " 7 ")], .seconds(7)),
            ([("Retry-After", "0.5")], .seconds(0.5)),
            ([("Retry-After", "7"), ("retry-after-ms", "1500")], .seconds(1.5)),
            // Relative to the answer's own Date, whatever our clock says.
            ([("Retry-After", "Tue, 14 Nov 2023 22:01:00 GMT"), date], .seconds(60)),
            ([("Retry-After", "Tue, 14 Nov 2023 21:00:00 GMT"), date], .zero),
            ([("Retry-After", "Tue, 14 Nov 2023 22:13:50 GMT")], .seconds(30)),
            ([("Retry-After", "soon")], nil),
            ([("Retry-After", "-5")], nil),
            ([("Retry-After", "nan")], nil),
            ([("Retry-After", "1e300")], .seconds(31_536_000)),
            ([("Retry-After", "")], nil),
        ]
        for (headers, expected) in rows {
            #expect(RetryAfter.wait(asked: HTTPHeaders(headers), now: { now }) == expected, "\(headers)")
        }
    }

    @Test func theResetOfARateLimitIsReadFromTheAnswersOwnDate() {
        let now = Timestamp(millisecondsSince1970: 1_700_000_000_000)
        // Ten minutes behind our clock.
        let date = ("Date", "Tue, 14 Nov 2023 22:03:20 GMT")
        let rows: [([(String, String)], Duration?)] = [
            ([], nil),
            ([("x-ratelimit-reset", "1700011382")], .seconds(11_382)),
            ([("X-RateLimit-Reset", " 1700011382 "), date], .seconds(11_982)),
            ([("x-ratelimit-reset", "1699999400"), date], .zero),
            ([("x-ratelimit-reset", "1699990000"), date], .zero),
            // No moment that could be meant: seconds from now, milliseconds, nonsense.
            ([("x-ratelimit-reset", "60")], nil), ([("x-ratelimit-reset", "1700011382000")], nil),
            ([("x-ratelimit-reset", "-1700011382")], nil), ([("x-ratelimit-reset", "1700011382.5")], nil),
            ([("x-ratelimit-reset", "soon")], nil), ([("x-ratelimit-reset", "99999999999999999999")], nil),
            ([("x-ratelimit-reset", "9999999999")], .seconds(31_536_000)),
        ]
        for (headers, expected) in rows {
            #expect(RetryAfter.wait(untilReset: HTTPHeaders(headers), now: { now }) == expected, "\(headers)")
        }
    }

    @Test func theResetCountsWhereRetryAfterIsMissingAndTheLimitIsReached() async throws {
        let reset = ["x-ratelimit-remaining: 0", "x-ratelimit-reset: 1700011382"]
        let rows: [(Int, [String], Duration?)] = [
            (429, reset, .seconds(11_382)), (429, reset + ["Retry-After: 17"], .seconds(17)),
            (429, reset + ["Retry-After: soon"], .seconds(11_382)),
            // The window ends then whatever happens in it.
            (500, reset, nil), (400, reset, nil), (503, reset + ["Retry-After: 17"], .seconds(17)),
        ]
        for (status, headers, wait) in rows {
            try await ScriptedServer.run([.status(status, "{}", headers: headers)]) { server in
                try await withClient(of: server) { client in
                    let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                    #expect(failure?.retryAfter == wait, "\(status) \(headers)")
                }
            }
        }
    }

    @Test func everyAnswerOfTheAPITellsHowManyCallsAreLeft() async throws {
        let script: ScriptedServer.Script = { request, _ in
            switch request.path {
            case "/v1.3/assets/a":
                .json(#"{"_id":"a"}"#, headers: ["x-ratelimit-remaining: 99", "x-ratelimit-limit: 100"])
            case "/v1.3/assets/b":
                .status(429, headers: ["X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1700000060"])
            case "/v1.3/assets/c": .json(#"{"_id":"c"}"#, headers: ["x-ratelimit-remaining: -1"])
            default: .status(500, headers: ["x-ratelimit-remaining: 7", "x-ratelimit-reset: 1700000600"])
            }
        }
        let now = Timestamp(millisecondsSince1970: 1_700_000_000_000)
        try await ScriptedServer.run(script) { server in
            try await withClient(of: server) { client in
                #expect(client.rateLimits == RateLimits())
                _ = try await client.asset("a")
                #expect(client.rateLimits.tightest(at: now) == RateLimit(limit: 100, remaining: 99))
                _ = await failure { () async throws(UploadFailure) in try await client.asset("b") }
                let reset = now.advanced(by: .seconds(60))
                #expect(client.rateLimits.tightest(at: now) == RateLimit(remaining: 0, resetsAt: reset))
                _ = try await client.asset("c")
                _ = await failure { () async throws(UploadFailure) in try await client.sessionStatus("u") }
                #expect(client.rateLimits.tightest(at: now)?.remaining == 0)
                #expect(client.rateLimits.tightest(at: reset)?.remaining == 7)
            }
        }
    }

    @Test func retryAfterReachesTheFailure() async throws {
        try await ScriptedServer.run([.status(429, headers: ["Retry-After: 17"])]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.retryAfter == .seconds(17))
            }
        }
    }
}
