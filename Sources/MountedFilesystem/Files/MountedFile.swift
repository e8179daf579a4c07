import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// A regular file of the mount: its versions and who has it open. Names and attributes are the tree's.
public final class MountedFile: Sendable {
    struct State: Sendable {
        /// What readers see; nil for a file into which nothing was ever written.
        var version: FileVersion?
        /// When the content last changed, since the tree's times were last set.
        var modified: NodeTime?
        /// Handles that can write.
        var writeHandles = 0
        /// All handles.
        var handles = 0
        /// Thread groups that opened it for writing.
        var openers: Set<Int32> = []
        /// The thread that wrote last, and the process that it belongs to.
        var lastWriter: (thread: Int32, process: Int32)?
        /// Ranges whose write was refused because no version could be begun for it.
        var refused = SegmentMap()
        /// Why no version could be begun when it was last tried.
        var refusal: UploadFailure?
        /// The processes that there were when it was first opened for writing, since it was last closed by all.
        var processesBefore: ProcessSnapshot?
        /// The size that a user has declared for the next version, in bytes.
        var declaredSize: Int64?
        /// Earlier uploads of this name, oldest first.
        var superseded: [Upload] = []
        /// Whether whoever made it has let go of it: then it is a file though it be empty.
        var wasClosed = false
        /// A user has given it up while it was written: its writers are told.
        var isGivenUp = false
        /// Whether fsync or a close was answered for it though nothing of it is uploaded: the journal knows it as it was.
        var isPromised = false
        /// It has no name any more.
        var isRemoved = false
    }

    let state: Mutex<State>

    init() { state = Mutex(State()) }

    /// In bytes.
    var size: Int64 { state.withLock { $0.version?.size ?? 0 } }
}
