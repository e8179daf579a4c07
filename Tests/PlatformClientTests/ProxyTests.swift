import Foundation
import NIOCore
import PlatformClient
import Testing
import UploadCore

import class TestSupport.QuietPort
import struct TestSupport.ShownStatements

/// What goes through a proxy, and what a proxy does that does not let it through.
@Suite struct ProxyTests {
    private static let asset = ScriptedAnswer.json(#"{"_id":"a"}"#)

    private static func rules(
        _ proxy: TestProxy, scheme: String = "http", user: String? = nil, except exceptions: String = "",
        loopback: Bool = true
    ) throws -> ProxyRules {
        let server = try ProxyServer(parsing: "\(scheme)://\(user.map { $0 + "@" } ?? "")\(proxy.address)")
        return ProxyRules(server: server, exceptions: exceptions, coversLoopback: loopback)
    }

    private static func configuration(_ baseURL: String, _ rules: ProxyRules) throws -> PlatformConfiguration {
        var configuration = try PlatformConfiguration.test(baseURL)
        configuration.proxies = rules
        return configuration
    }

    /// What asking for an asset fails with.
    private static func failureOfAsset(_ configuration: PlatformConfiguration) async throws -> UploadFailure? {
        try await withClient(configuration) { client in
            await failure { () async throws(UploadFailure) in try await client.asset("a") }
        }
    }

    /// A server that is the platform and its store.
    private static func platform(_ chunk: MemoryChunk) -> ScriptedServer.Script {
        { request, _ in
            switch request.method {
            case "PUT": .status(200, headers: ["ETag: \(chunk.md5)"])
            case "GET" where request.path == "/_store/part":
                .status(206, "x", headers: ["Content-Range: bytes 0-0/9"], type: nil)
            default: asset
            }
        }
    }

    // MARK: The way

    @Test(arguments: ["http", "socks5"])
    func callsChunksAndContentGoThroughTheProxyAndArriveAsTheyAre(_ scheme: String) async throws {
        let chunk = MemoryChunk(count: 3_000_000)
        try await ScriptedServer.run(Self.platform(chunk)) { server in
            try await TestProxy.run { proxy in
                let configuration = try Self.configuration(server.origin + "/v1.3", Self.rules(proxy, scheme: scheme))
                try await withClient(configuration) { client in
                    for _ in 1...3 { #expect(try await client.asset("a").id == "a") }
                    let stored = try await client.put(chunk, to: server.presigned(), headers: []) { _ in }
                    #expect(stored.etag == chunk.md5)
                    let content = try await client.content(
                        at: server.presigned().text, range: 0..<1, totalSize: 9)
                    #expect(String(buffer: content) == "x")
                    expectNoSecret(in: client)
                }
                // One connection of the API's calls and one of the chunks, each kept; on a slow machine one may have been idle
                // for so long that another takes its place.
                #expect(Set(proxy.targets) == ["127.0.0.1:\(server.port)"])
                #expect((2...5).contains(proxy.targets.count))
                #expect(server.requests.map(\.method) == ["GET", "GET", "GET", "PUT", "GET"])
                #expect(server.requests[3].bodyMD5 == chunk.md5)
                for request in server.requests {
                    #expect(request.headers["host"] == ["127.0.0.1:\(server.port)"])
                    #expect(!request.headers.contains { $0.name.lowercased().hasPrefix("proxy-") })
                }
                // What the proxy is told is where to, and nothing of what for.
                let told = proxy.requests.flatMap(\.headers).joined(separator: "\n")
                #expect(!told.contains(testKey) && !told.contains(testSignature))
            }
        }
    }

    @Test(.shows("network-proxy"), arguments: ["http", "socks5", "socks5h"])
    func theOtherSideIsSpokenToByTLSThroughTheProxy(_ scheme: String) async throws {
        try await ScriptedServer.run(tls: true, { _, _ in Self.asset }) { server in
            try await TestProxy.run { proxy in
                var configuration = try Self.configuration(
                    "https://localhost:\(server.port)", Self.rules(proxy, scheme: scheme))
                configuration.certificates = TLSTests.authority
                let asset = try await withClient(configuration) { try await $0.asset("a") }
                #expect(asset.id == "a")
                #expect(server.requests.count == 1)
                // By name: the proxy looks it up.
                #expect(proxy.targets == ["localhost:\(server.port)"])
                configuration.certificates = nil
                let failure = try await Self.failureOfAsset(configuration)
                #expect(failure?.code == "certificate_untrusted")
                #expect(failure?.message.contains("through the proxy \(proxy.address)") == true)
            }
        }
    }

    @Test(arguments: ["http", "socks5"])
    func aNameThatOnlyTheProxyKnowsIsNotLookedUpHere(_ scheme: String) async throws {
        try await ScriptedServer.run(tls: true, { _, _ in Self.asset }) { server in
            let ports = ["api.invalid:443": server.port]
            try await TestProxy.run(ports: ports) { proxy in
                var configuration = try Self.configuration(
                    "https://api.invalid/v1.3", Self.rules(proxy, scheme: scheme, loopback: false))
                configuration.certificates = TLSTests.authority
                // The server there has another name, and is not believed.
                #expect(try await Self.failureOfAsset(configuration)?.code == "certificate_untrusted")
                #expect(proxy.targets == ["api.invalid:443"])
                #expect(server.requests.isEmpty, "the key must not be sent")
            }
        }
    }

    @Test func theAPIAndTheStoreAreDecidedEachByItsOwnHost() async throws {
        let chunk = MemoryChunk(count: 1000)
        try await ScriptedServer.run(Self.platform(chunk)) { api in
            try await ScriptedServer.run(Self.platform(chunk)) { store in
                try await TestProxy.run { proxy in
                    for (direct, proxied) in [(store, api), (api, store)] {
                        let rules = try Self.rules(proxy, except: "127.0.0.1:\(direct.port)")
                        let before = proxy.targets.count
                        try await withClient(Self.configuration(api.origin, rules)) { client in
                            _ = try await client.asset("a")
                            _ = try await client.put(chunk, to: store.presigned(), headers: []) { _ in }
                        }
                        #expect(proxy.targets.dropFirst(before) == ["127.0.0.1:\(proxied.port)"])
                    }
                }
                #expect(api.requests.count == 2 && store.requests.count == 2)
            }
        }
    }

    @Test func thisMachineIsReachedDirectlyUnlessAskedOtherwise() async throws {
        try await ScriptedServer.run([Self.asset]) { server in
            try await TestProxy.run { proxy in
                let rules = try Self.rules(proxy, loopback: false)
                try await withClient(Self.configuration(server.origin, rules)) { _ = try await $0.asset("a") }
                #expect(proxy.requests.isEmpty)
            }
        }
    }

    // MARK: Credentials

    @Test func userNameAndPasswordAreGivenToTheProxyAlone() async throws {
        try await ScriptedServer.run([Self.asset]) { server in
            try await TestProxy.run(.asks("Basic \(testBasicCredentials)")) { proxy in
                let rules = try Self.rules(proxy, user: "user:\(testPassword)")
                let log = RecordedLog()
                try await withClient(Self.configuration(server.origin, rules), log: log) { client in
                    _ = try await client.asset("a")
                    expectNoSecret(in: client)
                }
                #expect(proxy.requests.map { $0.header("proxy-authorization") } == ["Basic \(testBasicCredentials)"])
                #expect(server.requests.first?.headers.contains(name: "proxy-authorization") == false)
                expectNoSecret(in: log.text)
            }
        }
    }

    @Test(arguments: [
        (nil, "asks for a user name and password"), ("user:wrong", "refuses the user name and password"),
    ])
    func missingOrWrongCredentialsAreTold(_ user: String?, _ words: String) async throws {
        try await ScriptedServer.run([Self.asset]) { server in
            try await TestProxy.run(.asks("Basic \(testBasicCredentials)")) { proxy in
                let rules = try Self.rules(proxy, user: user)
                let failure = try await Self.failureOfAsset(Self.configuration(server.origin, rules))
                #expect(failure?.kind == .unreachable)
                #expect(failure?.code == "proxy_authentication")
                #expect(failure?.message.hasPrefix("the proxy \(proxy.address) \(words)") == true)
                #expect(failure?.hint?.contains("--proxy-file") == true)
                #expect(failure?.message.contains("wrong") == false && failure?.hint?.contains("wrong") == false)
            }
            #expect(server.requests.isEmpty)
        }
    }

    // MARK: Proxies that do not connect

    @Test(arguments: [403, 502, 503, 504])
    func aProxyThatRefusesIsNamedWithWhatItAnswers(_ status: Int) async throws {
        let chunk = MemoryChunk(count: 1000)
        let body = "<html>no way to 127.0.0.1 for \(testKey)</html>"
        let refusal = "HTTP/1.1 \(status) No\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        try await ScriptedServer.run(Self.platform(chunk)) { server in
            try await TestProxy.run(.says(refusal)) { proxy in
                let rules = try Self.rules(proxy)
                try await withClient(Self.configuration(server.origin, rules)) { client in
                    let call = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                    #expect(call?.kind == .unreachable)
                    #expect(call?.code == "proxy_refused")
                    #expect(
                        call?.message
                            == "the proxy \(proxy.address) does not lead to the platform (127.0.0.1:\(server.port)): it answers \(status) to CONNECT"
                    )
                    #expect(call?.hint?.contains("127.0.0.1:\(server.port)") == true)
                    let put = await failure { () async throws(UploadFailure) in
                        try await client.put(chunk, to: server.presigned(), headers: []) { _ in }
                    }
                    #expect(put?.kind == .unreachable)
                    #expect(put?.message.contains("to the object store") == true)
                    // It may be otherwise a moment later.
                    proxy.behave(.connects)
                    let asset = try await client.asset("a")
                    #expect(asset.id == "a")
                }
            }
            #expect(server.requests.count == 1)
        }
    }

