import Glibc
import HummingbirdCore
import Logging
import NIOCore
import NIOSSL
import Synchronization

/// Hummingbird's HTTP/1.1 channel, tuned for large bodies, and known to ``Connections``; within TLS where there is a
/// certificate.
struct SandboxChannel: ServerChildChannel {
    let base: HTTP1Channel
    let connections: Connections
    let tls: NIOSSLContext?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        connections.add(channel)
        return PutBuffers.standard(channel).flatMap {
            channel.eventLoop.makeCompletedFuture {
                if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
            }
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}

/// The connections that are open, so that stopping need not wait for clients that keep theirs.
final class Connections: Sendable {
    private let open = Mutex<[ObjectIdentifier: any Channel]>([:])

    func add(_ channel: any Channel) {
        let key = ObjectIdentifier(channel)
        open.withLock { $0[key] = channel }
        channel.closeFuture.whenComplete { _ in self.open.withLock { $0[key] = nil } }
    }

    func closeAll() {
        for channel in open.withLock({ Array($0.values) }) { channel.close(mode: .all, promise: nil) }
    }
}

/// How much is read at once.
enum PutBuffers {
    /// Fewer and larger reads cost less; ten of them may wait in a connection's queue.
    static let large = 256 << 10
    /// With a limited bandwidth, little may be taken in ahead of the limit: clients are to see a slow network.
    static let small = 16 << 10

    static func standard(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.setOption(
            .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 2 << 10, initial: 64 << 10, maximum: large))
    }

    /// Fits a connection to the bandwidth before a body is read.
    static func fit(_ channel: any Channel, bandwidth: Int64?) throws {
        guard bandwidth != nil else { return }
        channel.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: small))
            .flatMap { channel.setOption(.socketOption(.so_rcvbuf), value: 4 * small) }
            .whenComplete { _ in }
    }
}

extension Channel {
    /// Ends the connection with RST: what has not been sent is dropped.
    func reset() async throws {
        if let socket = self as? any SocketOptionProvider {
            try await socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        }
        try? await close(mode: .all)
    }
}
