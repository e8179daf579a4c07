import CProcess
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
        /// No process has one.
        case nobody
        /// This one has.
        case process(Int32)
        /// Whether this one has is not to be seen.
        case hidden(Int32)
        /// The look failed: it got stuck, or had no descriptor for it. The next one may not.
        case failed
    }

    /// A process that can still write into a file through a descriptor that it has.
    ///
    /// Asked while a FLUSH waits for its answer: the descriptor that is being closed is already gone from its table, so
    /// any that is found is another one.
    ///
    /// What counts is a descriptor **open for writing**, on any mount of the file system. One that can only read does not
    /// (a `tail -f`, a player): nothing can be added to the version through it, it may stay for hours, and its own close
    /// sends no FLUSH. Nor does an `O_PATH` one. A mapping needs no look: a shared one is refused on write handles.
    /// A descriptor on its way through a socket is in no table.
    ///
    /// Looked at are the processes that are known to have had the file open, and those that were started since, which may
    /// have inherited it. The others cannot have it, unless it came through a socket; whoever writes is known all the same.
    /// A process that is started while the others are looked at is found by listing again.
    ///
    /// Whoever may not be looked into counts as hidden where it is one of the openers, descends from one, or is one of the
    /// own user's whose parents are not known any more. What others have started since for reasons of their own, of which
    /// a machine has many, does not.
    ///
    /// Who has only inherited it is looked at again for some milliseconds: it may be a child between `fork` and `exec`,
    /// which closes it.
    ///
    /// - Parameters:
    ///   - openers: the processes (or threads) that opened the file, wrote into it, or are closing it.
    ///   - earlier: the processes that there were when it was first opened for writing, or before.
    public func writer(holding file: HeldFile, openers: Set<Int32>, notIn earlier: ProcessSnapshot) -> Holder {
        threads.run { [self] steps in
            var search = DescriptorSearch(
                table: self, file: file, openers: openers, earlier: earlier, steps: steps)
            for pid in openers where pid > 0 && search.isDone(by: search.look(in: pid), of: pid) {
                return .process(pid)
            }
            var seen: Set<ProcessSnapshot.Process> = []
            // A program that starts processes for ever is not followed for ever.
            for _ in 0..<4 {
                guard let processes = listing().value else { return .failed }
                search.present = processes
                let more = processes.filter { !earlier.contains($0) && seen.insert($0).inserted }
                if more.isEmpty { break }
                for process in more where !openers.contains(process.pid) {
                    if search.isDone(by: search.lookAtHeir(process.pid), of: process.pid) {
                        return .process(process.pid)
                    }
                }
            }
            return search.unseen
        } ?? .failed
    }

    /// Whether a process has a file open for writing; nil where that is not to be seen, or the look failed.
    public func isHolding(_ file: HeldFile, _ process: Int32) -> Bool? {
        let look = threads.run { [self] steps in
            DescriptorSearch(table: self, file: file, openers: [], earlier: .none, steps: steps).look(in: process)
        }
        switch look {
        case .found(.yes), .found(.untilExec): return true
        case .found(.no), .absent: return false
        case .hidden, .failed, nil: return nil
        }
    }

    /// The numbers of a process's (or thread's) open descriptors, as long as `body` returns true.
    ///
    /// A program whose first thread has ended shows none there: then they are listed from another of its threads.
    ///
    /// - Returns: whether they could be listed.
    @discardableResult
    func eachDescriptor(of pid: Int32, _ body: (_ holder: String, _ number: Int32) -> Bool) -> Look<Void> {
        let first = list("\(root)/\(pid)", pid, body)
        guard case .found(false) = first else { return first.flatMap { _ in .found(()) } }
        return eachOtherThread(of: pid) { list(path(pid, "task/\($0)"), $0, body) }
    }

    /// The same, and those that threads have in tables of their own (`unshare(CLONE_FILES)`).
    func eachDescriptorOfAnyThread(
        of pid: Int32, _ body: (_ holder: String, _ number: Int32) -> Bool
    ) -> Look<Void> {
        var isDone = false
        func visit(_ holder: String, _ number: Int32) -> Bool {
            isDone = !body(holder, number)
            return !isDone
        }
        let first = eachDescriptor(of: pid, visit)
        guard case .found = first, !isDone else { return first }
        return eachOtherThread(of: pid) { thread in
            if sharesDescriptors(pid, thread) { return .found(false) }
            return list(path(pid, "task/\(thread)"), thread, visit).flatMap { _ in .found(isDone) }
        }
    }

    /// Looks at a process's threads but the first, until `body` says that it is enough, or a look fails.
    private func eachOtherThread(of pid: Int32, _ body: (_ thread: Int32) -> Look<Bool>) -> Look<Void> {
        let threads: [Int32]
        switch otherThreads(of: pid) {
        case .found(let all): threads = all
        case .failed: return .failed
        // Of a thread that is asked for by its own number there are no others to ask.
        case .absent, .hidden: threads = []
        }
        for thread in threads {
            switch body(thread) {
            case .found(true): return .found(())
            case .found(false), .absent: break
            case .hidden: return .hidden
            case .failed: return .failed
            }
        }
        return .found(())
    }

    /// Lists one table; gives whether there was anything in it.
    private func list(
        _ holder: String, _ thread: Int32, _ body: (_ holder: String, _ number: Int32) -> Bool
    ) -> Look<Bool> {
        var isEmpty = true
        let listed = RawFile.eachEntry(of: "\(holder)/fd") { entry in
            guard let number = entry.number else { return true }
            isEmpty = false
            return body(holder, number)
        }
        // One that has ended, or is about to, shows its table to root alone; it says to all that it has none.
        if case .hidden = listed, hasNoDescriptors(thread) { return .found(false) }
        return listed.flatMap { .found(!isEmpty) }
    }

    private func otherThreads(of pid: Int32) -> Look<[Int32]> {
        var threads: [Int32] = []
        let listed = RawFile.eachEntry(of: path(pid, "task")) { entry in
            if let thread = entry.number, thread != pid { threads.append(thread) }
            return true
        }
        return listed.flatMap { .found(threads) }
    }

    /// Whether two threads are known to have one table. The kernel is asked, since reading all of them would take its time
    /// in a program of a hundred threads.
    private func sharesDescriptors(_ first: Int32, _ second: Int32) -> Bool {
        root == "/proc" && process_shares_descriptors(first, second) == 0
    }

    /// Whether a thread has closed its descriptor table.
    private func hasNoDescriptors(_ thread: Int32) -> Bool {
        status(of: thread)?["FDSize"].map { $0.elementsEqual([UInt8(ascii: "0")]) } ?? false
    }
}

