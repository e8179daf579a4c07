import Foundation
import TestSupport
import Testing

extension Mounted {
    /// The disk under the spool fills up: writers are told so, nothing is called complete, and the mount lives on.
    @Suite(.enabled(if: geteuid() == 0, "a disk of its own needs root")) struct SpoolDisk {
        /// Runs `body` with a mount whose state directory has a small disk of its own.
        private func withMount(
            _ arguments: [String] = [], sandbox sandboxOptions: [String] = [], logsToTheDisk: Bool = false,
            _ body: (Stage, SmallDisk) async throws -> Void
        ) async throws {
            try await withScratch { scratch in
                try await withSmallDisk("64m", in: scratch) { disk in
                    try await withSandbox(sandboxOptions, scratch: scratch) { sandbox in
                        var options = try mountOptions(in: scratch, sandbox: sandbox)
                        options.stateDirectory = "\(disk.path)/state"
                        if logsToTheDisk { options.logFile = "\(disk.path)/state/twelvefs.log" }
                        // Far more than the disk has: what runs out is the disk.
                        options.arguments = ["--spool-limit", "1GiB"] + arguments
                        try await TestSupport.withMount(options) { mount in
                            try await body(Stage(scratch: scratch, sandbox: sandbox, mount: mount), disk)
                        }
                    }
                }
            }
        }

        @Test(.shows("space-full"), arguments: [false, true])
        func aDiskThatFillsUpIsToldAtTheWriteAndTheNextFileGoesThrough(logsToTheDisk: Bool) async throws {
            try await withMount(logsToTheDisk: logsToTheDisk) { stage, disk in
                let source = try await stage.source(size: 20_000_000)
                let video = stage.mount.appending("video.mp4")
                let writer = try await StepwiseWriter.start(source, video, in: stage.scratch)
                #expect(try await writer.write(7_000_000) == "ok")
                try await disk.fill()
                #expect(try await writer.write(13_000_000) == "ENOSPC")
                #expect(try await writer.close() == "EIO")
                let status = try await stage.mount.await("interrupted", of: "video.mp4")
                #expect(
                    status.error?.message.contains("the spool is full") == true, "\(String(describing: status.error))")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                // Nothing else has space either, not even what is to be remembered of it.
                let copy = try await run("cp", source, stage.mount.appending("next.mp4"))
                #expect(copy.errors.contains("No space left on device"), "\(copy)")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                disk.makeSpace()
                try await expectThatTheMountLivesOn(stage)
                #expect(try await run("cp", source, video).succeeded)
                #expect(try await stage.assets(named: "video.mp4").count == 1)
            }
        }

        /// Where the disk takes it; what stays here has no other limit.
        @Test func aFileAsLongAsFilesCanBeIsListed() async throws {
            try await withMount(["--other-files", "keep"]) { stage, _ in
                let (file, size) = (stage.mount.appending("notes.txt"), Int64.max)
                let truncation = try await run("truncate", "-s", "\(size)", file)
                #expect(truncation.succeeded, "\(truncation)")
                let status = try await run("stat", "-c", "%s", file)
                #expect(status.output == "\(size)\n", "\(status)")
                try await expectThatTheMountLivesOn(stage)
            }
        }

        /// Where durability is all that was asked for, a disk with no space for the journal is not called success.
        @Test(.shows("fsync-no-space")) func anFsyncWithoutSpaceForTheJournalFailsAndOneWithSpaceDoesNot() async throws
        {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(6_000_000) == "ok")
                try await disk.fill()
                #expect(try await writer.fsync() == "ENOSPC")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(!status.durable)
                #expect(status.error?.message.contains("the journal's disk is full") == true)
                disk.makeSpace()
                #expect(try await writer.fsync() == "ok")
                #expect(try await stage.mount.status(of: "video.mp4").durable)
                #expect(try await stage.mount.status(of: "video.mp4").error == nil)
                #expect(try await writer.close() == "ok")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test func aCloseThatPromisesTheDiskFailsWhenThatIsFullAndTheUploadGoesOn() async throws {
            try await withMount(["--close-mode", "spool"]) { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                try await stage.sandbox.holdUploads()
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(6_000_000) == "ok")
                try await disk.fill()
                #expect(try await writer.close() == "ENOSPC")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.state == "finishing")
                #expect(!status.durable)
                #expect(status.error?.message.contains("the journal's disk is full") == true)
                try await stage.sandbox.releaseUploads()
                #expect(try await stage.mount.await("completed", of: "video.mp4").error == nil)
                try await expectOneAsset("video.mp4", like: source, on: stage)
                disk.makeSpace()
                #expect(try await run("cp", source, stage.mount.appending("next.mp4")).succeeded)
                try await stage.mount.await("completed", of: "next.mp4")
            }
        }

        @Test func aCloseThatPromisesTheUploadSucceedsOnAFullDisk() async throws {
            try await withMount { stage, disk in
                let source = try await stage.source(size: 6_000_000)
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(6_000_000) == "ok")
                try await disk.fill()
                #expect(try await writer.close() == "ok", "the platform has every byte")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                disk.makeSpace()
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test func whatWasFinishedOnAFullDiskIsThereAfterTheNextMount() async throws {
            try await withScratch { scratch in
                try await withSmallDisk("64m", in: scratch) { disk in
                    try await withSandbox(scratch: scratch) { sandbox in
                        var options = try mountOptions(in: scratch, sandbox: sandbox)
                        options.stateDirectory = "\(disk.path)/state"
                        options.arguments = ["--spool-limit", "1GiB"]
                        let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 6_000_000)
                        try await TestSupport.withMount(options) { mount in
                            let writer = try await StepwiseWriter.start(
                                source, mount.appending("video.mp4"), in: scratch)
                            #expect(try await writer.write(6_000_000) == "ok")
                            try await disk.fill()
                            #expect(try await writer.close() == "ok")
                            disk.makeSpace()
                            #expect(try await mount.unmount().succeeded)
                        }
                        try await TestSupport.withMount(options) { mount in
                            let listed = try await mount.list()
                            #expect(listed == ["video.mp4"])
                            let compared = try await run("cmp", source, mount.appending("video.mp4"))
                            #expect(compared.succeeded, "\(compared)")
                        }
                        #expect(try await sandbox.completeAssets().count == 1)
                    }
                }
            }
        }
    }
}
