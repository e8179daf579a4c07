import Foundation
import TestSupport
import Testing

extension Mounted {
    /// What no tool of the other suites asks for.
    @Suite struct SmallPrint {
        @Test("What is appended to a finished file makes a new version of the whole", .shows("append"))
        func appending() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let first = try await stage.source("first.mp4", size: 2_500_000, seed: 1)
                let second = try await stage.source("second.mp4", size: 1_500_000, seed: 2)
                let script = #"cp "$1" "$3" && cat "$2" >> "$3""#
                let expected = stage.scratch.appending("expected.mp4")
                let prepared = try await shell(script, first, second, expected)
                #expect(prepared.succeeded, "\(prepared)")
                let outcome = try await shell(script, first, second, stage.mount.appending("video.mp4"))
                #expect(outcome.succeeded, "\(outcome)")
                let status = try await stage.mount.await("completed", of: "video.mp4")
                let sums = [try await TestFile.sha256(of: first), try await TestFile.sha256(of: expected)]
                let assets = try await stage.assets(named: "video.mp4")
                #expect(Set(assets.map(\.sha256)) == Set(sums))
                #expect(assets.first { $0.assetID == status.assetId }?.sha256 == sums[1])
                #expect(try await TestFile.sha256(of: stage.mount.appending("video.mp4")) == sums[1])
            }
        }

        @Test(
            "Links and pipes are refused", .shows("tree-links"),
            arguments: ["ln a.mp4 b.mp4", "ln -s a.mp4 b.mp4", "mkfifo b.mp4"])
        func links(script: String) async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 1000)
                #expect(try await run("cp", source, stage.mount.appending("a.mp4")).succeeded)
                let outcome = try await stage.shellInMount(script)
                #expect(outcome.errors.contains("Operation not permitted"), "\(outcome)")
                #expect(try await stage.mount.list() == ["a.mp4"])
            }
        }

        @Test("A write with O_SYNC is not on the disk before an fsync", .shows("fsync-alone"))
        func synchronousWrites() async throws {
            try await withMount { stage in
                let program = """
                    import json, os, sys
                    def durable():
                        return json.load(open(sys.argv[1] + "/.status/by-name/video.mp4.json"))["durable"]
                    fd = os.open(sys.argv[1] + "/video.mp4", os.O_CREAT | os.O_WRONLY | os.O_SYNC, 0o644)
                    os.write(fd, bytes(100000))
                    print(durable())
                    os.fsync(fd)
                    print(durable())
                    os.close(fd)
                    """
                let outcome = try await run("python3", "-c", program, stage.mount.path)
                #expect(outcome.output == "False\nTrue\n", "\(outcome)")
            }
        }

        @Test("A read-only mount refuses every change", .shows("read-only"))
        func readOnly() async throws {
            try await withPlace { source, _, options in
                try await withMount(options) { mount in
                    let copy = try await run("cp", source, mount.appending("a.mp4"))
                    #expect(copy.succeeded, "\(copy)")
                    let unmounted = try await mount.unmount()
                    #expect(unmounted.succeeded, "\(unmounted)")
                }
                var options = options
                options.arguments.append("--read-only")
                try await withMount(options) { mount in
                    for change in [
                        "cp a.mp4 b.mp4", "printf x >> a.mp4", "truncate -s 1 a.mp4", "rm -f a.mp4", "mv a.mp4 b.mp4",
                        "mkdir b", "chmod 600 a.mp4", "touch -d 2001-01-01 a.mp4",
                        #"python3 -c 'import os; os.setxattr("a.mp4", "user.twelvelabs.total_size", b"9")'"#,
                    ] {
                        var tool = Tool.shell(change)
                        tool.workingDirectory = mount.path
                        let outcome = try await run(tool)
                        #expect(outcome.errors.contains("Read-only file system"), "\(outcome)")
                    }
                    #expect(try await run("cmp", source, mount.appending("a.mp4")).succeeded)
                    #expect(try await mount.list() == ["a.mp4"])
                }
            }
        }

        @Test("A staged file outlives a crash, and its rename completes it", .shows("restart-staged"))
        func stagedFiles() async throws {
            try await withPlace { source, sandbox, options in
                try await withMount(options) { mount in
                    for name in ["a.mp4.part", "Unconfirmed 7.crdownload"] {
                        #expect(try await run("cp", source, mount.appending(name)).succeeded)
                        #expect(try await mount.status(of: name).state == "staged")
                    }
                    try await mount.crash()
                }
                #expect(try await sandbox.completeAssets().isEmpty)
                try await withMount(options) { mount in
                    for (name, final) in [("a.mp4.part", "a.mp4"), ("Unconfirmed 7.crdownload", "b.mp4")] {
                        let renamed = try await run("mv", mount.appending(name), mount.appending(final))
                        #expect(renamed.succeeded, "\(renamed)")
                        try await mount.await("completed", of: final)
                    }
                }
                let sum = try await TestFile.sha256(of: source)
                let assets = try await sandbox.completeAssets()
                #expect(assets.map(\.filename).sorted() == ["a.mp4", "b.mp4"])
                #expect(assets.map(\.sha256) == [sum, sum])
            }
        }

        /// Runs `body` with a file, a sandbox, and the options of mounts that follow one another on one state directory.
        private func withPlace(
            _ body: (_ source: String, SandboxProcess, MountOptions) async throws -> Void
        ) async throws {
            try await withScratch { scratch in
                try await withSandbox(["--chunk-size", "1MiB"], scratch: scratch) { sandbox in
                    let source = try await TestFile.random(at: scratch.appending("source.mp4"), size: 2_500_000)
                    try await body(source, sandbox, try mountOptions(in: scratch, sandbox: sandbox))
                }
            }
        }
    }
}
