import FileTree
import UploadCore
import UploadEngine
import UploadStore

// What the journal is told of the tree: which nodes changed. What they are it asks when it writes them down, so that
// the order in which threads tell of them does not matter.

extension Namespace {
    /// Has the journal look at these nodes again.
    func markDirty(_ nodes: Set<NodeID>) {
        guard let journal, !nodes.isEmpty else { return }
        // Under one lock: whoever finds others marked already may ask at once when they are written down.
        dirtyNodes.withLock { dirty in
            defer { dirty.formUnion(nodes) }
            guard dirty.isEmpty else { return }
            journal.enqueue { [weak self] in
                guard let self else { return [] }
                let dirty = dirtyNodes.withLock { dirty in
                    defer { dirty = [] }
                    return dirty
                }
                return dirty.map { self.change(of: $0) }
            }
        }
    }

    /// What the journal is to know of a node as it is now: of a file that is being written no more than its name and what was
    /// committed last, since nothing is known of it before its writer closes it. The name may be another's by then.
    private func change(of id: NodeID) -> JournalChange {
        let (found, path) = tree.withLock { (try? $0.node(id), $0.path(of: id)) }
        guard let node = found, !node.isUnlinked else { return .removeNode(id.rawValue) }
        let (parent, name) = (node.location?.parent.rawValue ?? 0, node.location?.name.bytes ?? [])
        var attributes = node.attributes
        var content: NodeRecord.Content?
        if let file = node.file {
            let look = file.look
            guard let known = self.content(of: look, at: path) else {
                return .renameNode(id.rawValue, parent: parent, name: name)
            }
            content = known
            file.isKnown(as: known.upload, isLocal: known.spool != nil && known.upload == nil)
            if let modified = look.modified {
                attributes.modificationTime = modified
                attributes.changeTime = max(attributes.changeTime, modified)
            }
        }
        return .putNode(
            NodeRecord(
                id: id.rawValue, parent: parent, name: name, content: content, mode: attributes.mode,
                userID: attributes.userID, groupID: attributes.groupID,
                accessTime: attributes.accessTime, modificationTime: attributes.modificationTime,
                changeTime: attributes.changeTime))
    }

    /// What the journal is to know of a file's content; nil where that is what it knows.
    private func content(of look: MountedFile.State, at path: [[UInt8]]?) -> NodeRecord.Content? {
        let isBeingMade = look.writeHandles > 0 || !look.wasClosed
        // What stayed here, has got the name of those that are uploaded, and is written under it: before its writer closes it
        // that is no whole file. By the name that is written down: the file is told of it later.
        let isUploaded = path.map { verdict(on: $0).isUploaded } ?? false
        let isCutOff = isBeingMade && look.isKnownAsLocal && isUploaded && look.version?.phase == .writing
        // What is to be uploaded by now is known by that, as all that is being written; what the platform alone has as well.
        let staysHere = look.version.map { $0.staysHere && !($0.upload?.inspect { $0.lacksBytes } ?? false) } ?? true
        let isPromised = look.isPromised && staysHere || isCutOff
        if isBeingMade, !isPromised, look.version.map({ $0.phase == .writing }) ?? true {
            return look.unrecorded.map {
                NodeRecord.Content(size: $0.size, spool: $0.spool, upload: $0.upload)
            }
        }
        // Of what was emptied and closed so, nothing is uploaded; what was only given its size holds nothing either.
        let version = look.version.flatMap { version in
            let isOnlyPresized = version.upload?.inspect { $0.isOnlyPresized } ?? false
            return version.size > 0 && !isOnlyPresized || version.phase != .writing ? version : nil
        }
        return NodeRecord.Content(
            size: version?.size ?? 0, spool: version?.spool.name,
            upload: isCutOff || staysHere ? nil : (version?.upload?.number).map(Int64.init),
            isLocalOnly: version?.phase == .ended(.partial),
            isTainted: version.map { isCutOff || staysHere && $0.taint != nil } ?? false)
    }
}
