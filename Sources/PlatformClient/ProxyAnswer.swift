import NIOCore
import NIOHTTP1
import NIOPosix

/// What an HTTP proxy answers to `CONNECT`. async-http-client tells no more than that it was no success, and nothing of an answer
/// that is no HTTP: whether the proxy forbids (403), or has not reached the other side itself (502 to 504), or is something else
/// altogether, is asked for once more.
enum ProxyAnswer: Sendable, Equatable {
    /// The status of an answer that is no success.
    case status(Int)
    case notHTTP

    /// Nil when there is no answer in time, or when it is a success after all.
    static func asked(
        of proxy: ProxyServer, to address: WebAddress, within timeout: Duration, on group: any EventLoopGroup
    ) async -> ProxyAnswer? {
        let eventLoop = group.any()
        let answer = eventLoop.makePromise(of: ProxyAnswer?.self)
        do {
            let channel = try await ClientBootstrap(group: eventLoop)
                .connectTimeout(TimeAmount(timeout))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
                        try channel.pipeline.syncOperations.addHandler(
                            ConnectAsker(head: head(for: address, proxy), answer: answer))
                    }
                }
                .connect(host: proxy.host, port: proxy.port).get()
            let deadline = eventLoop.scheduleTask(in: TimeAmount(timeout)) { answer.fail(NoAnswer()) }
            let told = try? await answer.futureResult.get()
            deadline.cancel()
            try? await channel.close()
            return told ?? nil
        } catch {
            answer.fail(error)
            return nil
        }
    }

    private static func head(for address: WebAddress, _ proxy: ProxyServer) -> HTTPRequestHead {
        let target = (address.host.contains(":") ? "[\(address.host)]" : address.host) + ":\(address.port)"
        var headers = HTTPHeaders([("host", target), ("user-agent", PlatformClient.userAgent)])
        if let authorization = proxy.authorization {
            headers.add(name: "proxy-authorization", value: authorization.headerValue)
        }
        return HTTPRequestHead(version: .http1_1, method: .CONNECT, uri: target, headers: headers)
    }

    fileprivate struct NoAnswer: Error {}

    /// Sends the request, and keeps the answer's status.
    private final class ConnectAsker: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        typealias OutboundOut = HTTPClientRequestPart

        private let head: HTTPRequestHead
        private let answer: EventLoopPromise<ProxyAnswer?>

        init(head: HTTPRequestHead, answer: EventLoopPromise<ProxyAnswer?>) {
            self.head = head
            self.answer = answer
        }

        func channelActive(context: ChannelHandlerContext) {
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            context.fireChannelActive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .head(let head) = unwrapInboundIn(data) else { return }
            answer.succeed((200..<300).contains(head.status.code) ? nil : .status(Int(head.status.code)))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if error is HTTPParserError { answer.succeed(.notHTTP) } else { answer.fail(error) }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            answer.fail(NoAnswer())
            context.fireChannelInactive()
        }
    }
}
