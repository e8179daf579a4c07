import NIOCore
import NIOHTTP1
import PlatformClient
import Synchronization
import Testing
import UploadCore

@Suite struct PutTests {
    private static func put(
        _ chunk: MemoryChunk, _ client: PlatformClient, _ server: ScriptedServer, headers: [(String, String)] = [],
        _ onBytesSent: @Sendable @escaping (Int) -> Void = { _ in }
    ) async throws(UploadFailure) -> StoredChunk {
        try await client.put(chunk, to: server.presigned(), headers: headers, onBytesSent: onBytesSent)
    }

    private static func stored(_ chunk: MemoryChunk, headers: [String] = []) -> ScriptedAnswer {
        .status(200, headers: ["ETag: \"\(chunk.md5)\""] + headers)
    }

    @Test(arguments: [1, 65_535, 65_536, 262_144, 262_145, 5_242_880, 7_000_001])
    func theChunkArrivesWithItsLengthAndWithoutTheKey(_ size: Int) async throws {
        let chunk = MemoryChunk(count: size)
        try await ScriptedServer.run([Self.stored(chunk)]) { server in
            let sent = Mutex<[Int]>([])
            let stored = try await withClient(of: server) { client in
                try await Self.put(chunk, client, server, headers: [("x-amz-meta-a", "b")]) { count in
                    sent.withLock { $0.append(count) }
                }
            }
            #expect(stored == StoredChunk(etag: chunk.md5, md5: chunk.md5, size: Int64(size)))
            let request = try #require(server.requests.first)
            #expect(server.requests.count == 1)
            #expect(request.method == "PUT")
            #expect(request.uri == "/_store/part?partNumber=1&X-Amz-Signature=\(testSignature)")
            #expect(request.bodyCount == size)
            #expect(request.bodyMD5 == chunk.md5)
            #expect(request.headers["content-length"] == ["\(size)"])
            #expect(!request.headers.contains(name: "transfer-encoding"))
            #expect(!request.headers.contains(name: "x-api-key"))
            #expect(!request.headers.contains { $0.value.contains(testKey) })
            #expect(request.headers["content-type"] == ["application/octet-stream"])
            #expect(request.headers["x-amz-meta-a"] == ["b"])
            #expect(sent.withLock { $0.reduce(0, +) } == size)
            #expect(sent.withLock { $0.allSatisfy { $0 > 0 } })
        }
    }

    @Test func theURLGoesOutByteForByte() async throws {
        // A signature covers these bytes: to encode or decode any of them differently would break it.
        let uri = "/_store/a%2Fb+c%20d//e;x=1/%c3%A9?X-Amz-Credential=AK%2F2%2f&y=a+b~!$'()*,;:@/?&empty=&z=%3D%25"
        let chunk = MemoryChunk(count: 10)
        try await ScriptedServer.run([Self.stored(chunk)]) { server in
            let url = PresignedURL(text: server.origin + uri, expiresAfter: nil)
            _ = try await withClient(of: server) { try await $0.put(chunk, to: url, headers: []) { _ in } }
            #expect(server.requests.first?.uri == uri)
        }
    }

    @Test func theUploadHeadersMaySetTheContentType() async throws {
        let chunk = MemoryChunk(count: 10)
        try await ScriptedServer.run([Self.stored(chunk)]) { server in
            _ = try await withClient(of: server) { client in
                try await Self.put(chunk, client, server, headers: [("Content-Type", "video/mp4")])
            }
            #expect(server.requests.first?.headers["content-type"] == ["video/mp4"])
        }
    }

