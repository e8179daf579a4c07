import Descriptors
import Glibc
import Synchronization

/// Keeps the descriptors open of the spool files that were used lately, and closes the others: a mount may list more
/// files than a process may have open.
///
/// One that is in use, or whose file has lost its name, stays open. Of the others those go first that have nothing to
/// bring to the disk: the kernel tells of a lost write most reliably through the descriptor that wrote.
final class DescriptorCache: Sendable {
    private struct Entry {
        let number: Int32
        var users = 1
        var lastUse: UInt64
        /// Whether it wrote what was not yet brought to the disk.
        var isDirty = false
        /// Its file has no name any more: closed, it could not be opened again.
        var isKept = false
        /// Its file has no bytes any more: it is closed as soon as nobody uses it.
        var isNeedless = false
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var uses: UInt64 = 0
    }

    /// How many may be open beyond those in use.
    let limit: Int
    private let reserve: DescriptorReserve
    private let state = Mutex(State())

    init(limit: Int, reserve: DescriptorReserve) {
        self.limit = limit
        self.reserve = reserve
    }

    deinit {
        for entry in state.withLock({ $0.entries.values.map(\.number) }) { _ = close(entry) }
    }

    /// Takes over a descriptor that was just opened.
    func add(_ key: UInt64, _ number: Int32) {
        let old = state.withLock { state -> [Int32] in
            state.uses += 1
            state.entries[key] = Entry(number: number, users: 0, lastUse: state.uses)
            return Self.evict(&state, to: limit)
        }
        for number in old { _ = close(number) }
    }

    /// Calls `body` with the file's descriptor, opened anew where it was closed meanwhile.
    ///
    /// Where the process may have no more open, all that are not in use are closed first.
    func use<Value>(
        _ key: UInt64, isWrite: Bool = false, reopening open: () throws(SpoolError) -> Int32,
        _ body: (Int32) throws(SpoolError) -> Value
    ) throws(SpoolError) -> Value {
        let number: Int32
        if let known = begin(key, isWrite: isWrite, opened: nil) {
            number = known
        } else {
            number = try begin(key, isWrite: isWrite, opened: opened(open)) ?? -1
        }
        defer { end(key) }
        return try body(number)
    }

    /// The file has lost, or is about to lose, its name: its descriptor stays open from now on.
    func keep(_ key: UInt64) {
        state.withLock { $0.entries[key]?.isKept = true }
    }

    /// The file has neither a name nor bytes any more: its descriptor is closed, now or when those who use it are done.
    func release(_ key: UInt64) {
        let number = state.withLock { state in
            state.entries[key]?.isNeedless = true
            return Self.takeNeedless(key, &state)
        }
        if let number { _ = close(number) }
    }

    private static func takeNeedless(_ key: UInt64, _ state: inout State) -> Int32? {
        guard let entry = state.entries[key], entry.isNeedless, entry.users == 0 else { return nil }
        state.entries[key] = nil
        return entry.number
    }

    /// What the file's descriptor wrote is on the disk.
    func isClean(_ key: UInt64) {
        state.withLock { $0.entries[key]?.isDirty = false }
    }

    /// Nobody uses the file any more.
    func remove(_ key: UInt64) {
        guard let entry = state.withLock({ $0.entries.removeValue(forKey: key) }) else { return }
        // What matters about the bytes was asked of fsync; close has nothing to tell that could be acted upon.
        _ = close(entry.number)
    }

    /// Opens a file; where no more may be open, those that are not in use are closed first.
    func opened(_ open: () throws(SpoolError) -> Int32) throws(SpoolError) -> Int32 {
        do throws(SpoolError) {
            return try openUnreserved(open)
        } catch {
            guard error.isOutOfDescriptors else { throw error }
        }
        for number in state.withLock({ Self.evict(&$0, to: 0) }) { _ = close(number) }
        return try openUnreserved(open)
    }

    /// Opens a file unless only those descriptors are left that are for something else.
    private func openUnreserved(_ open: () throws(SpoolError) -> Int32) throws(SpoolError) -> Int32 {
        guard reserve.allowsAnother(for: .spool) else { throw SpoolError(errno: EMFILE, operation: "open") }
        return try open()
    }

    /// The open descriptor, counted as used; nil where there is none, and none was `opened` for it.
    private func begin(_ key: UInt64, isWrite: Bool, opened: Int32?) -> Int32? {
        let (number, spare) = state.withLock { state -> (Int32?, [Int32]) in
            state.uses += 1
            var spare: [Int32] = []
            if state.entries[key] != nil {
                // Somebody else was faster.
                spare = [opened].compactMap { $0 }
                state.entries[key]?.users += 1
                state.entries[key]?.lastUse = state.uses
            } else if let opened {
                state.entries[key] = Entry(number: opened, lastUse: state.uses)
                spare = Self.evict(&state, to: limit)
            }
            if isWrite { state.entries[key]?.isDirty = true }
            return (state.entries[key]?.number, spare)
        }
        for number in spare { _ = close(number) }
        return number
    }

    private func end(_ key: UInt64) {
        let number = state.withLock { state in
            state.entries[key]?.users -= 1
            return Self.takeNeedless(key, &state)
        }
        if let number { _ = close(number) }
    }

    /// Takes out what is to be closed so that no more than `limit` stay, as far as that can be.
    private static func evict(_ state: inout State, to limit: Int) -> [Int32] {
        var closed: [Int32] = []
        while state.entries.count > limit {
            let idle = state.entries.filter { $0.value.users == 0 && !$0.value.isKept }
            let oldest = idle.min { one, other in
                (one.value.isDirty ? 1 : 0, one.value.lastUse) < (other.value.isDirty ? 1 : 0, other.value.lastUse)
            }
            guard let oldest else { break }
            state.entries[oldest.key] = nil
            closed.append(oldest.value.number)
        }
        return closed
    }
}
