import Foundation
import MountedFilesystem
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

    @Test func ticksCountFromBoot() {
        #expect(ClockTicks.now() > ClockTicks(rawValue: 0))
        #expect(ClockTicks(rawValue: 250).oneSecondEarlier == ClockTicks(rawValue: 150))
        #expect(ClockTicks(rawValue: 20).oneSecondEarlier == ClockTicks(rawValue: 0))
        #expect(ClockTicks(rawValue: 0).oneSecondEarlier == ClockTicks(rawValue: 0))
    }
}

@Suite struct BoundedStatCalls {
    private static let device = DeviceNumber(major: 8, minor: 1)
    private static let ours = DeviceNumber(major: 0, minor: 99)

    @Test func realFilesAreAskedFor() throws {
        let directory = try TemporaryDirectory()
        defer { directory.remove() }
        let path = try directory.file("clip.mp4", size: 1234)
        let stat = BoundedStat()
        guard case .status(let status) = stat.status(path, isLocal: true, unlessOn: Self.ours) else {
            Issue.record("no answer")
            return
        }
        #expect(status.size == 1234)
        #expect(status.isRegular)
        #expect(stat.cached(path) == .status(status))
        #expect(stat.status(path + "x", isLocal: true, unlessOn: Self.ours) == .failed)
        guard case .status(let parent) = stat.cached(directory.path) else {
            Issue.record("no answer")
            return
        }
        #expect(!parent.isRegular)
        #expect(parent.device == status.device)
        #expect(stat.outstanding == 0)
    }

    @Test func whoHangsIsLeftBehindUpToTheLimit() async throws {
        let gate = DispatchSemaphore(value: 0)
        let stat = BoundedStat { path, _ in
            if path == "/hangs" {
                gate.wait()
                gate.signal()
            }
            return FileStatus(device: Self.device, inode: 1, size: 1, isRegular: true)
        }
        for count in 1...BoundedStat.threadLimit {
            #expect(stat.status("/hangs", isLocal: false, unlessOn: Self.ours) == .late)
            #expect(stat.outstanding == count)
        }
        // Not even what would answer is asked any more.
        #expect(stat.status("/answers", isLocal: true, unlessOn: Self.ours) == .late)
        #expect(stat.outstanding == BoundedStat.threadLimit)
        gate.signal()
        try await awaitTrue("the threads' end") { stat.outstanding == 0 }
        #expect(stat.status("/answers", isLocal: true, unlessOn: Self.ours) != .late)
    }
}
