import Foundation
import NIOCore
import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct RestartTests {
    @Test func goesOnWhereItWas() async throws {
        let directory = try SandboxTestDirectory()
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
        let directory = try SandboxTestDirectory()
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

    private static func quick(_ directory: SandboxTestDirectory) -> SandboxConfiguration {
        var configuration = SandboxConfiguration()
        configuration.stateDirectory = directory.path
        configuration.chunkSize = 1000
        configuration.processingTime = .zero
        return configuration
    }

    /// A process may be killed at any moment: whatever it has answered by then, the next one knows.
    @Test func whatWasAnsweredIsKnownToANewProcessWheneverTheOldOneEnds() async throws {
        let (directory, copies) = (try SandboxTestDirectory(), try SandboxTestDirectory())
        let configuration = Self.quick(directory)
        let sandbox = try await Sandbox.start(configuration)
        let client = SandboxClient(sandbox)
        var moments = 0
        /// Starts another on what is on disk at this moment, and compares.
        func compare(_ body: (Sandbox, SandboxClient) async throws -> Void = { _, _ in }) async throws {
            moments += 1
            var other = configuration
            other.stateDirectory = "\(copies.path)/\(moments)"
            try FileManager.default.copyItem(atPath: directory.path, toPath: "\(copies.path)/\(moments)")
            let left = sandbox.journal()
            let after = try await Sandbox.start(other)
            #expect(after.journal() == left)
            let (mine, its) = (try await sandbox.assets(), try await after.assets())
            #expect(mine == its)
            try await body(after, SandboxClient(after))
            await after.stop()
        }
        let bytes = pattern(2500)
        let session = try await client.create(2500)
        try await compare()
        let first = try await client.put(session.url(1), Array(bytes[..<1000])).etag
        try await compare { _, client in
            let path = String(session.url(1).drop { $0 != "_" })
            let again = try await client.put("\(client.sandbox.origin)/\(path)", Array(bytes[..<1000]))
            #expect(again.status == 403, "spent")
        }
        _ = try await client.report(session, [(1, first, 1000)])
        try await compare { _, client in
            let status = try await client.status(session)
            #expect(status.json["chunks_completed"] == 1)
        }
        let second = try await client.put(session.url(2), Array(bytes[1000..<2000])).etag
        let third = try await client.put(session.url(3), Array(bytes[2000...])).etag
        try await compare { after, client in
            let report = try await client.report(session, [(2, second, 1000), (3, third, 500)])
            #expect(report.json["total_completed"] == 3)
            let content = try await after.content(ofAsset: session.assetID)
            #expect(content == ByteBuffer(bytes: bytes))
        }
        _ = try await client.report(session, [(2, second, 1000), (3, third, 500)])
        try await compare { after, _ in
            let assets = try await after.completeAssets()
            #expect(assets.count == 1)
        }
        let failed = try await client.create(1000)
        try await sandbox.endSession(failed.uploadID, as: "failed")
        try await compare { _, client in
            let status = try await client.status(failed)
            #expect(status.json["status"] == "failed")
        }
        #expect(try await client.call(.DELETE, "/\(session.assetID)").status == 200)
        try await compare { after, _ in
            let assets = try await after.completeAssets()
            #expect(assets.isEmpty)
        }
        await sandbox.stop()
    }

    @Test func goesOnWithItsJournalThoughTheLastLineWasCut() async throws {
        let directory = try SandboxTestDirectory()
        var configuration = SandboxConfiguration()
        configuration.stateDirectory = directory.path
        let before = try await Sandbox.start(configuration)
        let session = try await SandboxClient(before).create(1000, filename: "one.mp4")
        _ = try await SandboxClient(before).status(session)
        await before.stop()
        let file = URL(filePath: "\(directory.path)/journal.jsonl")
        let lines = try Data(contentsOf: file)
        // The status was asked for, and what it was answered is not there any more.
        try lines.dropLast(20).write(to: file)
        for round in 1...2 {
            let after = try await Sandbox.start(configuration)
            #expect(after.journal().map(\.sequence) == Array(1...(round + 1)))
            #expect(after.journal().first?.filename == "one.mp4")
            #expect(after.journal()[1].finished == nil)
            #expect(after.journal()[1].error == "the sandbox ended")
            _ = try await SandboxClient(after).status(session)
            await after.stop()
        }
        let last = try await Sandbox.start(configuration)
        #expect(last.journal().map(\.status) == [201, nil, 200, 200])
        last.clearJournal()
        await last.stop()
        let empty = try await Sandbox.start(configuration)
        #expect(empty.journal().isEmpty)
        await empty.stop()
    }

    @Test func tellsWhenItsPortIsTaken() async throws {
        try await withSandbox { sandbox, _ in
            var configuration = SandboxConfiguration()
            configuration.port = sandbox.port
            await #expect(throws: (any Error).self) { try await Sandbox.start(configuration) }
        }
    }
}
