import Descriptors
import Foundation
import ProcessInspection
import Synchronization
import Testing

/// How processes ended, told by the kernel after they are gone.
@Suite(.enabled("this kernel does not tell how processes ended") { ProcessWatch().isAvailable })
struct ProcessWatches {
    private static func watched(_ watch: ProcessWatch, _ pid: Int32, isVital: Bool = true) throws -> WatchedProcess {
        try #require(watch.watch(pid, isVital: isVital).value)
    }

    /// What a process's end is told as, to one who asked before it.
    private static func end(of process: WatchedProcess) async -> ProcessEnd {
        await withCheckedContinuation { continuation in process.whenEnded { continuation.resume(returning: $0) } }
    }

    @Test(arguments: [
        ("exit 0", ProcessEnd.exited(status: 0)), ("exit 3", .exited(status: 3)),
        ("kill -9 $$", .killed(signal: SIGKILL)),
    ])
    func eachEndIsTold(script: String, expected: ProcessEnd) async throws {
        let directory = try ProcessTestDirectory()
        defer { directory.remove() }
        let watch = ProcessWatch()
        // It waits for the test at a pipe that nobody writes into.
        #expect(mkfifo("\(directory.path)/go", 0o600) == 0)
        let child = try Child("sh", "-c", "read line < '\(directory.path)/go'; \(script)")
        defer { child.end() }
        let process = try Self.watched(watch, child.pid)
        #expect(process.end == nil)
        async let told = Self.end(of: process)
        try "go\n".write(toFile: "\(directory.path)/go", atomically: false, encoding: .utf8)
        try await awaitTrue("the end") { child.state == "Z" }
        // Not before its parent has taken notice.
        #expect(process.end == nil)
        child.end()
        #expect(await told == expected)
        // To one who asks afterwards as well.
        #expect(await Self.end(of: process) == expected)
        #expect(process.end == expected)
    }

    @Test func theLastDescriptorsAreLeftToOthers() throws {
        let watch = ProcessWatch(reserve: DescriptorReserve { 2 })
        guard case .failed = watch.watch(getpid(), isVital: true) else {
            Issue.record("it is watched")
            return
        }
        #expect(watch.count == 0)
    }

    @Test func aProcessIsWatchedOnceAndAsLongAsSomebodyKeepsIt() async throws {
        let watch = ProcessWatch()
        let child = try Child("sleep", "600")
        defer { child.end() }
        var first: WatchedProcess? = try Self.watched(watch, child.pid)
        var second: WatchedProcess? = try Self.watched(watch, child.pid)
        #expect(first === second)
        #expect(watch.count == 1)
        first = nil
        #expect(watch.count == 1)
        second = nil
        #expect(watch.count == 0)
        withExtendedLifetime((first, second)) {}
    }

    /// Whoever is not told would wait for the end for ever.
    @Test func whoBeginsToWatchAtTheSameMomentWatchesTheSame() throws {
        let watch = ProcessWatch()
        let child = try Child("sleep", "600")
        defer { child.end() }
        for _ in 0..<200 {
            let watched = Mutex<[WatchedProcess]>([])
            DispatchQueue.concurrentPerform(iterations: 8) { _ in
                guard let process = watch.watch(child.pid, isVital: true).value else { return }
                watched.withLock { $0.append(process) }
            }
            let all = watched.withLock { $0 }
            #expect(all.count == 8)
            #expect(Set(all.map { ObjectIdentifier($0) }).count == 1)
        }
    }

    @Test func noMoreAreWatchedThanMayBe() throws {
        let watch = ProcessWatch(limit: 4)
        var kept: [WatchedProcess] = []
        var children: [Child] = []
        defer { children.forEach { $0.end() } }
        for _ in 0..<6 { children.append(try Child("sleep", "600")) }
        // Those whose end shows elsewhere leave half of the places to the others.
        for child in children[..<2] { kept.append(try Self.watched(watch, child.pid, isVital: false)) }
        #expect(watch.watch(children[2].pid, isVital: false).pid == .failed)
        for child in children[2..<4] { kept.append(try Self.watched(watch, child.pid)) }
        #expect(watch.watch(children[4].pid, isVital: true).pid == .failed)
        kept.removeLast()
        kept.append(try Self.watched(watch, children[5].pid))
        #expect(kept.count == 4)
    }

    @Test func descriptorsAreGivenBack() async throws {
        func open() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { number in
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)"))?.contains(
                    "pidfd") ?? false
            }
        }
        let before = try open()
        let watch = ProcessWatch()
        for _ in 0..<50 {
            let child = try Child("sleep", "600")
            let process = try Self.watched(watch, child.pid)
            child.end()
            #expect(await Self.end(of: process) == .killed(signal: SIGKILL))
        }
        try await awaitTrue("the descriptors are closed") { try open() <= before }
    }

    /// Not even a moment after its end, when its number may be another one's.
    @Test func whoHasEndedIsNotTakenForWhoHasItsNumberNow() throws {
        let watch = ProcessWatch()
        for _ in 0..<50 {
            let child = try Child("sleep", "600")
            let process = try Self.watched(watch, child.pid)
            child.end()
            #expect(watch.watch(child.pid, isVital: true).pid == .absent)
            withExtendedLifetime(process) {}
        }
    }

    @Test func whoIsGoneCannotBeWatched() throws {
        let child = try Child("true")
        child.end()
        #expect(ProcessWatch().watch(child.pid, isVital: true).pid == .absent)
    }
}

@Suite struct OlderKernels {
    @Test func tellNobodysEnd() {
        let watch = ProcessWatch(isOffered: false)
        #expect(!watch.isAvailable)
        #expect(watch.watch(getpid(), isVital: true).pid == .hidden)
    }
}

@Suite struct LookingWithoutDescriptors {
    /// What looks has a table of its own: it finds one when the process has none left, and closes none of the process's.
    @Test func aLookSharesNoDescriptorWithTheProcess() {
        let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        let isOpenThere = DisposableThreads().run { _ in fcntl(descriptor, F_GETFD) >= 0 }
        #expect(isOpenThere == false)
        let opened = DisposableThreads().run { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }
        #expect(opened == 3)
        #expect(fcntl(descriptor, F_GETFD) >= 0)
    }
}

extension Look<WatchedProcess> {
    /// Whose end is watched, or what kept it from that.
    fileprivate var pid: Look<Int32> {
        switch self {
        case .found(let process): .found(process.pid)
        case .absent: .absent
        case .hidden: .hidden
        case .failed: .failed
        }
    }
}
