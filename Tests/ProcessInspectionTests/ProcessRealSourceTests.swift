import Formats
import Foundation
import ProcessInspection
import Testing

/// Real programs that wait in the middle of a copy, since the pipe they write into is full.
@Suite final class ProcessRealSources {
    private let table = ProcessTable()
    private let finder = SourceHintFinder(
        table: ProcessTable(), mount: MountIdentity(id: 1 << 30, device: DeviceNumber(major: 0, minor: 1 << 19)))
    private let directory: ProcessTestDirectory
    private let size = 3_000_001

    init() throws {
        directory = try ProcessTestDirectory()
    }

    deinit {
        directory.remove()
    }

    private func look(_ pid: Int32, _ name: String) -> FoundSource? {
        finder.source(of: pid, for: SourceTarget(name: Array(name.utf8), inode: 1, written: 4096))
    }

    private func expectSize(_ found: FoundSource, _ kind: FoundSource.Kind) {
        #expect(found.kind == kind)
        guard case .elsewhere(_, _, let size) = found.location else {
            Issue.record("\(found)")
            return
        }
        #expect(size == Int64(self.size))
        #expect(finder.currentSize(of: found) == Int64(self.size))
    }

    @Test func cpIsSeenCopyingUnderAnotherName() async throws {
        let source = try directory.file("source.mp4", size: size)
        let pipe = try directory.fullPipe("target.mp4")
        defer { pipe.close() }
        let cp = try Child("cp", source, pipe.path)
        defer { cp.end() }
        let found = try await awaited("cp's source") {
            pipe.isWrittenTo ? look(cp.pid, "target.mp4") : nil
        }
        expectSize(found, .copied)
        #expect(found.source.path == Array(source.utf8))
        // Once it is gone, nothing is told of it any more.
        cp.end()
        #expect(finder.currentSize(of: found) == nil)
    }

    @Test func aSourceThatGrowsIsSeenToHaveGrown() async throws {
        let source = try directory.file("source.mp4", size: size)
        let pipe = try directory.fullPipe("target.mp4")
        defer { pipe.close() }
        let cp = try Child("cp", source, pipe.path)
        defer { cp.end() }
        let found = try await awaited("cp's source") {
            pipe.isWrittenTo ? look(cp.pid, "target.mp4") : nil
        }
        #expect(truncate(source, 5_000_000) == 0)
        #expect(finder.currentSize(of: found) == 5_000_000)
        #expect(rename(source, source + ".old") == 0)
        try Data().write(to: URL(fileURLWithPath: source))
        #expect(finder.currentSize(of: found) == 5_000_000)
    }

    @Test(arguments: [
        "exec cat \"$0\" > \"$1\"", "exec cat < \"$0\" > \"$1\"", "exec dd if=\"$0\" of=\"$1\" bs=128k",
        "exec python3 -c 'import shutil, sys; shutil.copyfileobj(open(sys.argv[1], \"rb\"), open(sys.argv[2], \"wb\"))' \"$0\" \"$1\"",
        "exec python3 -c 'import os, sys; s = open(sys.argv[1], \"rb\"); d = open(sys.argv[2], \"wb\")\nwhile True: os.sendfile(d.fileno(), s.fileno(), 0, 4096)' \"$0\" \"$1\"",
    ])
    func otherProgramsAreSeenReading(script: String) async throws {
        let source = try directory.file("source.mp4", size: size)
        let pipe = try directory.fullPipe("target.mp4")
        defer { pipe.close() }
        let program = try Child("sh", "-c", script, source, pipe.path)
        defer { program.end() }
        let found = try await awaited("the source of \(script)") {
            pipe.isWrittenTo ? look(program.pid, "target.mp4") : nil
        }
        expectSize(found, .read)
    }

    @Test(arguments: ["sh", "bash"])
    func aScriptsOwnTextIsNoSource(shell: String) async throws {
        // As long as the output, so that its size alone does not give it away.
        let filler = String(repeating: "# nothing\n", count: 20_000)
        let pipe = try directory.fullPipe("target.mp4")
        defer { pipe.close() }
        let script = try directory.file(
            "make-video", text: "#!/usr/bin/env \(shell)\nprintf '%0200000d' 1 > '\(pipe.path)'\n" + filler)
        chmod(script, 0o700)
        for arguments in [[shell, script], [script, ""]] {
            let child = try Child(arguments[0], arguments[1])
            defer { child.end() }
            try await awaitTrue("the script to read itself and to write") {
                guard pipe.isWrittenTo else { return false }
                let ownText = table.openSources(of: child.pid).contains { $0.path == Array(script.utf8) }
                let writes =
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(child.pid)/fd/1")) == pipe.path
                return ownText && writes
            }
            #expect(look(child.pid, "target.mp4") == nil)
        }
    }

    @Test func aListOnStandardInputIsNotWhatCpCopies() async throws {
        let list = try directory.file("list.txt", size: size)
        let pipe = try directory.fullPipe("target.mp4")
        defer { pipe.close() }
        let shell = try Child("bash", "-c", "cp <(cat /dev/zero) '\(pipe.path)' < '\(list)' & wait")
        defer { shell.end() }
        let cp = try await awaited("cp to write") {
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { Int32($0) }.first { pid in
                table.parent(of: pid) == shell.pid && table.command(of: pid) == Array("cp".utf8)
                    && (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/4")) == pipe.path
            }
        }
        defer { kill(cp, SIGKILL) }
        #expect(table.openSources(of: cp).contains { $0.path == Array(list.utf8) })
        #expect(look(cp, "target.mp4") == nil)
    }

    @Test func rsyncsSenderIsFoundFromItsReceiver() async throws {
        _ = try directory.file("clip.mp4", size: size)
        try FileManager.default.createDirectory(atPath: "\(directory.path)/to", withIntermediateDirectories: true)
        let rsync = try Child(
            "rsync", "--whole-file", "--bwlimit=50", "\(directory.path)/clip.mp4", "\(directory.path)/to/")
        defer { rsync.end() }
        let found = try await awaited("rsync's source") { () -> FoundSource? in
            for pid in try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap({ Int32($0) })
            where table.command(of: pid) == Array("rsync".utf8) && pid != rsync.pid {
                if let found = look(pid, "clip.mp4"), found.source.process == rsync.pid { return found }
            }
            return nil
        }
        expectSize(found, .read)
        #expect(found.source.path == Array("\(directory.path)/clip.mp4".utf8))
    }
}
