import Foundation
import NIOCore
import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct RestartTests {
    @Test func goesOnWhereItWas() async throws {
        let directory = try TemporaryDirectory()
        var configuration = SandboxConfiguration()
        configuration.stateDirectory = directory.path
        configuration.chunkSize = 1000
        let bytes = pattern(3000)
        let before = try await Sandbox.start(configuration)
        var client = SandboxClient(before)
        let session = try await client.create(3000)
        let complete = try await client.create(1000)
        try await client.upload(Array(bytes[..<1000]), to: complete)
        let first = try await client.put(session.url(1), Array(bytes[..<1000])).etag
        _ = try await client.report(session, [(1, first, 1000)])
        _ = try await client.put(session.url(2), pattern(1000).reversed())
        let second = try await client.put(client.freshURL(session, 2), Array(bytes[1000..<2000])).etag
        let digests = try await before.assets().map(\.sha256)
        await before.stop()

        // The same port: the URLs that were given out hold it.
        configuration.port = before.port
        let after = try await Sandbox.start(configuration)
        client = SandboxClient(after)
        #expect(try await after.assets().map(\.sha256) == digests)
        #expect(try await client.status(session).json["chunks_completed"] == 1)
        #expect(try await client.put(session.url(1), Array(bytes[..<1000])).status == 403)
        let third = try await client.put(session.url(3), Array(bytes[2000...])).etag
        let report = try await client.report(session, [(1, first, 1000), (2, second, 1000), (3, third, 1000)])
        #expect(report.json["duplicate_chunks"] == 1)
        #expect(report.json["total_completed"] == 3)
        #expect(try await after.content(ofAsset: session.assetID) == ByteBuffer(bytes: bytes))
        await after.stop()
    }

    @Test func leavesAloneWhatItCannotRead() async throws {
        let directory = try TemporaryDirectory()
        var configuration = SandboxConfiguration()
        configuration.stateDirectory = directory.path
        let before = try await Sandbox.start(configuration)
        let session = try await SandboxClient(before).create(1000)
        await before.stop()
        let file = "\(directory.path)/sessions/\(session.uploadID)/session.json"
        try Data("{".utf8).write(to: URL(filePath: file))
        let after = try await Sandbox.start(configuration)
        #expect(try await SandboxClient(after).status(session).status == 404)
        #expect(FileManager.default.fileExists(atPath: file))
        await after.stop()
    }

    @Test func tellsWhenItsPortIsTaken() async throws {
        try await withSandbox { sandbox, _ in
            var configuration = SandboxConfiguration()
            configuration.port = sandbox.port
            await #expect(throws: (any Error).self) { try await Sandbox.start(configuration) }
        }
    }
}
