import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import PlatformClient
import Testing
import UploadCore

import class TestSupport.QuietPort
import struct TestSupport.ShownStatements

@Suite struct NetworkFailureTests {
    @Test func aRefusedConnectionIsUnreachableAtOnce() async throws {
        let quiet = try QuietPort()
        defer { withExtendedLifetime(quiet) {} }
        let port = quiet.number
        try await withClient(.test("http://127.0.0.1:\(port)", clock: TestClock())) { client in
            let call = await failure { () async throws(UploadFailure) in try await client.asset("a") }
            #expect(call?.kind == .unreachable)
            #expect(call?.message == "the platform (127.0.0.1:\(port)) cannot be reached: connection refused")
            let url = PresignedURL(text: "http://127.0.0.1:\(port)/a?sig=\(testSignature)", expiresAfter: nil)
            let put = await failure { () async throws(UploadFailure) in
                try await client.put(MemoryChunk(count: 10), to: url, headers: []) { _ in }
            }
            #expect(put?.kind == .unreachable)
            #expect(put?.message == "the object store (127.0.0.1:\(port)) cannot be reached: connection refused")
        }
    }

    @Test(arguments: [
        ScriptedAnswer.close, .reset, .raw("HTTP/1.1 200 OK\r\nContent-Le", at: .end).closing,
        .raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"_id\":").closing,
        .raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"_id").closing,
    ])
    func aConnectionThatEndsBeforeItsAnswerIsLost(_ answer: ScriptedAnswer) async throws {
        try await ScriptedServer.run([answer]) { server in
            try await withClient(of: server) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.kind == .connectionLost)
                #expect(failure?.httpStatus == nil)
            }
            #expect(server.requests.count == 1, "what may have been sent is not sent again here")
        }
    }

    @Test func anAnswerThatNeverComesEndsAtTheCallsDeadline() async throws {
        let clock = TestClock()
        try await ScriptedServer.run([.hang]) { server in
            try await withClient(of: server, clock: clock) { client in
                async let outcome = failure { () async throws(UploadFailure) in try await client.asset("a") }
                await server.wait { $0.first?.isComplete == true }
                await clock.waitForSleeper(until: .seconds(60))
                clock.advance(by: .seconds(60))
                let failure = await outcome
                #expect(failure?.kind == .connectionLost)
                #expect(failure?.code == "timeout")
                #expect(failure?.message.hasSuffix("did not answer within 60 s") == true)
            }
            #expect(server.requests.count == 1)
        }
    }

    @Test func anAnswerThatTricklesInEndsAtTheCallsDeadlineToo() async throws {
        let clock = TestClock()
        let half = ScriptedAnswer.raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        try await ScriptedServer.run([half]) { server in
            try await withClient(of: server, clock: clock) { client in
                async let outcome = failure { () async throws(UploadFailure) in try await client.asset("a") }
                await clock.waitForSleeper(until: .seconds(60))
                await server.wait { $0.first?.isComplete == true }
                clock.advance(by: .seconds(60))
                #expect(await outcome?.kind == .connectionLost)
            }
        }
    }

    @Test func aConnectionThatIsNeverMadeIsUnreachable() async throws {
        // A server that takes connections but never says a word of TLS.
        let clock = TestClock()
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(silent.localAddress?.port)
        var configuration = try PlatformConfiguration.test("https://localhost:\(port)", clock: clock)
        configuration.connectTimeout = .seconds(600)
        try await withClient(configuration) { client in
            async let outcome = failure { () async throws(UploadFailure) in try await client.asset("a") }
            await clock.waitForSleeper(until: .seconds(60))
            clock.advance(by: .seconds(60))
            let failure = await outcome
            #expect(failure?.kind == .unreachable)
            #expect(failure?.code == "timeout")
        }
        try await silent.close()
    }

    @Test func cancellingTheTaskGivesTheRequestUp() async throws {
        try await ScriptedServer.run([.hang]) { server in
            try await withClient(of: server, clock: TestClock()) { client in
                let task = Task {
                    await failure { () async throws(UploadFailure) in try await client.asset("a") }
                }
                await server.wait { $0.first?.isComplete == true }
                task.cancel()
                #expect(await task.value?.kind == .cancelled)
            }
        }
    }

    @Test func aClientThatWasShutDownRefusesPolitely() async throws {
        try await ScriptedServer.run([.json("{}")]) { server in
            let client = try PlatformClient(configuration: .test(server.origin), logger: RecordedLog().logger)
            await client.shutdown()
            let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
            #expect(failure?.kind == .cancelled)
        }
    }

    @Test func shuttingDownCancelsWhatIsUnderWay() async throws {
        try await ScriptedServer.run([.hang]) { server in
            let client = try PlatformClient(
                configuration: .test(server.origin, clock: TestClock()), logger: RecordedLog().logger)
            async let call = failure { () async throws(UploadFailure) in try await client.asset("a") }
            async let put = failure { () async throws(UploadFailure) in
                try await client.put(MemoryChunk(count: 64 << 20), to: server.presigned(), headers: []) { _ in }
            }
            await server.wait { $0.count == 2 }
            await client.shutdown()
            #expect(await call?.kind == .cancelled)
            #expect(await put?.kind == .cancelled)
            await client.shutdown()
        }
    }

    @Test func connectionsThatTheServerClosedAreReplaced() async throws {
        let answer = ScriptedAnswer.status(200, #"{"_id":"a"}"#, headers: ["Connection: close"]).closing
        try await ScriptedServer.run([answer]) { server in
            try await withClient(of: server) { client in
                for _ in 1...20 { _ = try await client.asset("a") }
            }
            #expect(server.requests.count == 20)
            #expect(server.connections == 20)
        }
    }
}

