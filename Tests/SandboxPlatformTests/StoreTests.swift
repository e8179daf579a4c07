import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import SandboxPlatform
import Testing

@Suite struct StoreTests {
    /// Method, path and query, without the rest of the URL.
    func target(_ url: String, _ sandbox: Sandbox) -> String { url.replacing(sandbox.origin, with: "") }

    @Test func answersTheMD5InQuotes() async throws {
        try await withSandbox { _, client in
            let session = try await client.create(3)
            let reply = try await client.put(session.url(1), Array("abc".utf8))
            #expect(reply.status == 200)
            #expect(reply.headers["etag"] == ["\"900150983cd24fb0d6963f7d28e17f72\""])
        }
    }

    @Test func takesEachURLOnceWhateverCameOfIt() async throws {
        try await withSandbox { _, client in
            let session = try await client.create(2000)
            #expect(try await client.put(session.url(1), pattern(1000)).status == 200)
            let again = try await client.put(session.url(1), pattern(1000))
            #expect(again.status == 403)
            #expect(again.text.contains("<Code>AccessDenied</Code>"))
            #expect(try await client.put(session.url(2), pattern(10)).status == 400)
            #expect(try await client.put(session.url(2), pattern(1000)).status == 403)
            #expect(try await client.put(client.freshURL(session, 2), pattern(1000)).status == 200)
        }
    }

