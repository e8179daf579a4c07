import Dispatch
import Formats

extension SourceHintFinder {
    /// One search, with the mounts as they were at its beginning.
    struct Search {
        let table: ProcessTable
        let mount: MountIdentity
        let target: SourceTarget?
        let steps: DisposableThreads.Steps
        private let mounts: MountTable

        init(table: ProcessTable, mount: MountIdentity, target: SourceTarget?, steps: DisposableThreads.Steps) {
            self.table = table
            self.mount = mount
            self.target = target
            self.steps = steps
            mounts = .current(root: table.root)
        }

        // MARK: - The rules

        /// cp, mv and install have one regular file open for reading: the one that they copy, also under another name.
        ///
        /// They open it themselves. So a file without the target's name does not count when it is one of the three
        /// descriptors that every program gets, or when the parent has it open under the same number: it was inherited
        /// from a shell that reads a list from it.
        func copied(by writer: Int32) -> FoundSource? {
            choose(candidates(of: writer), kind: .copied) { others in
                let parent = table.parent(of: writer)
                return others.filter { source in
                    guard source.number > 2 else { return false }
                    guard let inherited = parent.flatMap({ table.descriptorInfo(of: $0, number: source.number) }) else {
                        return true
                    }
                    return inherited.mountID != source.mountID || inherited.inode != source.inode
                }
            }
        }

        /// Any other program: the file with the target's name, or else the only one that could be copied.
        func read(by writer: Int32, named command: [UInt8]) -> FoundSource? {
            choose(candidates(of: writer), kind: .read) { others in
                others.filter { couldBeCopied($0, by: command) }
            }
        }

        /// rsync's sender has the source open; it is an ancestor of the receiver, which writes. Only the file with the
        /// target's name counts, since the sender may already be at the next one. The furthest ancestor is the sender;
        /// those between may have an older version open, to compare it. Files of the own mount are such, too.
        func sent(to receiver: Int32) -> FoundSource? {
            var ancestors: [Int32] = []
            var child = receiver
            while ancestors.count < 4, let parent = table.parent(of: child),
                table.command(of: parent) == Array("rsync".utf8),
                !ancestors.contains(parent)
            {
                ancestors.append(parent)
                child = parent
            }
            for ancestor in ancestors.reversed() {
                let named = candidates(of: ancestor).filter { isNamedAsTarget($0) }
                guard let found = only(of: named, kind: .read) else { continue }
                if case .elsewhere = found.location { return found }
            }
            return nil
        }

        /// The one with the target's name, or else the only one of those that `filter` leaves of the others.
        private func choose(
            _ candidates: [OpenSource], kind: FoundSource.Kind, among filter: ([OpenSource]) -> [OpenSource]
        ) -> FoundSource? {
            let named = candidates.filter { isNamedAsTarget($0) }
            if var found = only(of: named, kind: kind) {
                found.isNamesake = true
                return found
            }
            return only(of: filter(candidates.filter { !isNamedAsTarget($0) }), kind: kind)
        }

        // MARK: - What could be copied

        /// Whether a file of another name is likely to be copied as a whole by that program.
        private func couldBeCopied(_ source: OpenSource, by command: [UInt8]) -> Bool {
            guard let target else { return false }
            let base = Array(source.path.baseName)
            // A program that bears the name of the file which it reads is a script, and the file its text.
            if base.prefix(15).elementsEqual(command.prefix(15)) { return false }
            // So is what a shell keeps open for itself: bash at 255, the others from 10 on.
            if source.number >= 10, source.closesOnExec, Self.shells.contains(command) { return false }
            // What belongs to programs: data of libraries, caches, configuration.
            if Self.programData.contains(where: { source.path.starts(with: $0) }) { return false }
            if fileExtension(of: base) == fileExtension(of: target.name) || fileExtension(of: base) == nil {
                // Copied by sendfile or positioned reads, which leave the position alone, or read at least as far as written.
                return source.position == 0 || source.position >= target.written
            }
            // Another type: rather unpacked or transcoded than copied, unless exactly as much was read as was written.
            return source.position == target.written
        }

        private static let shells = Set(
            ["ash", "bash", "busybox", "dash", "fish", "ksh", "mksh", "sh", "zsh"].map { Array($0.utf8) })
        private static let programData = ["/bin/", "/etc/", "/lib/", "/lib32/", "/lib64/", "/sbin/", "/usr/"].map {
            Array($0.utf8)
        }

        private func fileExtension(of name: [UInt8]) -> [UInt8]? {
            guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > 0 else { return nil }
            return name[(dot + 1)...].map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        }

        private func isNamedAsTarget(_ source: OpenSource) -> Bool {
            target.map { source.hasBaseName($0.name) } ?? false
        }

        /// What a process has open for reading only, except the target itself and what shows the kernel's state.
        private func candidates(of process: Int32) -> [OpenSource] {
            table.openSources(of: process).filter { source in
                if let mount = mounts[source.mountID] {
                    if mount.isKernelState { return false }
                    return mount.identity.device != self.mount.device || source.inode != target?.inode
                }
                return !Self.kernelPaths.contains { source.path.starts(with: $0) }
            }
        }

        /// For mounts of another namespace, of which only the path tells.
        private static let kernelPaths = ["/dev/", "/proc/", "/sys/"].map { Array($0.utf8) }

        // MARK: - Which file it is

        /// The one regular file among the candidates, which may have it open several times; nil when there are several or none.
        ///
        /// A guess that is shorter than what was written already is none; a copy's source is not guessed.
        private func only(of candidates: [OpenSource], kind: FoundSource.Kind) -> FoundSource? {
            guard candidates.count <= SourceHintFinder.candidateLimit else { return nil }
            var found: FoundSource?
            for candidate in candidates {
                guard let location = location(of: candidate) else { continue }
                if case .elsewhere(_, _, let size) = location, kind == .read, size < target?.written ?? 0 { continue }
                if let found, found.location != location { return nil }
                found = found ?? FoundSource(kind: kind, location: location, source: candidate)
            }
            return found
        }

        /// The regular file behind a descriptor; nil for others.
        func location(of source: OpenSource) -> FoundSource.Location? {
            let path = table.path(source.process, "fd/\(source.number)")
            let entry = mounts[source.mountID]
            if entry?.identity.device == mount.device { return source.inode.map { .ownFile(inode: $0) } }
            // What the kernel remembers is enough to see that it is a file of ours on a mount of another namespace: asking
            // for that one would be asking ourselves.
            let patience = patience(for: source)
            steps.next(within: patience)
            guard let remembered = table.fileStatus(path, true) else { return nil }
            if remembered.device == mount.device { return .ownFile(inode: remembered.inode) }
            steps.next(within: patience)
            let status = table.fileStatus(path, false)
            // So that what comes next has its time as well.
            steps.next()
            guard let status, status.isRegular, status.size >= 0 else { return nil }
            return .elsewhere(device: status.device, inode: status.inode, size: status.size)
        }

        /// How long a step may take that asks the source's file system. A busy machine must not look like one that hangs; for
        /// networks and programs the writer waits meanwhile.
        func patience(for source: OpenSource) -> DispatchTimeInterval {
            mounts[source.mountID]?.answersAtOnce == true ? .seconds(2) : .milliseconds(100)
        }
    }
}
