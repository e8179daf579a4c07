import Formats
import Foundation
import FuseLowLevel
import Glibc
import Synchronization
import Testing

/// Beginnings and ends.
@Suite(.serialized) struct SessionTests {
    @Test func stopsWhileWorkersWaitForRequests() throws {
        try withMount(workerCount: 8) { mounted in
            mounted.session.stop()
            #expect(mounted.session.waitUntilEnded() == .stopped)
            #expect(mounted.filesystem.journal.read { $0.stops } == 1)
            // While a program that another test starts still has the device, the question is on its way when the connection ends.
            #expect {
                try fileStatus(mounted.path)
            } throws: { error in
                [ENOTCONN, ECONNABORTED].map(SystemCallError.init).contains(error as? SystemCallError)
            }
            mounted.session.stop()
            #expect(mounted.filesystem.journal.read { $0.stops } == 1)
        }
    }

    @Test func stopsOnceWhenManyStopIt() throws {
        try withMount { mounted in
            let session = mounted.session
            let threads = try (0..<8).map { _ in try NativeThread(name: "stop") { session.stop() } }
            for thread in threads { thread.join() }
            #expect(session.waitUntilEnded() == .stopped)
            #expect(mounted.filesystem.journal.read { $0.stops } == 1)
        }
    }

    @Test func handsNoDescriptorToOtherPrograms() throws {
        let before = try inheritableDescriptors()
        var options = FuseMountOptions()
        options.autoUnmount = true
        try withMount(options: options) { mounted in
            // `auto_unmount` hangs on a socket: whoever inherited it would keep a dead mount in place.
            #expect(try inheritableDescriptors().subtracting(before).isEmpty)
            try mounted.session.unmount(lazily: false)
            #expect(mounted.session.waitUntilEnded() == .unmounted)
        }
    }

    /// Sockets within this machine, FUSE devices and the like that a program would inherit, such as `socket:[4711]`. Not those of
    /// networks: other tests beside this one open and close them.
    private func inheritableDescriptors() throws -> Set<String> {
        let links = try names(in: "/proc/self/fd").compactMap { name -> String? in
            let number = String(decoding: name, as: UTF8.self)
            guard let descriptor = Int32(number), fcntl(descriptor, F_GETFD) & FD_CLOEXEC == 0 else { return nil }
            var link = [CChar](repeating: 0, count: 256)
            guard readlink("/proc/self/fd/\(number)", &link, link.count - 1) > 0 else { return nil }
            return String(decoding: link.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        let table = try String(contentsOfFile: "/proc/net/unix", encoding: .utf8)
        let local = Set(table.split(separator: "\n").compactMap { $0.split(separator: " ").dropFirst(6).first })
        return Set(
            links.filter { link in
                if link.hasPrefix("socket:[") { return local.contains(link.dropFirst(8).dropLast()) }
                return link.hasPrefix("anon_inode:") || link == "/dev/fuse"
            })
    }

    @Test func lettingGoFreesWhoeverWaitsForAnAnswer() throws {
        let held = Monitor<DeferredReply<Void>?>(nil)
        try withMount(
            hooks: .init(flush: { reply in
                let deferred = reply.deferred()
                held.update { $0 = deferred }
            })
        ) { mounted in
            let child = try ChildProcess(closing: mounted.path("file"))
            let reply = try #require(held.wait(atMost: patience) { $0.take() })
            mounted.session.stop()
            #expect(child.waitUntilExit() != nil)
            // Goes nowhere, and harms nobody.
            #expect(reply.succeed())
        }
    }

    @Test func endsWhenTheKernelUnmounts() throws {
        try withMount { mounted in
            let ending = Monitor<FuseSessionEnd?>(nil)
            let session = mounted.session
            let waiting = try NativeThread(name: "wait-end") {
                let end = session.waitUntilEnded()
                ending.update { $0 = end }
            }
            waiting.detach()
            #expect(try ChildProcess(shell: "fusermount3 -u \(mounted.path)").exitCode() == 0)
            #expect(ending.wait(atMost: patience) { $0 } == .unmounted)
        }
    }

    @Test func refusesToUnmountWhileAFileIsOpen() throws {
        try withMount { mounted in
            try withOpenFile(mounted.path("file"), O_CREAT | O_RDWR) { descriptor in
                let error = #expect(throws: FuseError.self) {
                    try mounted.session.unmount(lazily: false)
                }
                #expect(error?.kind == .busy)
                try check(write(descriptor, "x", 1))
                try mounted.session.unmount(lazily: true)
                // Out of sight, and still served.
                #expect(throws: SystemCallError(ENOENT)) { try fileStatus(mounted.path("file")) }
                try check(write(descriptor, "y", 1))
            }
            #expect(mounted.session.waitUntilEnded() == .unmounted)
        }
    }

    @Test func leavesAloneWhatSomebodyElseMountedThere() throws {
        try withMount { mounted in
            try mounted.session.unmount(lazily: false)
            try withSecondMount(at: mounted.path) { other in
                try mounted.session.unmount(lazily: true)
                try writeFile(other.path("file"), [1])
            }
        }
    }

    /// Mounts once more on a directory that a test has.
    private func withSecondMount(at path: String, _ test: (Mounted) throws -> Void) throws {
        let filesystem = MemoryFilesystem()
        let session = try FuseSession(mountpoint: path, options: testOptions, operations: filesystem, log: { _, _ in })
        defer {
            session.stop()
            #expect(throws: Never.self) { try session.unmount(lazily: true) }
        }
        try session.mount()
        try session.start()
        try test(Mounted(filesystem: filesystem, session: session, path: path))
    }

    @Test func isUnmountedWhenNobodyHoldsIt() throws {
        try withTemporaryDirectory { directory in
            func mountAndForget() throws {
                let session = try FuseSession(
                    mountpoint: directory, options: testOptions, operations: MemoryFilesystem(), log: { _, _ in })
                try session.mount()
                try session.start()
                #expect(try MountTable().topmostEntry(at: directory)?.id == session.mountID)
            }
            try mountAndForget()
            #expect(try MountTable().topmostEntry(at: directory) == nil)
        }
    }

    @Test func neverServesBeforeItIsMounted() throws {
        try withTemporaryDirectory { directory in
            let session = try FuseSession(
                mountpoint: directory, options: testOptions, operations: MemoryFilesystem(), log: { _, _ in })
            let error = #expect(throws: FuseError.self) { try session.start() }
            #expect(error?.kind == .notMounted)
        }
    }

    @Test func isPreparedWhileADeadMountIsStillThere() throws {
        try withMount { mounted in
            mounted.session.stop()
            let next = try FuseSession(
                mountpoint: mounted.path, options: testOptions, operations: MemoryFilesystem(), log: { _, _ in })
            #expect(next.mountpoint == mounted.path)
            #expect(try MountTable.clearDeadMount(at: mounted.path))
            try next.mount()
            try next.start()
            #expect(try MountTable().topmostEntry(at: mounted.path)?.id == next.mountID)
            try next.unmount(lazily: true)
        }
    }

    @Test func saysWhyItCannotMount() throws {
        let missing = #expect(throws: FuseError.self) {
            try FuseSession(mountpoint: "/nowhere/at/all", operations: MemoryFilesystem(), log: { _, _ in })
        }
        #expect(missing?.kind == .unusableMountPoint)
        #expect(missing?.message == "cannot mount on /nowhere/at/all: No such file or directory")

        let file = #expect(throws: FuseError.self) {
            try FuseSession(mountpoint: "/etc/passwd", operations: MemoryFilesystem(), log: { _, _ in })
        }
        #expect(file?.kind == .unusableMountPoint)
        #expect(file?.message == "cannot mount on /etc/passwd: Not a directory")

        try withTemporaryDirectory { directory in
            var options = testOptions
            options.extra = ["no_such_option"]
            let session = try FuseSession(
                mountpoint: directory, options: options, operations: MemoryFilesystem(), log: { _, _ in })
            let refused = #expect(throws: FuseError.self) { try session.mount() }
            #expect(refused?.kind == .mountRefused)
            #expect(refused?.message.hasPrefix("cannot mount on \(directory): ") == true)
            #expect(refused?.message.contains("no reason") == false)
        }
    }

    @Test func servesReadOnly() throws {
        var options = testOptions
        options.readOnly = true
        try withMount(options: options) { mounted in
            #expect(throws: SystemCallError(EROFS)) { try writeFile(mounted.path("file"), [1]) }
        }
    }

    @Test func takesItsNameAndOptionsAsTheyAre() throws {
        var options = testOptions
        options.fsname = "a,b\\c d"
        options.maximumRead = 65536
        try withMount(options: options) { mounted in
            let entry = try #require(try MountTable().topmostEntry(at: mounted.path))
            #expect(entry.source == "a,b\\c d")
            #expect(entry.fileSystemType == "fuse.twelvefs")
            #expect(entry.isFuse)
            #expect(entry.superOptions.contains("max_read=65536"))
            #expect(entry.superOptions.contains("default_permissions"))
        }
    }

    @Test func dropsWhatTheKernelHolds() throws {
        try withMount { mounted in
            try writeFile(mounted.path("file"), [1])
            let inode = InodeNumber(rawValue: try UInt64(fileStatus(mounted.path("file")).st_ino))
            #expect(mounted.session.invalidateAttributes(of: inode) == nil)
            #expect(mounted.session.invalidateContent(of: inode) == nil)
            #expect(mounted.session.invalidateEntry(Array("file".utf8), in: .root) == nil)
            #expect(mounted.session.invalidateEntry(Array("none".utf8), in: .root) == .noSuchFileOrDirectory)
            #expect(mounted.session.invalidateAttributes(of: InodeNumber(rawValue: 99)) == .noSuchFileOrDirectory)
        }
    }

    @Test func hearsLibfuse() throws {
        let messages = Monitor<[String]>([])
        try withTemporaryDirectory { directory in
            var options = testOptions
            options.tracesRequests = true
            let session = try FuseSession(
                mountpoint: directory, options: options, operations: MemoryFilesystem(),
                log: { level, message in messages.update { $0.append("\(level) \(message)") } })
            try session.mount()
            try session.start()
            try session.unmount(lazily: false)
            session.stop()
        }
        let heard = messages.read { $0 }
        #expect(heard.contains { $0.hasPrefix("debug INIT: 7.") })
        #expect(!heard.contains { $0.hasSuffix("\n") })
    }
}
