import FileTree
import Formats
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// A regular file of the mount: its versions and who has it open. Names and attributes are the tree's.
///
/// All that changes is behind one lock, and only the methods here and in the extensions beside this file reach it. Each
/// asks the version's ``UploadCore/VersionPhase`` where that has a say. Nothing is called while the lock is held, and no
/// other lock is taken.
public final class MountedFile: Sendable {
    struct State: Sendable {
        /// What readers see; nil for a file into which nothing was ever written.
        var version: FileVersion?
        /// When the content last changed, since the tree's times were last set.
        var modified: FileTime?
        /// Handles that can write.
        var writeHandles = 0
        /// All handles.
        var handles = 0
        /// Thread groups that opened it for writing.
        var openers: Set<Int32> = []
        /// The thread that wrote last, and what is known of its process.
        var lastWriter: (thread: Int32, writer: VersionWriters.Writer)?
        /// Ranges whose write was refused because no version could be begun for it.
        var refused = SegmentMap()
        /// Why no version could be begun when it was last tried.
        var refusal: UploadFailure?
        /// The processes that there were when it was first opened for writing, since it was last closed by all.
        var processesBefore: ProcessSnapshot?
        /// The size that a user has declared for the next version, in bytes.
        var declaredSize: Int64?
        /// The sessions of earlier uploads of this name, oldest first; the last few of them.
        var superseded: [SessionLabel] = []
        /// Whether whoever made it has closed it: then it is a file though it be empty.
        var wasClosed = false
        /// A user has cancelled it while it was written: its writers are told.
        var isCancelled = false
        /// Whether fsync or a close was answered for it though nothing of it is uploaded: the journal knows it as it was.
        var isPromised = false
        /// Whether the journal knows content of it that is no upload's.
        var isKnownAsLocal = false
        /// What was committed last, while the journal does not know it: by the time that it looks, the file may be written again.
        var unrecorded: UnrecordedCommit?
        /// It has no name any more.
        var isRemoved = false
    }

    /// A committed version, as the journal is to know it.
    struct UnrecordedCommit: Sendable {
        var upload: Int64
        var spool: String
        /// In bytes.
        var size: Int64
    }

    /// Only the extensions in this folder.
    let door: Mutex<State>
    /// The user who made it, whoever owns it; nil for one that an earlier process left.
    let creator: UInt32?

    /// A file into which nothing was written.
    init(creator: UInt32) {
        self.creator = creator
        door = Mutex(State())
    }

    /// A closed file with this content.
    init(closed version: FileVersion?) {
        var state = State()
        state.version = version
        state.wasClosed = true
        state.isKnownAsLocal = version.map { $0.upload == nil } ?? false
        creator = nil
        door = Mutex(state)
    }

    // MARK: Looks

    /// What readers see; nil for a file into which nothing was ever written.
    var version: FileVersion? { door.withLock { $0.version } }

    /// Everything at one moment.
    var look: State { door.withLock { $0 } }

    /// In bytes.
    var size: Int64 { door.withLock { $0.version?.size ?? 0 } }

    /// The upload of its content, where it has one.
    var upload: Upload? { door.withLock { $0.version?.upload } }

    // MARK: Handles

    /// Counts a handle in; false for a file that was taken out of the listing, into which nothing may be written any more.
    ///
    /// - Parameters:
    ///   - opener: the process that opens it for writing, where it can be told.
    ///   - processes: those that there are, for a handle that can write.
    func opened(canWrite: Bool, by opener: Int32?, among processes: ProcessSnapshot?) -> Bool {
        door.withLock { state in
            if state.isRemoved, state.handles == 0 { return false }
            state.handles += 1
            state.version?.lastUse = .now
            guard canWrite else { return true }
            if state.writeHandles == 0 {
                state.openers = []
                state.processesBefore = processes
                (state.refused, state.refusal) = (SegmentMap(), nil)
            }
            state.writeHandles += 1
            state.version?.events += 1
            if let opener { state.openers.insert(opener) }
            return true
        }
    }

