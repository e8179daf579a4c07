import Crypto
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// What a request was, as far as it has arrived.
struct ReceivedRequest: Sendable {
    var method: String
    var uri: String
    var headers: HTTPHeaders
    /// Counts the connections from 0, in the order in which they were made.
    var connection: Int
    /// The body's beginning.
    var body = ByteBuffer()
    var bodyCount = 0
    /// Of the whole body, once it has arrived.
    var bodyMD5 = ""
    var isComplete = false

    var path: String { String(uri.prefix { $0 != "?" }) }
    var query: String? { uri.contains("?") ? String(uri.drop { $0 != "?" }.dropFirst()) : nil }
    var bodyText: String { String(buffer: body) }
}

func hexMD5(_ bytes: ByteBuffer) -> String {
    var hash = Insecure.MD5()
    bytes.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
    return hash.finalize().hex
}

extension Insecure.MD5Digest {
    var hex: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}

/// What the server does about one request: raw bytes, at a moment of its choosing.
struct ScriptedAnswer: Sendable {
    enum Moment: Sendable {
        /// As soon as the head has arrived; the body is not read.
        case head
        /// When so many bytes of the body have arrived; no more is read.
        case body(Int)
        /// When the whole request has arrived.
        case end
    }

    enum Step: Sendable {
        case send(String)
        /// The same bytes for as long as the other side takes them.
        case sendForEver(String)
        case close
        /// Closes with RST.
        case reset
        /// Reads the rest of the body after all.
        case readOn
    }

    var moment = Moment.end
    var steps: [Step]

    /// Never answers.
    static let hang = ScriptedAnswer(steps: [])
    static let reset = ScriptedAnswer(steps: [.reset])
    static let close = ScriptedAnswer(steps: [.close])

    static func raw(_ text: String, at moment: Moment = .end) -> ScriptedAnswer {
        ScriptedAnswer(moment: moment, steps: [.send(text)])
    }

    /// A proper answer with `Content-Length`.
    static func status(
        _ status: Int, _ body: String = "", headers: [String] = [], type: String? = "application/json",
        at moment: Moment = .end
    ) -> ScriptedAnswer {
        var lines = ["HTTP/1.1 \(status) Whatever", "Content-Length: \(body.utf8.count)"]
        if let type { lines.append("Content-Type: \(type)") }
        return raw((lines + headers).joined(separator: "\r\n") + "\r\n\r\n" + body, at: moment)
    }

    static func json(_ body: String, headers: [String] = []) -> ScriptedAnswer { status(200, body, headers: headers) }
}

/// An HTTP server on loopback that answers as it is told, byte for byte.
final class ScriptedServer: Sendable {
    typealias Script = @Sendable (_ request: ReceivedRequest, _ number: Int) -> ScriptedAnswer

