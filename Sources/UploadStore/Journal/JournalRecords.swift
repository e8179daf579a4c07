import Formats
import UploadCore

/// One upload as the journal knows it: enough to recover it, or to tell how it ended.
public struct UploadRecord: Sendable, Equatable {
    /// Counts the uploads of a state directory, from 1; never given twice.
    public var number: Int64
    /// The name of its spool file.
    public var spool: String
    /// Its path within the mount, as names from the root: bytes, not text.
    public var path: [[UInt8]]
    /// The base name that its session bears.
    public var filename: String
    /// What the platform is told it is, if it takes sessions of that type.
    public var type: AssetKind
    /// In what words the platform refused that type; it was told that it is a video then.
    public var typeRefusal: String?
    /// Who wrote it, for people.
    public var writer: String?
    /// How that program failed after it had closed it, for people.
    public var writerExit: String?
    /// Whether the last release was to decide what becomes of it, though a close was answered.
    public var isUndecided = false
    /// Where it stood.
    public var state: UploadState
    /// Whether only its asset is still to be seen to, since its file was removed when all of it may have been reported.
    public var withdrawal: Withdrawal?
    /// How far it may go; nil until the last descriptor is closed.
    public var scope: CommitScope?
    /// In bytes.
    public var size: Int64
    /// The boot of the machine during which its bytes were written; empty when that is not known.
    public var boot: String
    /// How much of it is known to be on disk.
    public var synced: Synced
    /// When it was begun, by our own clock.
    public var created: Timestamp
    /// When its last descriptor was closed, by our own clock.
    public var closed: Timestamp?
    /// When the platform confirmed it, by our own clock.
    public var completed: Timestamp?
    /// Why it ended badly, or what was wrong last.
    public var failure: UploadFailure?
    /// Where the platform serves its asset, where it said so.
    public var assetURL: String?
    /// What the platform last said of its asset.
    public var assetStatus: AssetState?
    /// Why the platform could not process its asset, in its words.
    public var assetError: String?
    /// Earlier uploads of its name.
    public var superseded: [String]
    /// Sessions that were abandoned for it.
    public var abandoned: [String]
    /// Attempts beyond the first.
    public var retries: Int
    /// Bytes that are stored at the platform and no longer in the spool.
    public var released = SegmentMap()

    /// A record of an upload that has just begun.
    public init(number: Int64, spool: String, path: [[UInt8]], filename: String, type: AssetKind, created: Timestamp) {
        self.number = number
        self.spool = spool
        self.path = path
        self.filename = filename
        self.type = type
        state = .open
        size = 0
        boot = ""
        synced = .nothing
        self.created = created
        superseded = []
        abandoned = []
        retries = 0
    }

    /// What may have been told of an upload that is withdrawn.
    public enum Withdrawal: Int, Sendable, Equatable {
        /// Nobody was told that it is completed.
        case unpromised = 0
        /// An earlier process may have told so.
        case perhapsPromised = 1
    }

    /// How much of the content is known to be on disk.
    public enum Synced: Int, Sendable, Equatable {
        /// None of it.
        case nothing = 0
        /// All of it.
        case everything = 1
        /// What its writer had put there before it wrote more, and never finished.
        case part = 2
    }

    /// Whether the bytes that were written can still be relied on in this boot of the machine: what was not put on disk
    /// before another boot is lost.
    public func contentCanBeTrusted(inBoot current: String) -> Bool {
        synced == .everything || (!current.isEmpty && boot == current)
    }
}

/// The upload session of an upload. Its URLs are not kept: each is a credential, and new ones can be had.
public struct SessionRecord: Sendable, Equatable {
    /// The upload's number.
    public var upload: Int64
    /// The platform's id of the session.
    public var uploadID: String
    /// The asset that it makes.
    public var assetID: String
    /// How the file is cut into chunks.
    public var plan: ChunkPlan
    /// What each PUT has to carry.
    public var headers: [(String, String)]
    /// When it ends by the platform's clock, for people.
    public var expiresAt: Timestamp?
    /// When it ends by our own clock, as far as we know.
    public var deadline: Timestamp?
    /// What its size was believed on; nil when that was known.
    public var sizeSource: SizeHint.Source?

    /// A record of a session.
    public init(
        upload: Int64, uploadID: String, assetID: String, plan: ChunkPlan, headers: [(String, String)] = [],
        expiresAt: Timestamp? = nil, deadline: Timestamp? = nil, sizeSource: SizeHint.Source? = nil
    ) {
        self.upload = upload
        self.uploadID = uploadID
        self.assetID = assetID
        self.plan = plan
        self.headers = headers
        self.expiresAt = expiresAt
        self.deadline = deadline
        self.sizeSource = sizeSource
    }

