import Formats

/// What a rename does about an entry that has the new name already, as `renameat2` distinguishes it.
public enum RenameRule: Sendable, Hashable, CaseIterable {
    /// It is replaced: a file by a file, an empty directory by a directory.
    case replace
    /// It stands: the rename is refused (`RENAME_NOREPLACE`).
    case noReplace
    /// The two change places; both have to exist (`RENAME_EXCHANGE`).
    case exchange
}

/// What a rename did.
public struct RenameResult: Sendable, Hashable {
    /// The node that bears the new name now.
    public let moved: NodeID
    /// The node that bore it and is listed nowhere now; it stays until ``FileTree/discard(_:)``.
    public let replaced: NodeID?
    /// The node that bears the old name now.
    public let exchanged: NodeID?
}

extension FileTree {
    /// Gives the entry `name` of `parent` the name `newName` in `newParent`; `time` becomes the `mtime` and `ctime` of both
    /// directories and the `ctime` of what was moved. A rename onto itself changes nothing.
    ///
    /// Throws, as `renameat2` would: ``TreeError/notFound``, ``TreeError/notDirectory`` (a parent is a file, or a directory
    /// would replace a file), ``TreeError/isDirectory`` (a file would replace a directory), ``TreeError/notEmpty``,
    /// ``TreeError/exists`` (only with ``RenameRule/noReplace``), ``TreeError/loop``.
    public mutating func rename(
        _ name: FileName, in parent: NodeID, to newName: FileName, in newParent: NodeID, rule: RenameRule = .replace,
        at time: FileTime
    ) throws(TreeError) -> RenameResult {
        let source = try entry(name, in: parent)
        let target = try index(of: newParent)[newName]
        guard nodes[newParent]?.isUnlinked == false else { throw .notFound }

        switch rule {
        case .noReplace:
            guard target == nil else { throw .exists }
        case .exchange:
            guard let target else { throw .notFound }
            return try exchange(source, in: parent, with: target, in: newParent, at: time)
        case .replace:
            break
        }

        if source.isDirectory, lies(newParent, atOrBelow: source.node) { throw .loop }
        if let target {
            if target.node == source.node { return RenameResult(moved: source.node, replaced: nil, exchanged: nil) }
            try check(target, mayBeReplacedBy: source)
            entries[parent]?.remove(name)
            unlink(target, from: newParent, at: time)
            entries[newParent]?.replace(newName, node: source.node, isDirectory: source.isDirectory)
        } else if parent == newParent {
            entries[parent]?.rename(name, to: newName)
        } else {
            entries[parent]?.remove(name)
            entries[newParent]?.add(newName, node: source.node, isDirectory: source.isDirectory)
        }
        settle(source, from: parent, as: newName, in: newParent, at: time)
        return RenameResult(moved: source.node, replaced: target?.node, exchanged: nil)
    }

    private func check(_ target: TreeEntry, mayBeReplacedBy source: TreeEntry) throws(TreeError) {
        switch (source.isDirectory, target.isDirectory) {
        case (true, false): throw .notDirectory
        case (false, true): throw .isDirectory
        case (false, false): return
        case (true, true): guard try index(of: target.node).isEmpty else { throw .notEmpty }
        }
    }

    private mutating func exchange(
        _ source: TreeEntry, in parent: NodeID, with target: TreeEntry, in newParent: NodeID,
        at time: FileTime
    ) throws(TreeError) -> RenameResult {
        if source.isDirectory, lies(newParent, atOrBelow: source.node) { throw .loop }
        if target.isDirectory, lies(parent, atOrBelow: target.node) { throw .loop }
        if source.node != target.node {
            entries[parent]?.replace(source.name, node: target.node, isDirectory: target.isDirectory)
            entries[newParent]?.replace(target.name, node: source.node, isDirectory: source.isDirectory)
            settle(source, from: parent, as: target.name, in: newParent, at: time)
            settle(target, from: newParent, as: source.name, in: parent, at: time)
        }
        return RenameResult(moved: source.node, replaced: nil, exchanged: target.node)
    }

    /// What follows from an entry's now being listed elsewhere.
    private mutating func settle(
        _ moved: TreeEntry, from parent: NodeID, as newName: FileName, in newParent: NodeID, at time: FileTime
    ) {
        changed.insert(moved.node)
        nodes[moved.node]?.location = NodeLocation(parent: newParent, name: newName)
        nodes[moved.node]?.attributes.changeTime = time
        if moved.isDirectory, parent != newParent {
            nodes[parent]?.linkCount -= 1
            nodes[newParent]?.linkCount += 1
        }
        touch(parent, at: time)
        touch(newParent, at: time)
    }
}
