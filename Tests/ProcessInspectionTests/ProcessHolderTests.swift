import Formats
import Foundation
import ProcessInspection
import Synchronization
import Testing

@Suite struct ProcessHolders {
    private static let mount = MountIdentity(id: 40, device: DeviceNumber(major: 0, minor: 99))
    private static let file = HeldFile(inode: 7, mount: mount)
    private static let link = "/mnt/twelvelabs/clip.mp4"
    private static let writing: Int32 = 0o100001

    @Test func whoeverCanWriteHoldsTheFile() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .nobody)
        try tree.add(4, of: 100, link: Self.link, flags: Self.writing)
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .process(100))
    }

    @Test(arguments: [0o100000, 0o10_000_000, 0o100003] as [Int32])
    func whoeverCannotDoesNot(flags: Int32) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(4, of: 100, link: Self.link, flags: flags)
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .nobody)
    }

    @Test func anotherFileOfTheMountIsAnotherFile() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(4, of: 100, link: Self.link, flags: Self.writing, inode: 8)
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .nobody)
    }

    @Test func anInodeNumberOfAnotherMountIsAnotherFile() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.setMounts([
            (40, "0:99", "/mnt/twelvelabs", "fuse.twelvefs"), (41, "8:1", "/", "ext4"),
            (42, "0:99", "/srv/bound", "fuse"),
        ])
        try tree.add(100)
        try tree.add(4, of: 100, link: "/dev/null", flags: Self.writing, mountID: 41)
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .nobody)
        // A bind mount shows the same file under another mount id.
        try tree.add(5, of: 100, link: "/srv/bound/clip.mp4", flags: Self.writing, mountID: 42)
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .process(100))
    }

    @Test func aMountOfAnotherNamespaceIsToldByTheDevice() throws {
        let device = DeviceNumber(major: 0, minor: 99)
        for (answer, holder) in [
            (device, ProcessTable.Holder.process(100)), (DeviceNumber(major: 8, minor: 1), .nobody),
        ] {
            let tree = try FakeProc()
            defer { tree.remove() }
            try tree.add(100)
            try tree.add(4, of: 100, link: "/data/clip.mp4", flags: Self.writing, mountID: 977)
            let table = tree.table { path, isCached in
                // The file system itself, which may be ours, must not be asked.
                isCached && path.hasSuffix("/100/fd/4")
                    ? FileStatus(device: answer, inode: 7, size: 1, isRegular: true) : nil
            }
            #expect(table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == holder)
        }
    }

    @Test func aKernelThatTellsNoInodeLeavesEveryFileOfTheMountPossible() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(4, of: 100, link: Self.link, flags: Self.writing, inode: nil)
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .process(100))
    }

    @Test func whoeverWasStartedSinceMayHaveInheritedIt() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        let table = tree.table
        try tree.add(100)
        try tree.add(4, of: 100, link: Self.link, flags: Self.writing)
        let before = table.snapshot(noOlderThan: .zero)
        #expect(table.writer(holding: Self.file, openers: [], notIn: before) == .nobody)
        try tree.add(101)
        #expect(table.writer(holding: Self.file, openers: [], notIn: before) == .nobody)
        try tree.add(4, of: 101, link: Self.link, flags: Self.writing)
        #expect(table.writer(holding: Self.file, openers: [], notIn: before) == .process(101))
        #expect(table.writer(holding: Self.file, openers: [100], notIn: before) == .process(100))
    }

    @Test func anIdThatIsUsedAgainIsAnotherProcess() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        let table = tree.table
        try tree.add(100)
        let before = table.snapshot(noOlderThan: .zero)
        // Made before the other one goes away, so that it cannot be given the same inode number.
        try tree.add(101)
        try tree.add(4, of: 101, link: Self.link, flags: Self.writing)
        try FileManager.default.removeItem(atPath: "\(tree.root)/100")
        try FileManager.default.moveItem(atPath: "\(tree.root)/101", toPath: "\(tree.root)/100")
        #expect(table.writer(holding: Self.file, openers: [], notIn: before) == .process(100))
    }

    @Test func aListingServesForAWhile() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        let table = tree.table
        let first = table.snapshot(noOlderThan: .zero)
        try tree.add(100)
        try tree.add(4, of: 100, link: Self.link, flags: Self.writing)
        // The older one, in which the process is new: it is looked at once too often, never once too rarely.
        let again = table.snapshot(noOlderThan: .seconds(3600))
        for snapshot in [first, again] {
            #expect(table.writer(holding: Self.file, openers: [], notIn: snapshot) == .process(100))
        }
        let fresh = table.snapshot(noOlderThan: .zero)
        #expect(table.writer(holding: Self.file, openers: [], notIn: fresh) == .nobody)
    }

    @Test func aLookThatGetsStuckHasFailedAndStopsNobody() async throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(4, of: 100, link: "/data/clip.mp4", flags: Self.writing, mountID: 977)
        let gate = ChildGate()
        let table = tree.table { _, _ in
            gate.wait()
            return nil
        }
        #expect(table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .failed)
        #expect(table.threads.outstanding == 1)
        gate.open()
        try await awaitTrue("the thread's end") { table.threads.outstanding == 0 }
        #expect(table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .nobody)
    }

    @Test func linksAndNumbersOfAllKindsDoNotDisturb() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        for (number, link) in ["socket:[7]", "anon_inode:[eventpoll]", "pipe:[7]", "x", "../../..", "/a\nino:\t7\n"]
            .enumerated()
        {
            // Sockets and the like are on mounts that nobody sees; the file on ours is another one.
            let (mountID, inode): (Int32, UInt64) = number == 5 ? (40, 6) : (12, 7)
            try tree.add(
                Int32(number), of: 100, link: link, flags: Self.writing, mountID: mountID, inode: inode)
        }
        try tree.write("100/fd/+4", "")
        try tree.write("100/fd/99999999999999999999", "")
        try tree.write("100/fd/-1", "")
        try tree.write("100/fd/\u{1F3A5}", "")
        try tree.write("100/fd/77", "no link at all")
        try tree.write("100/fdinfo/77", "pos:\t0\nflags:\t01\nmnt_id:\t40\nino:\t7\n")
        try FileManager.default.createSymbolicLink(atPath: "\(tree.root)/100/fd/78", withDestinationPath: Self.link)
        #expect(tree.table.writer(holding: Self.file, openers: [100, 0, -5, 4711], notIn: tree.empty) == .nobody)
    }

    @Test func theDescriptorsOfAProgramWhoseFirstThreadEndedAreFound() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(4, of: 100, link: Self.link, flags: Self.writing)
        try FileManager.default.createDirectory(atPath: "\(tree.root)/100/task/101", withIntermediateDirectories: true)
        for name in ["fd", "fdinfo"] {
            try FileManager.default.moveItem(
                atPath: "\(tree.root)/100/\(name)", toPath: "\(tree.root)/100/task/101/\(name)")
        }
        try FileManager.default.createDirectory(atPath: "\(tree.root)/100/fd", withIntermediateDirectories: true)
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .process(100))
    }

    @Test func realProcessesKeepTheirIdentityBetweenListings() async throws {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let path = try directory.file("clip.mp4")
        let file = try held(path)
        let table = ProcessTable()
        let child = try Child("sh", "-c", "exec sleep 600 > '\(path)'")
        defer { child.end() }
        try await awaitTrue("the child to open the file") {
            table.writer(holding: file, openers: [child.pid], notIn: table.snapshot()) == .process(child.pid)
        }
        let before = table.snapshot(noOlderThan: .zero)
        #expect(table.writer(holding: file, openers: [], notIn: before) == .nobody)
    }

    @Test(.enabled("permissions do not stop the superuser") { geteuid() != 0 })
    func whoMayNotBeLookedIntoMayHoldTheFile() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(4, of: 100, link: Self.link, flags: Self.writing)
        chmod("\(tree.root)/100/fd", 0)
        // A directory that cannot be listed could not be removed either.
        defer { chmod("\(tree.root)/100/fd", 0o700) }
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .hidden(100))
        #expect(tree.table.sight(of: 100) == .status)
        // Whoever is seen to have it is the better answer.
        try tree.add(101)
        try tree.add(4, of: 101, link: Self.link, flags: Self.writing)
        #expect(tree.table.writer(holding: Self.file, openers: [100, 101], notIn: tree.empty) == .process(101))
    }

    /// One that is not waited for yet, for example.
    @Test(.enabled("permissions do not stop the superuser") { geteuid() != 0 })
    func whoHasEndedHidesNothing() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, descriptors: 0)
        chmod("\(tree.root)/100/fd", 0)
        defer { chmod("\(tree.root)/100/fd", 0o700) }
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .nobody)
    }

    /// As on every machine: another user's programs start all the time.
    @Test(.enabled("permissions do not stop the superuser") { geteuid() != 0 })
    func ofTheOthersOnlyHeirsCountAsHidden() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(101, command: "sudo", parent: 100, user: 0)
        try tree.add(102, command: "cat", parent: 101, user: 0)
        try tree.add(200, command: "cron", user: 0)
        for pid in [102, 200] { chmod("\(tree.root)/\(pid)/fd", 0) }
        defer { for pid in [102, 200] { chmod("\(tree.root)/\(pid)/fd", 0o700) } }
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .hidden(102))
        #expect(tree.table.writer(holding: Self.file, openers: [300], notIn: tree.empty) == .nobody)
        // One of the own user's whose parent is gone may have been started by anybody of theirs.
        try tree.add(200, command: "ssh-agent", user: geteuid())
        #expect(tree.table.writer(holding: Self.file, openers: [300], notIn: tree.empty) == .hidden(200))
    }

    @Test(.enabled("permissions do not stop the superuser") { geteuid() != 0 })
    func whatWasStartedByOneThatWasThereBeforeIsNoHeir() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        let table = tree.table
        try tree.add(50, command: "sshd", user: 0)
        try tree.add(60, command: "systemd", user: geteuid())
        let before = table.snapshot(noOlderThan: .zero)
        try tree.add(100)
        // A session of the own user's, of which the ways part above.
        try tree.add(200, command: "sshd", parent: 50, user: geteuid())
        chmod("\(tree.root)/200/fd", 0)
        defer { chmod("\(tree.root)/200/fd", 0o700) }
        #expect(table.writer(holding: Self.file, openers: [100], notIn: before) == .nobody)
        #expect(table.writer(holding: Self.file, openers: [50], notIn: before) == .hidden(200))
        // Taken over from whoever is gone.
        try tree.add(200, command: "ssh-agent", parent: 60, user: geteuid())
        #expect(table.writer(holding: Self.file, openers: [100], notIn: before) == .hidden(200))
    }

    @Test func aLinkThatLeadsNowhereIsALookThatFailed() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try FileManager.default.removeItem(atPath: "\(tree.root)/100/fd")
        try FileManager.default.createSymbolicLink(atPath: "\(tree.root)/100/fd", withDestinationPath: "fd")
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .failed)
        #expect(tree.table.sight(of: 100) == .failed)
    }

    /// A child between fork and exec has everything that its parent has, for a moment.
    @Test(arguments: [
        (writing, 5, false), (writing, 50, true), (writing | O_CLOEXEC, 50, false), (writing, .max, true),
    ])
    func whoHasOnlyInheritedItIsLookedAtAgain(flags: Int32, looks: Int, keepsIt: Bool) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(101, parent: 100)
        try tree.add(4, of: 101, link: "/data/clip.mp4", flags: flags, mountID: 977)
        let left = Mutex(looks)
        let table = tree.table { _, _ in
            // Another file's after so many looks.
            let isHeld = left.withLock { left in
                left -= 1
                return left >= 0
            }
            let device = DeviceNumber(major: isHeld ? 0 : 8, minor: 99)
            return FileStatus(device: device, inode: 7, size: 1, isRegular: true)
        }
        let holder = table.writer(holding: Self.file, openers: [100], notIn: tree.empty)
        #expect(holder == (keepsIt ? .process(101) : .nobody))
    }

    @Test func whoOpenedItIsNotLookedAtAgain() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(4, of: 100, link: "/data/clip.mp4", flags: Self.writing | O_CLOEXEC, mountID: 977)
        let looks = Mutex(0)
        let table = tree.table { _, _ in
            looks.withLock { $0 += 1 }
            return FileStatus(device: Self.mount.device, inode: 7, size: 1, isRegular: true)
        }
        #expect(table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .process(100))
        #expect(looks.withLock { $0 } == 1)
    }

    // MARK: - Real processes

    /// A real file as `fdinfo` tells it, seen through a descriptor of this process that is closed again.
    func held(_ path: String) throws -> HeldFile {
        let handle = try #require(FileHandle(forReadingAtPath: path))
        defer { try? handle.close() }
        let text = try String(contentsOfFile: "/proc/self/fdinfo/\(handle.fileDescriptor)", encoding: .utf8)
        let info = try #require(DescriptorInfo(parsing: Array(text.utf8)))
        let entry = try #require(MountTable.current()[info.mountID])
        return HeldFile(inode: try #require(info.inode), mount: entry.identity)
    }

    @Test func aChildThatWritesHoldsUntilItEnds() async throws {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let path = try directory.file("clip.mp4")
        let file = try held(path)
        let table = ProcessTable()
        let before = table.snapshot(noOlderThan: .zero)
        let child = try Child("sh", "-c", "exec sleep 600 > '\(path)'")
        defer { child.end() }
        try await awaitTrue("the child to open the file") {
            table.writer(holding: file, openers: [], notIn: before) == .process(child.pid)
        }
        #expect(table.writer(holding: file, openers: [child.pid], notIn: before) == .process(child.pid))
        child.end()
        #expect(table.writer(holding: file, openers: [child.pid], notIn: before) == .nobody)
    }

    @Test func aChildThatReadsDoesNotHold() async throws {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let path = try directory.file("clip.mp4")
        let file = try held(path)
        let table = ProcessTable()
        let before = table.snapshot(noOlderThan: .zero)
        let child = try Child("tail", "-f", path)
        defer { child.end() }
        try await awaitTrue("tail to open the file") {
            table.openSources(of: child.pid).contains { $0.inode == file.inode }
        }
        #expect(table.writer(holding: file, openers: [child.pid], notIn: before) == .nobody)
    }

    @Test func whatAnEndedShellLeftBehindHolds() async throws {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let path = try directory.file("clip.mp4")
        let file = try held(path)
        let table = ProcessTable()
        let before = table.snapshot(noOlderThan: .zero)
        let shell = try Child("sh", "-c", "exec 5> '\(path)'; sleep 600 & echo $! > '\(directory.path)/pid'")
        defer { shell.end() }
        let heir = try await awaited("the background job's id") {
            (try? String(contentsOfFile: "\(directory.path)/pid", encoding: .utf8))
                .flatMap { Int32($0.trimmingCharacters(in: .newlines)) }
        }
        defer { kill(heir, SIGKILL) }
        try await awaitTrue("the shell's end") { shell.state == "Z" }
        #expect(table.writer(holding: file, openers: [shell.pid], notIn: before) == .process(heir))
        kill(heir, SIGKILL)
        try await awaitTrue("the end of the last holder") {
            table.writer(holding: file, openers: [shell.pid], notIn: before) == .nobody
        }
    }

    @Test func aProgramWhoseFirstThreadEndedStillHolds() async throws {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let path = try directory.file("clip.mp4")
        let file = try held(path)
        let table = ProcessTable()
        let before = table.snapshot(noOlderThan: .zero)
        // The system call that ends one thread, by its number on the machines that Swift runs on.
        let program = """
            import ctypes, platform, threading, time
            f = open("\(path)", "wb")
            threading.Thread(target=lambda: time.sleep(600)).start()
            ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)
            """
        let child = try Child("python3", "-c", program)
        defer { child.end() }
        try await awaitTrue("the first thread's end") { child.state == "Z" }
        #expect(table.writer(holding: file, openers: [child.pid], notIn: before) == .process(child.pid))
    }
}
