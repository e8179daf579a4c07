import NIOCore
import NIOHTTP1
import PlatformClient
import Testing
import UploadCore

@Suite struct APIFailureTests {
    struct Row: Sendable, CustomTestStringConvertible {
        enum Call: Sendable { case create, status, report, urls, asset, delete, list }
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

    private static let rows: [Row] = [
        Row(
            call: .asset, status: 401, body: error("api_key_invalid", "The API key is invalid"), kind: .keyRefused,
            code: "api_key_invalid", message: "The API key is invalid", hint: "/etc/the-key-file"),
        Row(
            call: .create, status: 403, body: error("api_not_allowed", "No."), kind: .keyRefused,
            code: "api_not_allowed", message: "No."),
        Row(
            call: .create, status: 400, body: error("api_key_invalid", "No."), kind: .keyRefused,
            code: "api_key_invalid"),
        Row(
            call: .list, status: 403, kind: .keyRefused, code: "keyRefused",
            message: "the platform answered 403 (application/json, 0 bytes)"),
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

    @Test(arguments: rows)
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
        case .status: _ = try await client.sessionStatus("u")
        case .report: _ = try await client.report([], for: "u")
        case .urls: _ = try await client.requestURLs(for: "u", start: 1, count: 2)
        case .asset: _ = try await client.asset("a")
        case .delete: try await client.deleteAsset("a")
        case .list: _ = try await client.incompleteUploads(page: 1, limit: 10)
        }
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

    @Test func retryAfterReachesTheFailure() async throws {
        try await ScriptedServer.run([.status(429, headers: ["Retry-After: 17"])]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.retryAfter == .seconds(17))
            }
        }
    }
}
