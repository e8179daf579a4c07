import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// One HTTP client twice: for hosts that are reached directly, and for those that a proxy leads to.
///
/// Through an HTTP proxy everything goes by `CONNECT`, plain http (which only this machine is spoken to with) as well: a proxy
/// neither sees the key nor changes what is sent.
struct HTTPClients: Sendable {
    private let direct: HTTPClient
    private let proxied: HTTPClient?
    private let rules: ProxyRules

    init(group: any EventLoopGroup, configuration: HTTPClient.Configuration, rules: ProxyRules) {
        self.rules = rules
        direct = HTTPClient(eventLoopGroup: group, configuration: configuration)
        proxied = rules.server.map { server in
            var throughProxy = configuration
            throughProxy.proxy = HTTPClient.Configuration.Proxy(server)
            return HTTPClient(eventLoopGroup: group, configuration: throughProxy)
        }
    }

    /// The client that reaches an address.
    func client(for address: WebAddress) -> HTTPClient {
        guard let proxied, rules.server(for: address) != nil else { return direct }
        return proxied
    }

    /// Fails what is under way and closes all connections, without waiting for that.
    func shutdown() {
        direct.shutdown { _ in }
        proxied?.shutdown { _ in }
    }
}

extension HTTPClient.Configuration.Proxy {
    fileprivate init(_ server: ProxyServer) {
        switch server.kind {
        case .http:
            self = .server(
                host: server.host, port: server.port, authorization: server.authorization,
                connectHeaders: HTTPHeaders([("user-agent", PlatformClient.userAgent)]))
        case .socks5: self = .socksServer(host: server.host, port: server.port)
        }
    }
}

extension ProxyServer {
    /// What is sent to an HTTP proxy that asks for a user name and password.
    var authorization: HTTPClient.Authorization? {
        credentials.map { .basic(username: $0.user, password: $0.password) }
    }
}
