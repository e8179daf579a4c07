/// The file system and its engine, as ``MountSupervisor`` sees them: everything around them (checks, background, key, lock, log,
/// signals) is the supervisor's, everything inside theirs.
///
/// The calls, in their order: `hasUploadsToResume`, then the platform is asked, then `start`, then
/// ``RunningMount/drainAndStop(_:)``.
public protocol MountService: Sendable {
    /// Whether the state directory holds uploads to recover: then a platform that cannot be reached refuses no mount.
    ///
    /// - Throws: as ``start(_:)``.
    func hasUploadsToResume(_ mount: PreparedMount) async throws -> Bool

    /// What an earlier mount has left in the state directory, when this one has not come to be. Blocks on the disk.
    func leftBehind(_ mount: PreparedMount) -> DrainOutcome

    /// Attaches the file system at the mount point and begins to serve; returns once the mount is usable.
    ///
    /// The mount point is an empty directory that nothing is mounted on. A cancelled task may end early.
    /// - Throws: a ``CommandFailure``, an `UploadFailure` or a `FuseError`, whose words become the user's one line; nothing is
    ///   left mounted or running then.
    func start(_ mount: PreparedMount) async throws -> any RunningMount
}

/// A mount that serves.
public protocol RunningMount: Sendable {
    /// Returns when the kernel has released the mount: somebody else unmounted it, or ``drainAndStop(_:)`` did.
    ///
    /// Returns early, and without a meaning, when the calling task is cancelled.
    func untilDetached() async

    /// Whether the kernel still shows the mount to this process. One that was taken away lazily can have files open.
    var isMounted: Bool { get }

    /// Refuses whoever does not write already, lets those in the mount and uploads under way finish until the agenda says that
    /// it is time, answers the closes that still wait, detaches (if still attached) and ends everything that was started.
    ///
    /// It serves on where nobody on the agenda asks for the end any more.
    func drainAndStop(_ agenda: DrainAgenda) async -> DrainEnd
}

/// What came of it.
public enum DrainEnd: Sendable, Equatable {
    /// It has ended.
    case ended(DrainOutcome)
    /// It serves on: these were in it, in words.
    case servesOn([String])
}

/// What a mount left behind when it ended.
public struct DrainOutcome: Sendable, Equatable, Codable {
    /// Uploads that the next mount with this state directory recovers.
    public var resumable: Int
    /// Uploads that failed or were interrupted, for the log: they do not count against a clean end.
    public var unfinished: Int
    /// Files that everybody had closed and that were not decided yet, and why, in words: the next mount finds them interrupted.
    /// Nil from a server that does not tell.
    public var undecided: [String]?

    /// An outcome; nothing left by default.
    public init(resumable: Int = 0, unfinished: Int = 0, undecided: [String]? = nil) {
        self.resumable = resumable
        self.unfinished = unfinished
        self.undecided = undecided
    }

    /// Whether all that was closed has come to what it was to come to.
    public var isClean: Bool { resumable == 0 && undecided?.isEmpty ?? true }
}
