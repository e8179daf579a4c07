import Formats
import FuseLowLevel
import Glibc
import Testing

/// An ordinary file system, through the kernel.
@Suite(.serialized) struct FileTests {
    @Test func keepsWhatIsWritten() throws {
        try withMount { mounted in
            var generator = SystemRandomNumberGenerator()
            let bytes = (0..<(3 << 20) + 12345).map { _ in UInt8.random(in: 0...255, using: &generator) }
            try writeFile(mounted.path("file"), bytes)
            #expect(try readFile(mounted.path("file")) == bytes)
            #expect(try fileStatus(mounted.path("file")).st_size == bytes.count)
        }
    }

    @Test func takesAMebibyteInOneWrite() throws {
        try withMount { mounted in
            try writeFile(mounted.path("file"), [UInt8](repeating: 7, count: 2 << 20))
            #expect(mounted.filesystem.journal.read { $0.writeSizes } == [1 << 20, 1 << 20])
            #expect(mounted.filesystem.journal.read { $0.connection?.maximumWrite } == 1 << 20)
        }
    }

    @Test func tellsWhoCreates() throws {
        try withMount { mounted in
            let child = try ChildProcess(shell: "umask 027; exec 5> \(mounted.path("file"))")
            #expect(child.exitCode() == 0)
            let caller = try #require(mounted.filesystem.journal.read { $0.callers.first })
            #expect(caller == FuseRequestContext(pid: child.id, uid: getuid(), gid: getgid(), umask: 0o027))
            #expect(try fileStatus(mounted.path("file")).st_mode & 0o777 == 0o640)
        }
    }

    @Test func tellsAnOpenThatTruncates() throws {
        try withMount { mounted in
            try writeFile(mounted.path("file"), [1, 2, 3])
            try writeFile(mounted.path("file"), [4])
            #expect(try readFile(mounted.path("file")) == [4])
            let opened = mounted.filesystem.journal.read { $0.openFlags }
            #expect(opened.map(\.truncates) == [true, false])
            #expect(opened.map(\.canWrite) == [true, false])
            #expect(opened.map(\.canRead) == [false, true])
            #expect(mounted.filesystem.journal.read { $0.changes }.isEmpty)
        }
    }

    @Test func passesChangesOfAttributes() throws {
        try withMount { mounted in
            let path = mounted.path("file")
            try writeFile(path, [1, 2, 3])
            try check(chmod(path, 0o751))
            try check(truncate(path, 2))
            var times = [timespec(tv_sec: 11, tv_nsec: 12), timespec(tv_sec: -13, tv_nsec: 14)]
            try check(utimensat(AT_FDCWD, path, &times, 0))
            try check(utimensat(AT_FDCWD, path, nil, 0))
            let expected = [
                FileAttributeChanges(permissions: 0o751),
                FileAttributeChanges(size: 2),
                FileAttributeChanges(
                    accessTime: .at(FileTime(seconds: 11, nanoseconds: 12)),
                    modificationTime: .at(FileTime(seconds: -13, nanoseconds: 14))),
                FileAttributeChanges(accessTime: .now, modificationTime: .now),
            ]
            #expect(mounted.filesystem.journal.read { $0.changes } == expected)
            let status = try fileStatus(path)
            #expect(status.st_mode == S_IFREG | 0o751)
            #expect(status.st_size == 2)
            #expect(status.st_mtim.tv_sec == -13)
            #expect(status.st_mtim.tv_nsec == 14)
            #expect(status.st_blksize == 1 << 20)
        }
    }

    @Test func passesFlagsOfARename() throws {
        try withMount { mounted in
            try writeFile(mounted.path("a"), [1])
            try check(mkdir(mounted.path("d"), 0o755))
            try check(rename(mounted.path("a"), mounted.path("d/b")))
            // RENAME_NOREPLACE
            let child = try ChildProcess(shell: "mv -n \(mounted.path("d/b")) \(mounted.path("c"))")
            #expect(child.exitCode() == 0)
            #expect(mounted.filesystem.journal.read { $0.renameFlags } == [[], .noReplace])
            #expect(try readFile(mounted.path("c")) == [1])
        }
    }

    @Test func removesNames() throws {
        try withMount { mounted in
            try check(mkdir(mounted.path("d"), 0o755))
            try writeFile(mounted.path("d/f"), [1])
            #expect(throws: SystemCallError(ENOTEMPTY)) { try check(rmdir(mounted.path("d"))) }
            try check(unlink(mounted.path("d/f")))
            try check(rmdir(mounted.path("d")))
            #expect(throws: SystemCallError(ENOENT)) { try fileStatus(mounted.path("d")) }
        }
    }

    @Test func tellsTheSpace() throws {
        try withMount { mounted in
            var status = statvfs()
            try check(statvfs(mounted.path, &status))
            #expect(status.f_frsize == 4096)
            #expect([status.f_blocks, status.f_bfree, status.f_bavail] == [1000, 600, 500])
            #expect([status.f_files, status.f_ffree] == [77, 33])
            #expect(status.f_namemax == 255)
        }
    }

    @Test func refusesWhatIsNotOffered() throws {
        try withMount { mounted in
            try writeFile(mounted.path("file"), [1])
            #expect(throws: SystemCallError(EPERM)) { try check(link(mounted.path("file"), mounted.path("hard"))) }
            #expect(throws: SystemCallError(EPERM)) { try check(symlink("file", mounted.path("soft"))) }
            #expect(throws: SystemCallError(EPERM)) { try check(mkfifo(mounted.path("pipe"), 0o644)) }
            try withOpenFile(mounted.path("file"), O_RDWR) { descriptor in
                try check(fsync(descriptor))
            }
            #expect(try ChildProcess(shell: "fallocate -l 100 \(mounted.path("file")) 2> /dev/null").exitCode() != 0)
        }
    }

    @Test func agreesOnTheCapabilitiesItWants() throws {
        try withMount { mounted in
            let used = try #require(mounted.filesystem.journal.read { $0.connection?.used })
            #expect(used.isSuperset(of: [.atomicTruncation, .readdirplus, .parallelDirectoryOperations, .asyncRead]))
            #expect(used.isDisjoint(with: [.writebackCache, .spliceRead, .posixACL, .handlesKillPrivileges]))
        }
    }

    @Test func servesManyThreadsAtOnce() throws {
        try withMount { mounted in
            let script = """
                for i in 1 2 3 4 5 6 7 8; do
                    ( dd if=/dev/zero of=\(mounted.path)/f$i bs=64k count=40 status=none && cmp -n 2621440 /dev/zero \(mounted.path)/f$i ) & pids="$pids $!"
                done
                for pid in $pids; do wait $pid || exit 1; done
                """
            let child = try ChildProcess(shell: script)
            #expect(child.exitCode() == 0)
            #expect(try names(in: mounted.path).count == 8)
        }
    }
}
