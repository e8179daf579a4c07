import TestSupport
import Testing

extension Mounted {
    /// What a mount keeps on this machine is for its owner alone.
    @Suite struct StateModes {
        @Test(.shows("state-private")) func nobodyElseMayReadAnyOfIt() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    var options = try mountOptions(in: scratch, sandbox: sandbox)
                    options.logFile = "\(options.stateDirectory)/twelvefs.log"
                    options.arguments = ["--debug"]
                    try await withMount(options) { mount in
                        let source = try await TestFile.random(at: scratch.appending("video.mp4"), size: 6_000_000)
                        let copy = try await run("cp", source, mount.appending("video.mp4"))
                        #expect(copy.succeeded, "\(copy)")
                        let kept = try await modes(options.stateDirectory)
                        #expect(kept.contains("s 600 orders.sock"), "\(kept)")
                        for name in ["lock", "journal.sqlite", "journal.sqlite-wal", "twelvefs.log"] {
                            #expect(kept.contains("f 600 \(name)"), "\(kept)")
                        }
                        let spooled = kept.filter { $0.hasPrefix("f 600 spool/") }
                        #expect(spooled.count == 1, "\(kept)")
                    }
                    let kept = try await modes(options.stateDirectory)
                    let isPrivate = kept.allSatisfy { entry in
                        ["d 700 ", "f 600 ", "s 600 "].contains { entry.hasPrefix($0) }
                    }
                    #expect(isPrivate, "\(kept)")
                }
            }
        }

        /// Type, mode and path of everything in a directory, itself included.
        private func modes(_ directory: String) async throws -> [String] {
            let found = try await run("find", directory, "-printf", "%y %m %P\\n")
            #expect(found.succeeded, "\(found)")
            return found.output.split(separator: "\n").map(String.init)
        }
    }
}
