/// Who wants to see something, as the kernel compares it with modes and owners.
public struct TreeVisitor: Sendable, Hashable {
    /// The user.
    public var userID: UInt32
    /// The groups, the supplementary ones among them.
    public var groupIDs: Set<UInt32>
    /// Whether there are no others: they may be in any where that is not known.
    public var areAllKnown: Bool

    /// A user in these groups.
    public init(userID: UInt32, groupIDs: Set<UInt32>, areAllKnown: Bool = true) {
        self.userID = userID
        self.groupIDs = groupIDs
        self.areAllKnown = areAllKnown
    }
}

extension NodeAttributes {
    /// What a mode can allow.
    struct Access: OptionSet {
        let rawValue: UInt32

        static let search = Access(rawValue: 1)
        static let read = Access(rawValue: 4)
    }

    /// Whether all of it is allowed, as for whoever has no privileges: the owner is asked for as such alone, then the group.
    /// Who may be in the group, or not, needs what is allowed to both.
    func allow(_ access: Access, to visitor: TreeVisitor) -> Bool {
        let (owner, group) = (mode >> 6, mode >> 3)
        let bits =
            if userID == visitor.userID { owner } else if visitor.groupIDs.contains(groupID) { group } else {
                visitor.areAllKnown ? mode : mode & group
            }
        return Access(rawValue: bits & 7).isSuperset(of: access)
    }
}

extension FileTree {
    /// The file at `path`, if a visitor could have found and read it without being told of it: they may list and search all
    /// directories that lead to it, and read it. Of a file of theirs it is enough that they may search those.
    public func file(at path: [[UInt8]], visibleTo visitor: TreeVisitor) -> File? {
        guard let (directories, id) = way(to: path), let node = nodes[id], let file = node.file else { return nil }
        let isTheirs = node.attributes.userID == visitor.userID
        guard isTheirs || node.attributes.allow(.read, to: visitor) else { return nil }
        let access: NodeAttributes.Access = isTheirs ? .search : [.search, .read]
        return directories.allSatisfy { nodes[$0]?.attributes.allow(access, to: visitor) ?? false } ? file : nil
    }

    /// Whether a visitor may search all directories that lead to `path`, whatever there is.
    public func maySearch(theWayTo path: [[UInt8]], _ visitor: TreeVisitor) -> Bool {
        mayEnter(Array(path.dropLast()), visitor)
    }

    /// Whether a visitor may search the directory at `path`, and all that lead to it.
    public func mayEnter(_ path: [[UInt8]], _ visitor: TreeVisitor) -> Bool {
        guard let (directories, last) = way(to: path) else { return false }
        return (directories + [last]).allSatisfy {
            nodes[$0].map { $0.isDirectory && $0.attributes.allow(.search, to: visitor) } ?? false
        }
    }

    /// What lies at `path`, and the directories on the way to it.
    private func way(to path: [[UInt8]]) -> (directories: [NodeID], last: NodeID)? {
        var directories: [NodeID] = []
        var current = NodeID.root
        for component in path {
            directories.append(current)
            guard let name = try? FileName(component), let next = try? lookup(name, in: current) else { return nil }
            current = next
        }
        return (directories, current)
    }
}
