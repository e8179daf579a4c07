import Logging

/// How the stand-in starts. What can change while it runs is in ``SandboxSettings`` and can be set here directly.
@dynamicMemberLookup
public struct SandboxConfiguration: Sendable {
    /// The address to listen on.
    public var host = "127.0.0.1"
    /// Whether others than this machine may reach it. An address by which they could is refused otherwise.
    public var listensBeyondLoopback = false
    /// Names by which it may be called besides its own.
    public var allowedHosts: [String] = []
    /// The port; 0 takes a free one.
    public var port = 0
    /// The name, or name and port, by which clients reach it, where that is another than the address.
    public var publicHost: String?
    /// A port for the store alone, which the other one then does not serve; 0 takes a free one. Nil: no port of its own.
    public var storePort: Int?
    /// Scheme, host and port of the URLs that are given out. Nil: those by which they were asked for, with the store's
    /// port where it has one.
    public var storeURL: String?
    /// The certificate for `https`; nil for `http`.
    public var tls: TLSFiles?
    /// A port on the loopback address for the control calls, without TLS; 0 takes a free one. Nil: one is taken where
    /// there is TLS, and none where there is not.
    public var controlPort: Int?
    /// Where sessions and parts are kept. Nil: a temporary directory that goes when the stand-in stops.
    public var stateDirectory: String?
    /// Threads that move bytes between sockets and the rest.
    public var eventLoopThreads = 2
    /// Threads that write parts and compute digests.
    public var diskThreads = 4
    /// Time.
    public var clock: any SandboxClock = SystemClock()
    /// Faults to play from the start.
    public var faults: [InjectedFault] = []
    /// What can change while it runs.
    public var settings = SandboxSettings()
    /// Constraints that are not enforced: with them a test shows that it is the constraint that refuses a request.
    package var unenforced: Set<Constraint> = []
    /// Where to log. Keys and URLs are not logged.
    public var logger = Logger(label: "twelvefs-sandbox") { _ in SwiftLogNoOpLogHandler() }

    /// The platform as it is documented.
    public init() {}

    /// The settings' own fields.
    public subscript<Value>(dynamicMember keyPath: WritableKeyPath<SandboxSettings, Value>) -> Value {
        get { settings[keyPath: keyPath] }
        set { settings[keyPath: keyPath] = newValue }
    }
}

extension SandboxConfiguration {
    var scheme: String { tls == nil ? "http" : "https" }

    /// Host and port as URLs have them: those that clients use. An address that stands for all of the machine's is no
    /// place to go to: the loopback address is.
    func authority(port: Int) -> String {
        if let publicHost {
            return SandboxPlatform.host(ofAuthority: publicHost) == publicHost ? "\(publicHost):\(port)" : publicHost
        }
        return SandboxPlatform.authority(["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host, port)
    }
}
