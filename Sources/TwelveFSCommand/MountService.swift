import Logging

/// The file system and its engine, as ``MountSupervisor`` sees them: everything around them (checks, background, key, lock, log,
/// signals) is the supervisor's, everything inside theirs.
///
/// The calls, in their order: `hasUploadsToResume`, then the platform is asked, then `start`, then
/// ``RunningMount/drainAndStop(_:showing:)``.
public protocol MountService: Sendable {
    /// Whether the state directory holds uploads to recover: then a platform that cannot be reached refuses no mount.
    ///
    /// The state directory exists, is ours and is locked.
    /// - Throws: as ``start(_:access:logger:)``.
    func hasUploadsToResume(_ configuration: MountConfiguration, logger: Logger) async throws -> Bool

    /// Attaches the file system at the mount point and begins to serve; returns once the mount is usable.
    ///
    /// The mount point is an empty directory that nothing is mounted on. A cancelled task may end early.
    /// - Throws: a ``CommandFailure``, an `UploadFailure` or a `FuseError`, whose words become the user's one line; nothing is
    ///   left mounted or running then.
    func start(_ configuration: MountConfiguration, access: PlatformAccess, logger: Logger) async throws
        -> any RunningMount
}

/// A mount that serves.
public protocol RunningMount: Sendable {
    /// Returns when the kernel has released the mount: somebody else unmounted it, or ``drainAndStop(_:showing:)`` did.
    ///
    /// Returns early, and without a meaning, when the calling task is cancelled.
    func untilDetached() async

    /// Refuses whoever does not write already, lets those in the mount and uploads under way finish for at most the order's
    /// time, answers the closes that still wait, detaches (if still attached) and ends everything that was started.
    ///
    /// When the calling task is cancelled (a second signal), the waiting ends at once, as with force; what follows it is
    /// still done.
    ///
    /// - Parameter showing: is told, in words, who is in the mount whenever that changes.
    func drainAndStop(_ order: DrainOrder, showing: @escaping @Sendable ([String]) -> Void) async -> DrainEnd
}

/// How a mount is to end.
public struct DrainOrder: Sendable, Equatable {
    /// How long it may take.
    public var timeout: Duration
    /// Whether it ends even if somebody is in it by then.
    public var isForced: Bool
    /// Who asks for it and wants to hear of it; nil for a signal.
    public var request: String?

    /// An order; by force, as a signal is one.
    public init(timeout: Duration, isForced: Bool = true, request: String? = nil) {
        self.timeout = timeout
        self.isForced = isForced
        self.request = request
    }
}

/// What came of it.
public enum DrainEnd: Sendable, Equatable {
    /// It has ended.
    case ended(DrainOutcome)
    /// It serves on: these are in it, in words.
    case busy([String])
}

/// What a mount left behind when it ended.
public struct DrainOutcome: Sendable, Equatable, Codable {
    /// Uploads that the next mount with this state directory recovers.
    public var resumable: Int
    /// Uploads that failed or were interrupted, for the log: they do not count against a clean end.
    public var unfinished: Int

    /// An outcome; nothing left by default.
    public init(resumable: Int = 0, unfinished: Int = 0) {
        self.resumable = resumable
        self.unfinished = unfinished
    }
}