    @Test(
        arguments: [
            (.closes, "proxy_refused", "it closed the connection"),
            (.says("SSH-2.0-OpenSSH_9.2\r\n"), "proxy_misunderstood", "does not speak HTTP"),
            (.says("HTTP/1.1 abc\r\n\r\n", closes: true), "proxy_misunderstood", "does not speak HTTP"),
            (.saysForEver("HTTP/1.1 200 OK\r\n"), "proxy_misunderstood", "does not speak HTTP"),
            (
                .saysForEver("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), "proxy_refused",
                "it answers 403 to CONNECT"
            ),
            (
                .says("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), "proxy_authentication",
                "asks for a user name"
            ),
            (
                .says("HTTP/1.0 401 Unauthorized\r\nConnection: close\r\n\r\n"), "proxy_authentication",
                "asks for a user name"
            ),
            (.says("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n"), "proxy_refused", "it answers 302"),
        ] as [(TestProxy.Behaviour, String, String)])
    func nonsenseOfAProxyIsToldAsSuch(_ behaviour: TestProxy.Behaviour, _ code: String, _ words: String) async throws {
        try await ScriptedServer.run([Self.asset]) { server in
            try await TestProxy.run(behaviour) { proxy in
                var configuration = try Self.configuration(server.origin, Self.rules(proxy))
                // Of what is no HTTP, async-http-client tells nothing before this is over; all else is told at once.
                if code == "proxy_misunderstood" { configuration.connectTimeout = .seconds(5) }
                let failure = try await Self.failureOfAsset(configuration)
                #expect(failure?.kind == .unreachable)
                #expect(failure?.code == code, "\(failure?.message ?? "")")
                #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
                #expect(failure?.message.contains(proxy.address) == true)
            }
            #expect(server.requests.isEmpty)
        }
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n\r\n\r\n",
        "HTTP/1.0 200\r\n\r\n", "\r\n\r\n", "\u{5}\u{0}\u{5}\u{0}\u{0}\u{1}",
    ])
    func whateverAProxySaysNothingOfItIsTakenForAnAnswer(_ text: String) async throws {
        try await TestProxy.run(.says(text, closes: true)) { proxy in
            for scheme in ["http", "socks5"] {
                var configuration = try Self.configuration("http://127.0.0.1:9", Self.rules(proxy, scheme: scheme))
                configuration.connectTimeout = .milliseconds(300)
                let failure = try await Self.failureOfAsset(configuration)
                #expect([.unreachable, .connectionLost].contains(failure?.kind), "\(failure?.message ?? "")")
            }
        }
    }

    @Test(arguments: ["http", "socks5"])
    func aProxyThatSaysNothingFails(_ scheme: String) async throws {
        try await TestProxy.run(.hangs) { proxy in
            var configuration = try Self.configuration("http://127.0.0.1:9", Self.rules(proxy, scheme: scheme))
            configuration.connectTimeout = .milliseconds(200)
            let failure = try await Self.failureOfAsset(configuration)
            #expect(failure?.kind == .unreachable)
            #expect(failure?.code == "proxy_timeout")
            #expect(failure?.message.hasPrefix("the proxy \(proxy.address) has not led to the platform") == true)
        }
    }

    @Test func aProxyThatIsNotThereIsNamed() async throws {
        let quiet = try QuietPort()
        defer { withExtendedLifetime(quiet) {} }
        let server = try ProxyServer(parsing: "http://user:\(testPassword)@127.0.0.1:\(quiet.number)")
        let failure = try await Self.failureOfAsset(
            Self.configuration("https://api.invalid/v1.3", ProxyRules(server: server)))
        #expect(failure?.kind == .unreachable)
        #expect(failure?.code == "proxy_unreachable")
        #expect(
            failure?.message
                == "the proxy 127.0.0.1:\(quiet.number), which leads to the platform (api.invalid), cannot be reached: connection refused"
        )
    }

