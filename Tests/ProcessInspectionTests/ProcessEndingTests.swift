import Foundation
import ProcessInspection
import Testing

@Suite struct ProcessEndings {
    private static let exiting: UInt32 = 0x40_0004
    private static let signaled: UInt32 = 0x400

    private func canBeTraced(_ pid: Int32, in tree: FakeProc) throws {
        try FileManager.default.createSymbolicLink(atPath: "\(tree.root)/\(pid)/cwd", withDestinationPath: "/")
    }

    @Test func aProcessThatRunsHasNoExit() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        // A stopped process bears the stop's signal as its code.
        try tree.add(10, exitCode: SIGSTOP)
        #expect(tree.table.exit(of: 10) == .running)
    }

    @Test func whileAProcessStartsAProgramItsStatIsNotRead() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, program: 0)
        try tree.write("10/stat", FakeProc.stat(10, "cp", 1, Self.exiting, SIGKILL))
        #expect(tree.table.exit(of: 10) == .startingProgram)
    }

    @Test func aProcessWithDescriptorsIsNotAtItsEnd() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, flags: Self.exiting, exitCode: SIGKILL)
        #expect(tree.table.exit(of: 10) == .running)
        // A thread of the kernel's own has none, and is not at its end either.
        try tree.add(11, flags: 0x20_0000, descriptors: 0)
        #expect(tree.table.exit(of: 11) == .running)
    }

    @Test(arguments: ["", "FDSize:\tx\n", "FDSize:\t64", "FDSize:\t0\nFDSize:\t64\n"])
    func whatCannotBeReadIsUnknown(status: String) throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, flags: Self.exiting, exitCode: SIGKILL, descriptors: 0)
        try tree.write("10/status", "Name:\tcp\n" + status)
        #expect(tree.table.exit(of: 10) == .unknown)
    }

    @Test func whatCouldNotBeReadThisTimeIsNotUnknown() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        for file in ["status", "stat"] {
            try tree.add(10, flags: Self.exiting, exitCode: SIGKILL, descriptors: 0)
            try FileManager.default.removeItem(atPath: "\(tree.root)/10/\(file)")
            // A link to itself: neither missing nor forbidden.
            try FileManager.default.createSymbolicLink(atPath: "\(tree.root)/10/\(file)", withDestinationPath: file)
            #expect(tree.table.exit(of: 10) == .failed)
            try FileManager.default.removeItem(atPath: "\(tree.root)/10/\(file)")
        }
    }

    @Test func aSignalIsToldFromAnExitStatus() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, flags: Self.exiting, exitCode: SIGKILL, descriptors: 0)
        try tree.add(11, flags: Self.exiting, exitCode: SIGSEGV | 0x80, descriptors: 0)
        try tree.add(12, flags: Self.exiting, exitCode: 3 << 8, descriptors: 0)
        try tree.add(13, flags: Self.exiting, exitCode: 255 << 8, descriptors: 0)
        #expect(tree.table.exit(of: 10) == .killed(signal: SIGKILL))
        #expect(tree.table.exit(of: 11) == .killed(signal: SIGSEGV))
        #expect(tree.table.exit(of: 12) == .exiting(status: 3))
        #expect(tree.table.exit(of: 13) == .exiting(status: 255))
    }

    @Test func anOrdinaryExitBesideOtherThreadsIsNoKill() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, flags: Self.exiting, descriptors: 0)
        try tree.add(11, group: 10, flags: Self.exiting | Self.signaled, descriptors: 0)
        try canBeTraced(11, in: tree)
        #expect(tree.table.exit(of: 11) == .exiting(status: 0))
    }

    @Test func aZeroThatMayHideSomethingIsUnknown() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, flags: Self.exiting | Self.signaled, descriptors: 0)
        #expect(tree.table.exit(of: 10) == .exitingUnknown)
        try canBeTraced(10, in: tree)
        #expect(tree.table.exit(of: 10) == .exiting(status: 0))
    }

    @Test func whatTheFirstThreadBearsCountsWhenTheOtherBearsNothing() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, flags: Self.exiting, exitCode: SIGTERM, descriptors: 0)
        try tree.add(11, group: 10, flags: Self.exiting, descriptors: 0)
        #expect(tree.table.exit(of: 11) == .killed(signal: SIGTERM))
    }

    @Test func aFirstThreadThatEndedEarlyDoesNotEndTheOthers() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.add(10, flags: Self.exiting, exitCode: 1 << 8, descriptors: 0)
        try tree.add(11, group: 10)
        #expect(tree.table.exit(of: 11) == .running)
    }

    @Test func realEndingsAreToldApart() async throws {
        let table = ProcessTable()
        let failing = try Child("sh", "-c", "exit 3")
        defer { failing.end() }
        let terminated = try Child("sleep", "600")
        defer { terminated.end() }
        let killed = try Child("sleep", "600")
        defer { killed.end() }
        // Before, it is in the middle of its exec.
        try await awaitTrue("sleep to run") { table.exit(of: killed.pid) == .running }
        kill(terminated.pid, SIGTERM)
        kill(killed.pid, SIGKILL)
        for child in [failing, terminated, killed] { try await awaitTrue("the end") { child.state == "Z" } }
        #expect(table.exit(of: failing.pid) == .exiting(status: 3))
        #expect(table.exit(of: terminated.pid) == .killed(signal: SIGTERM))
        #expect(table.exit(of: killed.pid) == .killed(signal: SIGKILL))
        killed.end()
        #expect(table.exit(of: killed.pid) == .unknown)
    }
}

@Suite struct ProcessSignals {
    private static func pending(_ signals: Int32...) -> SignalSet { SignalSet(signals: signals) }

