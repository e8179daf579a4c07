import NIOCore
import NIOPosix
import Synchronization

/// A proxy on loopback that connects, refuses or talks nonsense as it is told: HTTP by `CONNECT`, or SOCKS 5.
final class TestProxy: Sendable {
    enum Behaviour: Sendable {
        /// Connects to where it is asked to, or to the port that stands for that.
        case connects
        /// Asks every `CONNECT` for this `Proxy-Authorization`, then connects.
        case asks(String)
        /// Answers what it is asked with these bytes, and closes when told to.
        case says(String, closes: Bool = false)
        /// Answers the same for ever.
        case saysForEver(String)
        /// Takes what it is sent, and says nothing.
        case hangs
        /// Closes as soon as it was asked.
        case closes
        /// SOCKS: chooses this method of authentication.
        case chooses(UInt8)
        /// SOCKS: answers the request with this code.
        case replies(UInt8)
    }

    /// What it was asked for.
    struct Request: Sendable, Equatable {
        /// `host:port`, as it was sent.
        var target: String
        /// Of a `CONNECT`: the lines after the first.
        var headers: [String] = []

        func header(_ name: String) -> String? {
            headers.first { $0.lowercased().hasPrefix("\(name):") }
                .map { String($0.dropFirst(name.count + 1).drop { $0 == " " }) }
        }
    }

    private let state = Mutex<(requests: [Request], behaviour: Behaviour)>(([], .connects))
    private let ports: [String: Int]
    private let channel: any Channel

    var port: Int { channel.localAddress?.port ?? 0 }
    var address: String { "127.0.0.1:\(port)" }
    var requests: [Request] { state.withLock { $0.requests } }
    var targets: [String] { requests.map(\.target) }
    fileprivate var behaviour: Behaviour { state.withLock { $0.behaviour } }

    /// What it does with connections from now on.
    func behave(_ behaviour: Behaviour) { state.withLock { $0.behaviour = behaviour } }

    /// Runs `body` with such a proxy, and stops it however that ends.
    ///
    /// - Parameter ports: where on this machine it connects to instead of a target (`host:port`).
    static func run<Result>(
        _ behaviour: Behaviour = .connects, ports: [String: Int] = [:], _ body: (TestProxy) async throws -> Result
    ) async throws -> Result {
        let holder = Holder()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let proxy = holder.proxy else { return }
                    try channel.pipeline.syncOperations.addHandler(ProxyConnection(proxy))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let proxy = TestProxy(channel: channel, ports: ports)
        proxy.behave(behaviour)
        holder.set(proxy)
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(proxy))
        } catch {
            result = .failure(error)
        }
        try await channel.close()
        return try result.get()
    }

    private init(channel: any Channel, ports: [String: Int]) {
        self.channel = channel
        self.ports = ports
    }

    fileprivate func asked(_ request: Request) { state.withLock { $0.requests.append(request) } }

    /// Where it goes for a target: to the port that stands for it, else to the same port of this machine.
    fileprivate func destination(of target: String) -> Int? {
        ports[target] ?? Int(target.split(separator: ":").last ?? "")
    }

    /// The proxy is made after its channel; no connection can come before anyone knows the port.
    private final class Holder: Sendable {
        private let value = Mutex<TestProxy?>(nil)
        var proxy: TestProxy? { value.withLock { $0 } }
        func set(_ proxy: TestProxy) { value.withLock { $0 = proxy } }
    }
}