    @Test func aProxyWhoseNameNobodyKnowsIsNamed() async throws {
        // A label of more than 63 characters: no resolver has to be asked.
        let name = String(repeating: "a", count: 64) + ".test"
        let rules = ProxyRules(server: try ProxyServer(parsing: "socks5://\(name)"))
        let failure = try await Self.failureOfAsset(Self.configuration("https://api.invalid", rules))
        #expect(failure?.code == "proxy_unreachable")
        #expect(failure?.message.contains("the proxy \(name):1080") == true)
        #expect(failure?.message.hasSuffix("its name cannot be resolved") == true)
    }

    @Test(
        arguments: [
            (.chooses(0xFF), "proxy_authentication", "asks for a user name and password"),
            (.chooses(2), "proxy_authentication", "asks for a user name and password"),
            (.replies(1), "proxy_refused", "it failed"), (.replies(2), "proxy_refused", "its rules do not allow it"),
            (.replies(4), "proxy_refused", "the host is unreachable from there"),
            (.replies(5), "proxy_refused", "the connection was refused there"),
            (.replies(99), "proxy_refused", "it answers 99"),
        ] as [(TestProxy.Behaviour, String, String)])
    func aSOCKSProxyThatDoesNotConnectIsNamedWithItsReason(
        _ behaviour: TestProxy.Behaviour, _ code: String, _ words: String
    ) async throws {
        try await ScriptedServer.run([Self.asset]) { server in
            try await TestProxy.run(behaviour) { proxy in
                let rules = try Self.rules(proxy, scheme: "socks5")
                let failure = try await Self.failureOfAsset(Self.configuration(server.origin, rules))
                #expect(failure?.kind == .unreachable)
                #expect(failure?.code == code)
                #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
                #expect(failure?.message.contains(proxy.address) == true)
            }
            #expect(server.requests.isEmpty)
        }
    }

    @Test func aProxyOfAnotherKindIsToldAsSuch() async throws {
        try await ScriptedServer.run([.status(400)]) { web in
            let rules = ProxyRules(
                server: try ProxyServer(parsing: "socks5://127.0.0.1:\(web.port)"), coversLoopback: true)
            let failure = try await Self.failureOfAsset(Self.configuration("http://127.0.0.1:9", rules))
            #expect(failure?.kind == .unreachable)
            #expect(failure?.code == "proxy_refused")
            #expect(failure?.message.hasSuffix("it closed the connection") == true, "\(failure?.message ?? "")")
        }
    }

    @Test func aConnectionThatBreaksInTheProxyIsLostAndNamesIt() async throws {
        try await ScriptedServer.run([.reset]) { server in
            try await TestProxy.run { proxy in
                let failure = try await Self.failureOfAsset(Self.configuration(server.origin, Self.rules(proxy)))
                #expect(failure?.kind == .connectionLost)
                #expect(failure?.message.contains("through the proxy \(proxy.address)") == true)
            }
        }
    }
}
