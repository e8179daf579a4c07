import FoundationEssentials
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
    private let certificatesPath: String?
    private let certificates: Data?

    package init(configuration: MountConfiguration, access: PlatformAccess) {
        self.configuration = configuration
        secret = access.key.secret
        keyLocation = access.keyLocation
        proxy = access.proxies.server?.secretURL
        exceptions = access.proxies.exceptions.text
        proxyCoversLoopback = access.proxies.coversLoopback
        certificatesPath = access.certificates?.path
        certificates = access.certificates.map { Data($0.bytes) }
    }

    package func access() throws -> PlatformAccess {
        let rules = ProxyRules(
            server: try proxy.map { try ProxyServer(parsing: $0) }, exceptions: exceptions,
            coversLoopback: proxyCoversLoopback)
        return PlatformAccess(
            key: try APIKey(secret), keyLocation: keyLocation, proxies: rules,
            certificates: certificates.map { PEMFile(path: certificatesPath ?? "", bytes: [UInt8]($0)) })
    }
}
