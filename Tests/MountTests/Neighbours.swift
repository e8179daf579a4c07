import Foundation
import TestSupport
import Testing

extension Mounted {
    /// Two mounts on two state directories, and one account: what one of them does is no business of the other's.
    @Suite struct Neighbours {
        private func options(_ name: String, _ scratch: Scratch, _ sandbox: SandboxProcess) throws -> MountOptions {
            var options = try mountOptions(in: scratch, sandbox: sandbox)
            options.mountPoint = try scratch.folder("\(name)/mnt")
            options.stateDirectory = scratch.appending("\(name)/state")
            options.logFile = scratch.appending("\(name)/twelvefs.log")
            return options
        }

        @Test func leaveEachOthersSessionsAlone() async throws {
            try await withScratch { scratch in
                try await withSandbox(["--chunk-size", "1MiB"], scratch: scratch) { sandbox in
                    let ours = try await TestFile.random(at: scratch.appending("ours.mp4"), size: 6_500_000, seed: 1)
                    let theirs = try await TestFile.random(
                        at: scratch.appending("theirs.mp4"), size: 7_500_000, seed: 2)
                    try await sandbox.inject(Fault(on: .put, count: 1_000_000, skip: 4, .hang))
                    let first = try options("first", scratch, sandbox)
                    let second = try options("second", scratch, sandbox)
                    try await withMount(second) { neighbour in
                        // Of one name, even.
                        let theirCopy = try await start(Tool("cp", [theirs, neighbour.appending("video.mp4")]))
                        try await neighbour.await("finishing", of: "video.mp4")
                        let session = try await eventually("a session is open") {
                            try await neighbour.status(of: "video.mp4").uploadId
                        }
                        try await withMount(first) { mount in
                            let ourCopy = try await start(Tool("cp", [ours, mount.appending("video.mp4")]))
                            try await mount.await("finishing", of: "video.mp4")
                            // One is killed and resumes, and drops an upload: the other's is where it was.
                            try await mount.crash()
                            _ = try await ourCopy.finished()
                        }
                        try await sandbox.inject(Fault(on: .put, count: 1_000_000, .hang))
                        try await withMount(first) { mount in
                            try await mount.await("finishing", of: "video.mp4")
                            #expect(try await mount.status(of: "video.mp4").uploadId != session)
                            let dropped = try await start(Tool("cp", [theirs, mount.appending("dropped.mp4")]))
                            try await mount.await("finishing", of: "dropped.mp4")
                            let removed = try await run("rm", mount.appending("dropped.mp4"))
                            #expect(removed.succeeded, "\(removed)")
                            #expect(!(try await dropped.finished().succeeded))
                            #expect(try await neighbour.status(of: "video.mp4").state == "finishing")
                            try await sandbox.releaseUploads()
                            try await mount.await("completed", of: "video.mp4")
                            #expect(try await mount.list() == ["video.mp4"])
                            let theirOutcome = try await theirCopy.finished()
                            #expect(theirOutcome.succeeded, "\(theirOutcome)")
                            #expect(try await neighbour.status(of: "video.mp4").uploadId == session)
                            #expect(try await neighbour.list() == ["video.mp4"])
                        }
                    }
                    let sums = Set(try await sandbox.completeAssets().map(\.sha256))
                    #expect(sums == [try await TestFile.sha256(of: ours), try await TestFile.sha256(of: theirs)])
                    #expect(try await sandbox.completeAssets().count == 2)
                    let deleted = try await sandbox.journal().requests(.delete)
                    #expect(deleted.count <= 1, "only what was dropped: \(deleted)")
                }
            }
        }
    }
}
