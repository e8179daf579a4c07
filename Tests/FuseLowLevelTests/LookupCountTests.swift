import FuseLowLevel
import Glibc
import Testing

@Suite(.serialized) struct LookupCountTests {
    /// Has the kernel forget what nobody uses. Only root may.
    private func dropCaches() throws {
        try withOpenFile("/proc/sys/vm/drop_caches", O_WRONLY) { try check(write($0, "2", 1)) }
    }

    @Test(.enabled(if: geteuid() == 0, "dropping the kernel's caches needs root"))
    func fallBackToZeroWhenTheKernelForgets() throws {
        try withMount { mounted in
            try check(mkdir(mounted.path("d"), 0o755))
            for number in 0..<200 {
                try writeFile(mounted.path("d/\(number)"), [1])
                _ = try fileStatus(mounted.path("d/\(number)"))
            }
            #expect(try names(in: mounted.path("d")).count == 200)
            #expect(try ChildProcess(shell: "ls -lR \(mounted.path) > /dev/null").exitCode() == 0)
            #expect(mounted.session.lookupCounts.count == 201)
            let known = Set(mounted.session.lookupCounts.keys)
            // What was used lately is only dropped at the second or third time.
            var forgotten: [InodeNumber]?
            for _ in 0..<60 where forgotten == nil {
                try dropCaches()
                forgotten = mounted.filesystem.journal.wait(atMost: .seconds(1)) { journal in
                    journal.forgotten.count >= 201 ? journal.forgotten : nil
                }
            }
            #expect(try Set(#require(forgotten)) == known)
            #expect(mounted.session.lookupCounts.isEmpty)
            #expect(!known.contains(.root))
        }
    }

    @Test func areForgottenWhenAFileIsRemoved() throws {
        try withMount { mounted in
            try writeFile(mounted.path("file"), [1])
            let inode = InodeNumber(rawValue: try UInt64(fileStatus(mounted.path("file")).st_ino))
            try check(unlink(mounted.path("file")))
            let forgotten = mounted.filesystem.journal.wait(atMost: patience) { journal in
                journal.forgotten.isEmpty ? nil : journal.forgotten
            }
            #expect(forgotten == [inode])
        }
    }

    @Test func areEmptyAfterTheEnd() throws {
        try withMount { mounted in
            try writeFile(mounted.path("file"), [1])
            #expect(mounted.session.lookupCounts.count == 1)
            try mounted.session.unmount(lazily: false)
            #expect(mounted.session.waitUntilEnded() == .unmounted)
            #expect(mounted.session.lookupCounts.isEmpty)
            #expect(mounted.filesystem.journal.read { $0.stops } == 1)
        }
    }

    @Test(.enabled(if: geteuid() == 0, "a forced unmount needs root"))
    func aFileWhoseOpenerIsGoneIsReleased() throws {
        let held = Monitor<DeferredReply<FuseOpen>?>(nil)
        try withMount(
            hooks: .init(open: { _, reply in
                let deferred = reply.deferred()
                held.update { $0 = deferred }
            })
        ) { mounted in
            try writeFile(mounted.path("file"), [1])
            let child = try ChildProcess(shell: "exec 5< \(mounted.path("file"))")
            let reply = try #require(held.wait(atMost: patience) { $0.take() })
            // Aborts the connection: the kernel answers the caller itself, and takes no answer any more.
            _ = umount2(mounted.path, Int32(MNT_FORCE))
            let code = child.exitCode()
            #expect(code != nil && code != 0)
            #expect(reply.succeed(FuseOpen(handle: 4711)))
            #expect(mounted.filesystem.journal.read { $0.released.contains(4711) })
        }
    }
}
