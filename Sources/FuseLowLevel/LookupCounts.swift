import Synchronization

/// How many references the kernel holds to each inode, as FUSE counts them.
///
/// Each answer that carries an entry raises the count, FORGET lowers it by what the kernel got. A count is raised before
/// its answer is sent, since the FORGET may come on another worker before the send returns.
final class LookupCounts: Sendable {
    private let counts = Mutex<[InodeNumber: UInt64]>([:])

    /// The inodes that the kernel knows, the root left out.
    var inodes: [InodeNumber: UInt64] {
        counts.withLock { $0 }
    }

    func raise(_ inode: InodeNumber) {
        // An entry with inode 0 says that there is no such name: the kernel learns of nothing.
        guard inode != .root, inode.rawValue != 0 else { return }
        counts.withLock { $0[inode, default: 0] += 1 }
    }

    /// - Returns: whether the kernel has no reference left. The root is never forgotten.
    func lower(_ inode: InodeNumber, by count: UInt64) -> Bool {
        counts.withLock { counts in
            guard let before = counts[inode] else { return false }
            if before > count {
                counts[inode] = before - count
                return false
            }
            counts[inode] = nil
            return true
        }
    }

    func removeAll() {
        counts.withLock { $0 = [:] }
    }
}
