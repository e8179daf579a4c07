import NIOCore
import NIOHTTP1
import PlatformClient
import Testing
import UploadCore

import struct TestSupport.ShownStatements

/// Answers that are wrong, or meant to harm: each is an error that says what is wrong, after one request, and never a crash.
@Suite struct HostileAnswerTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let body: String
        var totalSize: Int64 = 20
        let words: String
        var testDescription: String { words + " " + body.prefix(40) }
    }

    private static let good = #""upload_id":"u","asset_id":"a","chunk_size":10,"total_chunks":2"#

    private static func urls(_ entries: String) -> String { "{\(good),\"upload_urls\":[\(entries)]}" }
    private static func headers(_ headers: String) -> String { "{\(good),\"upload_headers\":{\(headers)}}" }
    private static func url(_ url: String) -> String { urls(#"{"chunk_index":1,"url":"\#(url)"}"#) }

    private static let sessions: [Row] = [
        Row(body: "", words: "it is empty"),
        Row(body: "<html><body>?token=\(testSignature)</body></html>", words: "it is not JSON (at byte 0)"),
        Row(body: #"{"upload_id":"u","asset_id":"#, words: "its JSON is cut off"),
        Row(body: "[1]", words: "it is an array, not an object"),
        Row(body: "{} {}", words: "it is not JSON (at byte 3)"),
        Row(body: String(repeating: "[", count: 100_000), words: "nests more than 32 levels deep"),
        Row(body: String(repeating: #"{"a":"#, count: 5000), words: "nests more than 32 levels deep"),
        Row(body: "[" + String(repeating: "0,", count: 150_000) + "0]", words: "more than 100000 values"),
        Row(body: #"{"asset_id":"a","chunk_size":10,"total_chunks":2}"#, words: "upload_id is missing"),
        Row(
            body: #"{"upload_id":null,"asset_id":"a","chunk_size":10,"total_chunks":2}"#, words: "upload_id is missing"),
        Row(body: #"{"upload_id":7,"asset_id":"a","chunk_size":10}"#, words: "upload_id is a number, not a string"),
        Row(body: #"{"upload_id":"../../x","asset_id":"a","chunk_size":10}"#, words: "upload_id is not an identifier"),
        Row(body: #"{"upload_id":"","asset_id":"a","chunk_size":10}"#, words: "upload_id is not an identifier"),
        Row(body: #"{"upload_id":"u","chunk_size":10,"total_chunks":2}"#, words: "asset_id is missing"),
        Row(body: #"{"upload_id":"u","asset_id":"a","total_chunks":2}"#, words: "chunk_size is missing"),
        Row(body: #"{"upload_id":"u","asset_id":"a","chunk_size":0,"total_chunks":2}"#, words: "chunk_size is 0"),
        Row(body: #"{"upload_id":"u","asset_id":"a","chunk_size":0}"#, words: "chunk_size is 0"),
        Row(body: #"{"upload_id":"u","asset_id":"a","chunk_size":-10,"total_chunks":2}"#, words: "chunk_size is -10"),
        Row(
            body: #"{"upload_id":"u","asset_id":"a","chunk_size":-9223372036854775808,"total_chunks":2}"#,
            words: "chunk_size"),
        Row(
            body: #"{"upload_id":"u","asset_id":"a","chunk_size":99999999999999999999}"#,
            words: "chunk_size is not a whole number"),
        Row(body: #"{"upload_id":"u","asset_id":"a","chunk_size":1e400}"#, words: "chunk_size is not a whole number"),
        Row(body: #"{"upload_id":"u","asset_id":"a","chunk_size":1.5}"#, words: "chunk_size is not a whole number"),
        Row(body: #"{"upload_id":"u","asset_id":"a","chunk_size":"10"}"#, words: "chunk_size is not a whole number"),
        Row(
            body: #"{"upload_id":"u","asset_id":"a","chunk_size":1}"#, totalSize: 10 << 30,
            words: "chunk_size is 1, which cuts 10737418240 bytes into 10737418240 chunks; an upload has at most 10000"),
        Row(body: #"{"upload_id":"u","asset_id":"a","chunk_size":10,"total_chunks":3}"#, words: "total_chunks is 3"),
        Row(body: #"{"upload_id":"u","asset_id":"a","chunk_size":10,"total_chunks":-2}"#, words: "total_chunks is -2"),
        Row(
            body: #"{"upload_id":"u","asset_id":"a","chunk_size":10,"total_chunks":9223372036854775807}"#,
            words: "total_chunks is 9223372036854775807"),
        Row(
            body: #"{"upload_id":"u","asset_id":"a","chunk_size":10,"total_chunks":"2"}"#,
            words: "total_chunks is not a whole"),
        Row(body: "{\(good),\"upload_urls\":{}}", words: "upload_urls is an object, not an array"),
        Row(body: urls("7"), words: "upload_urls[0] is a number, not an object"),
        Row(body: urls(#"{"url":"https://s/a"}"#), words: "upload_urls[0].chunk_index is missing"),
        Row(
            body: urls(#"{"chunk_index":0,"url":"https://s/a"}"#),
            words: "upload_urls[0].chunk_index is 0, outside 1 to 2"),
        Row(
            body: urls(#"{"chunk_index":3,"url":"https://s/a"}"#),
            words: "upload_urls[0].chunk_index is 3, outside 1 to 2"),
        Row(
            body: urls(#"{"chunk_index":-9223372036854775808,"url":"https://s/a"}"#),
            words: "chunk_index is -9223372036854775808"),
        Row(
            body: urls(#"{"chunk_index":1,"url":"https://s/a"},{"chunk_index":1,"url":"https://s/b"}"#),
            words: "upload_urls[1].chunk_index is 1, which came before"),
        Row(body: urls(#"{"chunk_index":1}"#), words: "upload_urls[0].url is missing"),
        Row(body: url("ftp://s/a?\(testSignature)"), words: "url cannot be used: its scheme is neither"),
        Row(body: url("file:///etc/passwd"), words: "url cannot be used: its scheme is neither"),
        Row(body: url("http://store.example/a?\(testSignature)"), words: "url cannot be used: its scheme is http"),
        Row(body: url("https://u:p@s/a?\(testSignature)"), words: "url cannot be used: it has a user name"),
        Row(body: url("https://api.example@127.0.0.1/a"), words: "url cannot be used: it has a user name"),
        Row(body: url("https:///a"), words: "url cannot be used: it is not a URL"),
        Row(body: url("https://s:0/a"), words: "url cannot be used: its port"),
        Row(body: url("https://s:99999/a"), words: "url cannot be used: its port"),
        Row(body: url(#"https://s/a\r\nx-injected: 1"#), words: "url cannot be used: it is not a URL"),
        Row(body: url("https://s/%zz"), words: "url cannot be used: it is not a URL"),
        Row(body: url("//s/a"), words: "url cannot be used: it is not a URL"),
        Row(body: "{\(good),\"upload_headers\":[]}", words: "upload_headers is an array, not an object"),
        Row(body: headers(#""x-amz-a":{"b":1}"#), words: "upload_headers holds an object"),
        Row(body: headers(#""x-amz-a":["1",{}]"#), words: "upload_headers holds an array"),
        Row(
            body: headers(#""x-amz-a":["1","2\r\nx-injected: 1"]"#),
            words: "x-amz-a has a value that no header may have"),
        Row(body: headers(#""x-amz-a":"1\r\nx-injected: 1""#), words: "x-amz-a has a value that no header may have"),
        Row(body: headers(#""x-amz-a":"1\u0000""#), words: "x-amz-a has a value that no header may have"),
        Row(body: headers(#""x-a\r\nx-injected":"1""#), words: "a name that no header may have"),
        Row(body: headers(#""":"1""#), words: "a name that no header may have"),
        Row(body: headers(#""x a":"1""#), words: "a name that no header may have"),
        Row(body: headers(#""Host\r\nx-injected":"1""#), words: "a name that no header may have"),
        Row(body: headers(#""X-API-Key":"\#(testSignature)""#), words: "it names x-api-key, a credential"),
        Row(body: headers(#""authorization":"\#(testSignature)""#), words: "it names authorization, a credential"),
        Row(body: headers(#""Cookie":"\#(testSignature)""#), words: "it names cookie, a credential"),
        Row(body: headers(#""x-forwarded-for":"127.0.0.1""#), words: "it names x-forwarded-for, which is none"),
        Row(body: headers(#""range":"bytes=0-1""#), words: "it names range, which is none"),
        Row(body: headers(#""Proxy-Authorization":"\#(testSignature)""#), words: "it names proxy-authorization"),
        Row(
            body: headers((0...64).map { #""x-amz-meta-\#($0)":"1""# }.joined(separator: ",")),
            words: "upload_headers holds more than a request may carry"),
        Row(
            body: headers(
                (0..<5).map { "\"x-amz-meta-\($0)\":\"" + String(repeating: "a", count: 4000) + "\"" }
                    .joined(separator: ",")),
            words: "upload_headers holds more than a request may carry"),
    ]

    @Test(.shows("store-headers"), arguments: sessions)
    func anAnswerToCreateThatMakesNoSenseIsRefused(_ row: Row) async throws {
        try await ScriptedServer.run([.status(201, row.body)]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await client.createSession(
                        SessionRequest(filename: "a.mp4", type: .video, totalSize: row.totalSize))
                }
                #expect(failure?.kind == .unreadableAnswer)
                #expect(failure?.message.contains(row.words) == true, "\(failure?.message ?? "-")")
                #expect((failure?.message.count ?? 0) < 300)
                #expect(failure?.httpStatus == 201)
            }
            #expect(server.requests.count == 1)
        }
    }

    @Test func anAnswerThatIsNoJSONIsDescribedByItsTypeAndLengthAlone() async throws {
        let page = "<html>sign in at https://portal.example/?sig=\(testSignature)</html>"
        try await ScriptedServer.run([.status(200, page, type: "text/html; charset=utf-8")]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(
                    failure?.message == "the platform's answer cannot be read: it is not JSON (at byte 0) "
                        + "(text/html, \(page.utf8.count) bytes), when asked to tell the asset's status")
                #expect(failure?.hint?.contains("proxy") == true)
            }
        }
    }

    @Test func otherCallsNameTheFieldThatIsMissing() async throws {
        let rows: [(String, String, @Sendable (PlatformClient) async throws(UploadFailure) -> Void)] = [
            ("{}", "data is missing", { c async throws(UploadFailure) in _ = try await c.allIncompleteUploads() }),
            (
                #"{"data":[{"status":"active"}]}"#, "data[0].upload_id is missing",
                { c async throws(UploadFailure) in _ = try await c.allIncompleteUploads() }
            ),
            ("{}", "status is missing", { c async throws(UploadFailure) in _ = try await c.sessionStatus("u") }),
            (
                #"{"status":"active","uploaded_chunks":[{"index":0,"status":"pending"}]}"#,
                "uploaded_chunks[0].index is 0",
                { c async throws(UploadFailure) in _ = try await c.sessionStatus("u") }
            ),
            (
                #"{"status":"active","uploaded_chunks":[{"index":1}]}"#, "uploaded_chunks[0].status is missing",
                { c async throws(UploadFailure) in _ = try await c.sessionStatus("u") }
            ),
            (
                #"{"upload_urls":[{"chunk_index":4,"url":"https://s/a"}]}"#,
                "upload_urls[0].chunk_index is 4, outside 5 to 6",
                { c async throws(UploadFailure) in _ = try await c.requestURLs(for: "u", start: 5, count: 2) }
            ),
            ("{}", "_id is missing", { c async throws(UploadFailure) in _ = try await c.asset("a") }),
            ("{}", "data is missing", { c async throws(UploadFailure) in _ = try await c.assets(["a"]) }),
            (
                #"{"data":{"_id":"a"}}"#, "data is an object, not an array",
                { c async throws(UploadFailure) in _ = try await c.assets(["a"]) }
            ),
            ("[]", "it is an array", { c async throws(UploadFailure) in _ = try await c.report([], for: "u") }),
        ]
        for (body, words, call) in rows {
            try await ScriptedServer.run([.json(body)]) { server in
                try await withClient(of: server) { client in
                    let failure = await failure { () async throws(UploadFailure) in try await call(client) }
                    #expect(failure?.kind == .unreadableAnswer)
                    #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "-")")
                }
                #expect(server.requests.count == 1)
            }
        }
    }

    @Test func fieldsThatAreOnlyGoodToHaveMayBeAnything() async throws {
        let body = """
            {"_id":"a","status":{"x":1},"method":"\\u0000","filename":5,"size":-1,"duration":"x","created_at":"yesterday",
             "url":"javascript:alert(1)","error":[1]}
            """
        try await ScriptedServer.run([.json(body)]) { server in
            let asset = try await withClient(of: server) { try await $0.asset("a") }
            #expect(asset == Asset(id: "a"))
        }
    }

    /// One entry that makes no sense must not hide the others.
    @Test func aListIsReadWithoutTheEntriesThatCannotBe() async throws {
        let body = """
            {"data":[7,null,[],"x",{},{"_id":null},{"_id":5},{"_id":"../../etc"},{"_id":"a","status":7,"size":"big"},
             {"_id":"b","status":"ready","size":99999999999999999999,"technical_metadata":[1]},
             {"_id":"c","status":"ready","size":-1,"technical_metadata":{"file_size_bytes":"5"}},
             {"_id":"d","status":"ready","size":null,"technical_metadata":{"file_size_bytes":5.0}},
             {"_id":"e","status":"failed","error":{"message":"see https://x/?token=\(testSignature) \\u0007"}}],
             "page_info":"none"}
            """
        try await ScriptedServer.run([.json(body)]) { server in
            let list = try await withClient(of: server) { try await $0.assets(["a", "b", "c", "d", "e"]) }
            #expect(
                list.assets == [
                    Asset(id: "a"), Asset(id: "b", status: .ready), Asset(id: "c", status: .ready),
                    Asset(id: "d", status: .ready, sourceSize: 5),
                    Asset(id: "e", status: .failed, error: "see [removed]"),
                ])
        }
    }

    /// However many there are on a page, and however many pages there are said to be.
    @Test func aListOfChunksWithoutAnEndIsRefused() async throws {
        let entries = Array(repeating: #"{"index":1,"status":"pending"}"#, count: 6000).joined(separator: ",")
        let page = ScriptedAnswer.json(
            #"{"status":"active","uploaded_chunks":[\#(entries)],"page_info":{"total_page":1000000}}"#)
        try await ScriptedServer.run(Array(repeating: page, count: 3)) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.allChunkStatuses("u") }
                #expect(failure?.kind == .unreadableAnswer)
                #expect(failure?.message.contains("more than the 10000 chunks") == true)
            }
            #expect(server.requests.count == 2)
        }
    }

    @Test func aListOfSessionsWithoutAnEndIsCut() async throws {
        let entries = Array(repeating: #"{"upload_id":"u"}"#, count: 30_000).joined(separator: ",")
        let page = ScriptedAnswer.json(#"{"data":[\#(entries)],"page_info":{"total_page":1000000}}"#)
        try await ScriptedServer.run(Array(repeating: page, count: 3)) { server in
            let all = try await withClient(of: server) { try await $0.allIncompleteUploads() }
            #expect(all.count == 50_000)
            #expect(server.requests.count == 2)
        }
    }

    @Test func anEndlessAnswerIsCutAtTheBound() async throws {
        let endless = ScriptedAnswer(steps: [
            .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            .sendForEver("10000\r\n\(String(repeating: " ", count: 65536))\r\n"),
        ])
        try await ScriptedServer.run([endless]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.kind == .unreadableAnswer)
                #expect(failure?.code == "answer_too_large")
                #expect(failure?.message.contains("4 MiB") == true)
            }
            #expect(server.requests.count == 1)
        }
    }

    @Test func anAnswerThatAnnouncesMoreThanTheBoundIsNotRead() async throws {
        let giant = ScriptedAnswer.raw("HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n{")
        try await ScriptedServer.run([giant]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.code == "answer_too_large")
            }
        }
    }

    @Test func endlessHeadersAreRefused() async throws {
        let endless = ScriptedAnswer(steps: [
            .send("HTTP/1.1 200 OK\r\n"), .sendForEver("X-Filler: \(String(repeating: "a", count: 1000))\r\n"),
        ])
        try await ScriptedServer.run([endless]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.kind == .unreadableAnswer)
                #expect(failure?.code == "not_http")
            }
        }
    }

    @Test(arguments: [
        ScriptedAnswer.raw("SSH-2.0-OpenSSH_9.2\r\n"), .raw("HTTP/1.1 abc\r\n\r\n"),
        .raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), .raw("HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n"),
        .raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ])
    func whatIsNotHTTPIsRefused(_ answer: ScriptedAnswer) async throws {
        try await ScriptedServer.run([answer]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.kind == .unreadableAnswer)
                #expect(failure?.code == "not_http")
            }
            #expect(server.requests.count == 1)
        }
    }
}
