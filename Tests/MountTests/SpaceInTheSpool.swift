import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Files larger than the spool pass through it, when their size is known; what does not fit is told at the write.
    @Suite struct SpaceInTheSpool {
        private static let gibibyte = 1 << 30

        @Test(.shows("space-release")) func aFileFourTimesTheSpoolPassesThroughIt() async throws {
            try await withMount(["--spool-limit", "256MiB"]) { stage in
                let source = try await stage.source(size: Self.gibibyte)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let journal = try await stage.sandbox.journal()
                #expect(journal.sessions.count == 1)
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
                // What has left the spool is read from the platform.
                let back = try await run("cmp", source, stage.mount.appending("video.mp4"))
                #expect(back.succeeded, "\(back)")
                try await expectThatTheMountLivesOn(stage)
            }
        }

        /// What a close promises to be on this machine's disk does not leave it for a store whose session may expire.
        @Test(.shows("space-durable", "space-full")) func inSpoolModeAFileThatDoesNotFitIsToldSo() async throws {
            try await withMount(["--close-mode", "spool", "--spool-limit", "40MiB"]) { stage in
                let source = try await stage.source(size: 120 << 20)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(!copy.succeeded)
                #expect(copy.errors.contains("No space left on device"), "\(copy)")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
            }
        }

        @Test(.shows("fsync-released"), arguments: [1, 119])
        func anFsyncNeverPromisesWhatWasReleased(after written: Int) async throws {
            try await withMount(["--spool-limit", "40MiB"]) { stage in
                let source = try await stage.source(size: 120 << 20)
                let copy = try await run(
                    "python3", "-c",
                    """
                    import errno, os, sys
                    source = os.open(sys.argv[1], os.O_RDONLY)
                    target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
                    os.setxattr(target, "user.twelvelabs.total_size", b"%d" % os.fstat(source).st_size)
                    try:
                        for number in range(120):
                            os.write(target, os.read(source, 1 << 20))
                            if number == int(sys.argv[3]):
                                print("syncing", flush=True)
                                os.fsync(target)
                                print("synced", flush=True)
                    except OSError as error:
                        print(errno.errorcode[error.errno], flush=True)
                    """, source, stage.mount.appending("video.mp4"), "\(written)")
                // Early: what was promised stays, so that the rest does not fit. Late: the fsync itself is refused.
                let said = written == 1 ? "syncing\nsynced\nENOSPC\n" : "syncing\nENOSPC\n"
                #expect(copy.output == said, "\(copy)")
            }
        }

        @Test func twoSuchFilesAtOnceBothArrive() async throws {
            try await withMount(["--spool-limit", "64MiB"]) { stage in
                let one = try await stage.source("one.mp4", size: 200 << 20, seed: 1)
                let two = try await stage.source("two.mp4", size: 200 << 20, seed: 2)
                async let first = run("cp", one, stage.mount.appending("one.mp4"))
                async let second = run("cp", two, stage.mount.appending("two.mp4"))
                let (a, b) = try await (first, second)
                #expect(a.succeeded, "\(a)")
                #expect(b.succeeded, "\(b)")
                for (name, source) in [("one.mp4", one), ("two.mp4", two)] {
                    let asset = try #require(try await stage.assets(named: name).first)
                    #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
                }
            }
        }

        @Test(.shows("space-full")) func aPipeThatDoesNotFitIsToldSoAndMakesNoAsset() async throws {
            try await withMount(["--spool-limit", "64MiB"]) { stage in
                let pipe = try await stage.shellInMount("head -c 200000000 /dev/urandom | cat > pipe.mp4")
                #expect(!pipe.succeeded)
                #expect(pipe.errors.contains("No space left on device"), "\(pipe)")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test(.shows("space-evict", "space-df")) func finishedFilesMakeSpaceForNewOnes() async throws {
            try await withMount(["--spool-limit", "32MiB"]) { stage in
                for number in 1...6 {
                    let source = try await stage.source("take\(number).mp4", size: 12_000_000, seed: UInt64(number))
                    let copy = try await run("cp", source, stage.mount.appending("take\(number).mp4"))
                    #expect(copy.succeeded, "\(copy)")
                    let last = try await run("cmp", source, stage.mount.appending("take\(number).mp4"))
                    #expect(last.succeeded, "the newest is kept: \(last)")
                }
                #expect(try await stage.sandbox.completeAssets().count == 6)
                let free = try await run("stat", "-f", "-c", "%a %S", stage.mount.path)
                let numbers = free.output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
                try #require(numbers.count == 2, "\(free)")
                #expect(numbers[0] * numbers[1] > 20_000_000, "what would be evicted counts as free: \(free)")
            }
        }

        @Test(.shows("read-back")) func evictedContentIsReadFromThePlatformByTwoReadersAtOnce() async throws {
            try await withMount(["--spool-limit", "32MiB"]) { stage in
                let source = try await stage.source(size: 20_000_000)
                let other = try await stage.source("other.mp4", size: 25_000_000, seed: 3)
                let video = stage.mount.appending("video.mp4")
                #expect(try await run("cp", source, video).succeeded)
                #expect(try await run("cp", other, stage.mount.appending("other.mp4")).succeeded)
                async let whole = run("cmp", source, video)
                async let middle = shell(
                    #"cmp <(tail -c +7654322 "$1" | head -c 345678) <(tail -c +7654322 "$2" | head -c 345678)"#, source,
                    video)
                let (one, two) = try await (whole, middle)
                #expect(one.succeeded, "\(one)")
                #expect(two.succeeded, "\(two)")
                let read = try await stage.sandbox.journal().requests(.content)
                #expect(!read.isEmpty, "it was evicted")
                #expect(read.allSatisfy { !$0.carriedAPIKey })
            }
        }

        @Test(.shows("evicted-fixed")) func evictedContentIsNotChangedInPlaceAndStaysWhatItWas() async throws {
            try await withMount(["--spool-limit", "32MiB"]) { stage in
                let source = try await stage.source(size: 20_000_000)
                let other = try await stage.source("other.mp4", size: 25_000_000, seed: 3)
                let video = stage.mount.appending("video.mp4")
                #expect(try await run("cp", source, video).succeeded)
                #expect(try await run("cp", other, stage.mount.appending("other.mp4")).succeeded)
                for change in [
                    "printf x >> video.mp4", "printf x | dd of=video.mp4 conv=notrunc seek=1000",
                    "truncate -s 1000 video.mp4",
                ] {
                    let outcome = try await stage.shellInMount(change)
                    #expect(outcome.errors.contains("Input/output error"), "\(outcome)")
                    #expect(try await stage.mount.status(of: "video.mp4").state == "completed")
                    #expect(try await run("cmp", source, video).succeeded)
                }
                #expect(try await stage.assets(named: "video.mp4").count == 1)
                // As a whole it can be replaced.
                let small = try await stage.source("small.mp4", size: 6_000_000, seed: 4)
                #expect(try await run("cp", small, video).succeeded)
                #expect(try await stage.assets(named: "video.mp4").count == 2)
                #expect(try await run("cmp", small, video).succeeded)
            }
        }

        @Test(.shows("read-back-refused")) func whatNobodyServesIsAnErrorWithAReason() async throws {
            try await withMount(["--spool-limit", "32MiB"], sandbox: ["--asset-urls", "off"]) { stage in
                let source = try await stage.source(size: 20_000_000)
                let other = try await stage.source("other.mp4", size: 25_000_000, seed: 3)
                #expect(try await run("cp", source, stage.mount.appending("video.mp4")).succeeded)
                #expect(try await run("cp", other, stage.mount.appending("other.mp4")).succeeded)
                let read = try await run("cat", stage.mount.appending("video.mp4"))
                #expect(read.errors.contains("Input/output error"), "\(read)")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.state == "completed")
                #expect(status.error?.code == "no_asset_url")
            }
        }

        @Test(.shows("remove-finished")) func aFileThatIsRemovedGivesItsSpaceBack() async throws {
            try await withMount(["--spool-limit", "64MiB"]) { stage in
                let source = try await stage.source(size: 40_000_000)
                #expect(try await run("cp", source, stage.mount.appending("video.mp4")).succeeded)
                #expect(try await run("rm", stage.mount.appending("video.mp4")).succeeded)
                let used = try await run("du", "-s", "-B1", "\(stage.mount.stateDirectory)/spool")
                let bytes = try #require(used.output.split(separator: "\t").first.flatMap { Int($0) }, "\(used)")
                #expect(bytes < 1_000_000)
            }
        }

        @Test(.shows("space-too-small")) func aSpoolBelowTwoChunksIsRefused() async throws {
            try await withMount(["--spool-limit", "8MiB"]) { stage in
                let source = try await stage.source(size: 30_000_000)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.errors.contains("No space left on device"), "\(copy)")
                #expect(try await stage.sandbox.completeAssets().isEmpty)
            }
        }
    }
}
