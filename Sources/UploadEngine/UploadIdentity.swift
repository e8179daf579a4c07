import UploadCore

/// What an upload is called, and whose it is: what the file system knows and the status document tells.
public struct UploadIdentity: Sendable, Equatable {
    /// The path within the mount, as names from the root: bytes, not text.
    public var path: [[UInt8]]
    /// The base name that the session bears.
    public var filename: String
    /// What the platform is told it is, if it takes sessions of that type.
    public var type: AssetKind
    /// Who writes, for people: `cp (pid 4242)`, or `unknown`.
    public var writer: String?
    /// How that program failed after it had closed the file, for people: `status 18`, `signal 9`.
    public var writerExit: String?
    /// Whether a close was answered for it though somebody may have it open still: the last release is to decide.
    public var isUndecided = false
    /// Earlier uploads of the same name.
    public var supersededUploadIDs: [String]
    /// Whether the path leads to it; false once its file was removed or replaced, or written anew.
    public var isListed = true
    /// The user whose file it was when it was taken out of the listing; nil while it is listed, and where nobody knows.
    public var lastOwner: UInt32?
    /// The user who had made it, where all files belong to one; nil as the owner is.
    public var creator: UInt32?
    /// The path as documents tell it.
    public var pathText: String { "/" + path.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/") }

    /// An identity.
    public init(
        path: [[UInt8]], filename: String, type: AssetKind, writer: String? = nil, supersededUploadIDs: [String] = []
    ) {
        self.path = path
        self.filename = filename
        self.type = type
        self.writer = writer
        self.supersededUploadIDs = supersededUploadIDs
    }
}