    private struct State {
        var requests: [ReceivedRequest] = []
        var connections = 0
        var waiters:
            [(condition: @Sendable ([ReceivedRequest]) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())
    private let script: Script
    private let channel: any Channel

    var port: Int { channel.localAddress?.port ?? 0 }
    var origin: String { "http://127.0.0.1:\(port)" }
    var requests: [ReceivedRequest] { state.withLock { $0.requests } }
    var connections: Int { state.withLock { $0.connections } }

    /// Runs `body` with a server that follows `script`, and stops it however that ends.
    static func run<Result>(
        tls: Bool = false, _ script: @escaping Script, _ body: (ScriptedServer) async throws -> Result
    ) async throws -> Result {
        let pending = Pending()
        let context = try tls ? serverTLS() : nil
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context)) }
                    try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder()))
                    guard let server = pending.server else { return }
                    try pipeline.addHandler(ScriptedHandler(server: server, connection: server.nextConnection()))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = ScriptedServer(script, channel: channel)
        pending.set(server)
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(server))
        } catch {
            result = .failure(error)
        }
        try await channel.close()
        return try result.get()
    }

    /// The same with one answer after the other; the last one again and again.
    static func run<Result>(
        _ answers: [ScriptedAnswer], _ body: (ScriptedServer) async throws -> Result
    ) async throws -> Result {
        try await run({ _, number in answers[min(number, answers.count - 1)] }, body)
    }

    private init(_ script: @escaping Script, channel: any Channel) {
        self.script = script
        self.channel = channel
    }

    /// Returns once what has arrived fulfils the condition.
    func wait(until condition: @escaping @Sendable ([ReceivedRequest]) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isFulfilled = state.withLock { state in
                if condition(state.requests) { return true }
                state.waiters.append((condition, continuation))
                return false
            }
            if isFulfilled { continuation.resume() }
        }
    }

    // MARK: For the handlers

    fileprivate func nextConnection() -> Int {
        state.withLock { state in
            defer { state.connections += 1 }
            return state.connections
        }
    }

    fileprivate func begin(_ request: ReceivedRequest) -> (number: Int, answer: ScriptedAnswer) {
        let number = change { state in
            state.requests.append(request)
            return state.requests.count - 1
        }
        return (number, script(request, number))
    }

    fileprivate func update(_ number: Int, with request: ReceivedRequest) {
        change { $0.requests[number] = request }
    }

    private func change<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, ready) = state.withLock { state in
            let result = body(&state)
            let requests = state.requests
            let ready = state.waiters.filter { $0.condition(requests) }
            state.waiters.removeAll { $0.condition(requests) }
            return (result, ready.map(\.continuation))
        }
        for continuation in ready { continuation.resume() }
        return result
    }

    private static func serverTLS() throws -> NIOSSLContext {
        let certificate = try NIOSSLCertificate(bytes: Array(TestCertificates.localhost.utf8), format: .pem)
        let key = try NIOSSLPrivateKey(bytes: Array(TestCertificates.localhostKey.utf8), format: .pem)
        return try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: [.certificate(certificate)], privateKey: .privateKey(key)))
    }

    /// The server is made after its channel; no connection can come before anyone knows the port.
    private final class Pending: Sendable {
        private let value = Mutex<ScriptedServer?>(nil)
        var server: ScriptedServer? { value.withLock { $0 } }
        func set(_ server: ScriptedServer) { value.withLock { $0 = server } }
    }
}

/// One connection.
private final class ScriptedHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    private let server: ScriptedServer
    private let connection: Int
    private var hash = Insecure.MD5()
    private var current: (number: Int, request: ReceivedRequest, answer: ScriptedAnswer, answered: Bool)?

    init(server: ScriptedServer, connection: Int) {
        self.server = server
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            let request = ReceivedRequest(
                method: head.method.rawValue, uri: head.uri, headers: head.headers, connection: connection)
            let (number, answer) = server.begin(request)
            hash = Insecure.MD5()
            current = (number, request, answer, false)
            if case .head = answer.moment { run(context) }
        case .body(var part):
            guard var now = current else { return }
            now.request.bodyCount += part.readableBytes
            part.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
            if now.request.body.readableBytes < 64 << 10 { now.request.body.writeBuffer(&part) }
            current = now
            server.update(now.number, with: now.request)
            if case .body(let count) = now.answer.moment, now.request.bodyCount >= count { run(context) }
        case .end:
            guard var now = current else { return }
            now.request.isComplete = true
            now.request.bodyMD5 = hash.finalize().hex
            current = now
            server.update(now.number, with: now.request)
            if case .end = now.answer.moment { run(context) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func run(_ context: ChannelHandlerContext) {
        guard var now = current, !now.answered else { return }
        now.answered = true
        current = now
        switch now.answer.moment {
        case .head, .body: context.channel.setOption(.autoRead, value: false).assumeIsolated().whenComplete { _ in }
        case .end: break
        }
        for step in now.answer.steps {
            switch step {
            case .send(let text): context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            case .sendForEver(let text): send(ByteBuffer(string: text), context)
            case .close: context.close(promise: nil)
            case .reset:
                guard let socket = context.channel as? any SocketOptionProvider else { continue }
                // No lingering: the close becomes a reset.
                socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).assumeIsolated().whenComplete { _ in
                    context.close(promise: nil)
                }
            case .readOn: context.channel.setOption(.autoRead, value: true).assumeIsolated().whenComplete { _ in }
            }
        }
    }

    private func send(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenSuccess {
            // Through the event loop, so that a socket that takes everything does not deepen the stack.
            context.eventLoop.assumeIsolated().execute { self.send(bytes, context) }
        }
    }
}