/// Looks for one file in the descriptor tables of processes.
private struct DescriptorSearch {
    let table: ProcessTable
    let file: HeldFile
    let openers: Set<Int32>
    let earlier: ProcessSnapshot
    let steps: DisposableThreads.Steps
    /// The processes of the moment.
    var present: Set<ProcessSnapshot.Process> = []
    /// The answer when nobody is found who has it: that nobody has, unless somebody could not be looked into.
    private(set) var unseen = ProcessTable.Holder.nobody

    init(
        table: ProcessTable, file: HeldFile, openers: Set<Int32>, earlier: ProcessSnapshot,
        steps: DisposableThreads.Steps
    ) {
        self.table = table
        self.file = file
        self.openers = openers
        self.earlier = earlier
        self.steps = steps
    }

    /// Whether that look ends the search: it found the file. Else it counts for what is not known.
    mutating func isDone(by look: Look<Holding>, of pid: Int32) -> Bool {
        switch look {
        case .found(.yes), .found(.untilExec): return true
        case .found(.no), .absent: break
        case .hidden: if unseen == .nobody { unseen = .hidden(pid) }
        // Looking again may find out all of it.
        case .failed: unseen = .failed
        }
        return false
    }

    /// Whether a process has the file open for writing.
    enum Holding {
        case no, yes
        /// By a descriptor that is closed when the process starts a program.
        case untilExec
    }

