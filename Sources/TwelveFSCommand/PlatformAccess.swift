import PlatformClient

/// Whom we are to the platform, and the way there: what is secret of a command's configuration, and travels apart from the rest.
public struct PlatformAccess: Sendable {
    /// The API key.
    public var key: APIKey
    /// Where the key was found, for hints: a file, or a variable's name.
    public var keyLocation: String
    /// Which hosts are reached through a proxy.
    public var proxies: ProxyRules

    /// A key and a way.
    public init(key: APIKey, keyLocation: String, proxies: ProxyRules = .none) {
        self.key = key
        self.keyLocation = keyLocation
        self.proxies = proxies
    }
}
