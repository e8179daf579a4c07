import TestSupport
import Testing

extension Mounted {
    /// A mount is a folder like others: what was put there can be found, read, moved and removed.
    @Suite struct TheTree {
        @Test(.shows("tree-listed")) func anUploadedFileStaysListedAndReadable() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_345_678)
                let copy = try await run("cp", source, stage.mount.path)
                #expect(copy.succeeded, "\(copy)")
                let same = try await run("cmp", source, stage.mount.appending("video.mp4"))
                #expect(same.succeeded, "\(same)")
                let middle = try await shell(
                    #"cmp <(tail -c +5000001 "$1" | head -c 1000) <(tail -c +5000001 "$2" | head -c 1000)"#, source,
                    stage.mount.appending("video.mp4"))
                #expect(middle.succeeded, "\(middle)")
                let size = try await run("stat", "-c", "%s", stage.mount.appending("video.mp4"))
                #expect(size.output == "12345678\n")
            }
        }

        @Test(.shows("asset-completed-kept", "tree-directories", "remove-finished"))
        func foldersAreMadeFilledMovedAndRemoved() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 6_000_000)
                let outcome = try await stage.shellInMount(
                    """
                    set -e
                    mkdir -p a/b; cp "$1" a/b/one.mp4; cp "$1" a/two.mp4
                    mv a/b/one.mp4 a/three.mp4; mv a c; ls c; rmdir c/b
                    ! rmdir c 2>/dev/null
                    rm c/two.mp4; ls c
                    """, source)
                #expect(outcome.succeeded, "\(outcome)")
                #expect(outcome.output == "b\nthree.mp4\ntwo.mp4\nthree.mp4\n", "\(outcome)")
                let names = try await stage.sandbox.completeAssets().map(\.filename).sorted()
                #expect(names == ["one.mp4", "two.mp4"], "a finished asset is not touched by rm or mv")
                #expect(try await stage.mount.status(of: "c/three.mp4").filename == "one.mp4")
            }
        }

        @Test(.shows("remove-unfinished")) func removingAnUnfinishedFileCancelsIt() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 30_000_000)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                let status = try await stage.mount.await("finishing", of: "video.mp4")
                let removed = try await run("rm", stage.mount.appending("video.mp4"))
                #expect(removed.succeeded, "\(removed)")
                let outcome = try await copy.finished()
                #expect(!outcome.succeeded)
                #expect(outcome.errors.contains("Input/output error"), "\(outcome)")
                let id = try #require(status.uploadId)
                try await eventually("the upload is cancelled") {
                    try UploadStatus.decode(try await stage.mount.read(".status/\(id).json")).state == "cancelled"
                }
                try await stage.sandbox.releaseUploads()
                try await expectThatTheMountLivesOn(stage)
                #expect(try await stage.assets(named: "video.mp4").isEmpty)
                let journal = try await stage.sandbox.journal()
                #expect(journal.requests(.report, of: id).isEmpty)
            }
        }

        @Test(.shows("name-other", "name-litter")) func namesThatAreNoVideosAreRefusedOrKept() async throws {
            try await withMount { stage in
                let refused = try await stage.shellInMount("echo text > notes.txt")
                #expect(!refused.succeeded)
                #expect(refused.errors.contains("Operation not permitted"), "\(refused)")
                let litter = try await stage.shellInMount("echo x > .DS_Store && cat .DS_Store")
                #expect(litter.output == "x\n", "\(litter)")
            }
            try await withMount(["--other-files", "keep"]) { stage in
                let kept = try await stage.shellInMount("echo text > notes.txt && cat notes.txt && ls")
                #expect(kept.output == "text\nnotes.txt\n", "\(kept)")
                #expect(try await stage.sandbox.journal().requests(.create).isEmpty)
            }
        }

        @Test func statfsTellsTheRoomOfTheSpool() async throws {
            try await withMount { stage in
                let space = try await run("df", "--output=avail,target", "-B1", stage.mount.path)
                #expect(space.succeeded, "\(space)")
                let available = space.output.split(separator: "\n").last?.split(separator: " ").first.flatMap {
                    Int($0)
                }
                #expect((available ?? 0) > 1 << 20, "\(space)")
            }
        }

        @Test(.shows("drain-waits")) func unmountWaitsForWhatIsUnderWay() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                try await stage.mount.await("finishing", of: "video.mp4")
                copy.signal(2)
                _ = try await copy.finished()
                let unmounting = try await start(Tool(BuildProducts.twelvefs, ["unmount", stage.mount.path]))
                try await stage.sandbox.releaseUploads()
                let unmounted = try await unmounting.finished()
                #expect(unmounted.succeeded, "\(unmounted)")
                #expect(!MountedPaths.contains(stage.mount.path))
                #expect(!stage.mount.isServed)
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }
    }
}
