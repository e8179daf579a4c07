import Formats
import Foundation
import ProcessInspection
import Testing

@Suite struct ProcessSources {
    private static let mount = MountIdentity(id: 40, device: DeviceNumber(major: 0, minor: 99))
    private static let disk = DeviceNumber(major: 8, minor: 1)

    private func target(_ name: String = "clip.mp4", written: Int64 = 4096) -> SourceTarget {
        SourceTarget(name: Array(name.utf8), inode: 7, written: written)
    }

    /// Regular files on a disk whose size and inode number come from their descriptor: 1 MiB times the number.
    private func finder(_ tree: FakeProc, sizes: [Int32: Int64] = [:]) throws -> SourceHintFinder {
        try tree.setMounts([
            (40, "0:99", "/mnt/twelvelabs", "fuse.twelvefs"), (41, "8:1", "/", "ext4"),
            (42, "0:50", "/srv/nfs", "nfs4"),
            (43, "0:5", "/dev", "devtmpfs"),
        ])
        let stat: FileStatus.Call = { path, _ in
            let number = Int32(path.split(separator: "/").last ?? "") ?? 0
            let size = sizes[number] ?? Int64(number) << 20
            return size < 0 ? nil : FileStatus(device: Self.disk, inode: UInt64(number), size: size, isRegular: true)
        }
        return SourceHintFinder(table: tree.table(stat), mount: Self.mount)
    }

    private func number(_ found: FoundSource?) -> Int32? { found?.source.number }

