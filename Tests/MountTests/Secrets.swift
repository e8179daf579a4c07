import Foundation
import TestSupport
import Testing

extension Mounted {
    /// The key and the presigned URLs open an account's door: they are in no log, no status document, no journal, and in nothing
    /// that `/proc` tells others of our processes.
    @Suite struct Secrets {
        @Test(.shows("status-secrets")) func areNowhereAfterEverythingThatCanGoWrong() async throws {
            try await withScratch { scratch in
                try await withSandbox(["--chunk-size", "1MiB"], scratch: scratch) { sandbox in
                    let options = try mountOptions(
                        in: scratch, sandbox: sandbox, arguments: ["--debug", "--stall-timeout", "2s"])
                    let found = try scratch.folder("found")
                    try await withMount(options) { mount in
                        try await self.goThroughTrouble(mount, sandbox, scratch)
                        try await self.collect(from: mount, into: try scratch.folder("found/first"))
                        try await mount.crash()
                    }
                    try await sandbox.releaseUploads()
                    var again = options
                    again.arguments.append("--auto-unmount")
                    try await withMount(again) { mount in
                        try await mount.await("completed", of: "stalled.mp4")
                        try await self.collect(from: mount, into: try scratch.folder("found/second"), processes: 2)
                        let unmounted = try await mount.unmount()
                        #expect(unmounted.succeeded, "\(unmounted)")
                    }
                    let signatures = Set(try await sandbox.journal().requests(.put).compactMap(\.signature))
                    #expect(signatures.count > 40)
                    let search = try Search(signatures: signatures, scratch: scratch)
                    #expect(try await search.finds(in: found) == "")
                    // What is there to be found, is found: the key within other bytes, a URL, and a signature alone.
                    let planted = [
                        "1": "GET /_store/0a1b2c/7?serial=1", "2": "x\0\(SandboxProcess.key)\0",
                        "3": "url: &X-Amz-Signature=abc", "4": "\u{1}\(try #require(signatures.first))\u{2}",
                    ]
                    for (name, text) in planted { _ = try scratch.file("found/second/\(name)", text) }
                    #expect(
                        try await search.finds(in: found)
                            == planted.keys.sorted().map { "\(found)/second/\($0)\n" }.joined())
                }
            }
        }

        /// Uploads that succeed at once, after failures and after expired URLs; others that are refused, interrupted, stalled.
        private func goThroughTrouble(_ mount: Mount, _ sandbox: SandboxProcess, _ scratch: Scratch) async throws {
            let source = try await TestFile.random(at: scratch.appending("source.mp4"), size: 6_000_000)
            let expired = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
            let echo =
                #"{"code":"parameter_invalid","message":"key \#(SandboxProcess.key) http://h/_store/a/1?serial=1"}"#
            let troubles: [(name: String, faults: [Fault], succeeds: Bool)] = [
                ("plain.mp4", [], true),
                ("retried.mp4", [Fault(on: .put, count: 2, .status(503, body: "<Error>no</Error>"))], true),
                ("expired.mp4", [Fault(on: .put, count: 2, .status(403, body: expired))], true),
                ("reset.mp4", [Fault(on: .put, count: 2, .reset), Fault(on: .report, .reset)], true),
                ("unreadable.mp4", [Fault(on: .urls, .html), Fault(on: .report, .cutOff)], true),
                ("refused.mp4", [Fault(on: .create, count: 1000, .status(400, body: echo))], false),
                (
                    "forbidden.mp4",
                    [Fault(on: .put, count: 1000, .status(403, body: "<Error><Code>AccessDenied</Code></Error>"))],
                    false
                ),
            ]
            for trouble in troubles {
                for fault in trouble.faults { try await sandbox.inject(fault) }
                let copy = try await run("cp", source, mount.appending(trouble.name))
                #expect(copy.succeeded == trouble.succeeds, "\(copy)")
                try await sandbox.clearFaults()
            }
            let cut = try await run(
                "timeout", "-s", "KILL", "0.2", "sh", "-c", #"(cat "$0"; sleep 9) > "$1""#, source,
                mount.appending("cut.mp4"))
            #expect(!cut.succeeded)
            try await sandbox.holdUploads()
            let stalled = try await run("cp", source, mount.appending("stalled.mp4"))
            #expect(stalled.errors.contains("Input/output error"), "\(stalled)")
        }

        /// Copies what others could read: the documents, the state directory with its journal and log, the processes' command lines
        /// and environments. The spool is the user's own bytes.
        private func collect(from mount: Mount, into folder: String, processes: Int = 1) async throws {
            let taken = try await shell(
                #"""
                set -e
                cp -rL "$2" "$1/status"
                cp "$4" "$1/log"
                cp "$3"/journal* "$1"
                for task in "/proc/$5"/task/*; do children="$children $(cat "$task/children")"; done
                for process in "$5" $children; do
                    cat "/proc/$process/cmdline" "/proc/$process/environ" > "$1/process-$process"
                done
                """#, folder, mount.appending(".status"), mount.stateDirectory, mount.logFile, "\(mount.server)")
            #expect(taken.succeeded, "\(taken)")
            let collected = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(Set(collected).isSuperset(of: ["status", "log", "journal.sqlite", "process-\(mount.server)"]))
            // With --auto-unmount fusermount3 waits beside twelvefs.
            #expect(collected.filter { $0.hasPrefix("process-") }.count >= processes)
        }

        /// A search for the key, for any part that only a presigned URL has, and for the signatures that were used.
        private struct Search {
            private let signatures: String

            init(signatures: Set<String>, scratch: Scratch) throws {
                self.signatures = try scratch.file("signatures", signatures.joined(separator: "\n"))
            }

            /// The names of the files below a folder that hold one of them, a line each.
            func finds(in folder: String) async throws -> String {
                try await shell(
                    #"""
                    { grep -rlaE -e "$2" -e "_store/[0-9a-f]+/[0-9]+[?]" -e "[?&](serial|X-Amz-Signature)=" "$1"
                      grep -rlaF -f "$3" "$1"; } | sort -u
                    """#, folder, SandboxProcess.key, signatures
                ).output
            }
        }
    }
}
