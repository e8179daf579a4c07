import Foundation
import TestSupport
import Testing

extension Mounted {
    /// The state directory disappears under the running mount.
    @Suite struct LostState {
        /// What became of it.
        enum Loss: Sendable, CaseIterable {
            case removed, replacedByAnEmptyOne, movedAway
        }

        private func lose(_ stage: Stage, _ loss: Loss) throws {
            let path = stage.mount.stateDirectory
            switch loss {
            case .removed: try FileManager.default.removeItem(atPath: path)
            case .replacedByAnEmptyOne:
                try FileManager.default.removeItem(atPath: path)
                guard mkdir(path, 0o700) == 0 else { throw SystemFailure(call: "mkdir", path: path, code: errno) }
            case .movedAway: try FileManager.default.moveItem(atPath: path, toPath: "\(path)-elsewhere")
            }
        }

        @Test(.shows("state-lost"), arguments: Loss.allCases)
        func newFilesAreRefusedAndTheMountAnswers(loss: Loss) async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 6_000_000)
                let video = stage.mount.appending("video.mp4")
                #expect(try await run("cp", source, video).succeeded)
                try lose(stage, loss)
                // Nothing that would be forgotten is accepted; not at once where the loss is yet to be noticed.
                let copy = try await run("cp", source, stage.mount.appending("next.mp4"))
                if loss != .movedAway { #expect(copy.errors.contains("Input/output error"), "\(copy)") }
                let another = try await run("cp", source, stage.mount.appending("another.mp4"))
                #expect(another.errors.contains("Input/output error"), "\(another)")
                #expect(try await stage.assets(named: "another.mp4").isEmpty)
                let isThere = try await !stage.assets(named: "next.mp4").isEmpty
                #expect(isThere == copy.succeeded)
                let log = try String(contentsOfFile: stage.mount.logFile, encoding: .utf8)
                #expect(log.contains("removed or replaced"), "the reason is told")
                // What is open still reads.
                #expect(try await run("cmp", source, video).succeeded)
                #expect(stage.mount.isServed)
                #expect(try await stage.mount.list().contains("video.mp4"))
                try await expectThatItEnds(stage)
            }
        }

        /// Nothing tells the command any more who serves the mount; what it advises instead works.
        private func expectThatItEnds(_ stage: Stage) async throws {
            let unmount = try await stage.mount.unmount()
            #expect(unmount.ending == .exited(1))
            #expect(unmount.errors.contains("fusermount3 -u \(stage.mount.path)"), "\(unmount)")
            #expect(try await run("fusermount3", "-u", stage.mount.path).succeeded)
            try await eventually("no process is left") { !stage.mount.isServed }
        }

        @Test(.shows("state-lost-close"), arguments: Loss.allCases)
        func aCloseSucceedsWhenEveryByteReachedThePlatformAllTheSame(loss: Loss) async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.holdUploads()
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(12_000_000) == "ok")
                try lose(stage, loss)
                try writer.beginClose()
                try await stage.mount.await("finishing", of: "video.mp4")
                try await stage.sandbox.releaseUploads()
                #expect(try await writer.result() == "ok")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test(arguments: Loss.allCases)
        func noPromiseIsMade(loss: Loss) async throws {
            try await withMount(["--close-mode", "spool", "--drain-timeout", "1s"]) { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.holdUploads()
                let writer = try await StepwiseWriter.start(
                    source, stage.mount.appending("video.mp4"), in: stage.scratch)
                #expect(try await writer.write(12_000_000) == "ok")
                #expect(try await writer.fsync() == "ok")
                try lose(stage, loss)
                #expect(try await writer.fsync() == "EIO")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(
                    status.error?.message.contains("removed or replaced") == true, "\(status.error?.message ?? "-")")
                #expect(try await writer.close() == "EIO")
                #expect(try await stage.mount.status(of: "video.mp4").state == "finishing")
                try await expectThatItEnds(stage)
                #expect(try await stage.sandbox.completeAssets().isEmpty)
            }
        }
    }
}