    @Test func whatConcernsTheConnectionIsOursWhateverTheUploadHeadersSay() async throws {
        let chunk = MemoryChunk(count: 10)
        let headers = [
            ("Host", "elsewhere.example"), ("Content-Length", "3"), ("Transfer-Encoding", "chunked"),
            ("Connection", "close"), ("Expect", "100-continue"), ("Upgrade", "h2c"), ("x-amz-meta-a", "b"),
        ]
        try await ScriptedServer.run([Self.stored(chunk)]) { server in
            _ = try await withClient(of: server) { try await Self.put(chunk, $0, server, headers: headers) }
            let request = try #require(server.requests.first)
            #expect(request.headers["host"] == ["127.0.0.1:\(server.port)"])
            #expect(request.headers["content-length"] == ["10"])
            #expect(request.headers["x-amz-meta-a"] == ["b"])
            for name in ["transfer-encoding", "connection", "expect", "upgrade"] {
                #expect(!request.headers.contains(name: name), "\(name)")
            }
            #expect(request.bodyCount == 10)
        }
    }

    @Test func moreThanTwoPiecesAreNeverHeld() async throws {
        // A server that reads nothing: the chunk is read as far as the kernel's buffers and two pieces of ours go.
        let size = 64 << 20
        let sent = Mutex(0)
        let most = Mutex(0)
        let piece = 256 << 10
        let chunk = MemoryChunk(count: size) { offset in
            let held = Int(offset) + piece - sent.withLock { $0 }
            most.withLock { $0 = max($0, held) }
        }
        try await ScriptedServer.run([Self.stored(chunk)]) { server in
            _ = try await withClient(of: server) { client in
                try await Self.put(chunk, client, server) { count in sent.withLock { $0 += count } }
            }
        }
        #expect(most.withLock { $0 } <= 2 * piece)
    }

    // MARK: Answers before their time

