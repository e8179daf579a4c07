import Formats
import UploadCore

/// What an engine does the same way for every upload.
public struct EngineConfiguration: Sendable {
    /// PUTs at a time, for the whole mount.
    public var uploadConcurrency = 4
    /// Limits, time-outs and retries of each upload.
    public var upload = UploadStateMachine.Configuration()
    /// Sent as `enable_hls` with each session, when given.
    public var enableHLS: Bool?
    /// Sent as `enable_thumbnail` with each session, when given.
    public var enableThumbnail: Bool?
    /// Sent as `user_metadata` with each session.
    public var metadata: [(key: String, value: MetadataValue)] = []
    /// Draws the numbers in `0..<1` that spread the retries.
    public var random: @Sendable () -> Double = { .random(in: 0..<1) }
    /// Where another API key may come from; nil where none can.
    public var keyRenewal: KeyRenewal?

    /// The defaults of the design.
    public init() {}
}

/// The time, as the engine sees it; tests give it another.
public struct EngineClock: Sendable {
    /// The moment, on a clock that counts suspend.
    public var now: @Sendable () -> Instant
    /// The time of day, for people.
    public var wallTime: @Sendable () -> Timestamp
    /// Waits until a moment; throws when the task is cancelled.
    public var sleep: @Sendable (_ until: Instant) async throws -> Void

    /// A clock from its parts.
    public init(
        now: @escaping @Sendable () -> Instant, wallTime: @escaping @Sendable () -> Timestamp,
        sleep: @escaping @Sendable (Instant) async throws -> Void
    ) {
        self.now = now
        self.wallTime = wallTime
        self.sleep = sleep
    }
}