    @Test func refusesURLsThatHaveExpired() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.urlLifetime = .seconds(3)
        } _: { _, client in
            let session = try await client.create(2000)
            clock.advance(by: .milliseconds(2999))
            #expect(try await client.put(session.url(1), pattern(1000)).status == 200)
            clock.advance(by: .milliseconds(1))
            let late = try await client.put(session.url(2), pattern(1000))
            #expect(late.status == 403)
            #expect(late.headers.first(name: "content-type") == "application/xml")
            #expect(late.text.contains("<Code>AccessDenied</Code><Message>Request has expired</Message>"))
            #expect(try await client.put(client.freshURL(session, 2), pattern(1000)).status == 200)
        }
    }

    @Test func refusesURLsThatWereTamperedWith() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            let url = session.url(1)
            let other = try await client.create(2000)
            for forged in [
                url.replacing("/1?", with: "/2?"), url.replacing("expires=1", with: "expires=9"),
                url.replacing("serial=", with: "serial=0"), String(url.prefix { $0 != "?" }),
                url.replacing(session.uploadID, with: other.uploadID), url + "0",
            ] {
                let reply = try await client.put(forged, pattern(1000))
                #expect(reply.status == 403)
                #expect(reply.text.contains("SignatureDoesNotMatch"))
            }
            #expect(try await client.put(url, pattern(1000)).status == 200)
            #expect(sandbox.journal().allSatisfy { !$0.path.contains("?") })
        }
    }

    @Test(arguments: [(999, "EntityTooSmall"), (1001, "EntityTooLarge"), (0, "EntityTooSmall")])
    func refusesChunksOfTheWrongLength(size: Int, code: String) async throws {
        try await withSandbox { _, client in
            let session = try await client.create(2500)
            let reply = try await client.put(session.url(1), pattern(size))
            #expect(reply.status == 400)
            #expect(reply.text.contains("<Code>\(code)</Code>"))
        }
    }

    @Test func wantsAContentLength() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            let chunked = try await client.send(
                .PUT, session.url(1),
                body: .stream([ByteBuffer(bytes: pattern(1000))].async, length: .unknown))
            #expect(chunked.status == 501)
            #expect(chunked.text.contains("<Code>NotImplemented</Code>"))
            let connection = try RawConnection(port: sandbox.port)
            try connection.send("PUT \(target(session.url(2), sandbox)) HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(await connection.receive(until: "</Error>").contains("411 Length Required"))
        }
    }

    @Test func mustNotSeeTheKey() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(1000)
            let reply = try await client.put(
                session.url(1), pattern(1000), headers: [("X-Api-Key", "sandbox-key")])
            #expect(reply.status == 400)
            #expect(sandbox.journal(of: .put).map(\.carriedAPIKey) == [true])
        }
    }

    @Test func wantsTheUploadHeadersWhenToldSo() async throws {
        try await withSandbox {
            $0.uploadHeaders = ["x-amz-meta-owner": "me"]
            $0.requiresUploadHeaders = true
        } _: { _, client in
            let session = try await client.create(2000)
            #expect(session.json["upload_headers"] == .object(["x-amz-meta-owner": "me"]))
            #expect(try await client.put(session.url(1), pattern(1000)).status == 403)
            let headers = [("X-Amz-Meta-Owner", "me")]
            #expect(try await client.put(session.url(2), pattern(1000), headers: headers).status == 200)
        }
    }

    @Test func canAnswerETagsThatAreNotTheMD5() async throws {
        try await withSandbox {
            $0.opaqueETags = true
        } _: { _, client in
            let session = try await client.create(3)
            let reply = try await client.put(session.url(1), Array("abc".utf8))
            #expect(reply.headers.first(name: "x-amz-server-side-encryption") == "aws:kms")
            #expect(reply.etag != "900150983cd24fb0d6963f7d28e17f72")
            #expect(try await client.report(session, [(1, reply.etag, 3)]).status == 200)
        }
    }

    @Test func waitsForTheBodyAfterSaying100() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(3)
            let connection = try RawConnection(port: sandbox.port)
            let head =
                "PUT \(target(session.url(1), sandbox)) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
                + "Expect: 100-continue\r\n\r\n"
            try connection.send(head)
            #expect(await connection.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try connection.send("abc")
            #expect(await connection.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 OK"))
            let refused = try RawConnection(port: sandbox.port)
            try refused.send(head)
            #expect(await refused.receive(until: "</Error>").hasPrefix("HTTP/1.1 403 Forbidden"))
        }
    }

    @Test func keepsNothingOfABodyThatWasCutOff() async throws {
        let directory = try SandboxTestDirectory()
        try await withSandbox {
            $0.stateDirectory = directory.path
        } _: { sandbox, client in
            let session = try await client.create(1000)
            let connection = try RawConnection(port: sandbox.port)
            try connection.send(
                "PUT \(target(session.url(1), sandbox)) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
                    + String(repeating: "x", count: 400))
            try await sandbox.waitForJournal { $0.contains { $0.bytes == 400 } }
            connection.finish()
            try await sandbox.waitForJournal { $0.contains { $0.kind == .put && $0.finished != nil } }
            let files = try FileManager.default.contentsOfDirectory(
                atPath: "\(directory.path)/sessions/\(session.uploadID)")
            #expect(files.sorted() == ["session.json", "spent"])
            #expect(try await client.report(session, [(1, "x", 1000)]).status == 400)
        }
    }

    @Test func replacesAPartUntilItWasReported() async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(2000)
            let first = try await client.put(session.url(1), pattern(1000)).etag
            let bytes = Array(pattern(1100)[100...])
            let second = try await client.put(client.freshURL(session, 1), bytes).etag
            #expect(try await client.report(session, [(1, first, 1000)]).status == 400)
            #expect(try await client.report(session, [(1, second, 1000)]).status == 200)
            #expect(try await client.put(client.freshURL(session, 1), pattern(1000)).status == 200)
            let last = try await client.put(session.url(2), pattern(1000)).etag
            #expect(try await client.report(session, [(2, last, 1000)]).status == 200)
            #expect(
                try await sandbox.content(ofAsset: session.assetID) == ByteBuffer(bytes: bytes + pattern(1000)))
            let late = try await client.put(session.url(1), pattern(1000))
            #expect(late.status == 403)
        }
    }

    @Test func holdsAllBodiesTogetherToTheBandwidth() async throws {
        let clock = ManualClock()
        try await withSandbox {
            $0.clock = clock
            $0.chunkSize = 1 << 20
            $0.bandwidth = 1 << 20
        } _: { sandbox, client in
            let session = try await client.create(4 << 20)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 1...4 {
                    group.addTask { _ = try await client.put(session.url(index), pattern(1 << 20)) }
                }
                try await group.waitForAll()
            }
            #expect(sandbox.journal(of: .put).map(\.status) == [200, 200, 200, 200])
            // Four MiB at one MiB a second, less what may come at once.
            #expect(clock.uptime >= .milliseconds(3950))
        }
    }
}
