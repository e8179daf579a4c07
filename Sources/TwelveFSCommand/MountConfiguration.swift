import Formats
import UploadCore

/// Everything that `twelvefs mount` was asked for, checked and complete: what the file system and the engine are built from.
///
/// Paths are absolute. The API key is not part of it: it travels separately, as an `APIKey`.
public struct MountConfiguration: Sendable, Equatable, Codable {
    /// Where the file system is attached: an absolute path without symbolic links.
    public var mountPoint: String
    /// The platform's base URL, without a trailing slash: `https`, or `http` to a loopback address.
    public var apiURL: String
    /// The file that the key came from, to be read again when the key is refused; `nil` when it came from the environment.
    public var apiKeyFile: String?

    /// Spool, journal, lock and log live here; 0700, ours.
    public var stateDirectory: String
    /// How much the spool may hold, or `nil` for what leaves a tenth of the disk (at least 1 GiB) free.
    public var spoolLimit: ByteCount?
    /// How long the bytes of an interrupted version are kept.
    public var keepInterrupted: Duration

    /// What a successful close means.
    public var closeMode: CloseMode
    /// A close that moves nothing for this long answers an error; the upload goes on.
    public var stallTimeout: Duration
    /// How long unmounting waits for uploads under way.
    public var drainTimeout: Duration
    /// PUTs at a time, for the whole mount; at least 1.
    public var uploadConcurrency: Int
    /// How far a writer may be ahead of what is uploaded, when the size is known; `nil` for as far as it likes.
    public var runAhead: ByteCount?
    /// The largest file that may be written.
    public var maxFileSize: ByteCount
    /// Whether sizes are learnt from the writer, so that chunks are sent while it writes.
    public var usesSizeHints: Bool

    /// The `type` that sessions are opened with.
    public var assetType: AssetTypeChoice
    /// What happens to names that are neither a video's nor an audio's.
    public var otherFiles: NamePolicy.OtherFiles
    /// Sent as `enable_hls` when not `nil`.
    public var enableHLS: Bool?
    /// Sent as `enable_thumbnail` when not `nil`.
    public var enableThumbnail: Bool?
    /// Sent as `user_metadata`, in this order; empty sends none. Keys are unique.
    public var metadata: [MetadataEntry]

    /// Whether writing is refused with `EROFS`.
    public var isReadOnly: Bool
    /// Whether other users may look into the mount (`allow_other`).
    public var allowsOther: Bool
    /// Whether the mount goes with its process however that ends (`auto_unmount`), instead of staying behind dead.
    public var unmountsItself: Bool
    /// What is done with writers of which nobody can tell how they end.
    public var unseenWriters: UnseenWriterPolicy
    /// The owner that files and directories show, or `nil` for whoever makes them.
    public var uid: UInt32?
    /// The group that files and directories show, or `nil` for that of whoever makes them.
    public var gid: UInt32?
    /// The mode of new files, or `nil` for what the writer asks for.
    public var fileMode: UInt16?
    /// The mode of new directories, or `nil` for what the maker asks for.
    public var directoryMode: UInt16?
    /// Flags of the mount itself, as mount(8) names them (`noexec`, `noatime`), to be passed to FUSE as they are.
    public var mountFlags: [String]

    /// The log, or `nil` for standard error.
    public var logFile: String?
    /// Whether the log tells details.
    public var isDebug: Bool

    /// One `--metadata`.
    public struct MetadataEntry: Sendable, Equatable, Codable {
        /// The key; not empty.
        public var key: String
        /// The value; a text may be empty.
        public var value: MetadataValue

        /// One entry.
        public init(key: String, value: MetadataValue) {
            self.key = key
            self.value = value
        }
    }

    /// What the kernel shows as the mount's source (FUSE's `fsname`): the state directory, so that a mount leads to its server.
    public var sourceName: String { stateDirectory }
    /// What the kernel shows after `fuse.` as the mount's type (FUSE's `subtype`).
    public static let subtype = "twelvefs"
}

/// The `type` of new sessions: fixed, or told by each file's name.
public enum AssetTypeChoice: String, Sendable, CaseIterable, Codable {
    /// Always `video`.
    case video
    /// Always `audio`.
    case audio
    /// What the file name's extension says; `video` when it says nothing.
    case auto
}