    @Test(arguments: [ScriptedAnswer.Moment.head, .body(1), .body(300_000)], [false, true])
    func anAnswerThatComesBeforeTheBodyWasTakenIsTheAnswer(_ moment: ScriptedAnswer.Moment, closes: Bool) async throws {
        // Larger than what the kernels on both sides buffer, so that the body cannot be out before the answer is read.
        let chunk = MemoryChunk(count: 64 << 20)
        let early = ScriptedAnswer.status(
            503, "<Error><Code>SlowDown</Code><Message>Slow</Message></Error>", type: "application/xml", at: moment)
        try await ScriptedServer.run([closes ? early.closing : early]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await Self.put(chunk, client, server)
                }
                if closes, failure?.kind == .connectionLost {
                    // The reset that follows an unread body can overtake the answer: nothing above the kernel can help it.
                    return
                }
                #expect(failure?.kind == .storeUnavailable)
                #expect(failure?.code == "SlowDown")
                #expect(failure?.httpStatus == 503)
            }
            #expect(server.requests.count == 1)
            #expect(chunk.readSoFar < chunk.size)
        }
    }

    @Test(arguments: [
        "Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        // Not at its end yet when the connection is closed.
        "Transfer-Encoding: chunked\r\n\r\n5\r\n<Erro\r\n", "Content-Length: 500\r\n\r\n<Error>",
    ])
    func anEarlyRefusalCountsHoweverItEnds(_ rest: String) async throws {
        let clock = TestClock()
        let early = ScriptedAnswer.raw("HTTP/1.1 503 Slow Down\r\n" + rest, at: .head)
        try await ScriptedServer.run([early]) { server in
            try await withClient(of: server, clock: clock) { client in
                async let outcome = failure { () async throws(UploadFailure) in
                    try await Self.put(MemoryChunk(count: 64 << 20), client, server)
                }
                await server.wait { $0.count == 1 }
                if !rest.hasPrefix("Content-Length: 0") {
                    // What is left of the answer gets a second.
                    await clock.waitForSleeper(until: .seconds(1))
                    clock.advance(by: .seconds(1))
                }
                let failure = await outcome
                #expect(failure?.kind == .storeUnavailable)
                #expect(failure?.httpStatus == 503)
            }
        }
    }

    @Test func aRefusalThatIsCutOffIsARefusalStill() async throws {
        let cut = ScriptedAnswer.raw("HTTP/1.1 403 Forbidden\r\nContent-Length: 500\r\n\r\n<Error>").closing
        try await ScriptedServer.run([cut]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await Self.put(MemoryChunk(count: 10), client, server)
                }
                #expect(failure?.kind == .storeRefused)
                #expect(failure?.httpStatus == 403)
            }
        }
    }

    @Test func aSuccessThatComesBeforeTheBodyWasTakenIsNone() async throws {
        let chunk = MemoryChunk(count: 64 << 20)
        let early = ScriptedAnswer.status(200, headers: ["ETag: \"\(chunk.md5)\""], at: .head).closing
        try await ScriptedServer.run([early]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await Self.put(chunk, client, server)
                }
                #expect(failure?.kind == .connectionLost)
            }
        }
    }

    @Test func anEndlessAnswerOfTheStoreIsCutAtTheBound() async throws {
        let endless = ScriptedAnswer(steps: [
            .send("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"),
            .sendForEver("1000\r\n\(String(repeating: "x", count: 4096))\r\n"),
        ])
        try await ScriptedServer.run([endless]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await Self.put(MemoryChunk(count: 10), client, server)
                }
                #expect(failure?.kind == .unreadableAnswer)
                #expect(failure?.code == "answer_too_large")
            }
        }
    }

    // MARK: What breaks

    @Test(arguments: [
        ScriptedAnswer(moment: .head, steps: [.reset]), ScriptedAnswer(moment: .body(100_000), steps: [.reset]),
        ScriptedAnswer(moment: .body(100_000), steps: [.close]), .reset, .close,
        .raw("HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n").closing,
    ])
    func aConnectionThatEndsDuringAPutIsLostAndNothingIsRepeated(_ answer: ScriptedAnswer) async throws {
        try await ScriptedServer.run([answer]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await Self.put(MemoryChunk(count: 8 << 20), client, server)
                }
                #expect(failure?.kind == .connectionLost)
            }
            #expect(server.requests.count == 1)
        }
    }

    @Test func aPutWhoseAnswerNeverComesEndsAfterTheProgressDeadline() async throws {
        let clock = TestClock()
        let sent = Counter()
        try await ScriptedServer.run([.hang]) { server in
            try await withClient(of: server, clock: clock) { client in
                async let outcome = failure { () async throws(UploadFailure) in
                    try await Self.put(MemoryChunk(count: 100_000), client, server) { count in sent.add(count) }
                }
                await server.wait { $0.first?.isComplete == true }
                clock.runFreely()
                let failure = await outcome
                #expect(failure?.kind == .connectionLost)
                #expect(failure?.code == "timeout")
                #expect(failure?.message.hasSuffix("nothing moved for 30 s") == true)
            }
            #expect(sent.value == 100_000)
            #expect(server.requests.count == 1)
        }
    }

    @Test func aBodyThatIsNotTakenEndsAfterTheProgressDeadline() async throws {
        let clock = TestClock()
        let readNothing = ScriptedAnswer(moment: .head, steps: [])
        let chunk = MemoryChunk(count: 64 << 20)
        try await ScriptedServer.run([readNothing]) { server in
            try await withClient(of: server, clock: clock) { client in
                async let outcome = failure { () async throws(UploadFailure) in
                    try await Self.put(chunk, client, server)
                }
                await server.wait { $0.count == 1 }
                // Bytes may go into the kernel's buffers for a while yet; each puts the deadline off.
                clock.runFreely()
                let failure = await outcome
                #expect(failure?.kind == .connectionLost)
                #expect(failure?.code == "timeout")
            }
            #expect(chunk.readSoFar < chunk.size)
        }
    }

    @Test func whatMovesPutsTheProgressDeadlineOff() async throws {
        let clock = TestClock()
        let watch = ProgressWatch(limit: .seconds(30), clock: clock)
        let task = Task { try await watch.untilStalled() }
        await clock.waitForSleeper(until: .seconds(30))
        clock.advance(by: .seconds(29))
        watch.touch()
        clock.advance(by: .seconds(29))
        await clock.waitForSleeper(until: .seconds(59))
        clock.advance(by: .seconds(1))
        await #expect(throws: (any Error).self) { try await task.value }
        #expect(clock.now.offset == .seconds(59))
    }

    @Test func aSpoolThatFailsIsToldAsItIs() async throws {
        struct DiskError: Error {}
        let own = UploadFailure(.spoolFailed, code: "spool_gone", message: "the disk is gone", hint: "look at it")
        let rows: [(any Error & Sendable, String)] = [(own, "spool_gone"), (DiskError(), "spoolFailed")]
        for (error, code) in rows {
            try await ScriptedServer.run([.hang]) { server in
                try await withClient(of: server) { client in
                    for failing in [Int64(0), 1 << 20] {
                        let chunk = MemoryChunk(count: 2 << 20) { offset in if offset >= failing { throw error } }
                        let failure = await failure { () async throws(UploadFailure) in
                            try await Self.put(chunk, client, server)
                        }
                        #expect(failure?.kind == .spoolFailed)
                        #expect(failure?.code == code)
                        if code == own.code { #expect(failure == own) }
                    }
                }
                #expect(!server.requests.contains { $0.isComplete })
            }
        }
    }

    @Test func aSpoolThatEndsEarlyIsNotPaddedOrSent() async throws {
        struct Short: ChunkSource {
            let size: Int64 = 100
            func read(at offset: Int64, count: Int) async throws -> ByteBuffer {
                offset == 0 ? ByteBuffer(repeating: 1, count: 40) : ByteBuffer()
            }
        }
        try await ScriptedServer.run([.hang]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await client.put(Short(), to: server.presigned(), headers: []) { _ in }
                }
                #expect(failure?.kind == .spoolFailed)
                #expect(failure?.code == "spool_short")
            }
            #expect(!server.requests.contains { $0.isComplete })
        }
    }

    @Test func cancellingTheTaskGivesThePutUp() async throws {
        try await ScriptedServer.run([.hang]) { server in
            try await withClient(of: server, clock: TestClock()) { client in
                let task = Task {
                    await failure { () async throws(UploadFailure) in
                        try await Self.put(MemoryChunk(count: 1000), client, server)
                    }
                }
                await server.wait { $0.first?.isComplete == true }
                task.cancel()
                #expect(await task.value?.kind == .cancelled)
            }
        }
    }

    @Test func headersThatNoPutMayCarryAreNotSent() async throws {
        try await ScriptedServer.run([.hang]) { server in
            try await withClient(of: server) { client in
                for header in [
                    ("X-Api-Key", testKey), ("a\r\nb", "c"), ("a", "b\r\nc: d"), ("Proxy-Authorization", "Basic x"),
                    ("Cookie", "a=b"),
                ] {
                    let failure = await failure { () async throws(UploadFailure) in
                        try await Self.put(MemoryChunk(count: 10), client, server, headers: [header])
                    }
                    #expect(failure?.kind == .unreadableAnswer)
                }
            }
            #expect(server.connections == 0)
        }
    }

    @Test func manyPutsAtOnceShareTheirConnections() async throws {
        let chunk = MemoryChunk(count: 300_000)
        try await ScriptedServer.run([Self.stored(chunk)]) { server in
            try await withClient(of: server) { client in
                try await withThrowingTaskGroup(of: StoredChunk.self) { group in
                    for _ in 1...4 {
                        group.addTask {
                            for _ in 1..<10 { _ = try await Self.put(chunk, client, server) }
                            return try await Self.put(chunk, client, server)
                        }
                    }
                    for try await stored in group { #expect(stored.etag == chunk.md5) }
                }
            }
            #expect(server.requests.count == 40)
            #expect(server.requests.allSatisfy { $0.isComplete && $0.bodyMD5 == chunk.md5 })
            // A connection is back a moment after its answer: on a busy machine the next PUT may have come before.
            #expect(server.connections < 20)
        }
    }
}
