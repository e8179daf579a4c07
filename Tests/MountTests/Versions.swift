import Foundation
import TestSupport
import Testing

extension Mounted {
    /// A file that is written again becomes another asset; what was not confirmed by then is cancelled.
    @Suite struct Versions {
        @Test(
            .shows("rename-replaces"),
            arguments: [
                #"cp "$1" "$2""#, #"cat "$1" > "$2""#, #"cp "$1" "$2.part" && mv "$2.part" "$2""#,
                #"mv "$1" "$2""#, #"rsync "$1" "$2""#, #"rm "$2" && cp "$1" "$2""#,
                #"cp --remove-destination "$1" "$2""#,
            ])
        func overwritingAFinishedFileMakesAnotherAsset(script: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let old = try await stage.source("old.mp4", size: 7_000_000, seed: 1)
                let new = try await stage.source("new.mp4", size: 6_500_000, seed: 2)
                let sums = [try await TestFile.sha256(of: old), try await TestFile.sha256(of: new)]
                let first = try await run("cp", old, stage.mount.appending("video.mp4"))
                #expect(first.succeeded, "\(first)")
                let before = try await stage.mount.status(of: "video.mp4")
                let second = try await shell(script, new, stage.mount.appending("video.mp4"))
                #expect(second.succeeded, "\(second)")
                let status = try await stage.mount.await("completed", of: "video.mp4")
                #expect(status.uploadId != before.uploadId)
                // From another file system mv, too, removes before it copies: what comes then is another file.
                if !script.hasPrefix("rm"), !script.hasPrefix("mv"), !script.contains("--remove") {
                    #expect(status.supersededUploadIds == [before.uploadId])
                }
                let assets = try await stage.assets(named: "video.mp4")
                #expect(Set(assets.map(\.sha256)) == Set(sums))
                #expect(assets.first { $0.assetID == status.assetId }?.sha256 == sums[1])
                #expect(try await TestFile.sha256(of: stage.mount.appending("video.mp4")) == sums[1])
            }
        }

