import UploadCore
import UploadEngine
import UploadStore

/// What a file holds from its first write, or the first after a commit, until its last writer lets go; then frozen.
///
/// A value inside ``MountedFile``, under its lock. It is committed at most once.
struct FileVersion: Sendable {
    /// Where the size hint stands.
    enum HintSearch: Sendable {
        /// No write has come yet.
        case notTried
        /// Nothing was found; once more when there is enough for a session.
        case missed
        /// A source was found, or there is nothing to look for.
        case done
    }

    /// The bytes.
    let spool: SpoolFile
    /// The way to the platform; nil for files that stay here.
    var upload: Upload?
    /// In bytes.
    var size: Int64 = 0
    /// Whether anything was written, or the size changed, since the version began.
    var hasContent = false
    /// Committed, or ended otherwise: the next write begins another version.
    var isFrozen = false
    /// Frozen under a temporary name: a write opens it again, instead of beginning another version.
    var isStaged = false
    /// Never to be uploaded, though its name is that of a video: a partial file of rsync's.
    var isPlain = false
    /// Thread groups that wrote into it.
    var writers: Set<Int32> = []
    /// Why it can't become an asset any more.
    var taint: String?
    /// Ranges whose write was refused and not made good.
    var refused = SegmentMap()
    /// Why the last of them was.
    var refusal: UploadFailure?
    /// Writes and cuts that have passed the lock and not come back: the version is not frozen meanwhile.
    var changesUnderWay = 0
    /// Writes that have come back, and cuts: each notices by them that the other came in between.
    var writesDone = 0
    var cutsDone = 0
    /// Where the size hint stands.
    var hintSearch = HintSearch.notTried
    /// The file that the writer copies or reads.
    var source: FoundSource?
    /// Whether an rsync writes into it under its final name.
    var isWrittenInPlace = false
    /// Whether such an rsync wrote, and the truncation that ends its successful run has not followed.
    var awaitsFinalTruncation = false

    /// Its bytes are gone from the spool, since the platform has them.
    var isEvicted = false
    /// When it was last opened, or begun.
    var lastUse = ContinuousClock.now

    init(spool: SpoolFile, upload: Upload?) {
        self.spool = spool
        self.upload = upload
    }

    /// Whether a close has something to decide.
    var hasUncommittedContent: Bool { hasContent && !isFrozen }
}
