import AsyncHTTPClient
import Foundation
import NIOHTTP1
import NIOSSL
import SandboxPlatform
import Testing

/// Where the stand-in listens, what its URLs say, and TLS.
@Suite struct AddressTests {
    /// Runs a test against a stand-in with a certificate for these names, and a client that trusts its authority, or
    /// those that the machine trusts.
    private func withTLS(
        names: [String] = ["localhost", "127.0.0.1", "::1"], trusting isTrusted: Bool = true,
        _ configure: (inout SandboxConfiguration) -> Void = { _ in },
        _ body: (Sandbox, SandboxClient) async throws -> Void
    ) async throws {
        let directory = try SandboxTestDirectory()
        try CertificateAuthority(names: names).write(to: directory.path)
        var tls = TLSConfiguration.makeClientConfiguration()
        if isTrusted { tls.trustRoots = .file(CertificateAuthority.authorityFile(in: directory.path)) }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.connectionPool.retryConnectionEstablishment = false
        let http = HTTPClient(configuration: configuration)
        do {
            try await withSandbox {
                $0.tls = CertificateAuthority.serverFiles(in: directory.path)
                configure(&$0)
            } _: { sandbox, client in
                var client = client
                client.http = http
                try await body(sandbox, client)
            }
        } catch {
            try? await http.shutdown()
            throw error
        }
        try await http.shutdown()
    }

    @Test(
        "Everything goes over TLS, to the name by which it was asked for", arguments: ["localhost", "127.0.0.1", "::1"])
    func speaksTLS(name: String) async throws {
        try await withTLS {
            $0.host = name
        } _: { sandbox, client in
            let authority = name.contains(":") ? "[\(name)]" : name
            #expect(sandbox.baseURL == "https://\(authority):\(sandbox.port)/v1.3")
            let session = try await client.create(2500)
            #expect(session.url(1).hasPrefix("https://\(authority):\(sandbox.port)/_store/"))
            let bytes = pattern(2500)
            let url = try await client.upload(bytes, to: session).json["url"]?.string ?? ""
            #expect(url.hasPrefix("https://\(authority)"))
            #expect(try await client.send(.GET, url).body == .init(bytes: bytes))
            #expect(sandbox.controlOrigin.hasPrefix("http://127.0.0.1:"))
            #expect(try await client.control(.GET, "journal").json["counts"]?["put"] == 3)
        }
    }

    @Test("Whoever does not trust the authority is not served")
    func isNotTrustedByEverybody() async throws {
        try await withTLS(trusting: false) { sandbox, client in
            await #expect(throws: (any Error).self) { try await client.create(1000) }
            #expect(sandbox.journal().isEmpty)
        }
    }

    @Test("Whoever asks for a name that the certificate has not is not served")
    func isNotTrustedByAnotherName() async throws {
        try await withTLS(names: ["api.example"]) { sandbox, client in
            await #expect(throws: (any Error).self) { try await client.create(1000) }
            #expect(sandbox.journal().isEmpty)
        }
    }

    @Test("A body may be cut, and a connection reset, within TLS")
    func endsConnectionsWithinTLS() async throws {
        try await withTLS { sandbox, client in
            for answer in [InjectedFault.Answer.cutShort, .reset] {
                sandbox.add(InjectedFault(on: [.list], answer))
                await #expect(throws: (any Error).self) { try await client.call(.GET, "/multipart-uploads") }
            }
            let reply = try await client.call(.GET, "/multipart-uploads")
            #expect(reply.status == 200)
        }
    }

    @Test("A certificate that cannot be read is said so")
    func saysWhenItCannotUseTheCertificate() async throws {
        var configuration = SandboxConfiguration()
        configuration.tls = TLSFiles(certificate: "/nowhere/server.pem", key: "/nowhere/server-key.pem")
        await #expect {
            try await Sandbox.start(configuration)
        } throws: { error in
            "\(error)".contains("/nowhere/server.pem")
        }
    }

    @Test("A store with a port of its own is served there and nowhere else")
    func givesTheStoreAPort() async throws {
        try await withSandbox {
            $0.storePort = 0
        } _: { sandbox, client in
            #expect(sandbox.storePort != sandbox.port)
            let session = try await client.create(1000)
            let store = "http://127.0.0.1:\(sandbox.storePort)"
            #expect(session.url(1).hasPrefix(store + "/_store/"))
            let elsewhere = session.url(1).replacing(":\(sandbox.storePort)/", with: ":\(sandbox.port)/")
            #expect(try await client.put(elsewhere, pattern(1000)).status == 404)
            #expect(try await client.send(.GET, store + "/v1.3/assets").status == 404)
            #expect(try await client.send(.GET, store + "/_sandbox/journal").status == 404)
            let etag = try await client.put(session.url(1), pattern(1000)).etag
            let url = try await client.report(session, [(1, etag, 1000)]).json["url"]?.string ?? ""
            #expect(url.hasPrefix(store))
            #expect(try await client.send(.GET, url).status == 200)
        }
    }

    @Test("URLs lead where the configuration says")
    func givesOutURLsOfAnotherStore() async throws {
        try await withSandbox {
            $0.storeURL = "https://store.example:8443"
            $0.publicHost = "api.example"
        } _: { sandbox, client in
            #expect(sandbox.origin == "http://api.example:\(sandbox.port)")
            var near = client
            near.base = "http://127.0.0.1:\(sandbox.port)"
            let session = try await near.create(1000)
            #expect(session.url(1).hasPrefix("https://store.example:8443/_store/"))
            let reached = session.url(1).replacing("https://store.example:8443", with: near.base)
            let etag = try await near.put(reached, pattern(1000)).etag
            let report = try await near.report(session, [(1, etag, 1000)])
            #expect(report.json["url"]?.string?.hasPrefix("https://store.example:8443/_store/content/") == true)
        }
    }

    @Test("Listening on every address, it is reached on this machine's own", arguments: ["0.0.0.0", "::"])
    func listensOnEveryAddress(host: String) async throws {
        try await withSandbox {
            $0.host = host
            $0.listensBeyondLoopback = true
        } _: { sandbox, client in
            #expect(sandbox.origin == (host == "::" ? "http://[::1]:" : "http://127.0.0.1:") + "\(sandbox.port)")
            let session = try await client.create(1000)
            #expect(session.url(1).hasPrefix(sandbox.origin))
        }
    }
}
