import Formats
import Glibc

/// A file of ours, as descriptors in `/proc` refer to it.
public struct HeldFile: Sendable, Equatable {
    /// The inode number that the mount gives out (`st_ino`).
    public var inode: UInt64
    /// The mount.
    public var mount: MountIdentity

    /// A file of a mount.
    public init(inode: UInt64, mount: MountIdentity) {
        self.inode = inode
        self.mount = mount
    }
}

extension ProcessTable {
    /// Whether a file can still be written through some descriptor.
    public enum Holder: Sendable, Equatable {
        /// No process that can be seen has one.
        case nobody
        /// This one has.
        case process(Int32)
        /// The look at a process got stuck.
        case unknown
    }

    /// A process that can still write into a file through a descriptor that it has.
    ///
    /// Asked while a FLUSH waits for its answer: the descriptor that is being closed is already gone from its table, so
    /// any that is found is another one.
    ///
    /// What counts is a descriptor **open for writing**, on any mount of the file system. One that can only read does not
    /// (a `tail -f`, a player): nothing can be added to the version through it, it may stay for hours, and its own close
    /// sends no FLUSH. Nor does an `O_PATH` one. A mapping needs no look: a shared one is refused on write handles.
    /// A descriptor on its way through a socket is in no table; nor can processes be looked into that are not the own user's.
    ///
    /// Looked at are the processes that are known to have had the file open, and those that were started since, which may
    /// have inherited it. The others cannot have it, unless it came through a socket; whoever writes is known all the same.
    /// A process that is started while the others are looked at is found by listing again.
    ///
    /// - Parameters:
    ///   - openers: the processes (or threads) that opened the file, wrote into it, or are closing it.
    ///   - earlier: the processes that there were when it was first opened for writing, or before.
    public func writer(holding file: HeldFile, openers: Set<Int32>, notIn earlier: ProcessSnapshot) -> Holder {
        threads.run { [self] steps in
            let search = DescriptorSearch(table: self, file: file, steps: steps)
            for pid in openers where pid > 0 && search.finds(in: pid) { return .process(pid) }
            var seen: Set<ProcessSnapshot.Process> = []
            // A program that starts processes for ever is not followed for ever.
            for _ in 0..<4 {
                let more = listing().filter { !earlier.contains($0) && seen.insert($0).inserted }
                if more.isEmpty { break }
                for process in more where !openers.contains(process.pid) && search.finds(in: process.pid) {
                    return .process(process.pid)
                }
            }
            return .nobody
        } ?? .unknown
    }

    /// The numbers of a process's (or thread's) open descriptors, as long as `body` returns true.
    ///
    /// A program whose first thread has ended shows none there: then they are listed from another of its threads.
    func eachDescriptor(of pid: Int32, _ body: (_ holder: String, _ number: Int32) -> Bool) {
        func list(_ holder: String) -> Bool {
            var isEmpty = true
            RawFile.eachEntry(of: "\(holder)/fd") { entry in
                guard let number = entry.number else { return true }
                isEmpty = false
                return body(holder, number)
            }
            return !isEmpty
        }
        if list("\(root)/\(pid)") { return }
        var threads: [Int32] = []
        RawFile.eachEntry(of: path(pid, "task")) { entry in
            if let thread = entry.number, thread != pid { threads.append(thread) }
            return threads.count < 64
        }
        for thread in threads where list(path(pid, "task/\(thread)")) { return }
    }
}

/// Looks for one file in the descriptor tables of processes.
private struct DescriptorSearch {
    let table: ProcessTable
    let file: HeldFile
    let steps: DisposableThreads.Steps

    func finds(in pid: Int32) -> Bool {
        var found = false
        table.eachDescriptor(of: pid) { holder, number in
            steps.next()
            found = refersToFile(holder, number)
            return !found
        }
        return found
    }

    /// The text of the link is not asked for, though it would tell sockets from files: it cannot be read while a process
    /// is in the middle of `exec`, as the one may be whose FLUSH is waiting. Its mode can, and tells what cannot write.
    private func refersToFile(_ holder: String, _ number: Int32) -> Bool {
        let link = "\(holder)/fd/\(number)"
        guard RawFile.isWritableLink(at: link),
            let info = RawFile.start(of: "\(holder)/fdinfo/\(number)", count: 512).flatMap({
                DescriptorInfo(parsing: $0)
            }),
            info.canWrite
        else { return false }
        // A kernel that does not tell the inode: any of our files may be this one.
        guard let inode = info.inode else { return info.mountID == file.mount.id }
        guard inode == file.inode else { return false }
        if info.mountID == file.mount.id { return true }
        // The same number on another mount: a bind mount of ours, or another file system's file.
        if let mount = MountTable.current(root: table.root)[info.mountID] {
            return mount.identity.device == file.mount.device
        }
        // A mount of another namespace, a container's for example. What the kernel remembers of the file tells.
        return table.fileStatus(link, true)?.device == file.mount.device
    }
}
