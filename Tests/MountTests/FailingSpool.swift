import Foundation
import TestSupport
import Testing

extension Mounted {
    /// The disk under the spool fails: writers are told so, and nothing that could not be read or kept is called complete.
    @Suite struct FailingSpool {
        private func withMount(
            _ arguments: [String] = [], _ body: (Stage, FailingDisk) async throws -> Void
        ) async throws {
            try await withScratch { scratch in
                try await FailingDisk.with(in: scratch) { path, disk in
                    try await withSandbox(scratch: scratch) { sandbox in
                        var options = try mountOptions(in: scratch, sandbox: sandbox)
                        options.stateDirectory = "\(path)/state"
                        options.arguments = arguments
                        try await TestSupport.withMount(options) { mount in
                            try await body(Stage(scratch: scratch, sandbox: sandbox, mount: mount), disk)
                        }
                    }
                }
            }
        }

        @Test(.shows("close-refused-write", "disk-write-failed")) func aWriteThatTheDiskRefusesIsAnErrorAtThatWrite()
            async throws
        {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 12_000_000)
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(7_000_000) == "ok")
                disk.fail(.write, of: .spool)
                #expect(try await writer.write(5_000_000) == "EIO")
                #expect(try await writer.close() == "EIO")
                let status = try await expectInterrupted("video.mp4", on: stage)
                #expect(
                    status.error?.message.contains("the spool's disk failed") == true, "\(status.error?.message ?? "-")"
                )
                disk.heal()
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test func aFileThatCannotBeMadeIsAnErrorAtItsFirstWriteAndAtItsClose() async throws {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                disk.fail(.create, of: .spool)
                #expect(try await writer.write(1_000_000) == "EIO")
                #expect(try await writer.close() == "EIO")
                disk.heal()
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                #expect(try await run("cp", source, stage.mount.appending("video.mp4")).succeeded)
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        /// Where nothing new can be begun, what is there is kept.
        @Test(.shows("replace-refused")) func anOverwriteThatCannotBeBegunLeavesTheUploadAlone() async throws {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                try await stage.sandbox.holdUploads()
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(6_000_000) == "ok")
                try writer.beginClose()
                try await stage.mount.await("finishing", of: "video.mp4")
                disk.fail(.create, of: .spool)
                let overwrite = try await stage.shellInMount("> video.mp4")
                #expect(overwrite.errors.contains("Input/output error"), "\(overwrite)")
                try await stage.sandbox.releaseUploads()
                #expect(try await writer.result() == "ok")
                disk.heal()
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test(.shows("fsync-failed")) func anFsyncThatFailsIsToldAndALaterOneIsNoSuccess() async throws {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(6_000_000) == "ok")
                disk.fail(.sync, of: .spool)
                #expect(try await writer.fsync() == "EIO")
                disk.heal()
                #expect(try await writer.fsync() == "EIO", "the kernel tells a lost write only once")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(!status.durable)
                #expect(status.error?.message.contains("the spool's disk failed: fdatasync") == true)
                #expect(status.state == "open")
                #expect(try await writer.close() == "ok", "the platform has every byte")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                #expect(try await stage.mount.status(of: "video.mp4").error == nil)
            }
        }

        @Test(.shows("close-disk-failed"), arguments: [FailingDisk.Part.spool, .journal])
        func aCloseThatPromisesTheDiskFailsWithItAndTheUploadGoesOn(part: FailingDisk.Part) async throws {
            try await withMount(["--close-mode", "spool"]) { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                try await stage.sandbox.holdUploads()
                #expect(try await writer.write(6_000_000) == "ok")
                disk.fail(.sync, of: part)
                #expect(try await writer.close() == "EIO")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.state == "finishing")
                #expect(!status.durable)
                let words = part == .spool ? "the spool's disk failed" : "the journal could not be written"
                #expect(status.error?.message.contains(words) == true, "\(status.error?.message ?? "-")")
                disk.heal()
                try await stage.sandbox.releaseUploads()
                #expect(try await stage.mount.await("completed", of: "video.mp4").error == nil)
                try await expectOneAsset("video.mp4", like: source, on: stage)
                #expect(try await run("cp", source, stage.mount.appending("next.mp4")).succeeded)
                try await stage.mount.await("completed", of: "next.mp4")
            }
        }

        @Test(.shows("disk-read-failed")) func whatCannotBeReadBackIsNotSentAndTheCloseFails() async throws {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(3_000_000) == "ok")
                disk.fail(.read, of: .spool)
                #expect(try await writer.write(3_000_000) == "ok")
                #expect(try await writer.close() == "EIO")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.state == "failed")
                let message = status.error?.message ?? "-"
                #expect(message.contains("the spool's disk failed: read"), "\(message)")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                disk.heal()
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test func aFinishedFileThatCannotBeReadIsAnError() async throws {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                #expect(try await run("cp", source, stage.mount.appending("video.mp4")).succeeded)
                disk.fail(.read, of: .spool)
                let read = try await run("cat", stage.mount.appending("video.mp4"))
                #expect(read.errors.contains("Input/output error"), "\(read.errors)")
                disk.heal()
                #expect(try await run("cmp", source, stage.mount.appending("video.mp4")).succeeded)
            }
        }

        /// Nothing is accepted that would be forgotten at once.
        @Test(.shows("disk-journal-failed"), arguments: [EIO, EROFS])
        func aJournalThatCannotBeWrittenRefusesPromisesAndNewFiles(errno: Int32) async throws {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(6_000_000) == "ok")
                disk.fail(.write, .sync, of: .journal, with: errno)
                #expect(try await writer.fsync() == "EIO")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.error?.message.contains("the journal could not be written") == true)
                let copy = try await run("cp", source, stage.mount.appending("next.mp4"))
                #expect(copy.errors.contains("Input/output error"), "\(copy)")
                disk.heal()
                #expect(try await writer.fsync() == "ok")
                #expect(try await stage.mount.status(of: "video.mp4").durable)
                #expect(try await writer.close() == "ok")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        /// The upload goes on; that its bytes are safe is not claimed.
        @Test func aCloseThatIsInterruptedOnSuchADiskClaimsNothing() async throws {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                try await stage.sandbox.holdUploads()
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(6_000_000) == "ok")
                disk.fail(.write, .sync, of: .journal)
                try writer.beginClose()
                try await stage.mount.await("finishing", of: "video.mp4")
                writer.signal(SIGTERM)
                try await eventually("the status tells why it is not safe") {
                    let status = try await stage.mount.status(of: "video.mp4")
                    return status.error?.message.contains("the journal could not be written") == true
                        && !status.durable && status.state == "finishing"
                }
                disk.heal()
                try await stage.sandbox.releaseUploads()
                try await stage.mount.await("completed", of: "video.mp4")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }
    }
}