/// One connection of a client: first it says where to, then everything is passed on.
private final class ProxyConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case asking
        /// SOCKS: a method was chosen.
        case chosen
        case connecting
        case passing(any Channel)
        case done
    }

    private let proxy: TestProxy
    private var state = State.asking
    private var received = ByteBuffer()

    init(_ proxy: TestProxy) {
        self.proxy = proxy
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if case .passing(let target) = state {
            target.writeAndFlush(bytes, promise: nil)
            return
        }
        received.writeBuffer(&bytes)
        switch state {
        case .asking:
            if received.getInteger(at: received.readerIndex, as: UInt8.self) == 5 {
                chooseMethod(context)
            } else if let request = readConnect() {
                proxy.asked(request)
                answer(request, context)
            }
        case .chosen: readSOCKSRequest(context)
        case .connecting, .passing, .done: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .passing(let target) = state { target.close(promise: nil) }
        state = .done
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: HTTP

    private func readConnect() -> TestProxy.Request? {
        let text = String(buffer: received)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
        received.moveReaderIndex(forwardBy: text[..<end.upperBound].utf8.count)
        let lines = text[..<end.lowerBound].split(separator: "\r\n").map(String.init)
        let words = lines[0].split(separator: " ")
        guard words.count == 3, words[0] == "CONNECT" else { return TestProxy.Request(target: "not a CONNECT") }
        return TestProxy.Request(target: String(words[1]), headers: Array(lines.dropFirst()))
    }

    private func answer(_ request: TestProxy.Request, _ context: ChannelHandlerContext) {
        let connected = "HTTP/1.1 200 Connection established\r\n\r\n"
        switch proxy.behaviour {
        case .connects: connect(to: request.target, context, saying: ByteBuffer(string: connected))
        case .asks(let authorization):
            if request.header("proxy-authorization") == authorization {
                connect(to: request.target, context, saying: ByteBuffer(string: connected))
            } else {
                say(
                    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                        + "Content-Length: 6\r\n\r\nNo way", context)
            }
        case .says(let text, let closes):
            say(text, context)
            if closes { context.close(promise: nil) }
        case .saysForEver(let text): sayForEver(ByteBuffer(string: text), context)
        case .hangs: break
        case .closes: context.close(promise: nil)
        case .chooses, .replies: say("HTTP/1.1 500 Not SOCKS\r\nContent-Length: 0\r\n\r\n", context)
        }
    }

    private func say(_ text: String, _ context: ChannelHandlerContext) {
        state = .done
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    private func sayForEver(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        state = .done
        context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenSuccess {
            context.eventLoop.assumeIsolated().execute { self.sayForEver(bytes, context) }
        }
    }

    // MARK: SOCKS 5 (RFC 1928)

    private func chooseMethod(_ context: ChannelHandlerContext) {
        guard let count = received.getInteger(at: received.readerIndex + 1, as: UInt8.self),
            received.readableBytes >= 2 + Int(count)
        else { return }
        received.moveReaderIndex(forwardBy: 2 + Int(count))
        switch proxy.behaviour {
        case .connects, .asks, .replies: choose(0, context)
        case .chooses(let method): choose(method, context)
        case .says(let text, let closes):
            say(text, context)
            if closes { context.close(promise: nil) }
        case .saysForEver(let text): sayForEver(ByteBuffer(string: text), context)
        case .hangs: break
        case .closes: context.close(promise: nil)
        }
    }

    private func choose(_ method: UInt8, _ context: ChannelHandlerContext) {
        state = .chosen
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [5, method])), promise: nil)
    }

    private func readSOCKSRequest(_ context: ChannelHandlerContext) {
        var request = received
        guard let head = request.readBytes(length: 4), head[0] == 5, head[1] == 1 else { return }
        let host: String?
        switch head[3] {
        case 1: host = request.readBytes(length: 4)?.map { "\($0)" }.joined(separator: ".")
        case 3: host = request.readInteger(as: UInt8.self).flatMap { request.readString(length: Int($0)) }
        default: host = request.readBytes(length: 16).map { "[\($0.map { "\($0)" }.joined(separator: "."))]" }
        }
        guard let host, let port = request.readInteger(as: UInt16.self) else { return }
        received = request
        let target = "\(host):\(port)"
        proxy.asked(TestProxy.Request(target: target))
        if case .replies(let code) = proxy.behaviour {
            state = .done
            context.writeAndFlush(wrapOutboundOut(Self.reply(code)), promise: nil)
        } else {
            connect(to: target, context, saying: Self.reply(0))
        }
    }

    private static func reply(_ code: UInt8) -> ByteBuffer { ByteBuffer(bytes: [5, code, 0, 1, 0, 0, 0, 0, 0, 0]) }

    // MARK: The way on

    private func connect(to target: String, _ context: ChannelHandlerContext, saying connected: ByteBuffer) {
        state = .connecting
        guard let port = proxy.destination(of: target) else {
            context.close(promise: nil)
            return
        }
        let client = context.channel
        ClientBootstrap(group: context.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(WayBack(to: client))
                }
            }
            .connect(host: "127.0.0.1", port: port)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let target):
                    context.writeAndFlush(self.wrapOutboundOut(connected), promise: nil)
                    self.state = .passing(target)
                    if self.received.readableBytes > 0 {
                        target.writeAndFlush(self.received, promise: nil)
                        self.received.clear()
                    }
                case .failure: context.close(promise: nil)
                }
            }
    }
}

/// What comes back from where a proxy connected to.
private final class WayBack: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let client: any Channel

    init(to client: any Channel) {
        self.client = client
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        client.writeAndFlush(unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { client.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
