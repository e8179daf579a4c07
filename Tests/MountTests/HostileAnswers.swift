import TestSupport
import Testing

/// Answers to *create session* that a correct platform never gives.
struct HostileAnswer: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let answer: Fault.Answer
    /// A word that the reason has to contain.
    let mentions: String

    static let all = [
        HostileAnswer(testDescription: "a proxy's HTML page", answer: .html, mentions: ""),
        HostileAnswer(testDescription: "JSON that is cut off", answer: .cutOff, mentions: ""),
        HostileAnswer(testDescription: "no upload_id", answer: .omit(["upload_id"]), mentions: "upload_id"),
        HostileAnswer(testDescription: "no chunk_size", answer: .omit(["chunk_size"]), mentions: "chunk_size"),
        HostileAnswer(testDescription: "a chunk_size of 0", answer: .replace("chunk_size", 0), mentions: "chunk_size"),
        HostileAnswer(
            testDescription: "a negative chunk_size", answer: .replace("chunk_size", -5), mentions: "chunk_size"),
        HostileAnswer(
            testDescription: "a chunk_size of 1",
            answer: .status(201, body: #"{"upload_id":"u","asset_id":"a","chunk_size":1,"upload_urls":[]}"#),
            mentions: "chunk_size is 1, which cuts 8000000 bytes into 8000000 chunks"),
        HostileAnswer(
            testDescription: "a total_chunks that does not fit", answer: .replace("total_chunks", 7),
            mentions: "total_chunks"),
        HostileAnswer(
            testDescription: "JSON that nests without an end",
            answer: .status(201, body: String(repeating: "[", count: 100_000)), mentions: "nests more than"),
        HostileAnswer(
            testDescription: "an answer that is far too long",
            answer: .status(201, body: String(repeating: " ", count: 5 << 20)), mentions: "4 MiB"),
        HostileAnswer(
            testDescription: "a header that brings another",
            answer: session(headers: #""x-amz-a":"1\r\nx-injected: 1""#),
            mentions: "x-amz-a has a value that no header may have"),
        HostileAnswer(
            testDescription: "a header with credentials", answer: session(headers: #""Authorization":"Basic eA==""#),
            mentions: "authorization"),
        HostileAnswer(
            testDescription: "a URL of another scheme", answer: session(url: "file:///etc/passwd"),
            mentions: "its scheme is neither"),
        HostileAnswer(
            testDescription: "a URL with a user's name", answer: session(url: "https://user:word@127.0.0.1/part"),
            mentions: "it has a user name"),
        HostileAnswer(
            testDescription: "a redirect",
            answer: .status(307, body: "", headers: ["Location": "http://127.0.0.1:9/elsewhere"]),
            mentions: "307"),
    ]

    /// An answer that is right but for what is asked for, to a file of 8 MB.
    private static func session(url: String = "https://127.0.0.1/part", headers: String = "") -> Fault.Answer {
        .status(
            201,
            body: """
                {"upload_id":"u","asset_id":"a","chunk_size":8000000,"total_chunks":1,"upload_headers":{\(headers)},
                 "upload_urls":[{"chunk_index":1,"url":"\(url)"}]}
                """)
    }
}

extension Mounted {
    /// Nonsense from the platform is an error with a reason, within a minute, and never a crash.
    @Suite(.timeLimit(.minutes(1))) struct HostileAnswers {
        @Test(.shows("error-nonsense"), arguments: HostileAnswer.all)
        func toCreateFailTheCopyWithAReason(hostile: HostileAnswer) async throws {
            try await withMount { stage in
                let source = try await stage.source(size: 8_000_000)
                try await stage.sandbox.inject(Fault(on: .create, count: 1000, hostile.answer))
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(!copy.succeeded)
                #expect(copy.errors.contains("Input/output error"), "\(copy)")
                let status = try await stage.mount.status(of: "video.mp4")
                #expect(status.state == "failed")
                let error = try #require(status.error)
                #expect(!error.message.isEmpty)
                #expect(hostile.mentions.isEmpty || error.message.contains(hostile.mentions), "\(error.message)")
                #expect(stage.mount.isServed)
                #expect(try await stage.sandbox.completeAssets().isEmpty)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        /// Larger than the file, it is the file; and two of them are more than a number can say.
        @Test(.shows("error-nonsense")) func aChunkLargerThanAnyFileIsTheWholeFile() async throws {
            try await withMount(sandbox: ["--chunk-size", "16MiB"]) { stage in
                let source = try await stage.source(size: 8_000_000)
                try await stage.sandbox.inject(Fault(on: .create, .replace("chunk_size", .max)))
                // The session is there before the last write: it looks how far it is ahead of the network.
                let copy = try await run(
                    PacedCopy.tool(source, stage.mount.appending("video.mp4"), rate: 6_000_000, block: 1 << 18))
                #expect(copy.succeeded, "\(copy)")
                try await expectOneAsset("video.mp4", like: source, on: stage)
                try await expectThatTheMountLivesOn(stage)
            }
        }

        @Test(.shows("error-nonsense"), arguments: [SandboxJournal.Request.Kind.report, .urls, .status])
        func toLaterCallsAreMadeGoodWhenTheyPass(kind: SandboxJournal.Request.Kind) async throws {
            // The session's status is asked for only where no report's answer calls the upload complete.
            let answers = kind == .status ? ["--asset-urls", "off"] : []
            try await withMount(sandbox: ["--chunk-size", "1MiB", "--initial-urls", "2"] + answers) { stage in
                let source = try await stage.source(size: 12_000_000)
                try await stage.sandbox.inject(Fault(on: kind, count: 1, .html), Fault(on: kind, count: 1, .cutOff))
                let copy = try await run("cp", source, stage.mount.appending("video.mp4"))
                #expect(copy.succeeded, "\(copy)")
                let asset = try #require(try await stage.assets(named: "video.mp4").first)
                #expect(asset.sha256 == (try await TestFile.sha256(of: source)))
            }
        }
    }
}