    /// Counts a handle out; tells whether it was the last that could write.
    func closed(canWrite: Bool) -> Bool {
        door.withLock { state in
            state.handles -= 1
            guard canWrite else { return false }
            state.writeHandles -= 1
            state.wasClosed = true
            return state.writeHandles == 0
        }
    }

    // MARK: The name

    /// The name is gone: nobody finds the file any more, and nothing of it is uploaded. Gives its upload, those that went on
    /// until it would have one, and whether nobody has it open either.
    func removed() -> (upload: Upload?, predecessors: [Upload], isUnused: Bool) {
        door.withLock { state in
            state.isRemoved = true
            state.version?.name = .keepLocally
            defer { state.version?.predecessors = [] }
            return (state.version?.upload, state.version?.predecessors ?? [], state.handles == 0)
        }
    }

    /// Another name decides anew what becomes of the content.
    func renamed(to name: NamePolicy.Verdict) {
        door.withLock { $0.version?.name = name }
    }

    /// The content goes: the file has neither a name nor a handle.
    func emptied() -> FileVersion? {
        door.withLock { state in
            defer { state.version = nil }
            return state.version
        }
    }

    /// Takes it out of the listing for good, if its content still is this upload's, nobody has it open, and it is not to be
    /// found again. Who opens it from now on is told to look again, and finds nothing.
    func unlisted(_ upload: Upload) -> Bool {
        door.withLock { state in
            guard state.handles == 0, let version = state.version, version.upload === upload,
                version.phase != .ended(.partial)
            else { return false }
            state.isRemoved = true
            state.version = nil
            return true
        }
    }

    /// The times are set by somebody: the content's own does not count any more.
    func timesWereSet() { door.withLock { $0.modified = nil } }

    /// Whether a user has cancelled it while it was written.
    func setCancelled(_ isCancelled: Bool) { door.withLock { $0.isCancelled = isCancelled } }

    /// fsync or a close is answered for content that is not uploaded: the journal has to know it. Gives the content.
    func promised() -> FileVersion? {
        door.withLock { state in
            if state.version?.staysHere ?? true { state.isPromised = true }
            return state.version
        }
    }

    /// The journal is about to know that it holds this upload's content, or content that is no upload's.
    func isKnown(as upload: Int64?, isLocal: Bool) {
        door.withLock { state in
            state.isKnownAsLocal = isLocal
            if let unrecorded = state.unrecorded, unrecorded.upload == upload { state.unrecorded = nil }
        }
    }

    // MARK: What a user declares

    /// The size that the next version is declared to have.
    var declaredHint: SizeHint? {
        door.withLock { $0.declaredSize }.map { SizeHint(size: $0, source: .declared) }
    }

    /// Why a size is not declared, for `setxattr`'s flags.
    enum DeclarationRefusal: Error {
        case exists, isMissing
    }

    /// Declares the size of what is written next, or now; gives the upload that is to know it.
    func declare(_ size: Int64, mustBeNew: Bool, mustExist: Bool) throws(DeclarationRefusal) -> Upload? {
        let outcome = door.withLock { state -> Result<Upload?, DeclarationRefusal> in
            if mustBeNew, state.declaredSize != nil { return .failure(.exists) }
            if mustExist, state.declaredSize == nil { return .failure(.isMissing) }
            state.declaredSize = size
            return .success(state.version.flatMap { $0.phase == .writing ? $0.upload : nil })
        }
        return try outcome.get()
    }

    /// Takes the declaration back; nil where there was none, else the upload that is to know it.
    func undeclare() -> Upload?? {
        door.withLock { state in
            guard state.declaredSize.take() != nil else { return nil }
            return .some(state.version.flatMap { $0.phase == .writing ? $0.upload : nil })
        }
    }
}
