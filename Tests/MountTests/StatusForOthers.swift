import Foundation
import TestSupport
import Testing

/// Another user than the mount's.
private struct OtherUser {
    static let number = 65533

    /// Runs a tool as that user, in these groups besides its own.
    static func run(_ program: String, _ arguments: String..., groups: [Int] = []) async throws -> Outcome {
        let inGroups = groups.isEmpty ? "--clear-groups" : "--groups=" + groups.map(String.init).joined(separator: ",")
        var tool = Tool(
            "setpriv", ["--reuid=\(number)", "--regid=\(number)", inGroups, "--", program] + arguments)
        // What root has in its own folders is nobody else's.
        tool.environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        return try await TestSupport.run(tool)
    }
}

extension Mounted {
    /// What somebody who is let in by `--allow-other` finds in `.status`.
    @Suite(.enabled("needs root, to be another user", { geteuid() == 0 }))
    struct StatusForOthers {
        private func copies(_ names: [String], on stage: Stage) async throws {
            let source = try await stage.source(size: 100_000)
            for name in names {
                let copy = try await run("install", "-D", "-m", "644", source, stage.mount.appending(name))
                #expect(copy.succeeded, "\(copy)")
            }
        }

        @Test("A directory that is closed to them hides what is in it", .shows("status-others"))
        func aClosedDirectoryHidesItsFiles() async throws {
            try await withMount(["--allow-other"]) { stage in
                try await copies(["open.mp4", "secret-a/hidden.mp4", "group/shared.mp4", "mode.mp4"], on: stage)
                let prepared = try await stage.shellInMount(
                    "chmod 700 secret-a && chgrp 4711 group && chmod 750 group && chmod 600 mode.mp4")
                #expect(prepared.succeeded, "\(prepared)")
                let ids = try await stage.mount.status(of: "secret-a/hidden.mp4")
                let (upload, asset) = (try #require(ids.uploadId), try #require(ids.assetId))
                let status = stage.mount.appending(".status")
                let everything = #"ls -lRL "$0"; find -L "$0" -type f -exec cat {} +; find -L "$0" -exec stat {} +"#

                let root = try await run("sh", "-c", everything, status)
                for word in ["hidden.mp4", "secret-a", upload, asset] { #expect(root.output.contains(word)) }
                // Right afterwards, while the kernel may remember: nothing of it for others.
                let other = try await OtherUser.run("sh", "-c", everything, status)
                for word in ["hidden", "secret-a", upload, asset, "shared", "mode.mp4"] {
                    #expect(!other.output.contains(word), "\(word) is told")
                }
                #expect(other.output.contains("\"/open.mp4\""), "\(other)")
                let member = try await OtherUser.run("sh", "-c", everything, status, groups: [4711])
                #expect(member.output.contains("\"/group/shared.mp4\"") && !member.output.contains("hidden"))
                let number = try #require(
                    try await stage.mount.list(".status").filter { $0.hasPrefix("pending-") }.first {
                        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(status)/\($0)")), as: UTF8.self)
                            .contains("hidden")
                    })
                // The attributes of a file tell no more than the file does.
                for name in ["secret-a/hidden.mp4", "mode.mp4"] {
                    let told = try await OtherUser.run(
                        "python3", "-c", "import os, sys; print(os.getxattr(sys.argv[1], 'user.twelvelabs.asset_id'))",
                        stage.mount.appending(name))
                    #expect(!told.succeeded && told.errors.contains("PermissionError"), "\(told)")
                }
                for name in ["\(upload).json", number, "by-name/secret-a/hidden.mp4.json", "by-name/secret-a"] {
                    let read = try await OtherUser.run("cat", "\(status)/\(name)")
                    #expect(!read.succeeded && read.errors.contains("No such file"), "\(read)")
                }
                #expect(try await stage.mount.status(of: "secret-a/hidden.mp4").state == "completed")
            }
        }

        @Test("Their own uploads they see, also when these came to nothing", .shows("status-others"))
        func theySeeTheirOwn() async throws {
            try await withMount(["--allow-other"]) { stage in
                let source = try await stage.source(size: 100_000)
                let opened = try await run("sh", "-c", #"chmod 644 "$0" && chmod 1777 "$1""#, source, stage.mount.path)
                #expect(opened.succeeded, "\(opened)")
                let copy = try await OtherUser.run("install", "-m", "600", source, stage.mount.appending("mine.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let killed = try await OtherUser.run(
                    "python3", "-c",
                    """
                    import os, signal, sys
                    descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
                    os.write(descriptor, bytes(50000))
                    os.kill(os.getpid(), signal.SIGKILL)
                    """, stage.mount.appending("killed.mp4"))
                #expect(!killed.succeeded, "\(killed)")
                for (name, state) in [("mine.mp4", "completed"), ("killed.mp4", "interrupted")] {
                    try await eventually("\(name) is \(state)") {
                        let document = stage.mount.appending(".status/by-name/\(name).json")
                        let read = try await OtherUser.run("cat", document)
                        return try UploadStatus.decode(Data(read.output.utf8)).state == state
                    }
                }
                let waited = try await OtherUser.run(BuildProducts.twelvefs, "wait", stage.mount.appending("mine.mp4"))
                #expect(waited.succeeded, "\(waited)")
            }
        }

        @Test(
            "twelvefs status shows others what they may see, and says that there may be more", .shows("status-others"))
        func theCommandsSaySo() async throws {
            try await withMount(["--allow-other"]) { stage in
                try await copies(["open.mp4", "secret-a/hidden.mp4"], on: stage)
                let prepared = try await stage.shellInMount(
                    "chmod 700 secret-a && cp -p open.mp4 x.mp4 && chmod 600 x.mp4")
                #expect(prepared.succeeded, "\(prepared)")
                let table = try await OtherUser.run(BuildProducts.twelvefs, "status", stage.mount.path)
                #expect(table.succeeded && table.output.contains("open.mp4"), "\(table)")
                #expect(!table.output.contains("hidden") && !table.output.contains("x.mp4"), "\(table)")
                #expect(table.output.contains("shown to the mount's owner and root alone"), "\(table)")
                let wait = try await OtherUser.run(BuildProducts.twelvefs, "wait", stage.mount.appending("x.mp4"))
                #expect(wait.ending == .exited(1) && wait.errors.contains("that you may see"), "\(wait)")
                #expect(wait.errors.contains("the mount's owner"), "\(wait)")
                let own = try await run(BuildProducts.twelvefs, "status", stage.mount.path)
                #expect(own.output.contains("hidden") && !own.output.contains("alone"), "\(own)")
            }
        }

        @Test("The summary names no file", .shows("status-summary"))
        func theSummaryNamesNoFile() async throws {
            try await withMount(["--allow-other"]) { stage in
                let source = try await stage.source(size: 3_000_000)
                try await stage.sandbox.holdUploads()
                let copy = try await start(Tool("cp", [source, stage.mount.appending("under-way.mp4")]))
                try await stage.mount.await("finishing", of: "under-way.mp4")
                for name in ["summary.json", "metrics"] {
                    let read = try await OtherUser.run("cat", stage.mount.appending(".status/\(name)"))
                    #expect(read.succeeded && !read.output.contains("under-way"), "\(read)")
                }
                try await stage.sandbox.releaseUploads()
                #expect(try await copy.finished().succeeded)
            }
        }
    }
}
