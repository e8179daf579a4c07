import Logging
import PlatformClient

/// The file system and its engine, as ``MountSupervisor`` sees them: everything around them (checks, background, key, lock, log,
/// signals) is the supervisor's, everything inside theirs.
///
/// The order of calls is `attach` → `start` → `drainAndStop`, each once; or `attach` → `detach` when the platform refuses.
public protocol MountService: Sendable {
    /// Attaches the file system at the mount point; requests wait in the kernel until ``AttachedMount/start(key:)``.
    ///
    /// Called on the main thread while the process has no other one, since libfuse forks `fusermount3` here: nothing that
    /// starts a thread (an event loop, a task) may be made before it. The state directory exists, is ours and is locked.
    /// - Throws: a ``CommandFailure``, or an `UploadFailure` whose message and hint make a line for the user.
    func attach(_ configuration: MountConfiguration, logger: Logger) throws -> any AttachedMount
}

/// A mount that is attached and does not serve yet.
public protocol AttachedMount: Sendable {
    /// Whether the state directory holds uploads to go on with: then a platform that cannot be reached is no reason to give up.
    var hasUploadsToResume: Bool { get }

    /// Begins to serve; returns once the mount is usable.
    /// - Throws: as ``MountService/attach(_:logger:)``; the mount is detached then.
    func start(key: APIKey) async throws -> any RunningMount

    /// Gives the mount up before it served; called instead of `start`.
    func detach()
}

/// A mount that serves.
public protocol RunningMount: Sendable {
    /// Returns when the kernel has let go of the mount: somebody else unmounted it, or ``drainAndStop(within:)`` did.
    ///
    /// Returns early, and without a meaning, when the calling task is cancelled.
    func untilDetached() async

    /// Refuses new files, lets uploads under way finish for at most `timeout`, answers the closes that still wait, detaches
    /// (if still attached) and ends everything that was started.
    ///
    /// When the calling task is cancelled (a second signal), the waiting ends at once; what follows it is still done.
    func drainAndStop(within timeout: Duration) async -> DrainOutcome
}

/// What a mount left behind when it ended.
public struct DrainOutcome: Sendable, Equatable, Codable {
    /// Uploads that the next mount with this state directory goes on with.
    public var resumable: Int
    /// Uploads that failed or were interrupted, for the log: they do not count against a clean end.
    public var unfinished: Int

    /// An outcome; nothing left by default.
    public init(resumable: Int = 0, unfinished: Int = 0) {
        self.resumable = resumable
        self.unfinished = unfinished
    }
}