    @Test(arguments: [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGKILL])
    func whatPeopleEndProgramsWithEndsTheWait(signal: Int32) {
        let set = SignalSet(signals: [signal])
        #expect(PendingSignals(pending: set).endingTheWait == set)
        #expect(PendingSignals(pending: set, caught: set).endingTheWait == set)
        #expect(PendingSignals(pending: set, ignored: set).endingTheWait.isEmpty)
        #expect(PendingSignals(pending: set, blocked: set).endingTheWait.isEmpty)
    }

    @Test(arguments: [SIGWINCH, SIGCHLD, SIGCONT, SIGURG, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU])
    func whatAProgramSurvivesDoesNot(signal: Int32) {
        let set = SignalSet(signals: [signal])
        #expect(PendingSignals(pending: set).endingTheWait.isEmpty)
        #expect(PendingSignals(pending: set, caught: set).endingTheWait.isEmpty)
    }

    @Test(arguments: [SIGUSR1, SIGALRM, SIGPIPE, SIGSEGV, SIGABRT, SIGXCPU, 34, 64])
    func whatWouldKillItEndsTheWaitUnlessItIsCaught(signal: Int32) {
        let set = SignalSet(signals: [signal])
        #expect(PendingSignals(pending: set).endingTheWait == set)
        #expect(PendingSignals(pending: set, caught: set).endingTheWait.isEmpty)
    }

    @Test func signalsThatDoNotExistAreInNoSet() {
        #expect(SignalSet(signals: [0, -1, 65, .max, .min]).isEmpty)
        #expect(SignalSet(signals: [1, 64]).rawValue == 0x8000_0000_0000_0001)
    }

    @Test func theMasksAreReadFromStatus() throws {
        let tree = try FakeProc()
        defer { tree.remove() }
        try tree.write(
            "10/status",
            "Name:\tcp\nSigQ:\t1/2\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000004000\nSigBlk:\t0000000000000001\n"
                + "SigIgn:\t0000000000000002\nSigCgt:\tfffffffc00000000\n")
        let signals = try #require(tree.table.pendingSignals(of: 10))
        #expect(signals.pending == SignalSet(signals: [SIGKILL, SIGTERM]))
        #expect(signals.blocked == SignalSet(signals: [SIGHUP]))
        #expect(signals.ignored == SignalSet(signals: [SIGINT]))
        #expect(signals.caught.contains(SignalSet(signals: [64])))
        try tree.write("10/status", "SigPnd:\t100\nShdPnd:\t4000\nSigBlk:\t1\nSigIgn:\t2\nSigCgt:\t10000000000000000\n")
        #expect(tree.table.pendingSignals(of: 10) == nil)
    }

    /// A stopped process takes no signal: what is sent to it stays pending, as for one that waits in a close.
    private func stopped(_ program: String) async throws -> Child {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let child = try Child(
            "python3", "-c", "import signal, time\n\(program)\nopen('\(directory.path)/ready', 'w')\ntime.sleep(600)")
        do {
            try await awaitTrue("the program's start") {
                FileManager.default.fileExists(atPath: "\(directory.path)/ready")
            }
            kill(child.pid, SIGSTOP)
            try await awaitTrue("the stop") { child.state == "T" }
        } catch {
            child.end()
            throw error
        }
        return child
    }

    @Test func aSignalThatKillsIsSeen() async throws {
        let child = try await stopped("")
        defer { child.end() }
        let table = ProcessTable()
        #expect(table.pendingSignals(of: child.pid)?.endingTheWait == [])
        kill(child.pid, SIGTERM)
        #expect(table.pendingSignals(of: child.pid)?.endingTheWait == SignalSet(signals: [SIGTERM]))
        #expect(table.exit(of: child.pid) == .running)
    }

    @Test func aSignalThatIsCaughtIsSeenAndAChangedWindowIsNot() async throws {
        let child = try await stopped(
            "for s in (signal.SIGTERM, signal.SIGWINCH, signal.SIGUSR1): signal.signal(s, lambda *_: None)")
        defer { child.end() }
        let table = ProcessTable()
        kill(child.pid, SIGWINCH)
        kill(child.pid, SIGUSR1)
        let before = try #require(table.pendingSignals(of: child.pid))
        #expect(before.pending.contains(SignalSet(signals: [SIGWINCH, SIGUSR1])))
        #expect(before.endingTheWait.isEmpty)
        kill(child.pid, SIGTERM)
        #expect(table.pendingSignals(of: child.pid)?.endingTheWait == SignalSet(signals: [SIGTERM]))
    }

    @Test func aSignalThatIsIgnoredOrBlockedIsNot() async throws {
        let child = try await stopped(
            "signal.signal(signal.SIGHUP, signal.SIG_IGN); signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])")
        defer { child.end() }
        kill(child.pid, SIGHUP)
        kill(child.pid, SIGTERM)
        let signals = try #require(ProcessTable().pendingSignals(of: child.pid))
        #expect(signals.pending.contains(SignalSet(signals: [SIGTERM])))
        #expect(signals.endingTheWait.isEmpty)
    }

    @Test func aBackgroundJobUnderNohupIgnoresHangups() async throws {
        let child = try Child("nohup", "sleep", "600")
        defer { child.end() }
        try await awaitTrue("sleep to run") { ProcessTable().command(of: child.pid) == Array("sleep".utf8) }
        kill(child.pid, SIGSTOP)
        try await awaitTrue("the stop") { child.state == "T" }
        kill(child.pid, SIGHUP)
        let signals = try #require(ProcessTable().pendingSignals(of: child.pid))
        #expect(signals.ignored.contains(SignalSet(signals: [SIGHUP])))
        #expect(signals.endingTheWait.isEmpty)
    }
}
