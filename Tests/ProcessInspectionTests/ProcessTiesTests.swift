import Formats
import Foundation
import ProcessInspection
import Testing

/// Who else may have a file than the processes that are seen at first sight.
@Suite struct ProcessTies {
    private static let mount = MountIdentity(id: 40, device: DeviceNumber(major: 0, minor: 99))
    private static let file = HeldFile(inode: 7, mount: mount)
    private static let link = "/mnt/twelvelabs/clip.mp4"
    private static let writing: Int32 = 0o100001

    // MARK: Tables of threads

    @Test func aThreadWithATableOfItsOwnHolds() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(3, of: 100, link: "/dev/null", mountID: 5)
        try tree.add(3, of: 101, link: Self.link, flags: Self.writing)
        let tasks = "\(tree.root)/100/task"
        try FileManager.default.createDirectory(atPath: tasks, withIntermediateDirectories: true)
        try FileManager.default.moveItem(atPath: "\(tree.root)/101", toPath: "\(tasks)/101")
        #expect(tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty) == .process(100))
        #expect(tree.table.isHolding(Self.file, 100) == true)
    }

    @Test func aRealThreadWithATableOfItsOwnHolds() async throws {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let path = try directory.file("clip.mp4")
        let file = try ProcessHolders().held(path)
        let table = ProcessTable()
        let before = table.snapshot(noOlderThan: .zero)
        // 0x400 is CLONE_FILES.
        let program = """
            import ctypes, threading, time
            f = open("\(path)", "wb")
            apart = threading.Event()
            def work():
                ctypes.CDLL(None).unshare(0x400)
                apart.set()
                time.sleep(600)
            threading.Thread(target=work).start()
            apart.wait()
            f.close()
            open("\(directory.path)/closed", "w").close()
            """
        let child = try Child("python3", "-c", program)
        defer { child.end() }
        try await awaitTrue("the first thread has closed it") {
            FileManager.default.fileExists(atPath: "\(directory.path)/closed")
        }
        #expect(table.writer(holding: file, openers: [child.pid], notIn: before) == .process(child.pid))
        child.end()
        #expect(table.writer(holding: file, openers: [child.pid], notIn: before) == .nobody)
    }

    @Test func whoHasTheFileIsToldOfOneProcessAlone() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        for pid: Int32 in [100, 101] { try tree.add(pid) }
        try tree.add(4, of: 101, link: Self.link, flags: Self.writing)
        #expect(tree.table.isHolding(Self.file, 100) == false)
        #expect(tree.table.isHolding(Self.file, 101) == true)
        #expect(tree.table.isHolding(Self.file, 102) == false)
    }

    // MARK: Other users' processes without a parent

    /// As `sudo -b` leaves them.
    @Test(
        .enabled("permissions do not stop the superuser") { geteuid() != 0 },
        arguments: [
            ("NSsid:\t100\nNSpgid:\t200\n", true), ("NSsid:\t90\nNSpgid:\t200\n", true),
            ("NSsid:\t200\nNSpgid:\t80\n", true), ("NSsid:\t200\nNSpgid:\t200\n", false), ("", false),
            ("NSsid:\t0\nNSpgid:\t0\n", false),
        ])
    func whoeverIsOfAnOpenersSessionOrGroupMayBeAnHeir(status: String, isHeir: Bool) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, more: "NSsid:\t90\nNSpgid:\t80\n")
        try tree.add(200, command: "backup", user: 0, more: status)
        chmod("\(tree.root)/200/fd", 0)
        defer { chmod("\(tree.root)/200/fd", 0o700) }
        let holder = tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty)
        #expect(holder == (isHeir ? .hidden(200) : .nobody))
    }

    @Test(
        .enabled("permissions do not stop the superuser") { geteuid() != 0 },
        arguments: [("1000", true), ("1001", false), ("4294967295", false)])
    func whoeverIsOfAnOpenersLoginMayBeAnHeir(login: String, isHeir: Bool) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(200, command: "backup", user: 0)
        try tree.write("100/loginuid", login == "4294967295" ? login : "1000")
        try tree.write("200/loginuid", login)
        chmod("\(tree.root)/200/fd", 0)
        defer { chmod("\(tree.root)/200/fd", 0o700) }
        let holder = tree.table.writer(holding: Self.file, openers: [100], notIn: tree.empty)
        #expect(holder == (isHeir ? .hidden(200) : .nobody))
    }
}
