import NIOPosix
import NIOSSL

/// The ports that a stand-in listens on: one for everything, and, where wanted, one for the store alone and one for the
/// control calls, which has no TLS.
struct Ports: Sendable {
    let connections: Connections
    private(set) var listeners: [Listener] = []
    private(set) var main = 0
    private(set) var store: Int?
    private(set) var control: Int?

    static func open(
        _ configuration: SandboxConfiguration, _ platform: Platform, _ group: MultiThreadedEventLoopGroup
    ) async throws -> Ports {
        var ports = Ports(connections: Connections())
        do {
            try await ports.listen(configuration, platform, group)
            return ports
        } catch {
            for listener in ports.listeners { listener.cancel() }
            for listener in ports.listeners { await listener.ended() }
            throw error
        }
    }

    private mutating func listen(
        _ configuration: SandboxConfiguration, _ platform: Platform, _ group: MultiThreadedEventLoopGroup
    ) async throws {
        let tls = try configuration.tls?.context()
        let surroundings = Listener.Surroundings(
            connections: connections, group: group, logger: configuration.logger)
        let doorkeeper = Doorkeeper(configuration)
        func start(
            _ host: String, _ port: Int, _ tls: NIOSSLContext?, _ services: Set<Service>, _ origins: Origins
        ) async throws -> Int {
            let handler = RequestHandler(
                platform: platform, logger: configuration.logger, services: services, origins: origins,
                doorkeeper: doorkeeper)
            let listener = try await Listener.start(host: host, port: port, tls: tls, surroundings, handler)
            listeners.append(listener)
            return listener.port
        }
        var origins = Origins(configuration, storePort: nil)
        var services: Set<Service> = [.api, .store, .control]
        if let port = configuration.storePort {
            let opened = try await start(configuration.host, port, tls, [.store], origins)
            store = opened
            origins = Origins(configuration, storePort: opened)
            services.remove(.store)
        }
        if configuration.controlPort != nil || tls != nil {
            control = try await start("127.0.0.1", configuration.controlPort ?? 0, nil, [.control], origins)
        }
        main = try await start(configuration.host, configuration.port, tls, services, origins)
    }
}

/// Where the URLs that are given out lead to.
struct Origins: Sendable {
    private let scheme: String
    private let fixed: String?
    private let storePort: Int?
    private let fallback: String

    /// - Parameter storePort: where the store has a port of its own: that.
    init(_ configuration: SandboxConfiguration, storePort: Int?) {
        scheme = configuration.scheme
        fixed = configuration.storeURL.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
        self.storePort = storePort
        fallback = configuration.authority(port: storePort ?? configuration.port)
    }

    /// Scheme, host and port of the store, for a request that came by this host and port: the same, unless the store has
    /// others.
    func store(askedBy requested: String?) -> String {
        if let fixed { return fixed }
        guard let requested else { return "\(scheme)://\(fallback)" }
        return "\(scheme)://" + (storePort.map { "\(host(ofAuthority: requested)):\($0)" } ?? requested)
    }
}
