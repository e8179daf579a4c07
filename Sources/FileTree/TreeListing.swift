/// The entries of a directory from some place on, as they were when they were asked for.
public struct TreeListing: Sequence, IteratorProtocol, Sendable {
    private let slots: [DirectorySlot]
    private var position: Int

    init(slots: [DirectorySlot], position: Int) {
        self.slots = slots
        self.position = position
    }

    /// The next entry, nil past the last one.
    public mutating func next() -> TreeEntry? {
        while position < slots.count {
            defer { position += 1 }
            if let entry = slots[position].entry { return entry }
        }
        return nil
    }
}

/// A place in a directory's order: an entry, or the gap that a removed one left.
struct DirectorySlot: Sendable {
    let cookie: UInt64
    var entry: TreeEntry?
}
