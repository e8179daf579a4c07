import Foundation
import Testing
import TwelveFSCommand

import struct TestSupport.ShownStatements

/// What others could have prepared in the places that we open.
@Suite(.enabled(if: geteuid() == 0, "needs root, to play another user")) struct OpeningTests {
    private let scratch: ScratchDirectory
    private static let other: uid_t = 12345

    init() throws {
        scratch = try ScratchDirectory()
    }

    private func give(_ path: String, to user: uid_t = other, group: gid_t = 12345) {
        #expect(lchown(path, user, group) == 0)
    }

    private func stateRefusal(_ name: String) -> String? {
        #expect(throws: CommandFailure.self) { try StateDirectory.prepare(scratch.path(name)) }?.description
    }

    private func keyRefusal(_ path: String) -> String? {
        #expect(throws: CommandFailure.self) { try KeyReader.read(file: path, environment: [:]) }?.description
    }

    private func logRefusal(_ path: String) -> String? {
        #expect(throws: CommandFailure.self) { try LogFile(path: path) }?.description
    }

    // MARK: The state directory

    /// Its owner could rename what is in it, and put something else there.
    @Test(.shows("state-steps")) func directoryBelowAnothersIsRefused() throws {
        give(try scratch.directory("theirs", mode: 0o755))
        let line = stateRefusal("theirs/state")
        #expect(line?.contains("\(scratch.path("theirs")) belongs to another user (uid 12345)") == true)
        #expect(line?.contains("--state-dir") == true)
        #expect(!FileManager.default.fileExists(atPath: scratch.path("theirs/state")))
    }

    @Test(.shows("state-steps")) func directoryBelowOneThatAForeignGroupMayWriteIsRefused() throws {
        give(try scratch.directory("shared", mode: 0o775), to: 0)
        let line = stateRefusal("shared/state")
        #expect(line?.contains("the group 12345 can rename what is in \(scratch.path("shared"))") == true)
        #expect(line?.contains("chmod g-w") == true)
    }

    /// As a home is under the umask 002, in a group of the user's own.
    @Test func groupOfOnesOwnIsNobodyElse() throws {
        try scratch.directory("home", mode: 0o775)
        #expect(throws: Never.self) { try StateDirectory.prepare(scratch.path("home/state")) }
    }

    /// What is open stays what it is, though its path leads elsewhere by now.
    @Test(.shows("state-held")) func directoryThatIsExchangedIsNotLeft() throws {
        let state = try StateDirectory.prepare(scratch.path("state"))
        let log = try LogFile(state.file(StateDirectory.logName), cap: .init(10))
        #expect(rename(scratch.path("state"), scratch.path("moved")) == 0)
        try scratch.directory("victim")
        try scratch.file("victim/twelvefs.log", "precious")
        _ = try scratch.link("state", to: "victim")
        log.write("0123456789")
        log.write("rotated")
        let record = StopRecord(pid: 1, startTime: 2, outcome: DrainOutcome())
        try StateFile.write(record, to: StopRecord.file(in: state))
        let victim = try FileManager.default.contentsOfDirectory(atPath: scratch.path("victim"))
        #expect(victim == ["twelvefs.log"])
        #expect(try String(contentsOfFile: scratch.path("victim/twelvefs.log"), encoding: .utf8) == "precious")
        let moved = try FileManager.default.contentsOfDirectory(atPath: scratch.path("moved"))
        #expect(Set(moved) == ["twelvefs.log", "twelvefs.log.1", "last-stop.json"])
    }

    @Test(.timeLimit(.minutes(1))) func pipeInTheLocksPlaceKeepsNobodyWaiting() throws {
        #expect(mkfifo(scratch.path("lock"), 0o600) == 0)
        #expect(try StateLock.holder(in: scratch.opened()) == nil)
        #expect(try StateFile.read(ServerRecord.self, from: scratch.opened().file("lock")) == nil)
    }

    // MARK: Files that options name

    @Test(.shows("named-files"), .timeLimit(.minutes(1))) func keyThatAnotherUserPutThereIsRefused() throws {
        let key = try scratch.file("key", "tlk_ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        #expect(throws: Never.self) { try KeyReader.read(file: key, environment: [:]) }
        let link = try scratch.link("link", to: "key")
        #expect(throws: Never.self) { try KeyReader.read(file: link, environment: [:]) }
        give(link)
        #expect(keyRefusal(link)?.contains("\(link) is a symbolic link of another user (uid 12345)") == true)
        give(key)
        let line = keyRefusal(key)
        #expect(line?.contains("it belongs to another user (uid 12345)") == true)
        #expect(line?.contains("chown 0 \(key)") == true)
        let pipe = scratch.path("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(keyRefusal(pipe)?.contains("no plain file") == true)
        #expect(throws: CommandFailure.self) {
            try ProxyReader.read(option: nil, file: pipe, environment: [:])
        }
    }

    /// `--api-key-file <(pass show key)`
    @Test func pipeThatTheCallerHandsOverIsRead() throws {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data("tlk_ABCDEFGHIJKLMNOPQRSTUVWXYZ\n".utf8))
        try pipe.fileHandleForWriting.close()
        let path = "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)"
        #expect(throws: Never.self) { try KeyReader.read(file: path, environment: [:]) }
    }

    @Test(.shows("named-files"), .timeLimit(.minutes(1))) func logThatAnotherUserPutThereIsRefused() throws {
        let victim = try scratch.file("victim", "precious")
        try scratch.directory("tmp", mode: 0o1777)
        let link = try scratch.link("tmp/link.log", to: victim)
        give(link)
        #expect(logRefusal(link)?.contains("is a symbolic link of another user") == true)
        let theirs = try scratch.file("tmp/theirs.log", "")
        give(theirs)
        #expect(logRefusal(theirs)?.contains("belongs to another user") == true)
        let pipe = scratch.path("tmp/pipe.log")
        #expect(mkfifo(pipe, 0o666) == 0)
        #expect(logRefusal(pipe) != nil)
        // One that somebody reads can be opened at once.
        let reader = open(pipe, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        #expect(logRefusal(pipe)?.contains("neither a file nor a device") == true)
        try scratch.directory("everybodys", mode: 0o777)
        let hard = scratch.path("everybodys/hard.log")
        #expect(Foundation.link(victim, hard) == 0)
        #expect(logRefusal(hard)?.contains("it has other names") == true)
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
        // As it was: a link of one's own, in a directory of one's own.
        #expect(throws: Never.self) { try LogFile(path: try scratch.link("own.log", to: "elsewhere.log")) }
        #expect(FileManager.default.fileExists(atPath: scratch.path("elsewhere.log")))
    }

    // MARK: The mount point

    @Test(.shows("mount-exchanged")) func mountPointThatIsExchangedIsNoticed() throws {
        let path = try scratch.directory("mnt")
        let place = try MountPlace(checking: path)
        #expect(rename(path, scratch.path("aside")) == 0)
        try scratch.directory("mnt")
        let exchanged = #expect(throws: CommandFailure.self) { try place.makeFree() }
        #expect(exchanged?.message.contains("was exchanged for another directory") == true)

        let second = try MountPlace(checking: path)
        #expect(rename(path, scratch.path("aside2")) == 0)
        try scratch.directory("target")
        _ = try scratch.link("mnt", to: "target")
        #expect(throws: CommandFailure.self) { try second.makeFree() }
    }

    @Test(.shows("mount-exchanged")) func mountThatLandedElsewhereIsNoticed() throws {
        let path = try scratch.directory("mnt")
        let place = try MountPlace(checking: path)
        try place.makeFree()
        let elsewhere = try scratch.directory("elsewhere")
        #expect(mount("none", elsewhere, "tmpfs", 0, nil) == 0)
        defer { umount2(elsewhere, Int32(MNT_DETACH)) }
        let failure = #expect(throws: CommandFailure.self) {
            try place.check(mount: MountPoint.mount(at: elsewhere)?.id)
        }
        #expect(failure?.message.contains("was exchanged") == true)
    }

    @Test(.shows("mount-exchanged")) func rootDoesNotMountWhereAnotherUserCanExchangeTheDirectory() throws {
        give(try scratch.directory("home", mode: 0o755))
        try scratch.directory("home/mnt")
        let failure = #expect(throws: CommandFailure.self) { try MountPlace(checking: scratch.path("home/mnt")) }
        #expect(failure?.message.contains("\(scratch.path("home")) belongs to another user") == true)
        // A directory of theirs in one that is ours is theirs to fill, and nobody's to exchange.
        give(try scratch.directory("mnt"))
        #expect(throws: Never.self) { try MountPlace(checking: scratch.path("mnt")) }
    }
}
