import Formats

/// The directories and files of a mount: names, attributes, and who lies where. A value: it holds no lock, does no
/// input or output and reads no clock.
///
/// What was removed stays in the table under its ``NodeID`` until ``discard(_:)``, since programs may still hold it open.
public struct FileTree<File: Sendable>: Sendable {
    /// A directory or file of this tree.
    public typealias Node = TreeNode<File>

    var nodes: [NodeID: Node]
    /// The entries of each directory, apart from the nodes, so that a change of one never copies the other.
    var entries: [NodeID: DirectoryIndex]
    var nextID: UInt64
    /// Nodes that changed since they were last taken.
    var changed: Set<NodeID> = []

    /// A tree that has nothing but its root directory.
    public init(root attributes: NodeAttributes) {
        let root = Node(id: .root, content: .directory, attributes: attributes, linkCount: 2, location: nil)
        nodes = [.root: root]
        entries = [.root: DirectoryIndex()]
        nextID = NodeID.root.rawValue + 1
    }

    // MARK: Looking

    /// How many nodes there are: the root, and what was removed and not yet discarded, among them.
    public var count: Int { nodes.count }

    /// The node, also one that was removed and not yet discarded; throws ``TreeError/notFound``.
    public func node(_ id: NodeID) throws(TreeError) -> Node {
        guard let node = nodes[id] else { throw .notFound }
        return node
    }

    /// The file's payload; throws ``TreeError/notFound`` or ``TreeError/isDirectory``.
    public func file(_ id: NodeID) throws(TreeError) -> File {
        guard let file = try node(id).file else { throw .isDirectory }
        return file
    }

    /// What `name` stands for in `directory`; throws ``TreeError/notFound`` or ``TreeError/notDirectory``.
    public func lookup(_ name: FileName, in directory: NodeID) throws(TreeError) -> NodeID {
        try entry(name, in: directory).node
    }

    /// What lies at `path`, names from the root; throws as ``lookup(_:in:)`` does, or what ``FileName`` throws.
    public func lookup(path: [[UInt8]]) throws(TreeError) -> NodeID {
        var id = NodeID.root
        for component in path {
            id = try lookup(FileName(component), in: id)
        }
        return id
    }

    /// The names that lead from the root to the node; empty for the root, nil for what is not or no longer listed.
    public func path(of id: NodeID) -> [[UInt8]]? {
        var names: [[UInt8]] = []
        var current = id
        while current != .root {
            guard let location = nodes[current]?.location else { return nil }
            names.append(location.name.bytes)
            current = location.parent
        }
        return names.reversed()
    }

    /// The entries of `directory` after the one with `cookie`, in an order that holds while entries come and go: an
    /// entry that is there throughout is met exactly once, whatever happens to the others between two calls.
    ///
    /// Cookies are at least 3, so that 1 and 2 are left for `.` and `..`. Throws ``TreeError/notFound`` or
    /// ``TreeError/notDirectory``.
    public func entries(in directory: NodeID, after cookie: UInt64 = 0) throws(TreeError) -> TreeListing {
        try index(of: directory).listing(after: cookie)
    }

    /// Every node, in no particular order; what was removed and not yet discarded, among them.
    public var allNodes: some Collection<Node> & Sendable { nodes.values }

    func index(of directory: NodeID) throws(TreeError) -> DirectoryIndex {
        guard let index = entries[directory] else { throw nodes[directory] == nil ? .notFound : .notDirectory }
        return index
    }

    func entry(_ name: FileName, in directory: NodeID) throws(TreeError) -> TreeEntry {
        guard let entry = try index(of: directory)[name] else { throw .notFound }
        return entry
    }

    /// Whether `id` is `ancestor` or lies below it.
    func lies(_ id: NodeID, atOrBelow ancestor: NodeID) -> Bool {
        var current: NodeID? = id
        while let here = current {
            if here == ancestor { return true }
            current = nodes[here]?.location?.parent
        }
        return false
    }

    // MARK: Attributes and payloads

    /// Changes a node's attributes, also one that was removed; throws ``TreeError/notFound``.
    public mutating func updateAttributes(
        of id: NodeID, _ change: (inout NodeAttributes) -> Void
    ) throws(TreeError) {
        guard var attributes = nodes[id]?.attributes else { throw .notFound }
        change(&attributes)
        nodes[id]?.attributes = attributes
        changed.insert(id)
    }

