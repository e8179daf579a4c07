import Formats
import NIOCore
import NIOHTTP1
import PlatformClient
import UploadCore

// What the platform, its store, and proxies in between may say.

/// An answer as an input has it: a line with the status, lines of headers, an empty line, and the body.
private struct FuzzedAnswer {
    let answer: HTTPAnswer
    let headers: HTTPHeaders
    let body: ByteBuffer

    init(_ input: [UInt8]) {
        var rest = input[...]
        let status = Int(Self.takeLine(&rest)) ?? 200
        var headers = HTTPHeaders()
        while true {
            let line = Self.takeLine(&rest)
            if line.isEmpty { break }
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            // Of others NIO makes no headers.
            guard parts.count == 2, parts[0].utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { continue }
            headers.add(name: String(parts[0]), value: String(parts[1]))
        }
        body = ByteBuffer(bytes: rest)
        self.headers = headers
        answer = HTTPAnswer(status: status, headers: headers, body: body)
    }

    private static func takeLine(_ rest: inout ArraySlice<UInt8>) -> String {
        let line = rest.prefix { $0 != UInt8(ascii: "\n") }
        rest = rest[line.endIndex...].dropFirst()
        return String(decoding: line, as: UTF8.self)
    }
}

extension FuzzedDecoder {
    static let platform = [answers, refusals, storeAnswers, headers, addresses]

    private static let now: @Sendable () -> Timestamp = { Timestamp(millisecondsSince1970: 1_767_225_600_000) }

    private static func withContext(_ body: (AnswerContext) throws -> Void) {
        guard let base = try? WebAddress.apiBase("https://api.example/v1.3"), let key = try? APIKey("tlk_0123456789")
        else { return }
        try? body(AnswerContext(base: base, key: key, now: now))
    }

    private static let date = "Date: Thu, 01 Jan 2026 00:00:00 GMT\n"

    // MARK: The API

    /// Sizes that an upload is opened with: what a plan makes of an answer depends on it.
    private static let sizes: [Int64] = [1, 35, 300_000_000, 10 << 30, 1 << 62, .max]

    private static let answers = FuzzedDecoder(
        "answers",
        [
            #"{"upload_id":"u","asset_id":"a","upload_urls":[{"chunk_index":1,"url":"https://s.example/a?x=1","#
                + #""expires_at":"2026-01-01T01:00:00Z"}],"upload_headers":{"Content-Type":"application/octet-stream"},"#
                + #""chunk_size":5242880,"total_chunks":58,"expires_at":"2026-01-02T00:00:00Z"}"#,
            #"{"upload_id":"u","asset_id":"a","chunk_size":35,"upload_urls":[]}"#,
            #"{"upload_id":"u","status":"active","uploaded_chunks":[{"index":1,"status":"completed","#
                + #""uploaded_at":"2026-01-01T00:00:00Z","error":{"message":"no"}},{"index":2,"status":"failed"}],"#
                + #""chunks_completed":1,"chunks_failed":1,"chunks_pending":0,"page_info":{"limit_per_page":50,"page":1,"#
                + #""total_page":1,"total_results":2},"total_size":35,"uploaded_size":10}"#,
            #"{"asset_id":"a","processed_chunks":3,"duplicate_chunks":0,"total_completed":3,"url":"https://c.example/v"}"#,
            #"{"data":[{"_id":"a","method":"multipart","status":"ready","filename":"v.mp4","file_type":"video/mp4","#
                + #""created_at":"2026-01-01T00:00:00Z","size":35,"duration":1.5,"technical_metadata":{"#
                + #""file_size_bytes":35}}],"page_info":{"page":1}}"#,
            #"{"data":[{"upload_id":"u","status":"active","total_size":35,"chunk_size":10,"total_chunks":4,"#
                + #""created_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-02T00:00:00Z"}]}"#,
        ].map { "201\n\(date)Content-Type: application/json\n\n" + $0 }
    ) { input in
        let answer = FuzzedAnswer(input).answer
        withContext { context in
            let decoder = try AnswerDecoder(answer, of: .createSession, context: context)
            for size in sizes {
                if let session = try? decoder.session(totalSize: size) { FuzzedUpload.run(size: size, with: session) }
            }
            _ = try? decoder.urls(from: 1, count: 50)
            _ = try? decoder.incompleteUploads()
            _ = try? decoder.sessionStatus()
            _ = decoder.report()
            _ = try? decoder.asset()
            _ = try? decoder.assets()
        }
    }

    private static let refusals = FuzzedDecoder(
        "refusals",
        [
            "429\n\(date)Retry-After: 11382\nx-ratelimit-reset: 1767229200\nx-trace-id: abc\n\n"
                + #"{"code":"too_many_requests","message":"You have exceeded the rate limit (100req/1day)."}"#,
            "400\n\n" + #"{"code":"parameter_invalid","message":"The total_size parameter is invalid."}"#,
            "403\n\n" + #"{"error":{"code":"read_not_allowed","message":"https://x.example/?token=1 tlk_0123456789"}}"#,
            "502\nContent-Type: text/html; charset=utf-8\n\n<html><body>Bad gateway</body></html>",
            "307\nLocation: https://elsewhere.example/\n\n",
        ]
    ) { input in
        let answer = FuzzedAnswer(input).answer
        withContext { context in
            for call in APICall.allCases {
                let failures = APIFailures(call: call, context: context, keyLocation: "$TWELVELABS_API_KEY")
                if let failure = failures.failure(of: answer) { decide(about: failure) }
            }
        }
    }

