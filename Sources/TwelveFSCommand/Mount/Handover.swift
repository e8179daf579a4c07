import PlatformClient

/// What the serving process is given on its standard input, which is a pipe: nobody else reads it.
package struct Handover: Codable {
    package let configuration: MountConfiguration
    private let secret: String
    private let keyLocation: String
    /// The proxy's URL with its password.
    private let proxy: String?
    private let exceptions: String
    private let proxyCoversLoopback: Bool

    package init(configuration: MountConfiguration, access: PlatformAccess) {
        self.configuration = configuration
        secret = access.key.secret
        keyLocation = access.keyLocation
        proxy = access.proxies.server?.secretURL
        exceptions = access.proxies.exceptions.text
        proxyCoversLoopback = access.proxies.coversLoopback
    }

    package func access() throws -> PlatformAccess {
        let rules = ProxyRules(
            server: try proxy.map { try ProxyServer(parsing: $0) }, exceptions: exceptions,
            coversLoopback: proxyCoversLoopback)
        return PlatformAccess(key: try APIKey(secret), keyLocation: keyLocation, proxies: rules)
    }
}
