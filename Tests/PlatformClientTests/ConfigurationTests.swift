import PlatformClient
import Testing
import UploadCore

@Suite struct ConfigurationTests {
    @Test(arguments: [
        ("https://api.twelvelabs.io/v1.3", "https://api.twelvelabs.io", "/v1.3"),
        ("https://api.twelvelabs.io/v1.3//", "https://api.twelvelabs.io", "/v1.3"),
        ("HTTPS://API.example", "https://api.example", ""),
        ("https://api.example:443/", "https://api.example", ""),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443", "/x"),
        ("http://127.0.0.1:8080/v1.3", "http://127.0.0.1:8080", "/v1.3"),
        ("http://127.255.3.4", "http://127.255.3.4", ""), ("http://localhost:1", "http://localhost:1", ""),
        ("http://[::1]:9/v1.3/", "http://[::1]:9", "/v1.3"),
    ])
    func addressesThatMayBeUsed(_ text: String, _ origin: String, _ path: String) throws {
        let address = try WebAddress.apiBase(text)
        #expect(address.origin == origin)
        #expect(address.basePath == path)
    }

    @Test(arguments: [
        ("", "not a URL"), ("api.twelvelabs.io", "not a URL"), ("https:/api", "not a URL"), ("https://", "not a URL"),
        ("https://a b/", "not a URL"), ("https://a/\n", "not a URL"), ("https://é.example", "not a URL"),
        ("ftp://a", "scheme"), ("http://api.twelvelabs.io", "only for this machine"),
        ("http://127.0.0.1.example", "only for this machine"), ("http://127.0.0.256", "only for this machine"),
        ("http://localhost.example", "only for this machine"), ("http://0.0.0.0", "only for this machine"),
        ("https://user@host/", "user name"), ("https://user:\(testKey)@host/", "user name"),
        ("https://host/?key=\(testKey)", "query"), ("https://host/#a", "fragment"), ("https://host:0", "port"),
        ("https://host:x", "port"), ("https://host:", "port"), ("https://[::1", "not a URL"),
        ("https://[g]", "not a URL"),
    ])
    func addressesThatMayNot(_ text: String, _ words: String) throws {
        let configuration = try PlatformConfiguration.test(text)
        #expect {
            _ = try PlatformClient(configuration: configuration, logger: RecordedLog().logger)
        } throws: { error in
            guard let failure = error as? UploadFailure else { return false }
            return failure.kind == .invalidConfiguration && failure.message.contains(words) && failure.hint != nil
                && secrets(in: failure).isEmpty
        }
    }

    @Test func plainStoresAreAcceptedOnlyFromAPlainPlatformOnTheSameMachine() throws {
        let plain = try WebAddress.apiBase("http://127.0.0.1:1")
        let secure = try WebAddress.apiBase("https://localhost:1")
        #expect(WebAddress.objection(toStoreURL: "http://127.0.0.1:2/a?b", api: plain) == nil)
        #expect(WebAddress.objection(toStoreURL: "https://store.example/a", api: plain) == nil)
        #expect(WebAddress.objection(toStoreURL: "https://store.example/a", api: secure) == nil)
        #expect(WebAddress.objection(toStoreURL: "http://10.0.0.1/a", api: plain) != nil)
        #expect(WebAddress.objection(toStoreURL: "http://127.0.0.1:2/a", api: secure) != nil)
    }

    @Test func keysAreTrimmedAndNonsenseIsRefused() throws {
        #expect(try APIKey("  abc\r\n") == APIKey("abc"))
        for text in ["", " \n", "a b", "a\nb", "a\u{0}", "é"] {
            #expect(throws: UploadFailure.self) { try APIKey(text) }
        }
    }

    @Test func noWayOfPrintingShowsTheKeyOrAURL() async throws {
        // First that the search finds what is there.
        struct Leaky { let key = testKey }
        #expect(secrets(in: Leaky()) == [testKey])
        #expect(secrets(in: ["x": testSignature]) == [testSignature])

        let configuration = try PlatformConfiguration.test("https://localhost")
        expectNoSecret(in: configuration.keySource.current)
        expectNoSecret(in: configuration)
        expectNoSecret(in: [Optional(configuration.keySource.current)])
        expectNoSecret(in: try WebAddress(parsing: "https://s/a?X-Amz-Signature=\(testSignature)"))
        expectNoSecret(in: PresignedURL(text: "https://s/a?sig=\(testSignature)", expiresAfter: nil))
        try await withClient(configuration) { expectNoSecret(in: $0) }
    }

    @Test func theLogTellsEachCallWithoutItsSecrets() async throws {
        let chunk = MemoryChunk(count: 100)
        let log = RecordedLog()
        let script: ScriptedServer.Script = { request, _ in
            switch (request.method, request.path) {
            case ("PUT", "/_store/good"): .status(200, headers: ["ETag: \(chunk.md5)"])
            case ("PUT", _): .reset
            case ("POST", _): .status(201, CallTests.session)
            default: .status(403, #"{"code":"api_key_invalid","message":"key \#(testKey) is invalid"}"#)
            }
        }
        try await ScriptedServer.run(script) { server in
            try await withClient(of: server, log: log) { client in
                _ = try await client.createSession(SessionRequest(filename: "f", type: .video, totalSize: 250))
                _ = await failure { () async throws(UploadFailure) in
                    try await client.incompleteUploads(page: 1, limit: 2)
                }
                _ = try await client.put(chunk, to: server.presigned("/_store/good"), headers: []) { _ in }
                _ = await failure { () async throws(UploadFailure) in
                    try await client.put(chunk, to: server.presigned("/_store/bad"), headers: []) { _ in }
                }
            }
        }
        #expect(log.text.count == 4)
        #expect(log.text.allSatisfy { $0.hasPrefix("debug ") && !$0.contains("?") })
        #expect(log.text[0].contains("method=POST path=/v1.3/assets/multipart-uploads status=201"))
        #expect(log.text[1].contains("method=GET path=/v1.3/assets/multipart-uploads status=403"))
        #expect(log.text[2].contains("method=PUT status=200"))
        #expect(log.text[3].contains("failure=connectionLost"))
        expectNoSecret(in: log.text)
    }
}
