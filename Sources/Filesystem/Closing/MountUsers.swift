import FileTree
import FuseLowLevel
import UploadCore

/// Somebody who is in the mount: has a file open, or stands in a directory.
package struct MountUser: Sendable, Hashable {
    /// The file or directory, from the mount's root.
    package var name: String
    /// The process; nil where it is gone and another one has its descriptor, or cannot be seen.
    package var process: Int32?
    /// What it is called.
    package var command: String?

    package init(name: String, process: Int32?, command: String?) {
        self.name = name
        self.process = process
        self.command = command
    }

    /// `video.mp4 (cp, pid 4242)`
    package var words: String {
        guard let process else { return "\(name) (a process that cannot be told)" }
        return "\(name) (\(command.map { "\($0), " } ?? "")pid \(process))"
    }
}

extension FilesystemService {
    /// Who is in the mount, writers first. Looks at every process.
    package func users() -> [MountUser] {
        let open = content.handles.all
        var users: [MountUser] = []
        func add(_ name: String, _ process: Int32?) {
            let command = process.flatMap { content.writers.command(of: $0) }
            let user = MountUser(
                name: name, process: process, command: command.map { String(decoding: $0, as: UTF8.self) })
            if !users.contains(user) { users.append(user) }
        }
        for file in open.filter(\.canWrite) + open.filter({ !$0.canWrite }) {
            let path = namespace.path(of: file.node).map { $0.map { String(decoding: $0, as: UTF8.self) } }
            add(path?.joined(separator: "/") ?? "a removed file", content.writers.threadGroup(of: file.opener))
        }
        // Without the mount, what it opens next would be a file beneath it.
        for process in namespace.betweenFiles where content.writers.threadGroup(of: process) != nil {
            add("the next file", process)
        }
        for (process, directory) in content.writers.processesInside() {
            add(directory.isEmpty ? "." : String(decoding: directory, as: UTF8.self), process)
        }
        return users
    }

    // MARK: The end of the mount

    /// From now on only those who write may open or change what they have not open; the others are told `EROFS`.
    package func beginEnding() { namespace.enter(.ending) }

    /// The mount does not end after all.
    package func resumeServing() { namespace.enter(.open) }

    /// Refuses every write from now on (`EIO`), and new files (`EROFS`); what is open can be closed, and nothing becomes of
    /// what its writer has not closed by now.
    package func endWriting() {
        namespace.enter(.closed)
        for open in content.handles.all where open.canWrite {
            // What was closed for all that could be seen stays as it is: whether it is whole nobody can say any more.
            guard let version = open.file.version, !version.isCommittedForNow else { continue }
            open.file.taint(version, WriteRefusal.ending.message)
        }
    }

    /// Whether nobody has a file open.
    package var isUnused: Bool { content.handles.all.isEmpty }

    /// Throws `EROFS` for a process that may not begin to change anything.
    func checkMayChange(_ pid: Int32) throws(FuseErrno) {
        guard namespace.allowsChange(by: content.writers.threadGroup(of: pid)) else { throw .readOnlyFileSystem }
    }
}
