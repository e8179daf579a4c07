import Foundation
import TestSupport
import Testing

extension Mounted {
    /// What a killed writer leaves is never taken for a video.
    @Suite struct Killed {
        @Test func aCpThatIsKilledHalfWayLeavesNoAsset() async throws {
            try await withMount { stage in
                // Sparse, so that it costs no space; cp is told to copy every zero, which keeps it busy for seconds.
                let source = stage.scratch.appending("video.mp4")
                let made = try await run("truncate", "-s", "3G", source)
                #expect(made.succeeded, "\(made)")
                let target = stage.mount.appending("video.mp4")
                let copy = try await start(Tool("cp", ["--sparse=never", source, target]))
                try await eventually("cp has written something") {
                    try await TestFile.size(of: target) > 20_000_000
                }
                copy.signal(SIGKILL)
                let outcome = try await copy.finished()
                #expect(outcome.ending == .signalled(SIGKILL), "\(outcome)")
                try await expectNoAsset(of: "video.mp4", on: stage)
            }
        }

        /// The kernel kills a writer at the byte that passes its limit: half-way, exactly.
        @Test(arguments: [#"cp "$1" "$2""#, #"cat "$1" > "$2""#, #"dd if="$1" of="$2" bs=1M status=none"#])
        func aWriterThatDiesAtItsFileSizeLimitLeavesNoAsset(script: String) async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 32 << 20)
                let outcome = try await shell(
                    "ulimit -c 0 -f 16384; \(script)", source, stage.mount.appending("video.mp4"))
                #expect(!outcome.succeeded)
                let status = try await expectNoAsset(of: "video.mp4", on: stage)
                #expect(status.bytesWritten == 16 << 20)
            }
        }

