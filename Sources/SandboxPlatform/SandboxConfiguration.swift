import Logging

/// How the stand-in starts. What can change while it runs is in ``SandboxSettings`` and can be set here directly.
@dynamicMemberLookup
public struct SandboxConfiguration: Sendable {
    /// The address to listen on.
    public var host = "127.0.0.1"
    /// The port; 0 takes a free one.
    public var port = 0
    /// Where sessions and parts are kept. Nil: a temporary directory that goes when the stand-in stops.
    public var stateDirectory: String?
    /// Threads that move bytes between sockets and the rest.
    public var eventLoopThreads = 2
    /// Threads that write parts and compute digests.
    public var diskThreads = 4
    /// Time.
    public var clock: any SandboxClock = SystemClock()
    /// Faults to play from the start.
    public var faults: [Fault] = []
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