    @Test(arguments: ["cp", "mv", "install"])
    func aCopierCopiesItsOnlyFileUnderAnyName(command: String) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: command)
        try tree.add(0, of: 100, link: "/dev/pts/0", flags: 0o100002, mountID: 43)
        try tree.add(3, of: 100, link: "/srv/holiday.mkv", mountID: 41)
        try tree.add(4, of: 100, link: "/mnt/twelvelabs/clip.mp4", flags: 0o100001)
        let found = try #require(try finder(tree).source(of: 100, for: target()))
        #expect(found.kind == .copied)
        #expect(found.location == .elsewhere(device: Self.disk, inode: 3, size: 3 << 20))
        #expect(found.source.path == Array("/srv/holiday.mkv".utf8))
    }

    @Test func ofSeveralFilesTheOneWithTheTargetsNameIsCopied() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(3, of: 100, link: "/srv/a.mp4", mountID: 41)
        try tree.add(4, of: 100, link: "/srv/clip.mp4", mountID: 41)
        #expect(number(try finder(tree).source(of: 100, for: target())) == 4)
        #expect(try finder(tree).source(of: 100, for: target("other.mp4")) == nil)
    }

    @Test func aDeletedFileKeepsItsName() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: "cat")
        try tree.add(3, of: 100, link: "/srv/clip.mp4 (deleted)", mountID: 41)
        try tree.add(4, of: 100, link: "/srv/b.mp4", mountID: 41)
        #expect(number(try finder(tree).source(of: 100, for: target())) == 3)
    }

    @Test func theSameFileTwiceIsOneFile() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(3, of: 100, link: "/srv/clip.mp4", mountID: 41)
        try tree.add(4, of: 100, link: "/srv/clip.mp4", mountID: 41)
        let stat: FileStatus.Call = { _, _ in FileStatus(device: Self.disk, inode: 5, size: 99, isRegular: true) }
        _ = try finder(tree)
        let found = SourceHintFinder(table: tree.table(stat), mount: Self.mount).source(of: 100, for: target())
        #expect(number(found) == 3)
    }

    @Test func whatACopierInheritedIsNotWhatItCopies() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(50, command: "bash")
        try tree.add(100, parent: 50)
        // The list that a loop reads, and a file that the shell has open at 7; the copier's source is a pipe.
        try tree.add(0, of: 100, link: "/srv/list.txt", mountID: 41)
        try tree.add(7, of: 50, link: "/srv/other.mp4", mountID: 41, inode: 70)
        try tree.add(7, of: 100, link: "/srv/other.mp4", mountID: 41, inode: 70)
        try tree.add(3, of: 100, link: "pipe:[12]", mountID: 12)
        #expect(try finder(tree).source(of: 100, for: target()) == nil)
        // Another file under the same number was not inherited.
        try tree.add(8, of: 50, link: "/srv/list.txt", mountID: 41, inode: 80)
        try tree.add(8, of: 100, link: "/srv/x.mp4", mountID: 41, inode: 81)
        #expect(number(try finder(tree).source(of: 100, for: target())) == 8)
    }

    @Test func directoriesAndDevicesAndTheTargetItselfAreNoSources() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: "cat")
        try tree.add(3, of: 100, link: "/srv", flags: 0o200000, mountID: 41)
        try tree.add(4, of: 100, link: "/dev/zero", mountID: 43)
        try tree.add(5, of: 100, link: "/proc/meminfo", mountID: 977)
        try tree.add(6, of: 100, link: "/mnt/twelvelabs/clip.mp4", mountID: 40, inode: 7)
        try tree.add(8, of: 100, link: "socket:[4]", mountID: 9)
        try tree.add(9, of: 100, link: "/srv/gone.mp4", mountID: 41)
        #expect(try finder(tree, sizes: [9: -1]).source(of: 100, for: target()) == nil)
        try tree.add(10, of: 100, link: "/srv/real.mp4", mountID: 41)
        #expect(number(try finder(tree, sizes: [9: -1]).source(of: 100, for: target())) == 10)
    }

    @Test func aFileOfTheSameMountIsNotAskedFor() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(3, of: 100, link: "/mnt/twelvelabs/old.mp4", mountID: 40, inode: 8)
        try tree.setMounts([(40, "0:99", "/mnt/twelvelabs", "fuse.twelvefs")])
        let stat: FileStatus.Call = { path, _ in
            Issue.record("asked for \(path)")
            return nil
        }
        let found = SourceHintFinder(table: tree.table(stat), mount: Self.mount).source(of: 100, for: target())
        #expect(found?.location == .ownFile(inode: 8))
        #expect(found?.kind == .copied)
    }

    @Test func aFileOfTheSameMountSeenFromAnotherNamespaceIsNotAskedForEither() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(3, of: 100, link: "/data/old.mp4", mountID: 977, inode: 8)
        let stat: FileStatus.Call = { path, cached in
            if !cached { Issue.record("asked for \(path)") }
            return FileStatus(device: Self.mount.device, inode: 8, size: 1, isRegular: true)
        }
        let found = SourceHintFinder(table: tree.table(stat), mount: Self.mount).source(of: 100, for: target())
        #expect(found?.location == .ownFile(inode: 8))
    }

    @Test func whoeverReadsOneFileOfTheSameKindMayBeCopyingIt() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: "cat")
        try tree.add(3, of: 100, link: "/srv/a.MP4", mountID: 41, position: 4096)
        let found = try #require(try finder(tree).source(of: 100, for: target()))
        #expect(found.kind == .read)
        #expect(number(found) == 3)
    }

    @Test func unlikelySourcesAreLeftOut() throws {
        struct Case {
            var command = "cat", link = "/srv/a.mp4", flags: Int32 = 0o100000, position: Int64 = 4096,
                number: Int32 = 12
            var size: Int64?, isFound = false
        }
        let cases = [
            Case(isFound: true),
            Case(position: 0, isFound: true),
            Case(position: 1 << 20, isFound: true),
            // Less was read than written.
            Case(position: 4000),
            // Shorter than what was written already.
            Case(size: 4095),
            Case(size: 4096, isFound: true),
            // Unpacked or transcoded, unless as much was read as was written.
            Case(command: "tar", link: "/srv/all.tar", position: 10240),
            Case(command: "ffmpeg", link: "/srv/a.mkv", position: 32768),
            Case(command: "python3", link: "/srv/a.bin", position: 0),
            Case(link: "/srv/a.bin", position: 4096, isFound: true),
            Case(link: "/srv/a", position: 8192, isFound: true),
            // A script and its text, a shell and its script.
            Case(command: "make-a-video.sh", link: "/home/me/make-a-video.sh-and-more", position: 4096),
            Case(command: "bash", link: "/home/me/script", flags: 0o2100000),
            Case(command: "bash", link: "/home/me/script", isFound: true),
            Case(command: "node", link: "/srv/a.mp4", flags: 0o2100000, isFound: true),
            // What belongs to programs.
            Case(command: "nautilus", link: "/usr/share/mime/mime.cache", position: 0),
            Case(link: "/library/a.mp4", isFound: true),
        ]
        for some in cases {
            let tree = try FakeProc()
            defer { tree.remove() }
            try tree.add(100, command: some.command)
            try tree.write("100/comm", some.command + "\n")
            try tree.add(
                some.number, of: 100, link: some.link, flags: some.flags, mountID: 41, position: some.position)
            let sizes = some.size.map { [some.number: $0] } ?? [:]
            let found = try finder(tree, sizes: sizes).source(of: 100, for: target())
            #expect((found != nil) == some.isFound, "\(some)")
        }
    }

    @Test func whoeverReadsManyFilesIsNoCopier() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: "cat")
        for number in 3..<20 as Range<Int32> {
            try tree.add(number, of: 100, link: "/srv/\(number).mp4", mountID: 41, inode: UInt64(number))
        }
        #expect(try finder(tree).source(of: 100, for: target()) == nil)
        #expect(number(try finder(tree).source(of: 100, for: target("5.mp4"))) == 5)
    }

    @Test func theSenderOfRsyncHasTheSource() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(50, command: "bash")
        try tree.add(100, command: "rsync", parent: 50)
        try tree.add(101, command: "rsync", parent: 100)
        try tree.add(102, command: "rsync", parent: 101)
        // The shell's does not count; the generator compares with an older version.
        try tree.add(9, of: 50, link: "/srv/x/clip.mp4", mountID: 41)
        try tree.add(4, of: 101, link: "/backup/clip.mp4", mountID: 41)
        try tree.add(3, of: 102, link: "/backup/clip.mp4", mountID: 41)
        try tree.add(5, of: 100, link: "/srv/clip.mp4", mountID: 41)
        try tree.add(6, of: 100, link: "/srv/next.mp4", mountID: 41)
        let found = try #require(try finder(tree).source(of: 102, for: target()))
        #expect(number(found) == 5)
        #expect(found.kind == .read)
        // The sender is at the next file already.
        #expect(try finder(tree).source(of: 102, for: target("gone.mp4")) == nil)
    }

    @Test func anOlderVersionInTheMountIsNotWhatRsyncSends() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: "rsync")
        try tree.add(101, command: "rsync", parent: 100)
        try tree.add(3, of: 100, link: "/mnt/twelvelabs/clip.mp4", mountID: 40, inode: 8)
        #expect(try finder(tree).source(of: 101, for: target()) == nil)
    }

    @Test func aCircleOfParentsEnds() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: "rsync", parent: 101)
        try tree.add(101, command: "rsync", parent: 100)
        #expect(try finder(tree).source(of: 100, for: target()) == nil)
    }

    @Test func theSizeIsLookedAtAgain() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(3, of: 100, link: "/srv/clip.mp4", mountID: 41)
        let found = try #require(try finder(tree).source(of: 100, for: target()))
        #expect(try finder(tree, sizes: [3: 5]).currentSize(of: found) == 5)
        // Another file under the same number is another file.
        let other: FileStatus.Call = { _, _ in FileStatus(device: Self.disk, inode: 77, size: 5, isRegular: true) }
        #expect(SourceHintFinder(table: tree.table(other), mount: Self.mount).currentSize(of: found) == nil)
        try FileManager.default.removeItem(atPath: "\(tree.root)/100/fd/3")
        #expect(try finder(tree).currentSize(of: found) == nil)
    }

    @Test func aSourceThatHangsGivesNoHintAndHoldsNobodyUp() async throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(3, of: 100, link: "/srv/nfs/clip.mp4", mountID: 42)
        try tree.setMounts([(42, "0:50", "/srv/nfs", "nfs4")])
        let gate = ChildGate()
        let finder = SourceHintFinder(
            table: tree.table { _, _ in
                gate.wait()
                return FileStatus(device: Self.disk, inode: 3, size: 4096, isRegular: true)
            }, mount: Self.mount)
        for _ in 0..<(DisposableThreads.limit + 3) { #expect(finder.source(of: 100, for: target()) == nil) }
        #expect(finder.threads.outstanding == DisposableThreads.limit)
        gate.open()
        try await awaitTrue("the threads' end") { finder.threads.outstanding == 0 }
        #expect(number(finder.source(of: 100, for: target())) == 3)
    }
}
