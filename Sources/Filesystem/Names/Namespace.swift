import FileTree
import Formats
import FuseLowLevel
import Glibc
import Logging
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// The names of the mount: the tree under its lock, paths, what becomes of files of a name, and what the journal is told
/// of it all.
///
/// The tree's lock is not held while a file's is taken, nor while anything blocks.
package final class Namespace: Sendable {
    let configuration: FilesystemConfiguration
    let tree: Mutex<FileTree<MountedFile>>
    let reclaimer: SpoolReclaimer
    /// What survives a crash; nil where nothing is to.
    package let journal: Journal?
    let logger: Logger
    /// Nodes that the journal is about to look at.
    let dirtyNodes = Mutex<Set<NodeID>>([])
    /// Uploads of an earlier mount that no file was found for, until it is known that there is a mount.
    let unlisted = Mutex<[Upload]>([])
    /// Who may change something.
    private let gate: Mutex<WriteGate>

    /// A root directory and nothing in it.
    init(configuration: FilesystemConfiguration, reclaimer: SpoolReclaimer, journal: Journal?, logger: Logger) {
        self.configuration = configuration
        self.reclaimer = reclaimer
        self.journal = journal
        self.logger = logger
        let root = NodeAttributes(
            mode: UInt32(configuration.directoryMode ?? 0o755), userID: configuration.uid,
            groupID: configuration.gid, time: .now())
        tree = Mutex(FileTree(root: root))
        gate = Mutex(WriteGate(configuration.isReadOnly ? .closed : .open))
    }

    /// Goes on to another phase of the mount's end; one that is mounted read-only stays closed.
    package func enter(_ phase: WriteGate.Phase) {
        if !configuration.isReadOnly { gate.withLock { $0.enter(phase) } }
    }

    /// A process has opened a file for writing.
    func opened(by process: Int32) { gate.withLock { $0.opened(by: process) } }

    /// It has closed one.
    func closed(by process: Int32) { gate.withLock { $0.closed(by: process, at: .now) } }

    /// The processes that have closed a file a moment ago, and may open the next.
    var betweenFiles: [Int32] { gate.withLock { $0.betweenFiles(at: .now) } }

    /// Whether a process may open a file for writing, or change a name.
    func allowsChange(by process: @autoclosure () -> Int32?) -> Bool {
        let gate = gate.withLock { $0 }
        return gate.allowsChange(by: process(), at: .now)
    }

    /// Whether what is open may be written.
    var isWritable: Bool { gate.withLock { $0.allowsWriting } }

    func checkWritable() throws(FuseErrno) {
        if !isWritable { throw .readOnlyFileSystem }
    }

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
        markDirty(changed)
        switch outcome {
        case .success(let result): return result
        case .failure(let error): throw FuseErrno(error)
        }
    }

    /// The file of an inode that the kernel knows. One that was forgotten here meanwhile is stale: the kernel then
    /// looks its name up anew, once, instead of telling the caller that a file which it is about to make is not there.
    func file(_ node: NodeID) throws(FuseErrno) -> MountedFile {
        do throws(FuseErrno) {
            return try withTree { tree throws(TreeError) in try tree.file(node) }
        } catch {
            throw error == .noSuchFileOrDirectory ? .staleFileHandle : error
        }
    }

    /// The file of an inode; nil where there is none, for whatever reason.
    func anyFile(_ node: NodeID) -> MountedFile? { tree.withLock { try? $0.file(node) } }

    /// Every file that has a name.
    var allFiles: [MountedFile] {
        tree.withLock { $0.files(atOrBelow: .root) }.map(\.1)
    }

    /// The same with their nodes and paths, which take time to put together.
    var files: [(node: NodeID, file: MountedFile, path: [[UInt8]])] { files(atOrBelow: .root) }

    func files(atOrBelow node: NodeID) -> [(node: NodeID, file: MountedFile, path: [[UInt8]])] {
        tree.withLock { tree in
            tree.files(atOrBelow: node).compactMap { node, file in tree.path(of: node).map { (node, file, $0) } }
        }
    }

    /// Nodes that there are.
    var count: Int { tree.withLock { $0.count } }

    /// The longest name, in bytes.
    static let maximumNameLength = FileName.maximumLength

    // MARK: Paths, and what becomes of files of a name

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

extension FileTime {
    /// The time of day.
    static func now() -> FileTime {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return FileTime(seconds: Int64(now.tv_sec), nanoseconds: Int64(now.tv_nsec))
    }
}
