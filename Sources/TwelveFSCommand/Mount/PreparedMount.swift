import Logging

/// A mount that is about to be: what was asked for, and what has been opened for it.
public struct PreparedMount: Sendable {
    /// What was asked for, its paths without links.
    public let configuration: MountConfiguration
    /// Whom it is to the platform.
    public let access: PlatformAccess
    /// Held open, ours and locked.
    package let stateDirectory: OpenDirectory
    /// Held from when it was looked at.
    package let place: MountPlace
    /// Takes what the log is to tell.
    public let logger: Logger
}
