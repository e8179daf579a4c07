import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import NIOSSL

/// What a listener answers; anything else is not there.
enum Service: Sendable {
    case api, store, control
}

/// A port that is listened on, with or without TLS.
final class Listener: Sendable {
    let port: Int
    private let serving: Task<Void, any Error>

    /// What all listeners of a stand-in share.
    struct Surroundings: Sendable {
        var connections: Connections
        var group: MultiThreadedEventLoopGroup
        var logger: Logger
    }

    /// Starts listening. Throws `SandboxFailure` when the address cannot be had.
    static func start(
        host: String, port: Int, tls: NIOSSLContext?, _ surroundings: Surroundings, _ handler: RequestHandler
    ) async throws -> Listener {
        let base = HTTP1Channel { request, writer, channel in
            try await handler.respond(to: request, writer, channel)
        }
        let (ports, listening) = AsyncThrowingStream<Int, any Error>.makeStream()
        let server = Server(
            childChannelSetup: SandboxChannel(base: base, connections: surroundings.connections, tls: tls),
            configuration: ServerConfiguration(address: .hostname(host, port: port)),
            onServerRunning: { channel in listening.yield(channel.localAddress?.port ?? port) },
            eventLoopGroup: surroundings.group, logger: surroundings.logger)
        let serving = Task {
            do {
                try await server.run()
                listening.finish()
            } catch {
                listening.finish(
                    throwing: SandboxFailure(description: "Cannot listen on \(authority(host, port)): \(error)."))
                throw error
            }
        }
        var iterator = ports.makeAsyncIterator()
        guard let port = try await iterator.next() else { throw CancellationError() }
        return Listener(port: port, serving: serving)
    }

    private init(port: Int, serving: Task<Void, any Error>) {
        self.port = port
        self.serving = serving
    }

    /// No more connections are taken.
    func cancel() { serving.cancel() }

    /// Returns when it has ended.
    func ended() async { _ = await serving.result }
}

/// Host and port as a URL has them: an address of IPv6 in brackets.
func authority(_ host: String, _ port: Int) -> String {
    host.contains(":") && !host.hasPrefix("[") ? "[\(host)]:\(port)" : "\(host):\(port)"
}

/// The host of `host:port`; an address of IPv6 keeps its brackets.
func host(ofAuthority authority: String) -> String {
    guard let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") else { return authority }
    return String(authority[..<colon])
}
