/// One entry as a listing gives it.
public struct TreeEntry: Sendable, Hashable {
    /// Its place in the listing, greater than that of every entry before it: ask for entries after this one to go on.
    public let cookie: UInt64
    /// Its name.
    public let name: FileName
    /// What it names.
    public let node: NodeID
    /// Whether that is a directory.
    public let isDirectory: Bool
}

/// The entries of one directory: by name, and in an order in which a listing can be continued after any change.
///
/// Each entry has a cookie that grows from one to the next and is never given again. An entry that goes leaves a gap,
/// closed once gaps outnumber entries, so that every operation costs O(log n), taken over many.
struct DirectoryIndex: Sendable {
    /// Smaller cookies are left to the listing's `.` and `..`.
    static let firstCookie: UInt64 = 3

    private var cookies: [FileName: UInt64] = [:]
    /// Sorted by cookie.
    private var slots: [DirectorySlot] = []
    private var nextCookie = DirectoryIndex.firstCookie

    var isEmpty: Bool { cookies.isEmpty }
    var count: Int { cookies.count }

    subscript(name: FileName) -> TreeEntry? {
        guard let cookie = cookies[name] else { return nil }
        return slots[position(after: cookie - 1)].entry
    }

    /// Appends an entry under a name that is free.
    mutating func add(_ name: FileName, node: NodeID, isDirectory: Bool) {
        let cookie = nextCookie
        nextCookie += 1
        cookies[name] = cookie
        let entry = TreeEntry(cookie: cookie, name: name, node: node, isDirectory: isDirectory)
        slots.append(DirectorySlot(cookie: cookie, entry: entry))
    }

    /// Lets a name that is listed stand for another node; a listing under way meets the name once all the same.
    mutating func replace(_ name: FileName, node: NodeID, isDirectory: Bool) {
        guard let cookie = cookies[name] else { return }
        slots[position(after: cookie - 1)].entry =
            TreeEntry(cookie: cookie, name: name, node: node, isDirectory: isDirectory)
    }

    /// Gives an entry another name, one that is free, in the same place: whoever renames while listing does not
    /// meet the entry again and again.
    mutating func rename(_ name: FileName, to newName: FileName) {
        guard let cookie = cookies.removeValue(forKey: name) else { return }
        let position = position(after: cookie - 1)
        guard let entry = slots[position].entry else { return }
        cookies[newName] = cookie
        slots[position].entry =
            TreeEntry(cookie: cookie, name: newName, node: entry.node, isDirectory: entry.isDirectory)
    }

    mutating func remove(_ name: FileName) {
        guard let cookie = cookies.removeValue(forKey: name) else { return }
        slots[position(after: cookie - 1)].entry = nil
        if slots.count > 2 * cookies.count + 16 {
            slots.removeAll { $0.entry == nil }
        }
    }

    /// The position of the first slot whose cookie is greater.
    private func position(after cookie: UInt64) -> Int {
        var low = 0
        var high = slots.count
        while low < high {
            let middle = (low + high) / 2
            if slots[middle].cookie <= cookie { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The entries after `cookie`, as they are now.
    func listing(after cookie: UInt64) -> TreeListing {
        TreeListing(slots: slots, position: position(after: cookie))
    }
}
