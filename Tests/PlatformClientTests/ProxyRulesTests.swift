import PlatformClient
import Testing
import UploadCore

@Suite struct ProxyServerTests {
    @Test(arguments: [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("HTTP://Proxy.Example:3128/", "http://proxy.example:3128"),
        ("http://proxy.example", "http://proxy.example:80"),
        ("proxy.example:3128", "http://proxy.example:3128"), ("10.0.0.1:8080", "http://10.0.0.1:8080"),
        ("  http://p:1\r\n", "http://p:1"), ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"),
        ("socks5://127.0.0.1:9050", "socks5://127.0.0.1:9050"), ("socks5://s", "socks5://s:1080"),
        ("socks5h://s:1", "socks5://s:1"),
    ])
    func proxiesAreReadAsOtherProgramsReadThem(_ text: String, _ url: String) throws {
        let server = try ProxyServer(parsing: text)
        #expect(server.description == url)
        #expect(server.secretURL == url)
        #expect(!server.hasCredentials)
    }

    @Test(arguments: [
        ("http://user:\(testPassword)@p:1", "user", testPassword), ("user:\(testPassword)@p:1", "user", testPassword),
        ("http://us%40er:p%3Aa%2Fs%25s@p:1", "us@er", "p:a/s%s"), ("http://user@p:1", "user", ""),
        ("http://:\(testPassword)@p:1", "", testPassword), ("http://a:b@c@p:1", "a", "b@c"),
        ("http://%C3%A9:%e2%82%ac@p:1", "é", "€"), ("http://user:@p:1", "user", ""),
    ])
    func credentialsAreDecodedAndShownToNobody(_ text: String, _ user: String, _ password: String) throws {
        let server = try ProxyServer(parsing: text)
        #expect(server.credentials?.user == user)
        #expect(server.credentials?.password == password)
        #expect(server.description == "http://p:1" && server.address == "p:1")
        #expect(try ProxyServer(parsing: server.secretURL) == server)
        expectNoSecret(in: server)
        expectNoSecret(in: [server.credentials])
        expectNoSecret(in: ProxyRules(server: server))
    }

    @Test(arguments: [
        ("", ProxyServer.Problem.malformed), ("http://", .malformed), ("none of these", .malformed),
        ("http://p:1/path", .malformed), ("http://p:1/?q", .malformed), ("http://p:1#f", .malformed),
        ("http://p\n:1", .malformed), ("http://é:1", .malformed), ("http://[::1", .malformed),
        ("http://user:pass/word@p:1", .malformed), (String(repeating: "a", count: 5000), .malformed),
        ("https://p:1", .otherScheme), ("socks4://p:1", .otherScheme), ("socks4a://p:1", .otherScheme),
        ("socks://p:1", .otherScheme), ("ftp://p:1", .otherScheme), ("://p:1", .otherScheme),
        ("http://p:0", .badPort), ("http://p:65536", .badPort), ("http://p:x", .badPort), ("http://p:", .badPort),
        ("socks5://user:\(testPassword)@p:1", .credentialsForSOCKS), ("socks5h://user@p:1", .credentialsForSOCKS),
        ("http://us%3Aer:x@p:1", .badCredentials), ("http://u:a%0d%0ab@p:1", .badCredentials),
        ("http://u:%zz@p:1", .badCredentials), ("http://u:%4@p:1", .badCredentials), ("http://@p:1", .badCredentials),
        ("http://u:%ff@p:1", .badCredentials),
    ])
    func whatIsNoProxyIsRefusedAndNotRepeated(_ text: String, _ problem: ProxyServer.Problem) {
        #expect(throws: problem) { try ProxyServer(parsing: text) }
        #expect(!problem.words.contains(testPassword))
    }
}

@Suite struct ProxyRulesTests {
    private func direct(_ exceptions: String, _ url: String) throws -> Bool {
        let rules = ProxyRules(server: try ProxyServer(parsing: "http://p:1"), exceptions: exceptions)
        return rules.server(for: try WebAddress(parsing: url)) == nil
    }

    @Test(arguments: [
        ("*", "https://api.example"), ("api.example", "https://api.example/v1.3"),
        ("API.Example", "https://api.example"), ("example", "https://api.example"),
        (".example", "https://api.example"), ("*.example", "https://api.example"),
        (".api.example", "https://api.example"), ("api.example.", "https://api.example"),
        ("a.b, api.example ,c", "https://api.example"), ("a.b api.example", "https://api.example"),
        ("api.example:443", "https://api.example"), ("api.example:8443", "https://api.example:8443"),
        ("10.1.2.3", "https://10.1.2.3"), ("10.1.2.3:443", "https://10.1.2.3"),
        ("10.0.0.0/8", "https://10.255.0.1"), ("10.1.2.0/23", "https://10.1.3.255"),
        ("0.0.0.0/0", "https://192.0.2.1"), ("10.1.2.3/32", "https://10.1.2.3"),
        ("::1", "https://[::1]"), ("2001:db8::1", "https://[2001:DB8:0::1]"),
        ("[2001:db8::1]", "https://[2001:db8::1]"),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443"), ("fd00::/8", "https://[fdab::1]"),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]"),
        // Whatever the list says: this machine.
        ("", "https://localhost"), ("", "http://127.1.2.3:8080"), ("", "https://[::1]"),
    ])
    func exceptionsAreReachedDirectly(_ exceptions: String, _ url: String) throws {
        #expect(try direct(exceptions, url))
    }

    @Test(arguments: [
        ("", "https://api.example"), ("other.example", "https://api.example"), ("pi.example", "https://api.example"),
        ("v1.api.example", "https://api.example"), ("api.example:8443", "https://api.example"),
        ("api.example:443", "https://api.example:8443"), ("a*", "https://api.example"),
        ("*api.example", "https://api.example"),
        ("10.1.2.3", "https://10.1.2.30"), ("10.1.2.3:80", "https://10.1.2.3"), ("2.3", "https://10.1.2.3"),
        ("10.0.0.0/8", "https://11.0.0.1"), ("10.1.2.0/23", "https://10.1.4.0"), ("10.0.0.0/33", "https://10.0.0.1"),
        ("10.0.0.0/", "https://10.0.0.1"), ("10.0.0.0/x", "https://10.0.0.1"), ("10.0.0.0/8", "https://api.example"),
        ("/8", "https://10.0.0.1"), ("fd00::/8", "https://[fe80::1]"), ("10.0.0.0/8", "https://[a00::1]"),
        ("[2001:db8::1]:443", "https://[2001:db8::1]:8443"), (".", "https://api.example"),
        (",,", "https://api.example"),
        ("https://api.example", "https://api.example"),
        // Names are not looked up, and addresses have no names.
        ("0.0.0.0/0", "https://api.example"), ("127.0.0.1", "https://api.example"),
    ])
    func everythingElseGoesThroughTheProxy(_ exceptions: String, _ url: String) throws {
        #expect(try !direct(exceptions, url))
    }

    @Test func thisMachineIsReachedThroughItOnlyWhereThatWasAskedFor() throws {
        let server = try ProxyServer(parsing: "http://p:1")
        let rules = ProxyRules(server: server, exceptions: "127.0.0.1:9", coversLoopback: true)
        #expect(rules.server(for: try WebAddress(parsing: "http://127.0.0.1:8")) == server)
        #expect(rules.server(for: try WebAddress(parsing: "http://localhost:9")) == server)
        #expect(rules.server(for: try WebAddress(parsing: "http://127.0.0.1:9")) == nil)
        #expect(ProxyRules.none.server(for: try WebAddress(parsing: "https://api.example")) == nil)
    }
}
