import FileTree
import ProcessInspection
import Synchronization

/// Files that nobody has open any more, as far as that can be seen, and of which it is not decided yet what becomes of them: it
/// is not known how a writer ended, a look is to be repeated, or the kernel has not said yet that nobody has them open.
final class UndecidedFiles: Sendable {
    private struct Entry: Sendable {
        weak var file: MountedFile?
        let node: NodeID
    }

    private let state = Mutex<[ObjectIdentifier: Entry]>([:])

    /// The last release has not decided.
    func add(_ file: MountedFile, node: NodeID) {
        state.withLock { $0[ObjectIdentifier(file)] = Entry(file: file, node: node) }
    }

    /// It has. What is decided otherwise, by a removal for example, needs not be told: the file shows it.
    func remove(_ file: MountedFile) { state.withLock { $0[ObjectIdentifier(file)] = nil } }

    /// Those that are undecided still.
    var all: [(file: MountedFile, node: NodeID)] {
        let entries = state.withLock { $0 }
        var undecided: [(file: MountedFile, node: NodeID)] = []
        for (key, entry) in entries {
            if let file = entry.file, file.isUndecided {
                undecided.append((file, entry.node))
            } else {
                forget(key, entry)
            }
        }
        return undecided.sorted { $0.node.rawValue < $1.node.rawValue }
    }

    /// Unless it has been added again meanwhile.
    private func forget(_ key: ObjectIdentifier, _ entry: Entry) {
        state.withLock { entries in
            if entries[key]?.file?.isUndecided ?? false { return }
            entries[key] = nil
        }
    }
}

extension FilesystemService {
    /// What nobody has open any more and is not decided yet, and why, in words. The next mount does not complete it by itself.
    package var undecided: [String] {
        committer.undecided.all.map { file, node in
            let path = namespace.path(of: node).map { $0.map { String(decoding: $0, as: UTF8.self) } }
            let name = path?.joined(separator: "/") ?? "a removed file"
            let writers = file.awaitedWriters.sorted().map { process in
                let command = content.writers.command(of: process).map { "\(String(decoding: $0, as: UTF8.self)), " }
                return "\(command ?? "")pid \(process)"
            }
            if file.isCommittedForNow { return "\(name) (it was not seen yet that nobody writes it any more)" }
            guard !writers.isEmpty else { return "\(name) (its writers could not be looked at yet)" }
            return "\(name) (it is not known yet how its writer ended: \(writers.joined(separator: "; ")))"
        }
    }
}
