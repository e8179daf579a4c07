import Foundation
import TestSupport
import Testing

extension Mounted {
    /// A disk under the state directory that takes its time holds up those who asked for it, and nobody else.
    @Suite struct SlowDisk {
        /// Writes this many files and asks for each to be put on disk, all at once.
        private static let writers = """
            import os, sys, threading
            folder, count = sys.argv[1], int(sys.argv[2])
            def write(number):
                with open(f"{folder}/slow{number}.mp4", "wb") as file:
                    file.write(b"x" * 100_000)
                    file.flush()
                    os.fsync(file.fileno())
            threads = [threading.Thread(target=write, args=[number]) for number in range(count)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            """

        @Test("24 files that are being put on a slow disk hold up no close and no write beside them")
        func filesThatAreBeingPutOnDiskHoldUpNobodyElse() async throws {
            try await withScratch { scratch in
                try await FailingDisk.with(in: scratch) { path, disk in
                    try await withSandbox(scratch: scratch) { sandbox in
                        var options = try mountOptions(in: scratch, sandbox: sandbox)
                        options.stateDirectory = "\(path)/state"
                        try await withMount(options) { mount in
                            let stage = Stage(scratch: scratch, sandbox: sandbox, mount: mount)
                            let source = try await stage.source(size: 6_000_000)
                            disk.holdSyncs()
                            defer { disk.heal() }
                            let slow = Task {
                                try await run("python3", "-c", Self.writers, stage.mount.path, "24")
                            }
                            try await eventually("all of them wait for the disk") { disk.heldSyncs >= 24 }
                            #expect(try await run("cp", source, stage.mount.appending("video.mp4")).succeeded)
                            #expect(disk.heldSyncs >= 24)
                            try await expectOneAsset("video.mp4", like: source, on: stage)
                            disk.heal()
                            let outcome = try await slow.value
                            #expect(outcome.succeeded, "\(outcome)")
                            #expect(try await sandbox.completeAssets().count == 25)
                        }
                    }
                }
            }
        }
    }
}