    /// What a failure leads to: waits above all.
    private static func decide(about failure: UploadFailure) {
        let policy = RetryPolicy()
        for attempt in [1, 7, .max] {
            _ = policy.decide(failure, attempt: attempt, sinceFirst: .zero, random: 0.5)
        }
        _ = policy.verdict(onAssetCallThatFailed: failure)
        if case .pause(let wait)? = policy.backpressure(after: failure, lostInARow: 1) {
            _ = ContinuousClock.now + wait
        }
        precondition(failure.message.utf8.count <= 9 << 10, "a message has no end")
    }

    // MARK: The store

    private static let storeAnswers = FuzzedDecoder(
        "store",
        [
            "403\n\n<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
            "503\nRetry-After: 1\n\n<Error><Code>SlowDown</Code><Message>Please &lt;reduce&gt; &amp; wait</Message></Error>",
            "307\nLocation: //other.example/a?signature=1\n\n",
            "200\nETag: \"d41d8cd98f00b204e9800998ecf8427e\"\nx-amz-server-side-encryption: aws:kms\n\n",
            "200\nETag: W/\"x\"\n\n",
        ]
    ) { input in
        let fuzzed = FuzzedAnswer(input)
        withContext { context in
            for scheme in [WebAddress.Scheme.http, .https] {
                let failures = StoreFailures(key: context.key, now: context.now, scheme: scheme)
                if let failure = failures.failure(of: fuzzed.answer) { decide(about: failure) }
            }
            let sent = fuzzed.headers.map { ($0.name, $0.value) }
            _ = try? ETag.check(
                answer: fuzzed.headers, uploadHeaders: sent, md5: String(repeating: "0", count: 32), status: 200)
        }
    }

    // MARK: Headers

    private static let headers = FuzzedDecoder(
        "headers",
        [
            "200\n\(date)Retry-After: 11382\nretry-after-ms: 1500\nx-ratelimit-remaining: 3\nx-ratelimit-limit: 100\n"
                + "x-ratelimit-reset: 1767229200\n\n",
            "200\n\(date)Retry-After: Thu, 01 Jan 2026 01:00:00 GMT\n\n",
            "200\nDate: Sunday, 06-Nov-94 08:49:37 GMT\nRetry-After: Sun Nov  6 08:49:37 1994\n\n",
            "200\n\n2026-01-01T00:00:00.5+02:00\n1h30m\n1.5GiB",
        ]
    ) { input in
        let fuzzed = FuzzedAnswer(input)
        let waits = [
            RetryAfter.wait(asked: fuzzed.headers, now: now), RetryAfter.wait(untilReset: fuzzed.headers, now: now),
        ]
        for wait in waits.compactMap(\.self) {
            precondition(wait >= .zero && wait <= .seconds(10_000 * 366 * 86_400), "a wait has no end")
            _ = ContinuousClock.now + wait
        }
        if let limit = RateLimit(fuzzed.headers, now: now) {
            var limits = RateLimits()
            limits.record(limit, of: "asset")
            _ = limits.tightest(at: now())
            _ = SummaryDocument(mountpoint: "/mnt", closeMode: "upload", rateLimit: limit).json()
        }
        for header in fuzzed.headers { _ = UploadHeaders.verdict(on: header.name, header.value) }
        for line in String(buffer: fuzzed.body).split(separator: "\n").prefix(8).map(String.init) {
            if let moment = Timestamp(rfc3339: line) ?? Timestamp(httpDate: line) {
                precondition(Timestamp(rfc3339: moment.rfc3339) == moment, "a moment is written as another one")
                _ = moment.advanced(by: moment.duration(since: now()))
            }
            if let duration = DurationText.parse(line) { _ = ContinuousClock.now + duration }
            if let count = ByteCount(parsing: line) { _ = "\(count)" }
        }
    }

    // MARK: Addresses

    private static let addresses = FuzzedDecoder(
        "addresses",
        [
            "https://bucket.s3.amazonaws.com/a%20b?X-Amz-Signature=1#x", "http://[::1]:8080/v1.3",
            "http://127.0.0.1/_store",
            "http://user:pass%77ord@proxy.example:3128", "socks5h://[2001:db8::1]",
            ".example.com, 10.0.0.0/8 fd00::/8 *.x:8443 [2001:db8::1]:1 *",
        ]
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        if let address = try? WebAddress(parsing: text) {
            _ = address.origin + address.basePath + "\(address.isLoopback)"
        }
        _ = try? WebAddress.apiBase(text)
        _ = PublicURL.withoutCredentials(text)
        guard let server = try? ProxyServer(parsing: text) else {
            let exceptions = ProxyExceptions(text)
            for host in ["a.example.com", "10.1.2.3", "2001:db8::1", "localhost"] {
                _ = exceptions.cover(host: host, port: 443)
            }
            return
        }
        precondition((try? ProxyServer(parsing: server.secretURL)) == server, "a proxy is handed on as another one")
    }
}
