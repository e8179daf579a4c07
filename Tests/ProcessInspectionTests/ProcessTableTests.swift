import Foundation
import ProcessInspection
import Testing

@Suite struct ProcessTableReading {
    @Test func aThreadIsLedBackToItsProcess() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: "python3")
        try tree.add(101, command: "worker", group: 100, parent: 50)
        #expect(tree.table.threadGroup(of: 101) == 100)
        #expect(tree.table.command(of: 101) == Array("python3".utf8))
        #expect(tree.table.parent(of: 101) == 50)
    }

    @Test(arguments: [0, -1, 4711, Int32.max, Int32.min])
    func whoCannotBeSeenHasNoProperties(pid: Int32) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        let table = tree.table
        #expect(table.threadGroup(of: pid) == nil)
        #expect(table.command(of: pid) == nil)
        #expect(table.parent(of: pid) == nil)
        #expect(table.pendingSignals(of: pid) == nil)
        #expect(table.exit(of: pid) == .unknown)
        #expect(table.openSources(of: pid).isEmpty)
    }

    @Test(arguments: ["a b", ") R 1 (", "x\ny", "\n", ""])
    func namesHoldAnything(name: String) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: "cp")
        try tree.write("100/comm", name + "\n")
        #expect(tree.table.command(of: 100) == Array(name.utf8))
    }

    @Test func aNameThatInventsALineIsNotBelieved() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.write("100/status", "Name:\tx\nTgid:\t1\nTgid:\t100\n")
        #expect(tree.table.threadGroup(of: 100) == nil)
    }

    @Test(arguments: [
        "Tgid:\t0\n", "Tgid:\t-4\n", "Tgid:\tx\n", "Tgid:\t99999999999\n", "Tgid:\t12", "Tgid: \n", "xTgid:\t4\n",
    ])
    func aThreadGroupThatMakesNoSenseIsUnknown(status: String) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.write("100/status", "Name:\tcp\n" + status)
        #expect(tree.table.threadGroup(of: 100) == nil)
    }

    @Test(
        arguments: [
            ("Groups:\t4 24 4711 \n", [4, 24, 4711]), ("Groups:\t \n", []), ("Groups:\n", []),
            ("Groups:\t4294967294\n", [4_294_967_294]),
            // Cut off, no numbers, too large, or invented by a name: unknown.
            ("Groups:\t4 2", nil), ("Groups:\t4 x\n", nil), ("Groups:\t-1\n", nil), ("Groups:\t4294967296\n", nil),
            ("", nil),
            ("Groups:\t4\nGroups:\t5\n", nil),
        ] as [(String, Set<UInt32>?)])
    func groupsAreNumbersOrUnknown(lines: String, groups: Set<UInt32>?) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, user: 4711, more: lines)
        #expect(tree.table.groups(of: 100, user: 4711) == groups)
        // The number is another user's by now.
        #expect(tree.table.groups(of: 100, user: 4712) == nil)
    }

    @Test func theKernelTellsItsGroups() {
        var own = [gid_t](repeating: 0, count: 65536)
        let count = getgroups(Int32(own.count), &own)
        #expect(ProcessTable().groups(of: getpid(), user: geteuid()) == Set(own.prefix(Int(count))))
        #expect(ProcessTable().groups(of: getpid(), user: geteuid() + 1) == nil)
    }

    @Test func filesWithoutEndAreNotRead() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.write("100/comm", [UInt8](repeating: UInt8(ascii: "a"), count: 100_000))
        #expect(tree.table.command(of: 100) == nil)
        try FileManager.default.removeItem(atPath: "\(tree.root)/100/status")
        try FileManager.default.createSymbolicLink(atPath: "\(tree.root)/100/status", withDestinationPath: "/dev/zero")
        #expect(tree.table.threadGroup(of: 100) == nil)
    }

    @Test func aPipeInPlaceOfAFileIsNotWaitedFor() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try FileManager.default.createDirectory(atPath: "\(tree.root)/100", withIntermediateDirectories: true)
        #expect(mkfifo("\(tree.root)/100/status", 0o600) == 0)
        #expect(mkfifo("\(tree.root)/100/stat", 0o600) == 0)
        #expect(tree.table.threadGroup(of: 100) == nil)
        #expect(tree.table.exit(of: 100) == .unknown)
    }

    @Test(.enabled("permissions do not stop the superuser") { geteuid() != 0 })
    func whatMayNotBeReadIsUnknown() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100)
        try tree.add(3, of: 100, link: "/srv/clip.mp4")
        chmod("\(tree.root)/100/fd", 0)
        chmod("\(tree.root)/100/status", 0)
        // A directory that cannot be listed could not be removed either.
        defer { chmod("\(tree.root)/100/fd", 0o700) }
        #expect(tree.table.threadGroup(of: 100) == nil)
        #expect(tree.table.openSources(of: 100).isEmpty)
    }

    @Test func aFileInPlaceOfADirectoryIsEmpty() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.write("100/fd", "a file where a directory should be")
        #expect(tree.table.openSources(of: 100).isEmpty)
    }

    @Test func itselfIsFoundAsItIs() throws {
        let table = ProcessTable()
        #expect(table.threadGroup(of: getpid()) == getpid())
        #expect(table.parent(of: getpid()) == getppid())
        #expect(table.exit(of: getpid()) == .running)
        #expect(table.matchesOwnNamespace)
    }

    @Test func aStrangersProcIsRecognized() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        #expect(!tree.table.matchesOwnNamespace)
        try FileManager.default.createSymbolicLink(atPath: "\(tree.root)/self", withDestinationPath: "4711000")
        #expect(!tree.table.matchesOwnNamespace)
    }

    @Test func theNameIsThatOfTheFirstThread() async throws {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let script = """
            import ctypes, threading, time
            def work():
                ctypes.CDLL(None).prctl(15, b"other) name", 0, 0, 0)
                print(threading.get_native_id(), file=open("\(directory.path)/thread.new", "w"))
                import os; os.rename("\(directory.path)/thread.new", "\(directory.path)/thread")
                time.sleep(600)
            threading.Thread(target=work).start()
            time.sleep(600)
            """
        let child = try Child("python3", "-c", script)
        defer { child.end() }
        let thread = try await awaited("the thread's id") {
            (try? String(contentsOfFile: "\(directory.path)/thread", encoding: .utf8))
                .flatMap { Int32($0.trimmingCharacters(in: .newlines)) }
        }
        let table = ProcessTable()
        let process = try #require(table.threadGroup(of: thread))
        #expect(process != thread)
        #expect(table.command(of: thread) == table.command(of: process))
        #expect(table.command(of: thread) != Array("other) name".utf8))
    }
}