        @Test(
            .shows("replace-unconfirmed", "rename-replaces"),
            arguments: [
                #"exec cp "$1" "$2""#, #"exec cat "$1" > "$2""#,
                // Nothing is sent under this name, so that the rename comes while the first one still waits.
                #"cp "$1" "$(dirname "$2")/.tmp" && exec mv "$(dirname "$2")/.tmp" "$2""#,
            ])
        func overwritingAFileWhileItsCloseWaitsFailsThatCloseAndTheSecondWins(script: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let old = try await stage.source("old.mp4", size: 7_000_000, seed: 1)
                let new = try await stage.source("new.mp4", size: 6_500_000, seed: 2)
                try await stage.sandbox.holdUploads()
                let first = try await start(Tool("cp", [old, stage.mount.appending("video.mp4")]))
                try await stage.mount.await("finishing", of: "video.mp4")
                let second = try await start(.shell(script, [new, stage.mount.appending("video.mp4")]))
                let failed = try await first.finished()
                #expect(!failed.succeeded)
                #expect(failed.errors.contains("Input/output error"), "\(failed)")
                try await stage.sandbox.releaseUploads()
                let outcome = try await second.finished()
                #expect(outcome.succeeded, "\(outcome)")
                try await stage.mount.await("completed", of: "video.mp4")
                let sum = try await TestFile.sha256(of: new)
                #expect(try await stage.sandbox.completeAssets().map(\.sha256) == [sum])
                #expect(try await TestFile.sha256(of: stage.mount.appending("video.mp4")) == sum)
                try await expectThatOnlyCompleteAssetsAreKept(on: stage)
            }
        }

        /// A descriptor on its way through a socket is in no process's table: the close commits, and it is written to later.
        @Test(.shows("change-new-version")) func writingThroughAnOldDescriptorAfterTheCommitMakesAnotherVersion()
            async throws
        {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 7_000_000)
                let writer = try await run(
                    "python3", "-c",
                    """
                    import array, os, socket, sys
                    target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
                    os.write(target, open(sys.argv[1], "rb").read())
                    one, other = socket.socketpair()
                    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [target]))])
                    os.close(target)
                    print(open(os.path.dirname(sys.argv[2]) + "/.status/by-name/video.mp4.json").read())
                    data, ancillary, _, _ = other.recvmsg(1, socket.CMSG_SPACE(4))
                    passed = array.array("i", ancillary[0][2])[0]
                    os.pwrite(passed, b"changed", 3000000)
                    os.close(passed)
                    """, source, stage.mount.appending("video.mp4"))
                #expect(writer.succeeded, "\(writer)")
                let between = try UploadStatus.decode(Data(writer.output.utf8))
                #expect(between.state == "completed")
                let status = try await stage.mount.await("completed", of: "video.mp4")
                #expect(status.supersededUploadIds == [between.uploadId])
                let old = try await TestFile.sha256(of: source)
                let changed = try await shell(
                    #"printf changed | dd of="$1" bs=1 seek=3000000 conv=notrunc status=none"#, source)
                #expect(changed.succeeded, "\(changed)")
                let new = try await TestFile.sha256(of: source)
                let assets = try await stage.assets(named: "video.mp4")
                #expect(assets.first { $0.assetID == between.assetId }?.sha256 == old, "frozen when it was committed")
                #expect(assets.first { $0.assetID == status.assetId }?.sha256 == new)
            }
        }

        @Test(
            .shows("rename-written-anew"),
            arguments: [#"cat "$1" > "$2""#, #"cp "$1" "$2""#, #"rm "$2"; cp "$1" "$2""#])
        func aTemporaryFileThatIsWrittenAnewBeforeItsRenameIsOneAsset(script: String) async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let old = try await stage.source("old.mp4", size: 7_000_000, seed: 1)
                let new = try await stage.source("new.mp4", size: 6_500_000, seed: 2)
                let partial = stage.mount.appending("video.mp4.part")
                let first = try await run("cp", old, partial)
                #expect(first.succeeded, "\(first)")
                #expect(try await stage.mount.status(of: "video.mp4.part").state == "staged")
                let second = try await shell(script, new, partial)
                #expect(second.succeeded, "\(second)")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                let renamed = try await run("mv", partial, stage.mount.appending("video.mp4"))
                #expect(renamed.succeeded, "\(renamed)")
                try await expectOneAsset("video.mp4", like: new, on: stage)
                try await expectThatOnlyCompleteAssetsAreKept(on: stage)
            }
        }

        @Test(.shows("close-one-asset")) func twoWritersOfOneFileMakeOneAsset() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 8 << 20)
                // Both have it open before either is done, and each writes a half.
                let outcome = try await shell(
                    #"""
                    half() { exec 5<> "$3"; echo > "$4.$1"; while ! [[ -e $4.1 && -e $4.2 ]]; do :; done
                        dd if="$2" bs=1M skip=$(($1 * 4 - 4)) seek=$(($1 * 4 - 4)) count=4 conv=notrunc status=none >&5; }
                    half 1 "$@" & one=$!; half 2 "$@" & two=$!
                    wait $one && wait $two
                    """#, source,
                    stage.mount.appending("video.mp4"), stage.scratch.appending("is-open"))
                #expect(outcome.succeeded, "\(outcome)")
                try await stage.mount.await("completed", of: "video.mp4")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }

        @Test(.shows("close-reader")) func readersSeeWhatIsWrittenAndHoldNothingUp() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 8 << 20)
                let target = stage.mount.appending("video.mp4")
                let writer = try await start(PacedCopy.tool(source, target, rate: 8 << 20, block: 1 << 16))
                try await eventually("there is a file to read") { try await TestFile.size(of: target) > 1 << 16 }
                let reader = try await start(.shell(#"exec tail -c +1 -f "$1""#, [target]))
                while writer.isRunning {
                    let look = try await shell(
                        #"n=$(stat -c %s "$2"); cmp <(head -c "$n" "$1") <(head -c "$n" "$2")"#, source, target)
                    #expect(look.succeeded, "\(look)")
                }
                let outcome = try await writer.finished()
                #expect(outcome.succeeded, "\(outcome)")
                // Committed by the writer's close, although somebody has the file open for reading.
                #expect(reader.isRunning)
                try await expectOneAsset("video.mp4", like: source, on: stage)
                reader.signal(SIGTERM)
                _ = try await reader.finished()
            }
        }
    }
}
