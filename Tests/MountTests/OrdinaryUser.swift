import Foundation
import TestSupport
import Testing

/// Whether an ordinary user could do anything on this machine: open `/dev/fuse`, as on Debian, and get at what was built.
private func anOrdinaryUserCanTry() async throws -> Bool {
    var tool = Tool(
        "test",
        [
            "-r", "/dev/fuse", "-a", "-w", "/dev/fuse", "-a", "-x", BuildProducts.twelvefs, "-a", "-r",
            BuildProducts.tools,
        ])
    tool.asOrdinaryUser = true
    return try await run(tool).succeeded
}

extension Mounted {
    /// Nothing of it needs root.
    @Suite(
        .enabled(
            "an ordinary user may not open /dev/fuse or cannot reach the build; scripts/test.sh sees to it when it runs as root",
            anOrdinaryUserCanTry))
    struct OrdinaryUser {
        @Test func copiesReadsBackAndUnmounts() async throws {
            try await withMount(asOrdinaryUser: true) { stage in
                let source = try await stage.source(size: 30_000_000)
                let copy = try await Self.run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let sum = try await TestFile.sha256(of: source)
                #expect(try await stage.assets(named: "video.mp4").map(\.sha256) == [sum])
                let readBack = try await Self.run("sha256sum", stage.mount.appending("video.mp4"))
                #expect(readBack.output.hasPrefix(sum), "\(readBack)")
                let status = try await Self.run("cat", stage.mount.appending(".status/by-name/video.mp4.json"))
                #expect(try UploadStatus.decode(Data(status.output.utf8)).state == "completed")
                let owner = try await Self.run("stat", "-c", "%u", stage.mount.appending("video.mp4"))
                #expect(geteuid() != 0 || owner.output == "\(Tool.ordinaryUser)\n", "\(owner)")

                let unmount = try await stage.mount.unmount()
                #expect(unmount.succeeded, "\(unmount)")
                #expect(!MountedPaths.contains(stage.mount.path))
                #expect(!stage.mount.isServed)
            }
        }

        /// Documents are not for writing, and the control attribute of one is no writing.
        @Test(.shows("status-fixed", "control-owner")) func controlsTheirOwnThroughADocument() async throws {
            try await withMount(asOrdinaryUser: true) { stage in
                let source = try await stage.source(size: 3_000_000)
                try await stage.sandbox.holdUploads()
                var tool = Tool("cp", [source, stage.mount.appending("video.mp4")])
                tool.asOrdinaryUser = true
                let copy = try await start(tool)
                let document = stage.mount.appending(".status/by-name/video.mp4.json")
                try await eventually("it is finishing") {
                    let read = try await Self.run("cat", document)
                    return try UploadStatus.decode(Data(read.output.utf8)).state == "finishing"
                }
                let mode = try await Self.run("stat", "-L", "-c", "%a", document)
                #expect(mode.output == "444\n", "\(mode)")
                let written = try await Self.run("sh", "-c", #"echo > "$0""#, document)
                #expect(!written.succeeded, "\(written)")
                let told = try await Self.run(BuildProducts.twelvefs, "cancel", document)
                #expect(told.succeeded, "\(told)")
                let outcome = try await copy.finished()
                #expect(outcome.errors.contains("Input/output error"), "\(outcome)")
                try await stage.sandbox.releaseUploads()
            }
        }

        /// Where root is another user, and lets everybody in.
        @Test(.shows("control-owner"), .enabled("there is no second user to be", { geteuid() == 0 }))
        func controlsNothingInTheMountOfAnother() async throws {
            try await withMount(["--allow-other"]) { stage in
                let source = try await stage.source(size: 3_000_000)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("video.mp4")]))
                try await stage.mount.await("finishing", of: "video.mp4")
                let document = stage.mount.appending(".status/by-name/video.mp4.json")
                let set = try await Self.run(
                    "python3", "-c",
                    """
                    import errno, os, sys
                    try:
                        os.setxattr(sys.argv[1], "system.twelvelabs.control", b"cancel")
                    except OSError as error:
                        print(errno.errorcode[error.errno])
                    """, document)
                #expect(set.output == "EPERM\n", "\(set)")
                let told = try await Self.run(BuildProducts.twelvefs, "cancel", stage.mount.appending("video.mp4"))
                #expect(told.ending == .exited(1), "\(told)")
                #expect(told.errors.contains("Only the owner of the mount may do this"), "\(told)")
                let written = try await Self.run("sh", "-c", #"echo > "$0""#, document)
                #expect(!written.succeeded, "\(written)")
                try await stage.sandbox.releaseUploads()
                #expect(try await copy.finished().succeeded)
            }
        }

