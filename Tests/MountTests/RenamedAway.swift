import TestSupport
import Testing

extension Mounted {
    /// A file that gets a name of those that are not uploaded while it is copied.
    @Suite struct RenamedAway {
        @Test(
            "It stays on this machine, over a remount, and becomes no asset", .shows("rename-to-local"),
            arguments: ["r.txt", ".Trash-0/files/r.mp4"])
        func itStaysHere(target: String) async throws {
            try await withScratch { scratch in
                let arguments = ["--chunk-size", "1MiB", "--bandwidth", "8MiB/s"]
                try await withSandbox(arguments, scratch: scratch) { sandbox in
                    let options = try mountOptions(
                        in: scratch, sandbox: sandbox, arguments: ["--other-files", "keep", "--run-ahead", "4MiB"])
                    let source = try await TestFile.random(at: scratch.appending("r.mp4"), size: 30_000_000)
                    try await withMount(options) { mount in
                        let copy = try await start(Tool("cp", [source, mount.appending("r.mp4")]))
                        try await eventually("some of it is written") {
                            (try? await mount.status(of: "r.mp4").bytesWritten) ?? 0 > 6_000_000
                        }
                        #expect(copy.isRunning)
                        let script = #"cd "$1" && mkdir -p .Trash-0/files && mv r.mp4 "$2""#
                        let moved = try await run(.shell(script, [mount.path, target]))
                        #expect(moved.succeeded, "\(moved)")
                        let copied = try await copy.finished()
                        #expect(copied.succeeded, "\(copied)")
                        #expect(try await run("cmp", source, mount.appending(target)).succeeded)
                        let unmounted = try await mount.unmount()
                        #expect(unmounted.ending == .exited(0), "\(unmounted)")
                    }
                    try await withMount(options) { mount in
                        let compared = try await run("cmp", source, mount.appending(target))
                        #expect(compared.succeeded, "\(compared)")
                    }
                    let assets = try await sandbox.completeAssets()
                    #expect(assets.isEmpty)
                }
            }
        }
    }
}
