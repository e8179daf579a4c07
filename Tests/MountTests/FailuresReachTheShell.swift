import Foundation
import TestSupport
import Testing

extension Mounted {
    /// A copy that fails at the platform fails in the shell, and the status says why.
    @Suite struct FailuresReachTheShell {
        @Test func aPlatformThatIsDownFailsTheCopyAndTheUploadCompletesOnceItIsBack() async throws {
            try await withMount(["--stall-timeout", "5s"]) { stage in
                let source = try await stage.source(size: 8_000_000)
                try await stage.sandbox.stop()
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(!copy.succeeded)
                #expect(copy.errors.contains("Input/output error"), "\(copy)")
                let stalled = try await stage.mount.status(of: "video.mp4")
                #expect(stalled.state == "finishing")
                #expect(stalled.waitingFor == "network")
                #expect(stalled.error?.message.isEmpty == false)

                try await stage.sandbox.startAgain()
                let done = try await stage.mount.await("completed", of: "video.mp4")
                #expect(done.error == nil)
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }

        @Test(.shows("mount-key-refused")) func aWrongKeyRefusesTheMount() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    var options = try mountOptions(in: scratch, sandbox: sandbox)
                    options.apiKey = "not-the-key"
                    let mount = try await run(options.tool)
                    #expect(!mount.succeeded)
                    #expect(mount.errors.localizedStandardContains("key"), "\(mount)")
                    #expect(!mount.errors.contains("not-the-key"))
                    #expect(!MountedPaths.contains(options.mountPoint))
                    try await eventually("no process is left") {
                        RunningProcesses.server(of: options.mountPoint) == nil
                    }
                }
            }
        }

        @Test(.shows("error-invalid", "error-reason")) func aRefusedSessionIsAnInvalidArgument() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 8_000_000)
                let body = #"{"code":"parameter_invalid","message":"The filename has been taken by the fairies."}"#
                try await stage.sandbox.inject(Fault(on: .create, count: 100, .status(400, body: body)))
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(!copy.succeeded)
                #expect(copy.errors.contains("Invalid argument"), "\(copy)")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.state == "failed")
                #expect(status.error?.code == "parameter_invalid")
                #expect(status.error?.message.contains("taken by the fairies") == true)
                #expect(status.error?.httpStatus == 400)
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test(.shows("error-too-large")) func overTheLimitTheFirstByteTooManyIsRefused() async throws {
            try await withMount(["--max-file-size", "20MiB"], sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 24 << 20)
                let outcome = try await shell(
                    "cat \"$1\" | python3 \"$3\" - \"$2\" --block 4096", source, stage.mount.appending("video.mp4"),
                    "\(BuildProducts.tools)/paced_copy.py")
                let copy = try PacedCopy.decode(outcome)
                #expect(copy.error == "EFBIG")
                #expect(copy.errorIn == "write")
                #expect(copy.written == 20 << 20)
                let status = try await stage.mount.await("interrupted", of: "video.mp4")
                #expect(status.error?.message.isEmpty == false)
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test func cpOfAFileOverTheLimitSaysSo() async throws {
            try await withMount(["--max-file-size", "20MiB"]) { stage in
                let source = try await stage.source(size: 24 << 20)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(!copy.succeeded)
                #expect(copy.errors.contains("File too large"), "\(copy)")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test func aFileOverThePlatformsOwnLimitIsTooLarge() async throws {
            try await withMount(sandbox: ["--max-file-size", "8MiB"]) { stage in
                let source = try await stage.source(size: 12 << 20)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(!copy.succeeded)
                #expect(copy.errors.contains("File too large"), "\(copy)")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.error?.code == "parameter_invalid")
                #expect(status.error?.httpStatus == 400)
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test func aCopyIsToldWhileItWritesThatThePlatformRefusesItsSize() async throws {
            // Held back after each write, for as long as it is not known whether the session opens.
            try await withMount(["--run-ahead", "0"], sandbox: ["--max-file-size", "8MiB"]) { stage in
                let size = 60 << 20
                let copy = try await run("cp", try await stage.source(size: size), stage.mount.path)
                #expect(!copy.succeeded)
                #expect(copy.errors.contains("error writing"), "\(copy)")
                #expect(copy.errors.contains("File too large"), "\(copy)")
                let status = try await expectInterrupted("video.mp4", on: stage)
                #expect(status.bytesWritten < size)
                #expect(status.error?.code == "parameter_invalid")
                #expect(status.error?.message.contains("total_size") == true, "the platform's words")
                #expect(status.error?.httpStatus == 400)
                #expect(status.error?.hint?.contains("too large") == true)
                let journal = try await stage.sandbox.journal()
                #expect(journal.requests(.create).count == 1)
                #expect(journal.requests(.put).isEmpty)
                #expect(try await stage.sandbox.assets().isEmpty)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test func aPipeHearsOfAnOverlongFileAtCloseAndASecondTryOfAShorterOneSucceeds() async throws {
            try await withMount(sandbox: ["--max-file-size", "8MiB"]) { stage in
                let source = try await stage.source(size: 12 << 20)
                let script = #"head -c "$3" "$1" | cat > "$2""#
                let target = stage.mount.appending("video.mp4")
                let tooLong = try await shell(script, source, target, "\(12 << 20)")
                #expect(!tooLong.succeeded)
                #expect(tooLong.errors.contains("File too large"), "\(tooLong)")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.error?.message.contains("total_size") == true)
                let shorter = try await shell(script, source, target, "\(8 << 20)")
                #expect(shorter.succeeded, "\(shorter)")
                #expect(try await stage.assets(named: "video.mp4").map(\.size) == [8 << 20])
            }
        }

        @Test(.shows("type-fallback")) func whereThePlatformTakesNoAudioItIsSentAsVideoAndOnlyTheFirstFileAsksTwice()
            async throws
        {
            // The specification of February 2026 knows no other type.
            try await withMount(sandbox: ["--spec", "2026-02"]) { stage in
                for name in ["a.mp3", "b.wav", "c.mp4"] {
                    let copy = try await run("cp", try await stage.source(name, size: 8_000_000), stage.mount.path)
                    #expect(copy.succeeded, "\(copy)")
                    #expect(try await stage.assets(named: name).map(\.type) == ["video"])
                }
                #expect(try await stage.sandbox.journal().requests(.create).map(\.status) == [400, 201, 201, 201])
                for name in ["a.mp3", "b.wav"] {
                    let status = try await stage.mount.status(of: name)
                    #expect(status.type == "video")
                    #expect(status.typeNote?.contains("The type parameter is invalid") == true)
                    #expect(status.error == nil)
                }
                #expect(try await stage.mount.status(of: "c.mp4").typeNote == nil)
                let shown = try await run(BuildProducts.twelvefs, "status", stage.mount.path)
                #expect(shown.output.contains("refused the type audio"), "\(shown)")
            }
        }

        @Test(.shows("type-by-extension")) func byDefaultTheExtensionTellsTheType() async throws {
            try await withMount { stage in
                for name in ["song.flac", "film.mkv"] {
                    let copy = try await run("cp", try await stage.source(name, size: 1000), stage.mount.path)
                    #expect(copy.succeeded, "\(copy)")
                }
                let types = try await stage.sandbox.completeAssets().map { "\($0.filename) \($0.type)" }
                #expect(types.sorted() == ["film.mkv video", "song.flac audio"])
            }
        }

        @Test(.shows("error-key")) func aKeyThatIsRefusedWhileRunningIsPermissionDenied() async throws {
            try await withMount(["--stall-timeout", "3s"]) { stage in
                let source = try await stage.source(size: 8_000_000)
                let body = #"{"code":"api_key_invalid","message":"The API key is not valid."}"#
                try await stage.sandbox.inject(Fault(on: .create, count: 1000, .status(401, body: body)))
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(!copy.succeeded)
                #expect(copy.errors.contains("Permission denied"), "\(copy)")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.error?.code == "api_key_invalid")
                #expect(status.waitingFor == "key")
                #expect(!copy.errors.contains(SandboxProcess.key))
            }
        }

        @Test(
            .shows("error-passing"),
            arguments: [
                Fault.Answer.status(500, body: ""), .status(503, body: "<Error><Code>SlowDown</Code></Error>"), .reset,
            ])
        func aPassingFailureOfTheStoreIsMadeGood(answer: Fault.Answer) async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 22_000_000)
                try await stage.sandbox.inject(Fault(on: .put, count: 2, skip: 1, answer))
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.retries == 2)
                let journal = try await stage.sandbox.journal()
                #expect(journal.requests(.put).count == 5 + 2)
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }
    }
}

/// A copy goes through: whatever failed before has not harmed the mount.
func expectThatTheMountLivesOn(_ stage: Stage) async throws {
    try await stage.sandbox.clearFaults()
    let source = try await stage.source("afterwards.mp4", size: 6_000_000, seed: 99)
    let copy = try await run("cp", source, stage.mount.appending("afterwards.mp4"))
    #expect(copy.succeeded, "\(copy)")
    let asset = try #require(try await stage.assets(named: "afterwards.mp4").first)
    #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
}
