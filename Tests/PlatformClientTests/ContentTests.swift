import NIOCore
import PlatformClient
import Testing
import UploadCore

/// Reading an asset's content back, from where the platform serves it.
@Suite struct ContentTests {
    /// Ten bytes of a file of a hundred.
    private static let range: Range<Int64> = 20..<30
    private static let part = "0123456789"

    private func read(
        _ answer: ScriptedAnswer, _ range: Range<Int64> = Self.range, totalSize: Int64 = 100
    ) async throws -> (result: Result<String, UploadFailure>, request: ReceivedRequest?) {
        try await ScriptedServer.run([answer]) { server in
            try await withClient(of: server) { client in
                do throws(UploadFailure) {
                    let content = try await client.content(
                        at: server.presigned().text, range: range, totalSize: totalSize)
                    return (.success(String(buffer: content)), server.requests.first)
                } catch {
                    expectNoSecret(in: error, #_sourceLocation)
                    return (.failure(error), server.requests.first)
                }
            }
        }
    }

    @Test func aRangeIsAskedForWithoutTheKey() async throws {
        let answer = ScriptedAnswer.status(206, Self.part, headers: ["Content-Range: bytes 20-29/100"])
        let (result, request) = try await read(answer)
        #expect(try result.get() == Self.part)
        let asked = try #require(request)
        #expect(asked.method == "GET")
        #expect(asked.headers["range"] == ["bytes=20-29"])
        #expect(!asked.headers.contains(name: "x-api-key"))
    }

    @Test func theWholeMayComeAsTheWhole() async throws {
        let (result, _) = try await read(.status(200, Self.part), 0..<10, totalSize: 10)
        #expect(try result.get() == Self.part)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let status: Int
        let body: String
        let told: String?
        var testDescription: String { "\(status) \(told ?? "-") \(body.count) bytes" }
    }

    /// None of these is what was asked for, though each is a success.
    private static let others = [
        Row(status: 200, body: part, told: nil),
        Row(status: 206, body: part, told: nil),
        Row(status: 206, body: part, told: "bytes 20-29/101"),
        Row(status: 206, body: part, told: "bytes 20-29/*"),
        Row(status: 206, body: part, told: "bytes 21-30/100"),
        Row(status: 206, body: "012345678", told: "bytes 20-29/100"),
        Row(status: 206, body: "01234567890", told: "bytes 20-29/100"),
        Row(status: 204, body: "", told: nil),
    ]

    @Test(arguments: others)
    func anythingElseIsNotTheFile(_ row: Row) async throws {
        let headers = row.told.map { ["Content-Range: \($0)"] } ?? []
        let (result, _) = try await read(.status(row.status, row.body, headers: headers))
        #expect(throws: UploadFailure.self) { try result.get() }
    }

    @Test func aRefusalIsTheStoresOwn() async throws {
        let (result, _) = try await read(
            .status(403, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"))
        #expect(throws: UploadFailure.self) { try result.get() }
        if case .failure(let failure) = result { #expect(failure.kind == .urlExpired) }
    }

    @Test(arguments: ["http://example.com/a", "ftp://127.0.0.1/a", "https://user@example.com/a", "not a URL", ""])
    func aURLThatIsNoneIsNotAsked(_ url: String) async throws {
        try await ScriptedServer.run([]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await client.content(at: url, range: 0..<1, totalSize: 1)
                }
                #expect(failure?.code == "asset_url_invalid")
            }
            #expect(server.requests.isEmpty)
        }
    }
}
