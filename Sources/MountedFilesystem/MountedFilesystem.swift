import FileTree
import FuseLowLevel
import Glibc
import Logging
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// The file system: names, files and their versions, and the way from a close to the platform.
///
/// The tree has one lock, each file its own; neither is held while the other is taken, nor while anything blocks. What
/// FUSE asks arrives in the extensions, one theme each: names, contents, closing, status.
package final class MountedFilesystem: Sendable {
    let configuration: FilesystemConfiguration
    let engine: UploadEngine
    let spool: SpoolDirectory
    let writers: any WriterInspector
    let status: StatusDirectory
    let logger: Logger
    let tree: Mutex<FileTree<MountedFile>>
    let handles = HandleTable<OpenFile>()
    let interrupts = InterruptWatch()
    let keeper: InterruptedKeeper
    let room: RoomKeeper
    let remoteContent: RemoteContent
    /// New files and writes are refused: the mount is draining, or was mounted read-only.
    let refusesWriting: Atomic<Bool>
    /// Closes that wait for the platform, to be answered when the mount ends.
    let closeWaits = CloseWaits()
    /// What survives a crash; nil where nothing is to.
    let journal: Journal?
    /// Nodes that the journal is about to look at.
    let notedNodes = Mutex<Set<NodeID>>([])

    /// A file system without files.
    package init(
        configuration: FilesystemConfiguration, engine: UploadEngine, spool: SpoolDirectory,
        writers: any WriterInspector, logger: Logger, journal: Journal? = nil
    ) {
        self.journal = journal
        self.configuration = configuration
        self.engine = engine
        self.spool = spool
        self.writers = writers
        self.logger = logger
        let root = NodeAttributes(
            mode: UInt32(configuration.directoryMode ?? 0o755), userID: configuration.uid,
            groupID: configuration.gid, time: .now())
        tree = Mutex(FileTree(root: root))
        status = StatusDirectory(engine: engine, spool: spool, configuration: configuration)
        keeper = InterruptedKeeper(keepFor: configuration.keepInterrupted, engine: engine, logger: logger)
        remoteContent = RemoteContent(engine: engine)
        room = RoomKeeper(engine: engine, keeper: keeper, logger: logger)
        refusesWriting = Atomic(configuration.isReadOnly)
    }

    /// Refuses new files and writes from now on (`EROFS`); what is open can be closed.
    package func refuseWriting() {
        refusesWriting.store(true, ordering: .relaxed)
    }

    /// Answers every close that still waits, as a stall would: what is not confirmed is not called so.
    package func answerWaitingCloses(_ failure: UploadFailure) {
        closeWaits.answerAll(.failure(failure))
    }

    func checkWritable() throws(FuseErrno) {
        if refusesWriting.load(ordering: .relaxed) { throw .readOnlyFileSystem }
    }

    // MARK: What several themes need

    /// Changes the tree under its lock; what is wrong with a name becomes an errno.
    func withTree<Result: Sendable>(
        _ body: (inout FileTree<MountedFile>) throws(TreeError) -> Result
    ) throws(FuseErrno) -> Result {
        let (outcome, changed) = tree.withLock { tree -> (Swift.Result<Result, TreeError>, Set<NodeID>) in
            do throws(TreeError) {
                let result = try body(&tree)
                return (.success(result), tree.takeChanged())
            } catch {
                return (.failure(error), tree.takeChanged())
            }
        }
        note(changed)
        switch outcome {
        case .success(let result): return result
        case .failure(let error): throw FuseErrno(error)
        }
    }

    /// Where a node is, as names from the root; nil when it has no name any more.
    func path(of node: NodeID) -> [[UInt8]]? {
        tree.withLock { $0.path(of: node) }
    }

    /// What becomes of files of this path.
    func verdict(on path: [[UInt8]]) -> NamePolicy.Verdict {
        guard let name = path.last else { return .refuse }
        return configuration.names.verdict(on: name, parents: Array(path.dropLast()))
    }

    /// What an upload of this path is called.
    func identity(for path: [[UInt8]]) -> UploadIdentity {
        let name = finalName(for: path)
        let type: AssetKind =
            switch configuration.assetTypes {
            case .always(let kind): kind
            case .byName: NamePolicy.assetType(for: name) ?? .video
            }
        return UploadIdentity(path: path, filename: NamePolicy.sessionFilename(for: name), type: type)
    }

    /// The base name that a file will have in the end: its own, or the one that a temporary name's pattern tells.
    func finalName(for path: [[UInt8]]) -> [UInt8] {
        if case .temporary(let final?) = verdict(on: path) { return final }
        return path.last ?? []
    }
}

extension NodeTime {
    /// The time of day.
    static func now() -> NodeTime {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return NodeTime(seconds: Int64(now.tv_sec), nanoseconds: Int64(now.tv_nsec))
    }
}
