import Foundation
import ProcessInspection
import Testing
import TwelveFSCommand

import struct TestSupport.ShownStatements

@Suite struct StateDirectoryTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    private func refusal(_ path: String) -> String? {
        #expect(throws: CommandFailure.self) { try StateDirectory.prepare(path) }?.description
    }

    @Test func missingOnesAreMadeForUsAlone() throws {
        let path = scratch.path("a/b/c")
        #expect(try StateDirectory.prepare(path).path == path)
        for step in ["a", "a/b", "a/b/c"] { #expect(try mode(of: scratch.path(step)) == 0o700) }
        #expect(try StateDirectory.prepare(path).path == path)
    }

    @Test func linksOfOursAboveItAreFollowed() throws {
        try scratch.directory("real")
        let link = try scratch.link("link", to: "real")
        #expect(try StateDirectory.prepare("\(link)/state").path == scratch.path("real/state"))
    }

    @Test(arguments: [0o755, 0o710, 0o701, 0o770, 0o777])
    func openOnesAreRefused(_ mode: Int) throws {
        let line = refusal(try scratch.directory("open", mode: mode))
        #expect(line?.contains("open to other users") == true)
        #expect(line?.contains("chmod 700") == true)
    }

    @Test func linkInItsPlaceIsRefused() throws {
        try scratch.directory("real")
        #expect(refusal(try scratch.link("link", to: "real"))?.contains("symbolic link") == true)
        #expect(refusal(try scratch.link("dangling", to: "nowhere"))?.contains("symbolic link") == true)
        #expect(!FileManager.default.fileExists(atPath: scratch.path("nowhere")))
    }

    @Test func fileInItsPlaceOrAboveItIsRefused() throws {
        let file = try scratch.file("file", "")
        #expect(refusal(file)?.contains("not a directory") == true)
        #expect(refusal("\(file)/state")?.contains("not a directory") == true)
    }

    @Test func parentThatAnybodyMayRenameInIsRefused() throws {
        try scratch.directory("everybodys", mode: 0o777)
        #expect(refusal(scratch.path("everybodys/state"))?.contains("every user can rename") == true)
        try scratch.directory("sticky", mode: 0o1777)
        #expect(try StateDirectory.prepare(scratch.path("sticky/state")).path == scratch.path("sticky/state"))
    }

    @Test(.enabled(if: getuid() == 0)) func directoryOrLinkOfAnotherUserIsRefused() throws {
        let directory = try scratch.directory("theirs")
        #expect(chown(directory, 12345, 12345) == 0)
        #expect(refusal(directory)?.contains("belongs to another user (uid 12345)") == true)
        try scratch.directory("real")
        let link = try scratch.link("link", to: "real")
        #expect(lchown(link, 12345, 12345) == 0)
        #expect(refusal("\(link)/state")?.contains("symbolic link of another user") == true)
        #expect(!FileManager.default.fileExists(atPath: scratch.path("real/state")))
    }

    @Test func placeWhereNothingCanBeMadeIsRefused() {
        #expect(refusal("/proc/twelvefs-state")?.contains("cannot be used") == true)
    }
}

@Suite struct StateLockTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    @Test(.shows("state-one-mount")) func secondMountIsRefusedByName() throws {
        let lock = try StateLock.take(in: scratch.opened(), servingAt: "/mnt/a")
        let failure = #expect(throws: CommandFailure.self) {
            try StateLock.take(in: scratch.opened(), servingAt: "/mnt/b")
        }
        #expect(failure?.message.contains("in use by process \(getpid()), which serves /mnt/a") == true)
        #expect(try StateLock.holder(in: scratch.opened())?.mountPoint == "/mnt/a")
        #expect(try StateLock.holder(in: scratch.opened())?.isRunning == true)
        #expect(try mode(of: scratch.path("lock")) == 0o600)
        withExtendedLifetime(lock) {}
    }

    @Test func lockEndsWithItsHolder() throws {
        do {
            let lock = try StateLock.take(in: scratch.opened(), servingAt: "/mnt/a")
            withExtendedLifetime(lock) {}
        }
        // The file still names the last holder; without the lock that means nothing.
        #expect(try StateLock.holder(in: scratch.opened()) == nil)
        let next = try StateLock.take(in: scratch.opened(), servingAt: "/a much longer mount point")
        withExtendedLifetime(next) {}
        let short = try ScratchDirectory()
        #expect(try StateLock.holder(in: short.opened()) == nil)
    }

    @Test func shorterRecordReplacesALongerOne() throws {
        do { _ = try StateLock.take(in: scratch.opened(), servingAt: "/mnt/" + String(repeating: "x", count: 200)) }
        let lock = try StateLock.take(in: scratch.opened(), servingAt: "/b")
        #expect(try StateLock.holder(in: scratch.opened())?.mountPoint == "/b")
        withExtendedLifetime(lock) {}
    }

    @Test func linkInTheLocksPlaceIsNotFollowed() throws {
        let victim = try scratch.file("victim", "precious")
        _ = try scratch.link("lock", to: victim)
        #expect(throws: CommandFailure.self) { try StateLock.take(in: scratch.opened(), servingAt: "/mnt/a") }
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
    }

    @Test func pidThatWasGivenAnewIsToldApart() throws {
        let start = try #require(ProcessClock.startTime(of: getpid()))
        #expect(ServerRecord(pid: getpid(), startTime: start, mountPoint: "/").isRunning == true)
        #expect(ServerRecord(pid: getpid(), startTime: start + 1, mountPoint: "/").isRunning == false)
        #expect(ProcessClock.startTime(of: Int32.max) == nil)
    }

    @Test func numberOfAnotherPidNamespaceTellsNothing() throws {
        let start = try #require(ProcessClock.startTime(of: getpid()))
        let theirs = ServerRecord(pid: getpid(), startTime: start, mountPoint: "/", pidNamespace: 1)
        #expect(theirs.isRunning == nil)
        #expect(theirs.words.contains("of another pid namespace"))
    }

    @Test func stateFilesAreReplacedWholeAndNeverThroughLinks() throws {
        let victim = try scratch.file("victim", "precious")
        _ = try scratch.link("last-stop.json", to: victim)
        let path = try StopRecord.file(in: scratch.opened())
        let record = StopRecord(pid: 1, startTime: 2, outcome: DrainOutcome(resumable: 3, unfinished: 4))
        #expect(StateFile.read(StopRecord.self, from: path) == nil)
        try StateFile.write(record, to: path)
        #expect(StateFile.read(StopRecord.self, from: path) == record)
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
        #expect(record.outcome.status == .resumable)
        #expect(DrainOutcome(unfinished: 9).status == .success)
        #expect(DrainOutcome(undecided: ["a.mp4"]).status == .resumable)
        try scratch.file("garbage", "{")
        #expect(try StateFile.read(StopRecord.self, from: scratch.opened().file("garbage")) == nil)
    }
}