@Suite struct TLSTests {
    static let authority = PEMFile(path: "/etc/authority.pem", bytes: Array(TestCertificates.authority.utf8))

    @Test(.shows("network-tls")) func anUnknownAuthorityIsNotTrusted() async throws {
        try await ScriptedServer.run(tls: true, { _, _ in .json(#"{"_id":"a"}"#) }) { server in
            try await withClient(.test("https://localhost:\(server.port)")) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.kind == .unreachable)
                #expect(failure?.code == "certificate_untrusted")
                #expect(failure?.hint?.contains("--ca-file") == true)
            }
            #expect(server.requests.isEmpty, "the key must not be sent")
        }
    }

    @Test(.shows("network-tls")) func anAuthorityFromTheFileIsTrustedForItsNamesOnly() async throws {
        try await ScriptedServer.run(tls: true, { _, _ in .json(#"{"_id":"a"}"#) }) { server in
            var configuration = try PlatformConfiguration.test("https://localhost:\(server.port)")
            configuration.certificates = Self.authority
            let asset = try await withClient(configuration) { try await $0.asset("a") }
            #expect(asset.id == "a")

            configuration.baseURL = "https://127.0.0.1:\(server.port)"
            try await withClient(configuration) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.kind == .unreachable)
                #expect(failure?.code == "certificate_untrusted")
            }
            #expect(server.requests.count == 1)
        }
    }

    @Test func aServerWithoutTLSIsUnreachable() async throws {
        try await ScriptedServer.run([.hang]) { server in
            try await withClient(.test("https://localhost:\(server.port)")) { client in
                let failure = await failure { () async throws(UploadFailure) in try await client.asset("a") }
                #expect(failure?.kind == .unreachable)
                #expect(failure?.code == "tls_failed")
            }
            #expect(server.requests.isEmpty)
        }
    }

    @Test func aFileWithoutCertificatesIsRefusedWithItsName() throws {
        var configuration = try PlatformConfiguration.test("https://localhost")
        for (file, text) in [("/etc/empty.pem", ""), ("/etc/text.pem", "no certificate")] {
            configuration.certificates = PEMFile(path: file, bytes: Array(text.utf8))
            #expect {
                _ = try PlatformClient(configuration: configuration, logger: RecordedLog().logger)
            } throws: { error in
                let failure = error as? UploadFailure
                return failure?.kind == .invalidConfiguration && failure?.message.contains(file) == true
            }
        }
    }
}

extension ScriptedAnswer {
    /// The same, and then the end of the connection.
    var closing: ScriptedAnswer { ScriptedAnswer(moment: moment, steps: steps + [.close]) }
}
