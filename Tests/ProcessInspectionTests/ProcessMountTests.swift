import Formats
import Foundation
import ProcessInspection
import Testing

@Suite struct ProcessMounts {
    private let makedevOf8And1: dev_t = 0x801

    @Test func mountsAreReadWithTheirEscapes() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.write(
            "self/mountinfo",
            """
            36 35 98:0 / / rw,noatime - ext3 /dev/root rw
            37 36 0:52 / /mnt/a\\040b\\134\\012c rw shared:1 master:2 - fuse.twelvefs none rw
            38 36 0:53 / /mnt/covered rw - tmpfs none rw
            39 38 0:54 / /mnt/covered rw - fuse.twelvefs  rw
            nonsense
            x 36 0:55 / /mnt/x rw - tmpfs none rw
            40 36 0 / /mnt/y rw - tmpfs none rw
            41 36 0:1:2 / /mnt/z rw - tmpfs none rw
            42 36 0:56 / /mnt/w rw shared:3
            43 36 0:57 / /mnt/v rw -

            """)
        func identity(_ path: String) -> MountIdentity? { MountIdentity(mountPoint: path, root: tree.root) }
        #expect(identity("/mnt/a b\\\nc") == MountIdentity(id: 37, device: DeviceNumber(major: 0, minor: 52)))
        #expect(identity("/mnt/covered") == MountIdentity(id: 39, device: DeviceNumber(major: 0, minor: 54)))
        #expect(identity("/mnt") == nil)
        for path in ["/mnt/x", "/mnt/y", "/mnt/z", "/mnt/w", "/mnt/v"] { #expect(identity(path) == nil) }
        #expect(MountTable.current(root: tree.root)[36]?.answersAtOnce == true)
        #expect(MountTable.current(root: tree.root)[37]?.answersAtOnce == false)
        #expect(MountTable.current(root: tree.root)[4711] == nil)
    }

    @Test func realMountsAgreeWithStat() throws {
        let entry = try #require(MountIdentity(mountPoint: "/proc"))
        var status = stat()
        #expect(stat("/proc", &status) == 0)
        #expect(entry.device == DeviceNumber(status.st_dev))
        #expect(MountIdentity(mountPoint: "/proc/no-such-mount") == nil)
    }

    @Test func deviceNumbersAreUnpacked() {
        // What makedev(0xabcde, 0x12345) gives.
        #expect(DeviceNumber(0x000a_b000_123c_de45) == DeviceNumber(major: 0xabcde, minor: 0x12345))
        #expect(DeviceNumber(makedevOf8And1) == DeviceNumber(major: 8, minor: 1))
    }

    @Test func theBootIsKnownByItsId() throws {
        let boot = try #require(BootID())
        #expect(BootID(boot.description) == boot)
        #expect(boot.description.utf8.count == 36)
        #expect(BootID("") == nil)
        #expect(BootID(String(repeating: "x", count: 36)) == nil)
        #expect(BootID(root: "/nowhere") == nil)
    }
}

@Suite struct DisposableThreadRuns {
    @Test func whatReturnsIsReturned() {
        let threads = DisposableThreads()
        #expect(threads.run { _ in 42 } == 42)
        #expect(threads.outstanding == 0)
    }

    @Test func whoGetsStuckIsLeftBehindUpToTheLimit() async throws {
        let threads = DisposableThreads()
        let gate = ChildGate()
        for count in 1...DisposableThreads.limit {
            let answer: Int? = threads.run { steps in
                steps.next(within: .milliseconds(1))
                gate.wait()
                return 42
            }
            #expect(answer == nil)
            #expect(threads.outstanding == count)
        }
        // Not even what would return is run any more.
        #expect(threads.run { _ in 42 } == nil)
        gate.open()
        try await awaitTrue("the threads' end") { threads.outstanding == 0 }
        #expect(threads.run { _ in 42 } == 42)
    }

    @Test func whoMovesOnIsNotStuck() {
        // Longer than what it has at the beginning.
        let answer: Int? = DisposableThreads().run { steps in
            steps.next(within: .seconds(60))
            usleep(2_500_000)
            return 20
        }
        #expect(answer == 20)
    }

    @Test func aRealFileIsAskedFor() throws {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let path = try directory.file("clip.mp4", size: 1234)
        let status = try #require(FileStatus.systemCall(path, false))
        #expect(status.size == 1234)
        #expect(status.isRegular)
        #expect(FileStatus.systemCall(path, true) == status)
        #expect(FileStatus.systemCall(path + "x", false) == nil)
        let parent = try #require(FileStatus.systemCall(directory.path, true))
        #expect(!parent.isRegular)
        #expect(parent.device == status.device)
    }
}
