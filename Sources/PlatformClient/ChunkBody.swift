import AsyncHTTPClient
import Crypto
import Formats
import NIOCore
import Synchronization
import UploadCore

/// The body of one PUT: reads a chunk piece by piece, hashes each, and writes it in slices as the network takes them.
///
/// At most two pieces are in memory: one that the network is taking, and one that waits for it.
final class ChunkBody<Source: ChunkSource>: Sendable {
    private let source: Source
    private let pieceSize: Int
    private let onBytesSent: @Sendable (Int) -> Void
    private let patience: @Sendable () async throws -> Void
    private let events: AsyncStream<Exchange.BodyEvent>
    private let eventsIn: AsyncStream<Exchange.BodyEvent>.Continuation
    /// Completed when the last byte was handed over: that is how async-http-client learns of the body's end.
    private let done: EventLoopPromise<Void>
    private let digest = Mutex<String?>(nil)

    /// - Parameter patience: sleeps for as long as the rest of an early refusal may take.
    init(
        _ source: Source, pieceSize: ByteCount, on eventLoop: any EventLoop,
        onBytesSent: @escaping @Sendable (Int) -> Void, patience: @escaping @Sendable () async throws -> Void
    ) {
        self.source = source
        self.pieceSize = max(1, Int(clamping: pieceSize.bytes))
        self.onBytesSent = onBytesSent
        self.patience = patience
        (self.events, self.eventsIn) = AsyncStream.makeStream()
        self.done = eventLoop.makePromise()
    }

    /// What async-http-client sends, with its length: never chunked.
    var requestBody: HTTPClient.Body {
        .stream(contentLength: source.size) { [eventsIn, done] writer in
            eventsIn.yield(.ready(writer))
            return done.futureResult
        }
    }

    /// Takes what happens on the wire.
    var tell: @Sendable (Exchange.BodyEvent) -> Void {
        { [eventsIn] event in eventsIn.yield(event) }
    }

    /// The MD5 of the whole chunk in lowercase hex digits, once all of it was handed over.
    var md5: String? { digest.withLock { $0 } }

    /// To be called when the exchange is over, however it ended.
    func end() {
        eventsIn.finish()
        // Without effect when the body went out whole.
        done.fail(CancellationError())
    }

    /// Sends the chunk; to run beside the exchange.
    var pump: @Sendable () async throws -> Void {
        { try await self.run() }
    }

    private func run() async throws {
        var hash = Insecure.MD5()
        var writer: HTTPClient.Body.StreamWriter?
        var offset: Int64 = 0
        var inFlight = 0
        for await event in events {
            switch event {
            case .ready(let ready): writer = ready
            case .sent(let count):
                inFlight -= count
                onBytesSent(count)
            case .answered:
                // No more is sent. The exchange usually ends by itself, and this task with it.
                try await patience()
                throw ExchangeLimit.refusedEarly
            }
            while let writer, offset < source.size, inFlight <= pieceSize {
                let piece = try await read(at: offset)
                hash.update(piece)
                offset += Int64(piece.readableBytes)
                inFlight += piece.readableBytes
                write(piece, to: writer)
                if offset == source.size {
                    digest.withLock { $0 = hash.finalize().hex }
                    done.succeed()
                }
            }
        }
    }

    private func read(at offset: Int64) async throws -> ByteBuffer {
        let count = Int(min(Int64(pieceSize), source.size - offset))
        let piece: ByteBuffer
        do {
            piece = try await source.read(at: offset, count: count)
        } catch let failure as UploadFailure {
            throw failure
        } catch let error as CancellationError {
            throw error
        } catch {
            throw UploadFailure(.spoolFailed, message: "what was written could not be read back from the spool")
        }
        guard (1...count).contains(piece.readableBytes) else {
            throw UploadFailure(
                .spoolFailed, code: "spool_short", message: "the spool gave \(piece.readableBytes) of \(count) bytes")
        }
        return piece
    }

    /// In slices, so that progress shows on slow networks too: the network's taking is told for each write as a whole.
    private func write(_ piece: ByteBuffer, to writer: HTTPClient.Body.StreamWriter) {
        var rest = piece
        while let slice = rest.readSlice(length: min(rest.readableBytes, 64 * 1024)), slice.readableBytes > 0 {
            // How it ends is told by the exchange.
            _ = writer.write(.byteBuffer(slice))
        }
    }
}

extension Insecure.MD5 {
    fileprivate mutating func update(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { update(bufferPointer: $0) }
    }
}

extension Insecure.MD5Digest {
    fileprivate var hex: String {
        var text = ""
        for byte in self {
            if byte < 16 { text += "0" }
            text += String(byte, radix: 16)
        }
        return text
    }
}
