import Foundation
import TestSupport
import Testing

extension Mounted {
    /// What survives when twelvefs is killed, and when it is not: the next mount goes on.
    @Suite struct Resumed {
        /// Runs `body` with a temporary folder and a sandbox; mounts are for it to make.
        private func withPlace(
            _ sandboxOptions: [String] = ["--chunk-size", "1MiB"],
            _ body: (Scratch, SandboxProcess, MountOptions) async throws -> Void
        ) async throws {
            try await withScratch { scratch in
                try await withSandbox(sandboxOptions, scratch: scratch) { sandbox in
                    try await body(scratch, sandbox, try mountOptions(in: scratch, sandbox: sandbox))
                }
            }
        }

        @Test(.shows("restart-recovers", "restart-usable"))
        func aCommittedFileIsFinishedByTheNextMountAndNoStoredChunkIsSentTwice() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 10_500_000)
                try await sandbox.inject(Fault(on: .put, count: 1_000_000, skip: 4, .hang))
                var before = 0
                var known: [Int?] = []
                try await withMount(options) { mount in
                    let copy = try await start(Tool("cp", [source, mount.appending("video.mp4")]))
                    try await eventually("four chunks are stored and the file is closed") {
                        let status = try await mount.status(of: "video.mp4")
                        return status.state == "finishing" && status.chunksUploaded == 4
                    }
                    // The record of a chunk is allowed a moment: then it is there to be read.
                    try await journalAnswers(
                        "4", to: "select count(*) from chunks, uploads where state = 'finishing'",
                        in: options.stateDirectory)
                    try await mount.crash()
                    let journal = try await sandbox.journal()
                    before = journal.requests.count
                    known = journal.storedPuts.map(\.chunkIndex)
                    let outcome = try await copy.finished()
                    #expect(!outcome.succeeded, "its close was not confirmed")
                }
                try await sandbox.clearFaults()
                try await withMount(options) { mount in
                    // The mount is usable at once, and the file is there while its upload goes on.
                    #expect(try await mount.list() == ["video.mp4"])
                    try await mount.await("completed", of: "video.mp4")
                    #expect(try await TestFile.sha256(of: mount.appending("video.mp4")) == TestFile.sha256(of: source))
                }
                let assets = try await sandbox.completeAssets()
                #expect(assets.map(\.sha256) == [try await TestFile.sha256(of: source)])
                let journal = try await sandbox.journal()
                #expect(journal.sessions.count == 1)
                #expect(known.count == 4)
                let later = journal.requests.dropFirst(before).filter { $0.kind == .put }.map(\.chunkIndex)
                #expect(later.count >= 6, "each of the others at least once")
                #expect(later.allSatisfy { !known.contains($0) }, "a stored chunk was sent again: \(later)")
            }
        }

        /// Waits until the journal in a state directory gives an answer, asked as anybody could.
        private func journalAnswers(_ answer: String, to query: String, in stateDirectory: String) async throws {
            try await eventually("the journal answers \(answer) to: \(query)") {
                let outcome = try await run(
                    "python3", "-c",
                    "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])",
                    "\(stateDirectory)/journal.sqlite", query)
                return outcome.output.trimmingCharacters(in: .whitespacesAndNewlines) == answer
            }
        }

        @Test(.shows("restart-tree"), arguments: [["-a"], ["-a", "--inplace"]])
        func rsyncTransfersNothingAfterTheMountWasKilled(options rsync: [String]) async throws {
            try await withPlace { scratch, sandbox, options in
                let shoot = try scratch.folder("shoot/day 1/Größe")
                for number in 1...3 {
                    try await TestFile.random(
                        at: "\(shoot)/clip \(number).mp4", size: 700_000 * number, seed: UInt64(number))
                }
                try await TestFile.random(at: "\(scratch.appending("shoot"))/top.mp4", size: 100_000, seed: 9)
                chmod("\(shoot)/clip 1.mp4", 0o640)
                // Dates of long ago: they have to be kept, not made.
                let dated = try await shell(
                    #"find "$1" -exec touch -d '2001-02-03 04:05:06' {} +"#, scratch.appending("shoot"))
                #expect(dated.succeeded, "\(dated)")
                let source = scratch.appending("shoot") + "/"
                var listing = ""
                try await withMount(options) { mount in
                    let first = try await run(Tool("rsync", rsync + [source, mount.appending("shoot")]))
                    #expect(first.succeeded, "\(first)")
                    listing = try await self.listing(mount)
                    try await mount.crash()
                }
                let before = try await sandbox.journal().requests.count
                try await withMount(options) { mount in
                    #expect(try await self.listing(mount) == listing)
                    let second = try await run(
                        Tool("rsync", rsync + ["--itemize-changes", "--stats", source, mount.appending("shoot")]))
                    #expect(second.succeeded, "\(second)")
                    #expect(second.output.contains("Number of regular files transferred: 0"), "\(second)")
                    #expect(!second.output.contains("<f") && !second.output.contains(">f"), "\(second)")
                    // Their bytes are still read from the spool.
                    let compared = try await run("diff", "-r", source, mount.appending("shoot"))
                    #expect(compared.succeeded, "\(compared)")
                }
                #expect(try await sandbox.completeAssets().count == 4)
                let after = try await sandbox.journal().requests.dropFirst(before)
                #expect(after.allSatisfy { $0.kind == .list || $0.kind == .asset }, "\(Array(after))")
            }
        }

        private func listing(_ mount: Mount) async throws -> String {
            let outcome = try await run(
                "find", mount.appending("shoot"), "-printf", "%P %y %m %s %T@ %U %G\n")
            #expect(outcome.succeeded, "\(outcome)")
            return outcome.output.split(separator: "\n").sorted().joined(separator: "\n")
        }

        @Test(.shows("restart-interrupted")) func whatWasBeingWrittenIsInterruptedAndNotListed() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 60_000_000)
                try await withMount(options) { mount in
                    let copy = try await start(PacedCopy.tool(source, mount.appending("video.mp4"), rate: 10_000_000))
                    try await eventually("some of it is written") {
                        try await mount.status(of: "video.mp4").bytesWritten > 3_000_000
                    }
                    try await mount.crash()
                    copy.killGroup()
                    _ = try await copy.finished()
                }
                try await withMount(options) { mount in
                    #expect(try await mount.list().isEmpty)
                    let status = try await mount.status(of: "video.mp4")
                    #expect(status.state == "interrupted")
                    #expect(status.error?.message.contains("while the file was being written") == true)
                    #expect(try await sandbox.completeAssets().isEmpty)
                    // The name is free for another try.
                    let again = try await run("cp", source, mount.appending("video.mp4"))
                    #expect(again.succeeded, "\(again)")
                }
                #expect(try await sandbox.completeAssets().count == 1)
            }
        }

        @Test func whatWasRemovedStaysRemovedAndWhatWasRenamedHasItsNewName() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 300_000)
                try await withMount(options) { mount in
                    let outcome = try await shell(
                        #"""
                        set -e; cd "$2"; cp "$1" a.mp4; cp "$1" b.mp4; cp "$1" c.mp4; mkdir -p d/e f
                        rm a.mp4; mv b.mp4 d/e/renamed.mp4; mv d D; rmdir f; echo note > .DS_Store; cp "$1" c.mp4
                        """#, source, mount.path)
                    #expect(outcome.succeeded, "\(outcome)")
                    try await mount.crash()
                }
                try await withMount(options) { mount in
                    #expect(try await mount.list() == [".DS_Store", "D", "c.mp4"])
                    #expect(try await mount.list("D/e") == ["renamed.mp4"])
                    #expect(String(decoding: try await mount.read(".DS_Store"), as: UTF8.self) == "note\n")
                    #expect(try await mount.status(of: "D/e/renamed.mp4").state == "completed")
                    let compared = try await run("cmp", source, mount.appending("D/e/renamed.mp4"))
                    #expect(compared.succeeded, "\(compared)")
                    // What is listed can be worked with as ever.
                    let worked = try await shell(
                        #"set -e; cd "$1"; mv D/e/renamed.mp4 c.mp4; rm -r D; cat c.mp4 > /dev/null"#, mount.path)
                    #expect(worked.succeeded, "\(worked)")
                }
                try await withMount(options) { mount in
                    let listed = try await mount.list()
                    #expect(listed == [".DS_Store", "c.mp4"])
                }
                #expect(try await sandbox.completeAssets().count == 4)
            }
        }

        @Test(.shows("journal-damaged", "journal-orphans")) func aDamagedJournalIsSetAsideAndTheMountSaysSo()
            async throws
        {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 300_000)
                try await withMount(options) { mount in
                    let copy = try await run("cp", source, mount.path)
                    #expect(copy.succeeded, "\(copy)")
                    let unmounted = try await mount.unmount()
                    #expect(unmounted.succeeded, "\(unmounted)")
                }
                try Data("no database".utf8).write(to: URL(fileURLWithPath: "\(options.stateDirectory)/journal.sqlite"))
                try await withMount(options) { mount in
                    #expect(try await mount.list().isEmpty)
                    let log = try String(contentsOfFile: mount.logFile, encoding: .utf8)
                    #expect(log.contains("journal-damaged-1.sqlite"))
                    let orphans = try FileManager.default.contentsOfDirectory(
                        atPath: "\(options.stateDirectory)/orphans")
                    #expect(orphans.count == 1, "its bytes are not deleted")
                    let copy = try await run("cp", source, mount.path)
                    #expect(copy.succeeded, "\(copy)")
                }
            }
        }

        @Test(.shows("restart-usable")) func aPlatformThatIsAwayDoesNotKeepAMountFromGoingOnLater() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 3_000_000)
                try await sandbox.holdUploads()
                try await withMount(options) { mount in
                    let copy = try await start(Tool("cp", [source, mount.appending("video.mp4")]))
                    try await mount.await("finishing", of: "video.mp4")
                    try await journalAnswers("finishing", to: "select state from uploads", in: options.stateDirectory)
                    try await mount.crash()
                    _ = try await copy.finished()
                }
                await sandbox.kill()
                try await withMount(options) { mount in
                    #expect(try await mount.status(of: "video.mp4").state == "finishing")
                    try await sandbox.startAgain()
                    try await mount.await("completed", of: "video.mp4", timeout: .seconds(120))
                }
                #expect(try await sandbox.completeAssets().count == 1)
            }
        }

        /// Ctrl-C answers the close at once; what was accepted is safe all the same.
        @Test(.shows("close-interrupted")) func aCloseThatWasInterruptedIsMadeDurableAndSurvives() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 3_000_000)
                try await sandbox.holdUploads()
                try await withMount(options) { mount in
                    let copy = try await start(Tool("cp", [source, mount.appending("video.mp4")]))
                    try await mount.await("finishing", of: "video.mp4")
                    copy.signal(SIGINT)
                    let outcome = try await copy.finished()
                    #expect(outcome.ending == .signalled(SIGINT), "\(outcome)")
                    try await eventually("its bytes are on disk") { try await mount.status(of: "video.mp4").durable }
                    try await mount.crash()
                }
                try await sandbox.releaseUploads()
                try await withMount(options) { mount in
                    let status = try await mount.await("completed", of: "video.mp4")
                    #expect(status.durable)
                }
                #expect(try await sandbox.completeAssets().map(\.sha256) == [try await TestFile.sha256(of: source)])
            }
        }

        @Test(.shows("interrupted-fsynced", "fsync"))
        func whatAWriterSyncedBeforeItDiedIsKeptThoughOtherInterruptedFilesAreNot() async throws {
            try await withPlace { scratch, _, options in
                var options = options
                options.arguments += ["--keep-interrupted", "1s"]
                try await withMount(options) { mount in
                    let writer = try await start(
                        Tool(
                            "python3",
                            [
                                "-c",
                                """
                                import os, sys, time
                                one, two = (os.open(name, os.O_WRONLY | os.O_CREAT) for name in sys.argv[1:])
                                os.write(one, b"synced" * 1000); os.fsync(one)
                                os.write(two, b"not synced" * 1000)
                                print("written", flush=True); time.sleep(600)
                                """, mount.appending("synced.mp4"), mount.appending("other.mp4"),
                            ]))
                    try await eventually("both are written") { writer.outputSoFar.contains("written") }
                    try await journalAnswers("2", to: "select count(*) from uploads", in: options.stateDirectory)
                    try await mount.crash()
                    writer.killGroup()
                    _ = try await writer.finished()
                }
                try await withMount(options) { mount in
                    #expect(try await mount.status(of: "synced.mp4").state == "interrupted")
                    try await journalAnswers(
                        "synced.mp4", to: "select filename from uploads", in: options.stateDirectory)
                    try await journalAnswers("1", to: "select count(*) from uploads", in: options.stateDirectory)
                    let kept = try FileManager.default.contentsOfDirectory(atPath: "\(options.stateDirectory)/spool")
                    #expect(kept.count == 1)
                    #expect(try await mount.status(of: "synced.mp4").durable)
                }
            }
        }

        @Test func theJournalHoldsNeitherTheKeyNorAPresignedURL() async throws {
            try await withPlace { scratch, sandbox, options in
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 5_000_000)
                try await sandbox.inject(Fault(on: .put, count: 1_000_000, skip: 2, .hang))
                try await withMount(options) { mount in
                    let copy = try await start(Tool("cp", [source, mount.appending("video.mp4")]))
                    try await journalAnswers(
                        "2", to: "select count(*) from chunks, uploads where state = 'finishing'",
                        in: options.stateDirectory)
                    let session = try #require(try await mount.status(of: "video.mp4").uploadId)
                    func matches(_ text: String) async throws -> String {
                        try await shell(
                            #"cat "$1"/journal.sqlite* | grep -c -a -F -e "$2" || true"#, options.stateDirectory, text
                        ).output
                    }
                    #expect(try await matches(session) != "0\n", "the search finds what is there")
                    for secret in [SandboxProcess.key, "X-Amz-Signature", "/_store/", "serial="] {
                        #expect(try await matches(secret) == "0\n", "\(secret)")
                    }
                    copy.signal(SIGINT)
                    _ = try await copy.finished()
                }
            }
        }

        // MARK: Closing into the spool

        @Test(.shows("close-spool")) func inSpoolModeACloseIsAnsweredWhileNothingReachesThePlatform() async throws {
            try await withPlace { scratch, sandbox, options in
                var options = options
                options.arguments += ["--close-mode", "spool"]
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 5_500_000)
                try await sandbox.holdUploads()
                try await withMount(options) { mount in
                    let copy = try await run("cp", source, mount.appending("video.mp4"))
                    #expect(copy.succeeded, "\(copy)")
                    let status = try await mount.status(of: "video.mp4")
                    #expect(status.state == "finishing")
                    #expect(status.durable)
                    let summary = try await mount.read(".status/summary.json")
                    #expect(String(decoding: summary, as: UTF8.self).contains(#""close_mode": "spool""#))
                    try await mount.crash()
                }
                #expect(try await sandbox.completeAssets().isEmpty)
                try await sandbox.releaseUploads()
                try await withMount(options) { mount in
                    let status = try await mount.await("completed", of: "video.mp4")
                    #expect(status.durable)
                }
                #expect(try await sandbox.completeAssets().map(\.sha256) == [try await TestFile.sha256(of: source)])
            }
        }

        @Test(.shows("rename-spool")) func inSpoolModeRsyncsRenameIsAnsweredAtOnceToo() async throws {
            try await withPlace { scratch, sandbox, options in
                var options = options
                options.arguments += ["--close-mode", "spool"]
                let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 3_500_000)
                try await sandbox.holdUploads()
                try await withMount(options) { mount in
                    let copy = try await run("rsync", "-a", source, mount.path + "/")
                    #expect(copy.succeeded, "\(copy)")
                    #expect(try await mount.list() == ["video.mp4"])
                    try await mount.crash()
                }
                try await sandbox.releaseUploads()
                try await withMount(options) { mount in
                    #expect(try await mount.list() == ["video.mp4"])
                    try await mount.await("completed", of: "video.mp4")
                }
                #expect(try await sandbox.completeAssets().map(\.filename) == ["video.mp4"])
            }
        }
    }
}
