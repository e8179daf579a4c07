import NIOCore
import SandboxPlatform
import Testing

/// Who may ask the stand-in, and by which names.
@Suite struct DoorkeeperTests {
    /// The status of a request as a program or a browser on this machine sends it, and the answer.
    private func ask(
        _ sandbox: Sandbox, _ line: String, host: String?, _ fields: [String] = [], body: String = ""
    ) async throws -> (status: Int, text: String) {
        let connection = try RawConnection(port: sandbox.port)
        let head = [line + " HTTP/1.1"] + (host.map { ["Host: \($0)"] } ?? []) + fields
        try connection.send(
            (head + ["Content-Length: \(body.utf8.count)", "Connection: close"]).joined(separator: "\r\n")
                + "\r\n\r\n" + body)
        let text = await connection.receive(until: "\r\n\r\nnever")
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0, text)
    }

    @Test("It is called by its own names, with any port", .timeLimit(.minutes(1)))
    func ownNames() async throws {
        try await withSandbox {
            ($0.publicHost, $0.storeURL) = ("api.example", "https://Store.example:8443/")
            $0.allowedHosts = ["other.example"]
        } _: { sandbox, _ in
            for host in [
                "127.0.0.1:\(sandbox.port)", "127.0.0.1", "127.9.8.7:1", "localhost", "LocalHost:80", "localhost.",
                "[::1]:5",
                "api.example", "store.example:8443", "Other.Example",
            ] {
                let answer = try await ask(sandbox, "GET /_sandbox/configuration", host: host)
                #expect(answer.status == 200, "\(host): \(answer.text)")
            }
            #expect(try await ask(sandbox, "GET /_sandbox/configuration", host: nil).status != 403)
        }
    }

    @Test(
        "By any other name nothing is answered: not the API, nor the store, nor the control calls",
        .timeLimit(.minutes(1)),
        arguments: [
            "evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1",
            "[fe80::1]",
            "0.0.0.0", "127.1", "x@127.0.0.1", "[::ffff:10.0.0.1]",
        ])
    func foreignNames(host: String) async throws {
        try await withSandbox { sandbox, client in
            let session = try await client.create(1000)
            let target = session.url(1).replacing(sandbox.origin, with: "")
            let before = sandbox.journal().count
            for line in [
                "GET /_sandbox/journal", "DELETE /_sandbox/journal", "GET /v1.3/assets", "PUT \(target)", "GET /",
            ] {
                let answer = try await ask(
                    sandbox, line, host: host, ["x-api-key: sandbox-key"], body: line.hasPrefix("PUT") ? "abc" : "")
                #expect(answer.status == 403 && answer.text.contains("foreign_host"), "\(line): \(answer.text)")
                #expect(answer.text.contains("--allow-host"))
            }
            #expect(sandbox.journal().count == before)
            // It was not spent.
            #expect(try await client.put(session.url(1), pattern(1000)).status == 200)
        }
    }

    @Test("A page of another origin is answered nothing, its own would be", .timeLimit(.minutes(1)))
    func origins() async throws {
        try await withSandbox { sandbox, _ in
            let host = "127.0.0.1:\(sandbox.port)"
            for origin in ["http://\(host)", "https://\(host)"] {
                let answer = try await ask(sandbox, "GET /_sandbox/faults", host: host, ["Origin: \(origin)"])
                #expect(answer.status == 200, "\(origin): \(answer.text)")
            }
            for origin in [
                "https://evil.example", "null", "http://127.0.0.1:1", "http://localhost:\(sandbox.port)", "",
                "http://\(host).evil.example", "http://\(host), http://evil.example", "file://",
            ] {
                for line in ["POST /_sandbox/faults", "GET /_sandbox/journal", "GET /v1.3/assets"] {
                    let answer = try await ask(
                        sandbox, line, host: host, ["Origin: \(origin)", "Content-Type: application/json"], body: "[]")
                    #expect(answer.status == 403 && answer.text.contains("foreign_origin"), "\(origin): \(answer.text)")
                }
            }
            #expect(sandbox.journal().isEmpty)
        }
    }

    @Test(
        "JSON is taken only where it is said to be", .timeLimit(.minutes(1)),
        arguments: [
            nil, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
            "text/plain;application/json", "",
        ])
    func contentTypes(type: String?) async throws {
        try await withSandbox { sandbox, client in
            let fields = type.map { ["Content-Type: \($0)"] } ?? []
            for path in ["configuration", "faults", "assets/x", "sessions/x"] {
                let answer = try await ask(
                    sandbox, "POST /_sandbox/\(path)", host: "localhost", fields, body: #"{"chunk_size":2000}"#)
                #expect(
                    answer.status == 415 && answer.text.contains("Content-Type: application/json"), "\(answer.text)")
            }
            #expect(try await client.control(.GET, "configuration").json["chunk_size"] == 1000)
            let call = try await ask(
                sandbox, "POST /v1.3/assets/multipart-uploads", host: "localhost", fields + ["x-api-key: sandbox-key"],
                body: #"{"filename":"a.mp4","type":"video","total_size":5}"#)
            #expect(call.status == 400 && call.text.contains("content-type"), "\(call.text)")
            for said in ["application/json", "Application/JSON; charset=utf-8"] {
                let answer = try await ask(
                    sandbox, "POST /_sandbox/configuration", host: "localhost", ["Content-Type: \(said)"],
                    body: #"{"chunk_size":2000}"#)
                #expect(answer.status == 200, "\(answer.text)")
            }
        }
    }

    @Test("Where others could reach it, it listens only when told so twice", arguments: ["0.0.0.0", "::", "192.0.2.1"])
    func listensOnLoopbackAlone(host: String) async throws {
        var configuration = SandboxConfiguration()
        configuration.host = host
        await #expect {
            try await Sandbox.start(configuration)
        } throws: { error in
            "\(error)".contains("--listen-beyond-loopback")
        }
    }

    @Test("On this machine alone it listens without more", arguments: ["127.0.0.1", "127.0.0.2", "::1"])
    func listensOnLoopback(host: String) async throws {
        var configuration = SandboxConfiguration()
        configuration.host = host
        let sandbox = try await Sandbox.start(configuration)
        await sandbox.stop()
    }

    @Test("Told so twice it is called by addresses, and by no foreign name", .timeLimit(.minutes(1)))
    func isCalledByAddresses() async throws {
        try await withSandbox {
            ($0.host, $0.listensBeyondLoopback) = ("0.0.0.0", true)
        } _: { sandbox, _ in
            for (host, status) in [("10.1.2.3", 200), ("[fd00::5]:80", 200), ("localhost", 200), ("evil.example", 403)]
            {
                let answer = try await ask(sandbox, "GET /_sandbox/configuration", host: host)
                #expect(answer.status == status, "\(host): \(answer.text)")
            }
        }
    }
}
