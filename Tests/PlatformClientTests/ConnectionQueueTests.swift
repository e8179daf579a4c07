import PlatformClient
import Testing
import UploadCore

/// Reports may take minutes, and there may be many: nothing else waits for them, and they are not taken for an outage.
@Suite struct ConnectionQueueTests {
    private static let script: ScriptedServer.Script = { request, _ in
        request.path.hasSuffix("/assets/multipart-uploads/up1") ? .hang : .status(201, CallTests.session)
    }

    @Test func slowReportsHoldUpNoOtherCall() async throws {
        try await ScriptedServer.run(Self.script) { server in
            var configuration = try PlatformConfiguration.test(server.origin + "/v1.3")
            configuration.connectTimeout = .milliseconds(300)
            try await withClient(configuration) { client in
                let reports = (1...100).map { number in
                    Task {
                        await failure { () async throws(UploadFailure) in
                            try await client.report([ChunkReport(chunkIndex: number, etag: "e", size: 1)], for: "up1")
                        }
                    }
                }
                await server.wait { $0.count == 64 }
                // Longer than a connection may take.
                try await Task.sleep(for: .milliseconds(900))
                let session = try await client.createSession(
                    SessionRequest(filename: "a.mp4", type: .video, totalSize: 250))
                #expect(session.uploadID == "up1")
                #expect(server.requests.count == 65, "those that have no place wait for one")
                for report in reports { report.cancel() }
                for report in reports { #expect(await report.value?.kind == .cancelled) }
            }
        }
    }

    /// Each that ends gives its place to the next one.
    @Test func allGetTheirTurn() async throws {
        try await ScriptedServer.run({ _, _ in .json(#"{"total_completed":1}"#) }) { server in
            try await withClient(of: server) { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 1...100 {
                        group.addTask {
                            _ = try await client.report(
                                [ChunkReport(chunkIndex: number, etag: "e", size: 1)], for: "up1")
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(server.requests.count == 100)
            #expect(server.connections <= 64)
        }
    }
}
