import Formats
import UploadCore

/// How the mounted file system behaves, where it has a choice.
public struct FilesystemConfiguration: Sendable {
    /// The `type` of new sessions.
    public enum AssetTypes: Sendable, Equatable {
        /// Always this one.
        case always(AssetKind)
        /// What the name's extension says; a video where it says nothing.
        case byName
    }

    /// The largest file that can be written, in bytes.
    public var maxFileSize: Int64 = 10 << 30
    /// How far a writer may be ahead of what is uploaded, when the size is known; nil for as far as it likes.
    public var runAhead: ByteCount? = .mebibytes(64)
    /// Whether the final size is learnt from the writer.
    public var usesSizeHints = true
    /// Which names are uploaded.
    public var names = NamePolicy(otherFiles: .refuse)
    /// The `type` of new sessions.
    public var assetTypes = AssetTypes.byName
    /// What a successful close means.
    public var closeMode = CloseMode.upload
    /// How long a rename waits for the platform; the directory stands still meanwhile.
    public var renameLimit: Duration = .seconds(10)
    /// How long the bytes of an interrupted version are kept.
    public var keepInterrupted: Duration = .seconds(24 * 3600)
    /// Whether writing is refused.
    public var isReadOnly = false
    /// Whether writers may write of which nobody can tell how they end.
    public var takesUnseenWriters = false
    /// Who owns the root and the status documents: whoever mounted.
    public var uid: UInt32
    /// The group of the root and the status documents.
    public var gid: UInt32
    /// The owner of new files and directories; nil for whoever makes them.
    public var fixedUID: UInt32?
    /// The group of new files and directories; nil for that of whoever makes them.
    public var fixedGID: UInt32?
    /// The permissions of new files; nil for what the writer asks for.
    public var fileMode: UInt16?
    /// The permissions of new directories; nil for what the maker asks for.
    public var directoryMode: UInt16?
    /// Shown in the summary.
    public var mountPoint: String

    /// The defaults of the design.
    public init(uid: UInt32, gid: UInt32, mountPoint: String) {
        self.uid = uid
        self.gid = gid
        self.mountPoint = mountPoint
    }
}
