import Formats
import Testing

@Suite struct MountTableParsingTests {
    @Test func readsTheTable() {
        let table = MountTable(
            parsing: Array(
                """
                22 27 0:20 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
                36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue
                40 36 0:45 / /mnt2/a\\040b\\011c\\012d\\134e rw - fuse.twelvefs twelve\\040fs rw,user_id=0,group_id=0
                41 36 0:46 / /mnt2/a\\040b\\011c\\012d\\134e rw - tmpfs none rw

                """.utf8))
        #expect(table.entries.count == 4)
        let entry = table.entries[1]
        #expect(entry.id == 36)
        #expect(entry.parentID == 35)
        #expect(entry.device == DeviceNumber(major: 98, minor: 0))
        #expect(entry.mountPoint == Array("/mnt2".utf8))
        #expect(entry.options == "rw,noatime")
        #expect(entry.fileSystemType == "ext3")
        #expect(entry.source == "/dev/root")
        #expect(entry.superOptions == "rw,errors=continue")
        #expect(table.entries[2].mountPoint == Array("/mnt2/a b\tc\nd\\e".utf8))
        #expect(table.entries[2].source == "twelve fs")
        #expect(table.entries.map(\.isFuse) == [false, false, true, false])
        #expect(table[40] == table.entries[2])
        #expect(table[4711] == nil)
        #expect(table.topmostEntry(atMountPoint: Array("/mnt2/a b\tc\nd\\e".utf8))?.id == 41)
        #expect(table.topmostEntry(atMountPoint: Array("/mnt".utf8)) == nil)
    }

    @Test(arguments: [
        "", "not a line of the table", "x 36 0:55 / /mnt rw - tmpfs none rw", "40 x 0:55 / /mnt rw - tmpfs none rw",
        "40 36 0 / /mnt rw - tmpfs none rw", "40 36 0:1:2 / /mnt rw - tmpfs none rw",
        "40 36 0: / /mnt rw - tmpfs none rw", "40 36 0:56 / /mnt rw shared:3 master:2 unbindable x:1",
        "40 36 0:57 / /mnt rw shared:1 shared:2 shared:3 -",
        "99999999999 36 0:55 / /mnt rw - tmpfs none rw",
    ])
    func leavesOutWhatMakesNoSense(line: String) {
        #expect(
            MountTable(parsing: Array("\(line)\n36 35 98:0 / / rw - ext3 /dev/root rw".utf8)).entries.map(\.id) == [36])
    }

    @Test func keepsABackslashThatEscapesNothing() {
        let line = "36 35 98:0 / /a\\b\\08\\400\\+12\\04 rw - ext3  rw"
        let table = MountTable(parsing: Array(line.utf8))
        #expect(table.entries.first?.mountPoint == Array("/a\\b\\08\\400\\+12\\04".utf8))
        #expect(table.entries.first?.source == "")
    }
}