        @Test func timeoutKillingCatLeavesNoAsset() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                let start = try await stage.source(size: 8_000_000)
                let fifo = stage.scratch.appending("slow.mp4")
                let made = try await run("mkfifo", fifo)
                #expect(made.succeeded, "\(made)")
                // The camera has sent eight megabytes, and will never send more.
                let camera = try await TestSupport.start(
                    .shell(#"exec 3> "$2"; cat "$1" >&3; sleep 600"#, [start, fifo]))
                let outcome = try await shell(
                    #"timeout -s KILL 1 cat "$1" > "$2""#, fifo, stage.mount.appending("video.mp4"))
                #expect(!outcome.succeeded, "\(outcome)")
                camera.killGroup()
                try await expectNoAsset(of: "video.mp4", on: stage)
            }
        }

        @Test func aPythonThatIsKilledWithItsSourceOpenLeavesNoAsset() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 60_000_000)
                let target = stage.mount.appending("video.mp4")
                let copy = try await start(PacedCopy.tool(source, target, rate: 20_000_000))
                try await eventually("some chunks are stored") {
                    try await stage.sandbox.journal().storedPuts.count >= 3
                }
                copy.signal(SIGKILL)
                let outcome = try await copy.finished()
                #expect(outcome.ending == .signalled(SIGKILL), "\(outcome)")
                try await expectNoAsset(of: "video.mp4", on: stage)
            }
        }

        /// cp, mv and install stop like this when their source cannot be read to its end; here a Python named `cp` plays one.
        @Test(.shows("asset-short-copy")) func aWholeFileCopyThatStopsShortFailsInItsClose() async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 30_000_000)
                let linked = try await shell(
                    #"ln -s "$(python3 -c 'import sys; print(sys.executable)')" "$1""#, stage.scratch.appending("cp"))
                #expect(linked.succeeded, "\(linked)")
                let copy = try await run(
                    stage.scratch.appending("cp"), "-c",
                    """
                    import os, sys
                    source = os.open(sys.argv[1], os.O_RDONLY)
                    target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
                    for _ in range(20):
                        os.write(target, os.read(source, 1 << 20))
                    os.close(target)
                    """, source, stage.mount.appending("video.mp4"))
                #expect(!copy.succeeded)
                #expect(copy.errors.contains("Input/output error"), "\(copy)")
                try await expectNoAsset(of: "video.mp4", on: stage)
            }
        }

        @Test(.shows("server-killed"), arguments: ["mount", "unmount"])
        func aServerThatIsKilledLeavesADeadMount(clearedBy command: String) async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    let options = try mountOptions(in: scratch, sandbox: sandbox)
                    let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 6_000_000)
                    let first = try await Mount.start(options)
                    try await first.killServerAndWait()
                    // Until the kernel has ended the connection, a question that was on its way is answered otherwise.
                    try await eventually("the mount is dead") {
                        try await run("stat", first.path).errors.contains("Transport endpoint is not connected")
                    }
                    let lost = try await run("cp", source, first.path)
                    #expect(!lost.succeeded)
                    #expect(lost.errors.contains("Transport endpoint is not connected"), "\(lost)")
                    if command == "unmount" {
                        let unmount = try await first.unmount()
                        #expect(unmount.succeeded, "\(unmount)")
                        #expect(unmount.errors.contains("the dead mount is cleared"), "\(unmount)")
                        #expect(!MountedPaths.contains(first.path))
                        #expect(try await first.list().isEmpty)
                    }
                    try await withMount(options) { mount in
                        let copy = try await run("cp", source, mount.path)
                        #expect(copy.succeeded, "\(copy)")
                    }
                    #expect(try await first.list().isEmpty)
                    #expect(try await sandbox.completeAssets().map(\.filename) == ["video.mp4"])
                }
            }
        }

        /// Else a copy that starts meanwhile, or after a mount that fails, goes into the directory beneath.
        @Test(.shows("server-killed")) func theDeadMountStaysUntilAnotherTakesItsPlace() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    let options = try mountOptions(in: scratch, sandbox: sandbox)
                    let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 6_000_000)
                    let first = try await Mount.start(options)
                    try await first.killServerAndWait()
                    func expectDead() async throws {
                        let lost = try await run("cp", source, first.path)
                        #expect(lost.errors.contains("Transport endpoint is not connected"), "\(lost)")
                    }
                    var refused = options
                    refused.apiKey = "another-key"
                    await #expect(throws: ToolFailed.self) { try await Mount.start(refused) }
                    try await expectDead()

                    let asked = try await sandbox.journal().requests(.list).count
                    try await sandbox.inject(Fault(on: .list, count: 1000, .hang))
                    let mount = try await start(options.tool)
                    try await eventually("the server asks the platform") {
                        try await sandbox.journal().requests(.list).count > asked
                    }
                    try await expectDead()
                    mount.signal(SIGINT)
                    _ = try await mount.finished()
                    try await expectDead()

                    try await sandbox.clearFaults()
                    try await withMount(options) { mount in
                        let copy = try await run("cp", source, mount.path)
                        #expect(copy.succeeded, "\(copy)")
                    }
                    #expect(try await first.list().isEmpty)
                }
            }
        }

        @Test(.enabled(if: geteuid() == 0, "another user is needed"))
        func aDeadMountOfAnotherUserIsLeftToThem() async throws {
            try await withMount(["--allow-other"]) { stage in
                try await stage.mount.killServerAndWait()
                let mount = [BuildProducts.twelvefs, "mount", stage.mount.path, "--api-url", stage.sandbox.apiURL]
                var tool = Tool("setpriv", ["--reuid=1", "--regid=1", "--clear-groups", "--"] + mount)
                tool.environment["TWELVELABS_API_KEY"] = .some(SandboxProcess.key)
                tool.environment["HOME"] = .some(stage.scratch.appending("home"))
                let refused = try await run(tool)
                #expect(refused.errors.contains("belongs to another user (uid 0)"), "\(refused)")
                #expect(MountedPaths.contains(stage.mount.path))
            }
        }

        @Test(.shows("server-immutable"), .enabled("nothing can be made immutable here", Immutable.isPossible))
        func anImmutableMountPointTakesNothingWhileNothingIsMounted() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    let options = try mountOptions(in: scratch, sandbox: sandbox)
                    let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 6_000_000)
                    try await Immutable.with(options.mountPoint) {
                        try await withMount(options) { mount in
                            let copy = try await run("cp", source, mount.path)
                            #expect(copy.succeeded, "\(copy)")
                            let unmount = try await mount.unmount()
                            #expect(unmount.succeeded, "\(unmount)")
                        }
                        let beneath = try await run("cp", source, options.mountPoint)
                        #expect(!beneath.succeeded)
                        #expect(beneath.errors.contains("Operation not permitted"), "\(beneath)")
                    }
                }
            }
        }

        @Test(.shows("server-killed-auto")) func aServerThatIsKilledFreesTheMountPointIfAsked() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    let options = try mountOptions(
                        in: scratch, sandbox: sandbox, arguments: ["-o", "auto_unmount"])
                    try await withMount(options) { mount in
                        #expect(MountedPaths.contains(mount.path))
                        kill(mount.server, SIGKILL)
                        try await eventually("the mount point is free") { !MountedPaths.contains(mount.path) }
                    }
                    try await withMount(options) { mount in
                        let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 6_000_000)
                        let copy = try await run("cp", source, mount.path)
                        #expect(copy.succeeded, "\(copy)")
                    }
                }
            }
        }
    }
}

/// Directories that nothing can be made in (`chattr +i`): for root, and on file systems that know it.
private enum Immutable {
    static func isPossible() async throws -> Bool {
        guard geteuid() == 0 else { return false }
        return try await withScratch { scratch in
            let folder = try scratch.folder("immutable")
            let isMade = try await run("chattr", "+i", folder).succeeded
            _ = try await run("chattr", "-i", folder)
            return isMade
        }
    }

    static func with(_ folder: String, _ body: () async throws -> Void) async throws {
        let made = try await run("chattr", "+i", folder)
        #expect(made.succeeded, "\(made)")
        do {
            try await body()
        } catch {
            _ = try await run("chattr", "-i", folder)
            throw error
        }
        _ = try await run("chattr", "-i", folder)
    }
}
