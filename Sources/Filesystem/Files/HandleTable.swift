import FileTree
import FuseLowLevel
import Synchronization

/// What is open, by the number that the kernel was given for it.
package final class HandleTable<Open: Sendable>: Sendable {
    private struct State: Sendable {
        var open: [UInt64: Open] = [:]
        var last: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Records something open and gives it a number.
    func add(_ open: Open) -> UInt64 {
        state.withLock { state in
            state.last += 1
            state.open[state.last] = open
            return state.last
        }
    }

    /// What bears this number; throws `EBADF`.
    package func get(_ number: UInt64) throws(FuseErrno) -> Open {
        guard let open = state.withLock({ $0.open[number] }) else { throw .badFileDescriptor }
        return open
    }

    /// Everything that is open, in the order of its opening.
    package var all: [Open] {
        state.withLock { state in state.open.sorted { $0.key < $1.key }.map(\.value) }
    }

    /// Forgets a number and returns what it bore.
    func remove(_ number: UInt64) -> Open? {
        state.withLock { $0.open.removeValue(forKey: number) }
    }
}

/// An open file.
package struct OpenFile: Sendable {
    let node: NodeID
    let file: MountedFile
    let canWrite: Bool
    /// Whether it made the file, and was to fail if there was one (`O_EXCL`).
    var isExclusive = false
    /// The thread that opened it to read, or the process that opened it for writing; 0 where it cannot be seen.
    var opener: Int32 = 0
    /// Tells it from the file's other handles.
    private let identity = Identity()

    /// Which of the file's handles it is.
    var handle: VersionWriters.Handle { ObjectIdentifier(identity) }

    private final class Identity: Sendable {}
}
