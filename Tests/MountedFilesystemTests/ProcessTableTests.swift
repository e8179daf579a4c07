import Foundation
import MountedFilesystem
import Testing

@Suite struct ProcessTableReading {
    @Test func aThreadIsLedBackToItsProcess() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(100, command: "python3")
        try tree.add(101, command: "worker", group: 100, parent: 50)
        #expect(tree.table.threadGroup(of: 101) == 100)
        #expect(tree.table.command(of: 101) == Array("python3".utf8))
        #expect(tree.table.startTime(of: 101) == ClockTicks(rawValue: 1000))
        #expect(tree.table.parent(of: 101) == 50)
    }

    @Test(arguments: [0, -1, 4711, Int32.max, Int32.min])
    func whoCannotBeSeenHasNoProperties(pid: Int32) throws {
        let table = try FakeProc().table
        #expect(table.threadGroup(of: pid) == nil)
        #expect(table.command(of: pid) == nil)
        #expect(table.startTime(of: pid) == nil)
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
        let started = try #require(table.startTime(of: getpid()))
        #expect(started <= ClockTicks.now())
        #expect(started > ClockTicks(rawValue: 0))
    }

    @Test func aStrangersProcIsRecognized() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        #expect(!tree.table.matchesOwnNamespace)
        try FileManager.default.createSymbolicLink(atPath: "\(tree.root)/self", withDestinationPath: "4711000")
        #expect(!tree.table.matchesOwnNamespace)
    }

    @Test func theNameIsThatOfTheFirstThread() async throws {
        let directory = try TemporaryDirectory()
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
        #expect(table.startTime(of: thread) == table.startTime(of: process))
    }

    @Test func processesAreListedByWhenTheyWereStarted() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, startTime: 500)
        try tree.add(11, startTime: 1000)
        try tree.add(12, startTime: 2000)
        try tree.add(13, command: "kworker/0:1", flags: 0x20_0000, startTime: 2000)
        try tree.write("14/stat", "nonsense")
        try tree.write("007/stat", FakeProc.stat(7, "x", 1, 0, 3000))
        try tree.write("99999999999/stat", FakeProc.stat(7, "x", 1, 0, 3000))
        try tree.write("self/stat", FakeProc.stat(7, "x", 1, 0, 3000))
        let table = tree.table
        // The second listing knows them already, and tells the same.
        for _ in 0..<2 {
            var seen: Set<ProcessTable.SeenProcess> = []
            #expect(Set(table.processes(startedSince: ClockTicks(rawValue: 1000), except: &seen)) == [11, 12])
            #expect(table.processes(startedSince: ClockTicks(rawValue: 1000), except: &seen).isEmpty)
        }
    }

    @Test func anIdThatIsUsedAgainIsAnotherProcess() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, startTime: 500)
        let table = tree.table
        var seen: Set<ProcessTable.SeenProcess> = []
        #expect(table.processes(startedSince: ClockTicks(rawValue: 1000), except: &seen).isEmpty)
        // Made before the other one goes away, so that it cannot be given the same inode number.
        try tree.add(11, startTime: 2000)
        try FileManager.default.removeItem(atPath: "\(tree.root)/10")
        try FileManager.default.moveItem(atPath: "\(tree.root)/11", toPath: "\(tree.root)/10")
        #expect(table.processes(startedSince: ClockTicks(rawValue: 1000), except: &seen) == [10])
    }

    @Test func realProcessesKeepTheirIdentityBetweenListings() async throws {
        let table = ProcessTable()
        let before = ClockTicks.now().oneSecondEarlier
        var seen: Set<ProcessTable.SeenProcess> = []
        _ = table.processes(startedSince: before, except: &seen)
        let child = try Child("sleep", "600")
        defer { child.end() }
        #expect(table.processes(startedSince: before, except: &seen).contains(child.pid))
        #expect(!table.processes(startedSince: before, except: &seen).contains(child.pid))
        seen = []
        #expect(table.processes(startedSince: before, except: &seen).contains(child.pid))
    }
}
