import PlatformClient

/// Whom we are to the platform, and the way there: what a command has read for it, secrets among it, and
/// what travels apart from its configuration.
public struct PlatformAccess: Sendable {
    /// The API key.
    public var key: APIKey
    /// Where the key was found, for hints: a file, or a variable's name.
    public var keyLocation: String
    /// Which hosts are reached through a proxy.
    public var proxies: ProxyRules
    /// Certificates to trust beside the system's.
    public var certificates: PEMFile?

    /// A key and a way.
    public init(key: APIKey, keyLocation: String, proxies: ProxyRules = .none, certificates: PEMFile? = nil) {
        self.key = key
        self.keyLocation = keyLocation
        self.proxies = proxies
        self.certificates = certificates
    }
}
