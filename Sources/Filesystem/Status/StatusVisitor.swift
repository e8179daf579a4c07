import FileTree
import FuseLowLevel
import UploadCore
import UploadEngine

/// Who looks into `.status`, and what they may see there, for as long as one question takes.
///
/// The mount's owner and root see everything. Others see the uploads of the files that they could have found and read by
/// themselves, and of their own files that are not listed any more. What they may not see is not there for them.
package final class StatusVisitor {
    private let context: FuseRequestContext
    private let namespace: Namespace
    private let writers: any WriterInspector
    /// Whether they see everything.
    let seesEverything: Bool
    /// As the modes of files know them; looked up when it matters.
    private lazy var visitor = {
        let groups = writers.groups(of: context.pid, user: context.uid)
        return TreeVisitor(
            userID: context.uid, groupIDs: (groups ?? []).union([context.gid]), areAllKnown: groups != nil)
    }()

    /// Whoever asked a question of FUSE.
    init(
        _ context: FuseRequestContext, namespace: Namespace, writers: any WriterInspector,
        configuration: FilesystemConfiguration
    ) {
        self.context = context
        self.namespace = namespace
        self.writers = writers
        seesEverything = context.uid == 0 || context.uid == configuration.uid
    }

    /// Whether they may see an upload's document.
    package func maySee(_ upload: Upload) -> Bool {
        maySee(upload, called: upload.identity)
    }

    /// The same by what it was called a moment ago.
    func maySee(_ upload: Upload, called identity: UploadIdentity) -> Bool {
        if seesEverything { return true }
        let visitor = visitor
        guard identity.isListed else {
            return [identity.lastOwner, identity.creator].contains(visitor.userID)
                && namespace.tree.withLock { $0.maySearch(theWayTo: identity.path, visitor) }
        }
        // By the tree, which knows at once who bears a name.
        let file = namespace.tree.withLock { $0.file(at: identity.path, visibleTo: visitor) }
        return file?.upload === upload
    }

    /// Whether they may enter the directory to whose files the links lead that lie below `by-name` in the directory of these
    /// names: otherwise they may see none of those. True also where it is not known which directory that is.
    func mayEnter(_ names: [[UInt8]]) -> Bool {
        guard !seesEverything, let path = StatusNames.directory(ofLinksIn: names) else { return true }
        let visitor = visitor
        return namespace.tree.withLock { $0.mayEnter(path, visitor) }
    }
}
