import ProcessInspection
import UploadCore
import UploadEngine
import UploadStore

/// What a file holds between two commits: its bytes, the way to the platform, and what is known of who writes it.
///
/// A value inside ``MountedFile``, under its lock; outside it a snapshot, which the file compares by its spool file.
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
    /// What becomes of files of its name: decided when the version begins, and again when a rename changes the path.
    var name: NamePolicy.Verdict
    /// The way to the platform; nil for files that stay here, and for what holds nothing yet.
    var upload: Upload?
    /// Whether it may still change, and what may become of it.
    var phase = VersionPhase.writing
    /// Whether it waited for a name, is to be changed again, and the journal does not know that yet.
    var isReopened = false
    /// In bytes.
    var size: Int64 = 0
    /// Whether anything was written, or the size changed, since the version began.
    var hasContent = false
    /// Thread groups that wrote into it.
    var writers = VersionWriters()
    /// How often something happened on which a decision about it depends: an open for writing, the end of a change, a refused
    /// write. What was decided by a look that is older than the last of them is not so any more.
    var events = 0
    /// Whether it was committed for now only: nobody could tell whether it was the last close.
    var isCommittedForNow = false
    /// Whether one of them is aria2, which says by a file beside it that it is not done.
    var isWrittenByAria2 = false
    /// Why it can't become an asset any more, if a writer of it was killed.
    var taint: String?
    /// Ranges whose write was refused and not made good.
    var refused = SegmentMap()
    /// Why the last of them was.
    var refusal: UploadFailure?
    /// Writes and truncations under way: the version is not committed meanwhile.
    var changesUnderWay = 0
    /// Writes and truncations that are over: each notices by them that the other came in between.
    var writesDone = 0
    var truncationsDone = 0
    /// Where the size hint stands.
    var hintSearch = HintSearch.notTried
    /// The file that the writer copies or reads.
    var source: FoundSource?
    /// The same kept open, where it bears this file's name: a copy that ends before it may be cut short.
    var heldSource: HeldSource?
    /// How long that file was when it was found, in bytes.
    var sourceSize: Int64?
    /// How long the file is of which this one was found to be the first part, in bytes; until it is changed.
    var cutNamesake: Int64?
    /// Whether an rsync writes into it under its final name.
    var isWrittenInPlace = false
    /// Whether such an rsync wrote, and the truncation that ends its successful run has not followed.
    var awaitsFinalTruncation = false
    /// Uploads of versions that were promised to be safe, and go on until this version is.
    var predecessors: [Upload] = []

    /// Its bytes are gone from the spool, since the platform has them.
    var isEvicted = false
    /// Who reads the spool file now, and needs it whole.
    var uses = 0
    /// When it was last opened, or begun.
    var lastUse = ContinuousClock.now

    init(spool: SpoolFile, name: NamePolicy.Verdict, upload: Upload? = nil) {
        self.spool = spool
        self.name = name
        self.upload = upload
    }

    /// What another process left, or a user tries again: content that is an upload's.
    init(of upload: Upload, size: Int64, phase: VersionPhase, isEvicted: Bool = false) {
        self.init(spool: upload.spool, name: .upload, upload: upload)
        self.size = size
        self.phase = phase
        self.isEvicted = isEvicted
        hasContent = true
    }

    /// Whether a close has something to decide.
    var hasUncommittedContent: Bool { hasContent && (phase == .writing || isCommittedForNow) }

    /// Whether it is, or is to be, uploaded under a name that it bears now or will get.
    var isToBeUploaded: Bool { name.isUploaded && phase != .ended(.partial) }

    /// Whether nothing of it is uploaded; it may have an upload still, which ends when nobody can write it any more.
    var staysHere: Bool { upload == nil || phase == .writing && !isToBeUploaded }

    /// Whether this is the same version, perhaps at another moment.
    func isSame(as other: FileVersion) -> Bool { spool === other.spool }
}

extension NamePolicy.Verdict {
    /// Whether files of such a name become assets, sooner or later.
    var isUploaded: Bool {
        switch self {
        case .upload, .temporary: true
        case .keepLocally, .refuse: false
        }
    }

    /// Whether files of such a name get another one when they are whole.
    var isTemporary: Bool {
        if case .temporary = self { true } else { false }
    }
}
