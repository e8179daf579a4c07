import PlatformClient
import Testing
import TwelveFSCommand
import UploadCore

@Suite struct ProxyReaderTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    private func rules(
        option: String? = nil, file: String? = nil, _ environment: [String: String] = [:]
    ) throws -> ProxyRules {
        try ProxyReader.read(option: option, file: file, environment: environment).rules
    }

    private func failure(file: String? = nil, _ environment: [String: String] = [:]) -> CommandFailure? {
        #expect(throws: CommandFailure.self) {
            try ProxyReader.read(option: nil, file: file, environment: environment)
        }
    }

    /// The proxy that a URL is reached through, as `host:port`.
    private func way(to url: String, _ rules: ProxyRules) throws -> String? {
        rules.server(for: try WebAddress(parsing: url))?.address
    }

    private static let api = "https://api.example/v1.3"
    private static let here = "http://127.0.0.1:8080"

    @Test func withoutAnyEverythingIsReachedDirectly() throws {
        #expect(try rules() == .none)
        #expect(try rules(["https_proxy": "", "NO_PROXY": "a"]) == .none)
    }

    @Test func theEnvironmentNamesOne() throws {
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            let rules = try rules([name: "http://p:1"])
            #expect(try way(to: Self.api, rules) == "p:1", "\(name)")
            #expect(try way(to: Self.here, rules) == nil, "never for this machine")
        }
        // That is for http, which only this machine is spoken to with.
        #expect(try rules(["HTTP_PROXY": "http://p:1", "http_proxy": "http://p:1"]) == .none)
    }

    @Test func theMoreSpecialVariableCountsAndOfTwoTheLowercaseOne() throws {
        var environment = ["ALL_PROXY": "http://d:1"]
        for (name, proxy) in [("all_proxy", "c"), ("HTTPS_PROXY", "b"), ("https_proxy", "a")] {
            environment[name] = "http://\(proxy):1"
            #expect(try way(to: Self.api, rules(environment)) == "\(proxy):1")
        }
    }

    @Test func hostsMayBeExceptedFromAnyOfThem() throws {
        let file = try scratch.file("proxy", "http://p:1\n")
        for exceptions in [["NO_PROXY": "api.example"], ["no_proxy": "example", "NO_PROXY": "other"]] {
            let ways = [
                try rules(exceptions.merging(["HTTPS_PROXY": "p:1"]) { $1 }), try rules(option: "p:1", exceptions),
                try rules(file: file, exceptions),
            ]
            for rules in ways {
                #expect(try way(to: Self.api, rules) == nil)
                #expect(try way(to: "https://store.other.test", rules) == "p:1")
            }
        }
    }

    @Test func whatIsAskedForIsDoneForThisMachineToo() throws {
        let environment = ["HTTPS_PROXY": "http://other:1"]
        let file = try scratch.file("proxy", "  socks5://p:1\r\n")
        for rules in [try rules(option: "http://p:1", environment), try rules(file: file, environment)] {
            #expect(try way(to: Self.api, rules) == "p:1")
            #expect(try way(to: Self.here, rules) == "p:1")
        }
        #expect(try way(to: Self.here, rules(option: "p:1", ["NO_PROXY": "127.0.0.1"])) == nil)
    }

    @Test func noneMeansNone() throws {
        let environment = ["HTTPS_PROXY": "http://p:1"]
        #expect(try way(to: Self.api, rules(option: "none", environment)) == nil)
        #expect(try way(to: Self.api, rules(file: scratch.file("none", "none\n"), environment)) == nil)
    }

    // MARK: Passwords

    @Test func theEnvironmentAndAFileMayHoldAPassword() throws {
        let url = "http://user:pr0xy@p:1"
        for rules in [try rules(["HTTPS_PROXY": url]), try rules(file: scratch.file("proxy", url))] {
            #expect(rules.server?.hasCredentials == true)
            var dumped = ""
            dump(rules, to: &dumped)
            #expect(!"\(rules) \(dumped)".contains("pr0xy"))
        }
    }

    @Test(arguments: [
        "https://user:pr0xy@p:1", "socks5://user:pr0xy@p:1", "http://user:pr0xy@p:x", "http://u:pr0xy%z@p",
    ])
    func whatIsNoProxyIsToldBySourceAndNotShown(_ url: String) throws {
        let file = try scratch.file("proxy", url)
        for (failure, source) in [(failure(["all_proxy": url]), "$all_proxy"), (failure(file: file), file)] {
            #expect(failure?.message.hasPrefix("the proxy in \(source) cannot be used: ") == true)
            #expect(failure?.description.contains("pr0xy") == false)
        }
    }

    @Test func theFileIsCaredForLikeAKeys() throws {
        let open = try scratch.file("open", "http://u:pr0xy@p:1", mode: 0o644)
        let warning = try ProxyReader.read(option: nil, file: open, environment: [:]).warning
        #expect(warning?.contains("can be read by every user") == true)
        let shared = try scratch.file("shared", "http://u:pr0xy@p:1", mode: 0o666)
        let words = "the proxy file \(shared) is not safe: it can be changed by other users"
        #expect(failure(file: shared)?.message.contains(words) == true)
        #expect(failure(file: scratch.path("none"))?.description.contains("--proxy-file") == true)
        #expect(
            failure(file: try scratch.file("two", "http://u:pr0xy@p:1\nhttp://q:1"))?.message.contains("two") == true)
        #expect(
            failure(file: try scratch.file("long", String(repeating: "p", count: 5000)))?.hint?.contains("one line")
                == true)
    }

    // MARK: The way to the serving process

    @Test(arguments: [
        ["HTTPS_PROXY": "http://us%40er:p%3Aa%2Fs%25s%20%C3%A9@[2001:db8::1]:3128", "NO_PROXY": "a, b:1 10.0.0.0/8"],
        ["ALL_PROXY": "socks5h://p"], [:],
    ])
    func keyAndProxyArriveInTheServingProcess(_ environment: [String: String]) throws {
        let command = try #require(try TwelveFS.command(for: ["mount", "/mnt/a"]) as? MountCommand)
        let configuration = try command.mountConfiguration(environment: ["HOME": "/h"])
        for isExplicit in [false, true] {
            let read = try rules(environment)
            let rules = ProxyRules(
                server: read.server, exceptions: environment["NO_PROXY"] ?? "", coversLoopback: isExplicit)
            let access = PlatformAccess(key: try APIKey("tlk_1"), keyLocation: "$TWELVE_LABS_API_KEY", proxies: rules)
            let bytes = try StateFile.encoded(Handover(configuration: configuration, access: access))
            let handover = try StateFile.decoded(Handover.self, from: bytes)
            #expect(handover.configuration == configuration)
            let arrived = try handover.access()
            #expect(arrived.key == access.key)
            #expect(arrived.keyLocation == access.keyLocation)
            #expect(arrived.proxies == access.proxies)
        }
    }

    @Test(arguments: [
        ("TWELVELABS_API_KEY", true), ("TWELVE_LABS_API_KEY", true), ("HTTPS_PROXY", true), ("https_proxy", true),
        ("ALL_PROXY", true), ("no_proxy", true), ("HTTP_PROXY", true), ("http_proxy", true),
        ("TWELVELABS_BASE_URL", false),
        ("PATH", false), ("PROXY", false), ("HOME", false),
    ])
    func onlyVariablesThatMayHoldASecretAreForgotten(_ name: String, _ isSecret: Bool) {
        #expect(SecretVariables.contain(name) == isSecret)
    }
}
