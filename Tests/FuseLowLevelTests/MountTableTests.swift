import Formats
import FuseLowLevel
import Glibc
import Testing

@Suite(.serialized) struct MountTableTests {
    private let sample = """
        22 27 0:20 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
        36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue
        40 36 0:45 / /mnt2/a\\040b\\011c\\012d\\134e rw,nosuid - fuse.twelvefs twelve\\040fs rw,user_id=0,group_id=0
        41 36 0:46 / /mnt2/a\\040b\\011c\\012d\\134e rw - tmpfs none rw

        """

    @Test func findsWhatIsOnTop() {
        let table = MountTable(parsing: Array(sample.utf8))
        #expect(table.topmostEntry(at: "/mnt2/a b\tc\nd\\e")?.id == 41)
        #expect(table.topmostEntry(at: "/proc/")?.id == 22)
        #expect(table.topmostEntry(at: "/proc/self/fd/..") == nil)
    }

    @Test func neverAsksWhatIsNoFuse() throws {
        let entry = try #require(try MountTable().topmostEntry(at: "/proc"))
        #expect(try MountTable.condition(of: entry) == nil)
        #expect(try !MountTable.clearDeadMount(at: "/proc"))
    }

    @Test func tellsTheLivingFromTheDeadAndClearsThoseAway() throws {
        try withMount { mounted in
            let entry = try #require(try MountTable().topmostEntry(at: mounted.path))
            #expect(try MountTable.condition(of: entry) == .alive)
            #expect(try !MountTable.clearDeadMount(at: mounted.path))
            mounted.session.stop()
            #expect(try MountTable.condition(of: entry) == .dead)
            #expect(try MountTable().topmostEntry(at: mounted.path + "/") == entry)
            #expect(try MountTable.clearDeadMount(at: mounted.path))
            #expect(try MountTable().topmostEntry(at: mounted.path) == nil)
            #expect(try !MountTable.clearDeadMount(at: mounted.path))
        }
    }

    @Test func isNotDeceivedByWhatTheKernelRemembersOfTheDead() throws {
        try withMount(hooks: MemoryFilesystem.Hooks(attributeTimeout: .seconds(3600))) { mounted in
            let entry = try #require(try MountTable().topmostEntry(at: mounted.path))
            var status = stat()
            try check(stat(mounted.path, &status))
            mounted.session.stop()
            #expect(stat(mounted.path, &status) == 0, "the kernel remembers the root")
            #expect(try MountTable.condition(of: entry) == .dead)
        }
    }

    @Test func failsOnOneThatDoesNotAnswer() throws {
        try withTemporaryDirectory { directory in
            let session = try FuseSession(
                mountpoint: directory, options: testOptions, operations: MemoryFilesystem(), log: { _, _ in })
            // Mounted, but not started: nobody answers.
            try session.mount()
            let entry = try #require(try MountTable().topmostEntry(at: directory))
            #expect(try MountTable.condition(of: entry, within: .milliseconds(50)) == .unresponsive)
            session.stop()
            try session.unmount(lazily: true)
        }
    }
}
