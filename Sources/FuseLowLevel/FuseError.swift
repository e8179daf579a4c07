/// Why a mount could not be made, served or ended.
public struct FuseError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What to tell errors apart by.
    public enum Kind: Sendable, Hashable, CaseIterable {
        /// The mount point is missing, no directory, or cannot be entered.
        case unusableMountPoint
        /// `fusermount3` is not installed.
        case fusermountMissing
        /// `fusermount3` or the kernel refused to mount; the message has its reason.
        case mountRefused
        /// libfuse did not take an option.
        case invalidOption
        /// The kernel and libfuse did not agree upon a protocol.
        case protocolMismatch
        /// Files are open in the mount.
        case busy
        /// Nothing of ours is mounted there.
        case notMounted
        /// `fusermount3` or the kernel refused to unmount.
        case unmountRefused
        /// The system is out of threads, descriptors or memory; or reading requests failed.
        case system
    }

    /// What to tell errors apart by.
    public let kind: Kind
    /// One line for people.
    public let message: String

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
