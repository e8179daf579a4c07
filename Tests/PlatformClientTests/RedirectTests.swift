import NIOCore
import NIOHTTP1
import PlatformClient
import Testing
import UploadCore

import struct TestSupport.ShownStatements

/// A store that sends a request elsewhere: told by its host, and not followed.
@Suite struct RedirectTests {
    private func put(
        _ chunk: MemoryChunk, _ client: PlatformClient, _ server: ScriptedServer
    ) async throws(UploadFailure) -> StoredChunk {
        try await client.put(chunk, to: server.presigned(), headers: []) { _ in }
    }

    @Test(.shows("store-redirect"), arguments: [301, 302, 303, 307, 308])
    func redirectsOfTheStoreAreNotFollowed(_ status: Int) async throws {
        try await ScriptedServer.run([.json("{}")]) { elsewhere in
            let target = "\(elsewhere.origin)/part?X-Amz-Signature=\(testSignature)"
            let answer = ScriptedAnswer.status(status, headers: ["Location: \(target)"])
            try await ScriptedServer.run([answer]) { server in
                try await withClient(of: server) { client in
                    let outcome = await failure { () async throws(UploadFailure) in
                        try await put(MemoryChunk(count: 1000), client, server)
                    }
                    #expect(outcome?.kind == .storeRedirected)
                    #expect(outcome?.httpStatus == status)
                    #expect(
                        outcome?.message
                            == "the object store answered \(status), which sends the request to 127.0.0.1:\(elsewhere.port)"
                    )
                    let content = await failure { () async throws(UploadFailure) in
                        try await client.content(at: server.presigned().text, range: 0..<1, totalSize: 1)
                    }
                    #expect(content?.kind == .storeRedirected)
                }
                #expect(server.requests.count == 2)
            }
            #expect(elsewhere.connections == 0)
        }
    }

    @Test func aRefusalDuringTheBodyMayBeARedirectToo() async throws {
        // S3 redirects as soon as it has the head.
        let early = ScriptedAnswer.status(
            307, "<Error><Code>TemporaryRedirect</Code></Error>", headers: ["Location: http://127.0.0.1:1/a"],
            type: "application/xml", at: .head)
        try await ScriptedServer.run([early]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await put(MemoryChunk(count: 64 << 20), client, server)
                }
                #expect(failure?.kind == .storeRedirected)
                #expect(failure?.code == "TemporaryRedirect")
            }
        }
    }

    @Test(
        arguments: [
            // A store that answers by http: what is relative, or does not say, stays there.
            ("Location: /elsewhere?a=\(testSignature)", .storeRedirected, "to another place of the same host"),
            ("Location: part2", .storeRedirected, "to another place of the same host"),
            ("Location: //bucket.example/a", .storeRedirected, "to bucket.example"),
            ("Location: http://b.example:81/?X-Amz-Signature=\(testSignature)", .storeRedirected, "to b.example:81"),
            ("X: y", .storeRedirected, "elsewhere without saying where"),
            ("Location:", .storeRedirected, "elsewhere without saying where"),
            ("Location: https://b.example/a?b", .storeRefused, "to b.example by https"),
            ("Location: ftp://b.example/a", .storeRefused, "to what is no URL of a store"),
            ("Location: http://user:\(testSignature)@b.example/", .storeRefused, "to what is no URL of a store"),
            ("Location: http://\(testKey.lowercased().filter { $0 != "_" }).example/", .storeRedirected, "to "),
            ("Location: http://[::1/", .storeRefused, "to what is no URL of a store"),
        ] as [(String, UploadFailure.Kind, String)])
    func aRedirectIsToldByItsHostAlone(_ header: String, _ kind: UploadFailure.Kind, _ words: String) async throws {
        try await ScriptedServer.run([.status(307, headers: [header])]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in
                    try await put(MemoryChunk(count: 10), client, server)
                }
                #expect(failure?.kind == kind)
                let message = try #require(failure?.message)
                #expect(message.hasPrefix("the object store answered 307, which sends the request \(words)"))
                #expect(!message.contains("/elsewhere") && !message.contains("?"))
            }
        }
    }
}