    /// Gives a file another payload and returns the one it had; throws ``TreeError/notFound`` or
    /// ``TreeError/isDirectory``.
    @discardableResult
    public mutating func replaceFile(_ id: NodeID, with file: File) throws(TreeError) -> File {
        let old = try self.file(id)
        nodes[id]?.content = .file(file)
        return old
    }

    // MARK: Coming and going

    /// Makes an empty directory; `time` becomes the parent's `mtime` and `ctime`.
    ///
    /// Throws ``TreeError/exists``, ``TreeError/notFound``, ``TreeError/notDirectory``.
    public mutating func makeDirectory(
        _ name: FileName, in parent: NodeID, attributes: NodeAttributes, at time: FileTime
    ) throws(TreeError) -> NodeID {
        let id = try add(name, in: parent, content: .directory, linkCount: 2, attributes: attributes, at: time)
        entries[id] = DirectoryIndex()
        nodes[parent]?.linkCount += 1
        return id
    }

    /// Makes a file; `time` becomes the parent's `mtime` and `ctime`. Throws as ``makeDirectory(_:in:attributes:at:)``.
    public mutating func createFile(
        _ name: FileName, in parent: NodeID, attributes: NodeAttributes, file: File, at time: FileTime
    ) throws(TreeError) -> NodeID {
        try add(name, in: parent, content: .file(file), linkCount: 1, attributes: attributes, at: time)
    }

    /// Takes a file out of its directory and returns its node, which stays until ``discard(_:)``.
    ///
    /// Throws ``TreeError/isDirectory``, ``TreeError/notFound``, ``TreeError/notDirectory``.
    @discardableResult
    public mutating func removeFile(
        _ name: FileName, in parent: NodeID, at time: FileTime
    ) throws(TreeError) -> NodeID {
        let entry = try entry(name, in: parent)
        guard !entry.isDirectory else { throw .isDirectory }
        entries[parent]?.remove(name)
        unlink(entry, from: parent, at: time)
        touch(parent, at: time)
        return entry.node
    }

    /// Takes an empty directory out of its parent and returns its node, which stays until ``discard(_:)`` and takes no
    /// entries any more.
    ///
    /// Throws ``TreeError/notEmpty``, ``TreeError/notFound``, ``TreeError/notDirectory``.
    @discardableResult
    public mutating func removeDirectory(
        _ name: FileName, in parent: NodeID, at time: FileTime
    ) throws(TreeError) -> NodeID {
        let entry = try entry(name, in: parent)
        guard entry.isDirectory else { throw .notDirectory }
        guard try index(of: entry.node).isEmpty else { throw .notEmpty }
        entries[parent]?.remove(name)
        unlink(entry, from: parent, at: time)
        touch(parent, at: time)
        return entry.node
    }

    /// Forgets a node that was removed, and returns its payload, if it is a file. A node that is still listed, or is
    /// not known, is left alone.
    @discardableResult
    public mutating func discard(_ id: NodeID) -> File? {
        guard let node = nodes[id], node.isUnlinked else { return nil }
        nodes[id] = nil
        entries[id] = nil
        return node.file
    }

    private mutating func add(
        _ name: FileName, in parent: NodeID, content: Node.Content, linkCount: UInt32, attributes: NodeAttributes,
        at time: FileTime
    ) throws(TreeError) -> NodeID {
        guard try index(of: parent)[name] == nil else { throw .exists }
        guard nodes[parent]?.isUnlinked == false else { throw .notFound }
        let id = NodeID(nextID)
        nextID += 1
        let node = Node(
            id: id, content: content, attributes: attributes, linkCount: linkCount,
            location: NodeLocation(parent: parent, name: name))
        nodes[id] = node
        entries[parent]?.add(name, node: id, isDirectory: node.isDirectory)
        changed.insert(id)
        touch(parent, at: time)
        return id
    }

    /// What follows from an entry's having left `parent` for good.
    mutating func unlink(_ entry: TreeEntry, from parent: NodeID, at time: FileTime) {
        nodes[entry.node]?.location = nil
        nodes[entry.node]?.linkCount = 0
        nodes[entry.node]?.attributes.changeTime = time
        if entry.isDirectory { nodes[parent]?.linkCount -= 1 }
        changed.insert(entry.node)
    }

    mutating func touch(_ directory: NodeID, at time: FileTime) {
        changed.insert(directory)
        nodes[directory]?.attributes.modificationTime = time
        nodes[directory]?.attributes.changeTime = time
    }
}
