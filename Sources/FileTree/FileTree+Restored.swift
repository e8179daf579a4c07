extension FileTree {
    /// Puts a node back where it was, under the number that it had, without touching anything else.
    ///
    /// Throws ``TreeError/exists`` when number or name is taken, ``TreeError/notFound`` or ``TreeError/notDirectory``
    /// when there is no such directory.
    public mutating func restore(
        _ id: NodeID, _ name: FileName, in parent: NodeID, file: File?, attributes: NodeAttributes
    ) throws(TreeError) {
        guard nodes[id] == nil, try index(of: parent)[name] == nil else { throw .exists }
        nextID = max(nextID, id.rawValue + 1)
        nodes[id] = Node(
            id: id, content: file.map { .file($0) } ?? .directory, attributes: attributes,
            linkCount: file == nil ? 2 : 1, location: NodeLocation(parent: parent, name: name))
        entries[parent]?.add(name, node: id, isDirectory: file == nil)
        if file == nil {
            entries[id] = DirectoryIndex()
            nodes[parent]?.linkCount += 1
        }
    }

    /// Gives new nodes numbers from `first` on, unless those are in use already.
    public mutating func number(from first: UInt64) {
        nextID = max(nextID, first)
    }

    /// The nodes that changed since this was last asked.
    public mutating func takeChanged() -> Set<NodeID> {
        guard !changed.isEmpty else { return [] }
        defer { changed = [] }
        return changed
    }

    /// Counts nodes as changed of which something else did that follows from their place.
    public mutating func markChanged(_ ids: some Sequence<NodeID>) { changed.formUnion(ids) }

    /// The directory of that name, made at the time of its attributes' change where there is none.
    ///
    /// Throws ``TreeError/notFound`` or ``TreeError/notDirectory`` for the parent, ``TreeError/exists`` never.
    public mutating func directory(
        _ name: FileName, in parent: NodeID, attributes: NodeAttributes
    ) throws(TreeError) -> NodeID {
        if try index(of: parent)[name] != nil { return try lookup(name, in: parent) }
        return try makeDirectory(name, in: parent, attributes: attributes, at: attributes.changeTime)
    }
}
