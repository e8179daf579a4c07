import Foundation
import TestSupport
import Testing

extension Mounted {
    /// OpenSSH's sftp-server, whose client goes half-way: it exits with status 0, and with the file open.
    @Suite struct FileServers {
        /// Speaks the protocol as far as two packets after the greeting, and is gone, or waits for its answers and closes.
        private static let client = #"""
            import struct, subprocess, sys
            target, ending = sys.argv[1].encode(), sys.argv[2]
            server = subprocess.Popen(["/usr/lib/openssh/sftp-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            def text(bytes): return struct.pack(">I", len(bytes)) + bytes
            def ask(kind, body):
                server.stdin.write(text(bytes([kind]) + body))
                server.stdin.flush()
                return server.stdout.read(struct.unpack(">I", server.stdout.read(4))[0])
            ask(1, struct.pack(">I", 3))
            # write, create, truncate
            answer = ask(3, struct.pack(">I", 1) + text(target) + struct.pack(">II", 0x1a, 0))
            handle = answer[9:]
            answer = ask(6, struct.pack(">I", 2) + text(handle) + struct.pack(">Q", 0) + text(b"x" * 100000))
            assert answer[5:9] == bytes(4), answer
            if ending == "closes":
                answer = ask(4, struct.pack(">I", 3) + text(handle))
                assert answer[5:9] == bytes(4), answer
            if ending == "is killed":
                server.kill()
                sys.exit(server.wait() != -9)
            server.stdin.close()
            sys.exit(server.wait())
            """#

        private static func send(to name: String, _ ending: String, on stage: Stage) async throws {
            let outcome = try await run("python3", "-c", client, stage.mount.appending(name), ending)
            #expect(outcome.succeeded, "\(outcome)")
        }

        @Test(.shows("asset-file-server"), arguments: ["is gone", "is killed"])
        func leaveNoAssetOfWhatTheirClientDidNotFinish(ending: String) async throws {
            try await withMount { stage in
                try await Self.send(to: "video.mp4", ending, on: stage)
                try await stage.mount.await("interrupted", of: "video.mp4")
                #expect(try await stage.mount.list() == ["video.mp4"])
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await Self.send(to: "video.mp4", "closes", on: stage)
                #expect(try await stage.sandbox.completeAssets().map(\.size) == [100_000])
            }
        }

        @Test(.shows("asset-file-server")) func whatTheirClientDidNotFinishIsCompletedByReput() async throws {
            try await withMount { stage in
                try await Self.send(to: "video.mp4", "is gone", on: stage)
                try await stage.mount.await("interrupted", of: "video.mp4")
                let source = stage.scratch.appending("video.mp4")
                let script = #"head -c 100000 /dev/zero | tr '\0' x > "$1" && head -c 3000000 /dev/urandom >> "$1""#
                #expect(try await run(.shell(script, [source])).succeeded)
                let batch = stage.scratch.appending("batch")
                try "reput \(source) \(stage.mount.appending("video.mp4"))\n".write(
                    toFile: batch, atomically: false, encoding: .utf8)
                let reput = try await run("sftp", "-b", batch, "-D", "/usr/lib/openssh/sftp-server")
                #expect(reput.succeeded, "\(reput)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
            }
        }
    }
}
