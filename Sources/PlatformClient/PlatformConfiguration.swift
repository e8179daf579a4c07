import Formats
import UploadCore

/// How to reach the platform. The defaults are what `twelvefs mount` uses.
public struct PlatformConfiguration: Sendable {
    /// The platform's own address.
    public static let defaultBaseURL = "https://api.twelvelabs.io/v1.3"

    /// Where the API is: `https`, or `http` for loopback; a trailing slash does not matter.
    public var baseURL: String
    /// Where each call takes the key from.
    public var keySource: APIKeySource
    /// Where the user keeps the key, for hints ("check the key in …"); never the key itself.
    public var keyLocation: String
    /// Certificates to trust beside the system's.
    public var certificates: PEMFile?
    /// Which hosts are reached through a proxy.
    public var proxies = ProxyRules.none
    /// How many PUTs may be under way at once; more wait for a connection, and fail when none comes in time.
    public var uploadConcurrency = 4
    /// How many event loop threads to run.
    public var threads = 1
    /// How long a connection may take, name look-up and TLS included.
    public var connectTimeout: Duration = .seconds(10)
    /// How long one API call may take from its start to the last byte of its answer.
    public var callTimeout: Duration = .seconds(60)
    /// How long a report of chunks may take: the platform answers the last one when it has finalised the upload, which takes
    /// its time for thousands of parts (the official SDK waits for 600 s).
    public var reportTimeout: Duration = .seconds(300)
    /// How long a PUT may stand still: no byte taken by the network, and no answer begun.
    public var progressTimeout: Duration = .seconds(30)
    /// The largest answer of the API that is read.
    public var maximumAnswer = ByteCount.mebibytes(4)
    /// How much of a chunk is read from its source, hashed and sent at a time; at most two such pieces are in memory.
    public var pieceSize = ByteCount.kibibytes(256)
    /// What the timeouts are measured on.
    public var clock: any Clock<Duration> = CancellingClock.shared
    /// The time of day, for lifetimes of answers that carry no `Date`.
    public var wallClock: @Sendable () -> Timestamp

    /// The platform at `baseURL` with the defaults.
    public init(
        baseURL: String = PlatformConfiguration.defaultBaseURL, keySource: APIKeySource,
        keyLocation: String = "$TWELVELABS_API_KEY", wallClock: @escaping @Sendable () -> Timestamp = WallClock.now
    ) {
        self.baseURL = baseURL
        self.keySource = keySource
        self.keyLocation = keyLocation
        self.wallClock = wallClock
    }
}
