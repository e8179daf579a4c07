import Foundation
import TestSupport
import Testing

/// One thing that goes wrong while a file is copied, and what comes of it.
struct MountedFault: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// As the sandbox reads them.
    var faults = "[]"
    var sandbox: [String] = []
    var mount: [String] = []
    /// What `cp` says; nothing where it succeeds.
    var error: String?
    /// The status document's `error.code` where it does not.
    var code: String?
    /// Attempts beyond the first.
    var retries = 1
    var sessions = 1
    /// In seconds, at least.
    var waitBeforeSecondCreate: Double?

    init(_ what: String, _ faults: String = "[]", _ change: (inout MountedFault) -> Void = { _ in }) {
        testDescription = what
        self.faults = faults
        change(&self)
    }

    private static let expired =
        #"{"status": 403, "body": "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"}"#
    private static let refused = #"{"status": 403, "body": "<Error><Code>SignatureDoesNotMatch</Code></Error>"}"#
    private static let wrong = #"{"replace": {"ETag": "\"00000000000000000000000000000000\""}}"#

    /// Stands for the time of day in six seconds, as HTTP writes it.
    private static let inSixSeconds = "IN SIX SECONDS"

    /// The faults as they are to be played now.
    var faultsNow: String {
        faults.replacingOccurrences(of: Self.inSixSeconds, with: Self.date(in: 6))
    }

    private static func date(in seconds: Double) -> String {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        return format.string(from: Date(timeIntervalSinceNow: seconds))
    }

    /// One row for each class of outcomes; `FaultTableTests` has every fault.
    static let all: [MountedFault] = [
        // Tried again.
        MountedFault("reset in the body", #"[{"on": "put", "answer": "reset", "after_bytes": 500000}]"#),
        MountedFault("503 on create", #"[{"on": "create", "answer": {"status": 503}}]"#),
        MountedFault(
            "the report is accepted, its answer lost", #"[{"on": "report", "answer": "reset", "when": "after"}]"#),
        MountedFault("an ETag that is not the MD5", #"[{"on": "put", "answer": \#(wrong)}]"#),
        // Tried again when the platform says.
        MountedFault(
            "429 with a date",
            #"[{"on": "create", "answer": {"status": 429, "headers": {"Retry-After": "\#(inSixSeconds)"}}}]"#
        ) { $0.waitBeforeSecondCreate = 1 },
        // Sent again with another URL.
        MountedFault("a URL that has expired", #"[{"on": "put", "answer": \#(expired)}]"#),
        // Sent again in another session.
        MountedFault("the session expires", #"[{"on": "report", "answer": {"session": "expired"}}]"#) {
            ($0.retries, $0.sessions) = (0, 2)
        },
        // What is no fault, and costs no attempt.
        MountedFault("ETags that are no MD5, as encryption makes them") {
            ($0.sandbox, $0.retries) = (["--opaque-etags"], 0)
        },
        // Failed at once, after some attempts, and when nothing moves.
        MountedFault("403 for another reason", #"[{"on": "put", "answer": \#(refused), "count": null}]"#) {
            ($0.error, $0.code, $0.retries) = ("Input/output error", "SignatureDoesNotMatch", 0)
        },
        MountedFault(
            "an ETag that is never the MD5",
            #"[{"on": "put", "chunk_index": 1, "count": null, "answer": \#(wrong)}]"#
        ) {
            ($0.error, $0.code, $0.retries) = ("Input/output error", "etag_mismatch", 4)
        },
        MountedFault("a PUT that hangs", #"[{"on": "put", "answer": "hang", "count": null}]"#) {
            $0.mount = ["--stall-timeout", "3s"]
            ($0.error, $0.code, $0.retries) = ("Input/output error", "", 0)
        },
    ]
}

extension Mounted {
    /// A fault of each class, of network, platform and store, with a real copy. Connections that are refused are in ``Outages``,
    /// keys in ``KeysRevoked``.
    @Suite struct FaultTable {
        @Test(arguments: MountedFault.all) func costsACopyWhatTheTableSays(_ row: MountedFault) async throws {
            try await withMount(row.mount, sandbox: ["--chunk-size", "1MiB"] + row.sandbox) { stage in
                let source = try await stage.source(size: 2_500_000)
                try await stage.sandbox.inject(json: row.faultsNow)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.retries == row.retries)
                if let error = row.error {
                    #expect(!copy.succeeded)
                    #expect(copy.errors.contains(error), "\(copy)")
                    #expect(status.error?.code ?? "" == row.code)
                    #expect(try await stage.sandbox.completeAssets().isEmpty)
                } else {
                    #expect(copy.succeeded, "\(copy)")
                    #expect(status.state == "completed")
                    #expect(status.error == nil)
                    try await expectOneAsset("video.mp4", like: source, on: stage)
                }
                let journal = try await stage.sandbox.journal()
                #expect(journal.sessions.count == row.sessions)
                if let wait = row.waitBeforeSecondCreate {
                    let creates = journal.requests(.create).map(\.started)
                    try #require(creates.count == 2)
                    #expect(creates[1] - creates[0] >= wait)
                }
            }
        }

        @Test func aClockThatIsADayOffCostsNothing() async throws {
            try await withMount(sandbox: ["--chunk-size", "1MiB"]) { stage in
                try await stage.sandbox.configure(["clock_skew": "-1d"])
                let source = try await stage.source(size: 2_500_000)
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                let journal = try await stage.sandbox.journal()
                #expect(journal.requests(.put).count == 3)
                #expect(journal.requests(.urls).isEmpty)
            }
        }
    }
}