    /// Whether a process has the file open for writing.
    func look(in pid: Int32) -> Look<Holding> {
        var found: Look<Holding> = .found(.no)
        let listed = table.eachDescriptorOfAnyThread(of: pid) { holder, number in
            steps.next()
            switch holding(holder, number) {
            case .found(.yes):
                found = .found(.yes)
                return false
            case .found(.untilExec): found = .found(.untilExec)
            case .found(.no), .absent: break
            case .hidden: if case .found(.no) = found { found = .hidden }
            case .failed: if case .found(.untilExec) = found {} else { found = .failed }
            }
            return true
        }
        return listed.flatMap { _ in found }
    }

    /// Whether a process that can only have inherited the file has it open for writing, and keeps it.
    func lookAtHeir(_ pid: Int32) -> Look<Holding> {
        var found = look(in: pid)
        for round in 1...100 {
            switch found {
            // It may close it itself.
            case .found(.yes) where round <= 10: break
            // A busy machine takes its time to start a program.
            case .found(.untilExec): break
            case .hidden: return mayBeHeir(pid) ? .hidden : .found(.no)
            case .found, .absent, .failed: return found
            }
            steps.next()
            usleep(2000)
            found = look(in: pid)
        }
        return found
    }

    /// Whether a process that may not be looked into could have inherited the file: it descends from one that is known to have
    /// had it; or from one that is gone, where it is the own user's, or was left by its parent and belongs together with one of those.
    ///
    /// Whoever descends from a process that was there before and is none of the openers cannot, unless that one only took
    /// it over from a parent that is gone: the first process does, and systemd for those of a user.
    private func mayBeHeir(_ pid: Int32) -> Bool {
        guard let status = table.status(of: pid) else { return false }
        let own = geteuid()
        let users = status["Uid"]?.split(separator: UInt8(ascii: "\t")).compactMap { UInt32(decimal: $0) } ?? []
        var ancestor = ProcessTable.id("PPid", in: status)
        for _ in 0..<64 {
            guard let pid = ancestor, pid > 1 else { break }
            if openers.contains(pid) { return true }
            let wasThere = present.contains { $0.pid == pid && earlier.contains($0) }
            if wasThere, table.command(of: pid) != Array("systemd".utf8) { return false }
            ancestor = table.parent(of: pid)
        }
        if users.contains(own) { return true }
        // Of the others a machine has many: only one that has itself been left by its parent may be such an heir.
        guard isLeftByItsParent(status) else { return false }
        let bonds = ProcessBonds(of: pid, status, in: table)
        return bonds.isLed(byOneOf: openers)
            || openers.contains { opener in
                table.status(of: opener).map { bonds.areShared(with: ProcessBonds(of: opener, $0, in: table)) } ?? false
            }
    }

    /// Whether the first process, or systemd for those of a user, has taken it over, or its parent is gone just now.
    private func isLeftByItsParent(_ status: KeyedLines) -> Bool {
        guard let parent = ProcessTable.id("PPid", in: status), parent > 1 else { return true }
        return table.command(of: parent).map { $0 == Array("systemd".utf8) } ?? true
    }

    /// The text of the link is not asked for, though it would tell sockets from files: it cannot be read while a process
    /// is in the middle of `exec`, as the one may be whose FLUSH is waiting. Its mode can, and tells what cannot write.
    private func holding(_ holder: String, _ number: Int32) -> Look<Holding> {
        let link = "\(holder)/fd/\(number)"
        return RawFile.isWritableLink(at: link).flatMap { isWritable in
            guard isWritable else { return .found(.no) }
            // What the kernel prints and makes no sense here is no descriptor of a file.
            return RawFile.lookAtStart(of: "\(holder)/fdinfo/\(number)", count: 512).flatMap { bytes in
                guard let info = DescriptorInfo(parsing: bytes), info.canWrite, refersToFile(info, link) else {
                    return .found(.no)
                }
                return .found(info.closesOnExec ? .untilExec : .yes)
            }
        }
    }

    private func refersToFile(_ info: DescriptorInfo, _ link: String) -> Bool {
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
