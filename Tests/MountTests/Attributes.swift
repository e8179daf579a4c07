import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Extended attributes, and what tools do with them.
    @Suite struct ExtendedAttributes {
        private static let read = """
            import os, sys
            for name in ["upload_id", "asset_id", "state"]:
                print("user.twelvelabs." + name, os.getxattr(sys.argv[1], "user.twelvelabs." + name).decode())
            print("listed:", os.listxattr(sys.argv[1]))
            """

        @Test(.shows("attribute-upload")) func aFileTellsOfItsUpload() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 1_000_000)
                #expect(try await run("cp", source, stage.mount.appending("video.mp4")).succeeded)
                let status = try await stage.mount.status(of: "video.mp4")
                let told = try await run("python3", "-c", Self.read, stage.mount.appending("video.mp4"))
                #expect(told.succeeded, "\(told)")
                #expect(told.output.contains("user.twelvelabs.upload_id \(try #require(status.uploadId))"), "\(told)")
                #expect(told.output.contains("user.twelvelabs.asset_id \(try #require(status.assetId))"), "\(told)")
                #expect(told.output.contains("user.twelvelabs.state completed"), "\(told)")
                #expect(told.output.contains("listed: []"), "rsync -X would try to remove what is listed: \(told)")
            }
        }

        @Test(.shows("size-declared")) func aDeclaredSizeLetsAPipeBeUploadedWhileItIsWritten() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 20_000_000)
                let script = """
                    touch piped.mp4
                    python3 -c 'import os; os.setxattr("piped.mp4", "user.twelvelabs.total_size", b"20000000")'
                    head -c 20000000 "$1" | cat > piped.mp4
                    """
                let pipe = try await stage.shellInMount(script, source)
                #expect(pipe.succeeded, "\(pipe)")
                let status = try await stage.mount.status(of: "piped.mp4")
                #expect(status.sizeSource == "declared")
                #expect(status.state == "completed")
                let asset = try #require(try await stage.assets(named: "piped.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }

        @Test func aDeclaredSizeThatIsNotReachedMakesNoAsset() async throws {
            try await withMount { stage in
                let script = """
                    touch piped.mp4
                    python3 -c 'import os; os.setxattr("piped.mp4", "user.twelvelabs.total_size", b"20000000")'
                    head -c 19999999 /dev/urandom > piped.mp4
                    """
                let pipe = try await stage.shellInMount(script)
                // `head` closes by exiting: nobody reads the answer, but the upload tells.
                _ = pipe
                let status = try await stage.mount.await("interrupted", of: "piped.mp4")
                #expect(status.error?.message.isEmpty == false)
                #expect(try await stage.sandbox.completeAssets().isEmpty)
            }
        }

        @Test(.shows("attribute-other"), arguments: ["", "0", "-1", "12 MB", "99999999999999999999"])
        func whatIsNoSizeIsRefused(_ size: String) async throws {
            try await withMount { stage in
                let script = """
                    touch a.mp4
                    python3 -c 'import os, sys; os.setxattr("a.mp4", "user.twelvelabs.total_size", sys.argv[1].encode())' "$1"
                    """
                let outcome = try await stage.shellInMount(script, size)
                #expect(outcome.errors.contains("Invalid argument"), "\(outcome)")
            }
        }

        @Test(.shows("attribute-other")) func nothingElseCanBeSet() async throws {
            try await withMount { stage in
                for name in ["user.other", "user.twelvelabs.state"] {
                    let script = """
                        touch a.mp4
                        python3 -c 'import os, sys; os.setxattr("a.mp4", sys.argv[1], b"x")' "$1"
                        """
                    let outcome = try await stage.shellInMount(script, name)
                    #expect(outcome.errors.contains("not supported"), "\(outcome)")
                }
            }
        }

        @Test(.shows("size-declared")) func fallocateDeclaresTheSize() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let source = try await stage.source(size: 12_000_000)
                let script = """
                    import os, sys
                    target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
                    data = open(sys.argv[1], "rb").read()
                    os.posix_fallocate(target, 0, len(data))
                    while data: data = data[os.write(target, data[:65536]):]
                    os.close(target)
                    """
                let outcome = try await run("python3", "-c", script, source, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                #expect(try await stage.mount.status(of: "video.mp4").sizeSource == "declared")
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
                #expect(try await stage.sandbox.journal().sessions.count == 1)
            }
        }

        @Test(.shows("punch-hole")) func holesThatArePunchedReadAsZerosAndAreUploadedSo() async throws {
            try await withMount { stage in
                let script = """
                    head -c 100000 /dev/urandom > "$1"
                    cp "$1" a.mp4.part
                    for file in "$1" a.mp4.part; do fallocate -p -o 10000 -l 50000 "$file"; done
                    cmp "$1" a.mp4.part
                    mv a.mp4.part a.mp4
                    """
                let twin = stage.scratch.appending("twin")
                let outcome = try await stage.shellInMount(script, twin)
                #expect(outcome.succeeded, "\(outcome)")
                _ = try await stage.mount.await("completed", of: "a.mp4")
                let asset = try #require(try await stage.assets(named: "a.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: twin)))
            }
        }
    }
}
