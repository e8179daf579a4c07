import TestSupport
import Testing

extension Mounted {
    /// Files of 1970, which bear rsync's mark of a partial file, and the copies that rsync makes besides its transfers.
    @Suite struct RsyncCopies {
        /// Exit 0 and one whole asset, whatever the tool.
        @Test(
            .shows("asset-dated-1970"),
            arguments: [
                #"rsync -a "$1" video.mp4"#, #"rsync -aP "$1" video.mp4"#, #"rsync -a --inplace "$1" video.mp4"#,
                #"cp -p "$1" video.mp4"#, #"tar -C "${1%/*}" -cf - video.mp4 | tar -xf -"#,
                #"cp "$1" video.mp4 && touch -r "$1" video.mp4"#,
                #"cp -p "$1" video.mp4.part && mv video.mp4.part video.mp4"#,
            ], ["@0", "@0.5", "@1", "@-1"])
        func aFileOf1970IsOneLikeAnyOther(script: String, time: String) async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 3_000_000)
                #expect(try await run("touch", "-d", time, source).succeeded)
                let copy = try await stage.shellInMount(script, source)
                #expect(copy.succeeded, "\(copy)")
                try await stage.mount.await("completed", of: "video.mp4")
                #expect(try await run("cmp", source, stage.mount.appending("video.mp4")).succeeded)
                let sum = try await TestFile.sha256(of: source)
                #expect(try await stage.sandbox.completeAssets().map(\.sha256) == [sum])
            }
        }

        /// The first run, one of a source that has changed, and one that has nothing to do.
        @Test(
            .shows("asset-rsync-copy"),
            arguments: [
                "--temp-dir=$2", "--temp-dir=$PWD/temporary", "--inplace --backup", "--backup-dir=$PWD/old",
                "--inplace --backup-dir=$PWD/old", "--copy-dest=$2", "--link-dest=$2", "--partial-dir=.part",
            ])
        func whatRsyncCopiesByItselfIsWhole(options: String) async throws {
            try await withMount(["--other-files", "keep"]) { stage in
                let source = try await stage.source(size: 3_000_000)
                // With what --copy-dest and --link-dest find of it already.
                let other = try stage.scratch.folder("other")
                #expect(try await run("cp", "-p", source, other).succeeded)
                let made = try await stage.shellInMount("mkdir temporary")
                #expect(made.succeeded, "\(made)")
                let copy = #"rsync -a --stats \#(options) "$1" "$PWD/""#
                // A backup that is copied under a video's name is a video.
                let copiedBackups = options.hasPrefix("--inplace --backup-dir") ? 1 : 0
                for (round, change) in ["true", #"head -c 100000 /dev/urandom >> "$1""#].enumerated() {
                    let changed = try await shell(change, source)
                    #expect(changed.succeeded, "\(changed)")
                    let copied = try await stage.shellInMount(copy, source, other)
                    #expect(copied.succeeded, "\(copied)")
                    try await stage.mount.await("completed", of: "video.mp4")
                    #expect(try await run("cmp", source, stage.mount.appending("video.mp4")).succeeded)
                    let status = try await stage.mount.status(of: "video.mp4")
                    let sum = try await TestFile.sha256(of: source)
                    let assets = try await stage.sandbox.completeAssets()
                    #expect(assets.first { $0.assetID == status.assetId }?.sha256 == sum)
                    #expect(assets.count == 1 + round * (1 + copiedBackups), "\(assets)")
                }
                let again = try await stage.shellInMount(copy, source, other)
                #expect(again.succeeded, "\(again)")
                #expect(again.output.contains("Number of regular files transferred: 0\n"), "\(again)")
            }
        }
    }
}