        @Test func learnsTheSizeFromTheirOwnWriters() async throws {
            try await withMount(asOrdinaryUser: true) { stage in
                let source = try await stage.source(size: 60_000_000)
                var tool = PacedCopy.tool(source, stage.mount.appending("video.mp4"), rate: 40_000_000)
                tool.asOrdinaryUser = true
                let outcome = try await TestSupport.run(tool)
                #expect(outcome.succeeded, "\(outcome)")
                let lastWrite = try #require(try PacedCopy.decode(outcome).lastWrite)
                let session = try #require(try await stage.sandbox.journal().sessions.first)
                #expect(session.started < lastWrite, "the upload is meant to run beside the copy")
            }
        }

        @Test func writesInPiecesOrIsKilledAsRootIs() async throws {
            try await withMount(asOrdinaryUser: true) { stage in
                let source = try await stage.source(size: 12 << 20)
                var pieces = Tool.shell(
                    #"exec 5> "$2"; printf a >&5; cat "$1" >&5; exec 5>&-"#,
                    [source, stage.mount.appending("pieces.mp4")])
                pieces.asOrdinaryUser = true
                let outcome = try await TestSupport.run(pieces)
                #expect(outcome.succeeded, "\(outcome)")
                try await Self.expect("completed", of: "pieces.mp4", on: stage)
                #expect(try await stage.sandbox.completeAssets().map(\.size) == [12 << 20 + 1])

                var limited = Tool.shell(
                    #"ulimit -c 0 -f 8192; cp "$1" "$2""#, [source, stage.mount.appending("killed.mp4")])
                limited.asOrdinaryUser = true
                #expect(try await !TestSupport.run(limited).succeeded)
                try await Self.expect("interrupted", of: "killed.mp4", on: stage)
                #expect(try await stage.assets(named: "killed.mp4").isEmpty)
            }
        }

        @Test func leavesACloseByCtrlC() async throws {
            try await withMount(asOrdinaryUser: true) { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.holdUploads()
                var tool = Tool("cp", [source, stage.mount.appending("video.mp4")])
                tool.asOrdinaryUser = true
                let copy = try await start(tool)
                try await Self.expect("finishing", of: "video.mp4", on: stage)
                copy.signal(SIGINT)
                #expect(try await copy.finished().ending == .signalled(SIGINT))
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await stage.sandbox.releaseUploads()
                try await Self.expect("completed", of: "video.mp4", on: stage)
                #expect(try await stage.assets(named: "video.mp4").count == 1)
            }
        }

        @Test func isToldWhenTheKeyIsWrong() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    var options = try mountOptions(in: scratch, sandbox: sandbox, asOrdinaryUser: true)
                    options.apiKey = "not-the-key"
                    let outcome = try await TestSupport.run(options.tool)
                    #expect(!outcome.succeeded)
                    #expect(outcome.errors.localizedStandardContains("key"), "\(outcome)")
                }
            }
        }

        @Test func isToldWhenTheStateDirectoryIsNotTheirs() async throws {
            try await withScratch { scratch in
                try await withSandbox(scratch: scratch) { sandbox in
                    var options = try mountOptions(in: scratch, sandbox: sandbox, asOrdinaryUser: true)
                    options.stateDirectory = "\(try scratch.folder("locked", mode: 0o555))/state"
                    let outcome = try await TestSupport.run(options.tool)
                    #expect(!outcome.succeeded)
                    #expect(outcome.errors.contains(options.stateDirectory), "\(outcome)")
                    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome)")
                }
            }
        }

        /// Runs a tool as the user whose mount it is: nobody else, root included, may enter it.
        private static func run(_ program: String, _ arguments: String...) async throws -> Outcome {
            var tool = Tool(program, arguments)
            tool.asOrdinaryUser = true
            return try await TestSupport.run(tool)
        }

        /// Waits for a state in the status document, as the mount's owner sees it.
        private static func expect(_ state: String, of name: String, on stage: Stage) async throws {
            try await eventually("\(name) is \(state)", timeout: .seconds(60)) {
                let outcome = try await run("cat", stage.mount.appending(".status/by-name/\(name).json"))
                return try UploadStatus.decode(Data(outcome.output.utf8)).state == state
            }
        }
    }
}