    /// Headers compare in their order.
    public static func == (left: SessionRecord, right: SessionRecord) -> Bool {
        left.upload == right.upload && left.uploadID == right.uploadID && left.assetID == right.assetID
            && left.plan == right.plan && left.expiresAt == right.expiresAt && left.deadline == right.deadline
            && left.sizeSource == right.sizeSource && left.headers.elementsEqual(right.headers, by: ==)
    }
}

/// A chunk that the store has.
public struct ChunkRecord: Sendable, Equatable {
    /// The session's id.
    public var uploadID: String
    /// From 1.
    public var index: Int
    /// How often its bytes had changed when it was sent.
    public var generation: Int
    /// What the store has: ETag, MD5 and size.
    public var stored: StoredChunk
    /// Whether it was named in a report, whatever became of that.
    public var isClaimed: Bool

    /// A record of a stored chunk.
    public init(uploadID: String, index: Int, generation: Int, stored: StoredChunk, isClaimed: Bool = false) {
        self.uploadID = uploadID
        self.index = index
        self.generation = generation
        self.stored = stored
        self.isClaimed = isClaimed
    }
}

/// A directory or file of the tree.
public struct NodeRecord: Sendable, Equatable {
    /// What a file holds.
    public struct Content: Sendable, Equatable {
        /// In bytes.
        public var size: Int64
        /// The spool file; nil when nothing was ever written.
        public var spool: String?
        /// The upload's number; nil for files that stay here.
        public var upload: Int64?
        /// Listed though its upload was interrupted: a partial file that its writer wants to find again.
        public var isLocalOnly: Bool
        /// Stays here, and its writer was killed: under a name of those that are uploaded nothing may become of it.
        public var isTainted: Bool

        /// What a file of `size` bytes holds.
        public init(
            size: Int64, spool: String?, upload: Int64?, isLocalOnly: Bool = false, isTainted: Bool = false
        ) {
            self.size = size
            self.spool = spool
            self.upload = upload
            self.isLocalOnly = isLocalOnly
            self.isTainted = isTainted
        }
    }

    /// The inode number; the root is 1.
    public var id: UInt64
    /// The directory; 0 for the root.
    public var parent: UInt64
    /// Bytes, not text; empty for the root.
    public var name: [UInt8]
    /// Nil for a directory.
    public var content: Content?
    /// Permission bits.
    public var mode: UInt32
    /// The owner.
    public var userID: UInt32
    /// The group.
    public var groupID: UInt32
    /// When it was last read, as far as that is kept.
    public var accessTime: FileTime
    /// When its content last changed.
    public var modificationTime: FileTime
    /// When it, or what is known of it, last changed.
    public var changeTime: FileTime

    /// A record of a directory, or of a file with `content`.
    public init(
        id: UInt64, parent: UInt64, name: [UInt8], content: Content?, mode: UInt32, userID: UInt32, groupID: UInt32,
        accessTime: FileTime, modificationTime: FileTime, changeTime: FileTime
    ) {
        self.id = id
        self.parent = parent
        self.name = name
        self.content = content
        self.mode = mode
        self.userID = userID
        self.groupID = groupID
        self.accessTime = accessTime
        self.modificationTime = modificationTime
        self.changeTime = changeTime
    }
}

/// Something to be written down. Changes are written in the order in which they were told.
public enum JournalChange: Sendable {
    case putUpload(UploadRecord)
    /// The upload, its session and its chunks are of no interest any more.
    case removeUpload(Int64)
    case putSession(SessionRecord)
    /// The session and its chunks are of no interest any more.
    case removeSession(ofUpload: Int64)
    case putChunk(ChunkRecord)
    /// What the store has of these chunks is not what the file holds.
    case removeChunks(uploadID: String, [Int])
    /// Whether these chunks were named in a report.
    case claimChunks(uploadID: String, [Int], Bool)
    /// All chunks of a session: it is completed, and nothing more is to be known of them.
    case removeAllChunks(uploadID: String)
    case putNode(NodeRecord)
    /// The node has another name, if it is known at all; nothing else of it is.
    case renameNode(UInt64, parent: UInt64, name: [UInt8])
    case removeNode(UInt64)
}

/// Everything that the journal knows.
public struct JournalContents: Sendable, Equatable {
    /// The uploads, by their numbers.
    public var uploads: [UploadRecord] = []
    /// Their sessions, at most one each.
    public var sessions: [SessionRecord] = []
    /// The stored chunks of these sessions.
    public var chunks: [ChunkRecord] = []
    /// The tree, in the order of the inode numbers.
    public var nodes: [NodeRecord] = []

    /// The highest number that anything here calls an upload by, also where the upload's own row was lost: what is left of that must
    /// not be taken for another's. 0 for none.
    public var lastUploadNumber: Int64 {
        max(
            uploads.map(\.number).max() ?? 0, sessions.map(\.upload).max() ?? 0,
            nodes.compactMap { $0.content?.upload }.max() ?? 0)
    }

    /// Nothing.
    public init() {}
}
