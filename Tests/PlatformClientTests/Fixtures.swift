import Formats
import Logging
import NIOCore
import PlatformClient
import Synchronization
import TestSupport
import Testing
import UploadCore

/// The key of every test; nothing that people see may hold it.
let testKey = "tlk_0123456789SECRETSECRET"
/// What a presigned URL's query ends in; nothing that people see may hold it.
let testSignature = "5ec4e75167a7u4e"
/// The password of every proxy; nothing that people see may hold it, nor what a header makes of it.
let testPassword = "pr0xyPa55word"
/// `user:pr0xyPa55word` in Base64.
let testBasicCredentials = "dXNlcjpwcjB4eVBhNTV3b3Jk"

extension PlatformConfiguration {
    static func test(_ baseURL: String, clock: any Clock<Duration> = ContinuousClock()) throws -> PlatformConfiguration
    {
        var configuration = PlatformConfiguration(
            baseURL: baseURL, keySource: APIKeySource(try APIKey(testKey)), keyLocation: "/etc/the-key-file",
            wallClock: { Timestamp(millisecondsSince1970: 1_700_000_000_000) })
        configuration.clock = clock
        return configuration
    }
}

/// Runs `body` with a client of the server, and shuts it down however that ends.
func withClient<Result>(
    _ configuration: PlatformConfiguration, log: RecordedLog = RecordedLog(),
    _ body: (PlatformClient) async throws -> Result
) async throws -> Result {
    let client = try PlatformClient(configuration: configuration, logger: log.logger)
    let result: Swift.Result<Result, any Error>
    do {
        result = .success(try await body(client))
    } catch {
        result = .failure(error)
    }
    await client.shutdown()
    return try result.get()
}

func withClient<Result>(
    of server: ScriptedServer, clock: any Clock<Duration> = ContinuousClock(), log: RecordedLog = RecordedLog(),
    _ body: (PlatformClient) async throws -> Result
) async throws -> Result {
    try await withClient(.test(server.origin + "/v1.3", clock: clock), log: log, body)
}

/// What a call fails with; nil, and a recorded issue, when it does not, or when what it says holds a secret.
func failure(
    _ sourceLocation: SourceLocation = #_sourceLocation, of call: () async throws(UploadFailure) -> some Any
) async -> UploadFailure? {
    do throws(UploadFailure) {
        let value = try await call()
        Issue.record("succeeded with \(value)", sourceLocation: sourceLocation)
        return nil
    } catch {
        expectNoSecret(in: error, sourceLocation)
        return error
    }
}

func expectNoSecret(in value: some Any, _ sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(secrets(in: value).isEmpty, sourceLocation: sourceLocation)
}

/// The secrets that any way of printing the value shows.
func secrets(in value: some Any) -> [String] {
    var dumped = ""
    dump(value, to: &dumped)
    let texts = [dumped, String(describing: value), String(reflecting: value), "\(value)"]
    return [testKey, testSignature, testPassword, testBasicCredentials].filter { secret in
        texts.contains { $0.contains(secret) }
    }
}

/// A chunk in memory that remembers how far it was read.
final class MemoryChunk: ChunkSource {
    private let bytes: ByteBuffer
    private let furthest = Mutex<Int64>(0)
    private let onRead: @Sendable (Int64) throws -> Void

    var size: Int64 { Int64(bytes.readableBytes) }
    var md5: String { hexMD5(bytes) }
    /// One past the last byte that was asked for.
    var readSoFar: Int64 { furthest.withLock { $0 } }

    init(_ bytes: ByteBuffer, onRead: @escaping @Sendable (Int64) throws -> Void = { _ in }) {
        self.bytes = bytes
        self.onRead = onRead
    }

    /// Bytes that differ from one to the next, so that no mix-up of pieces goes unseen.
    convenience init(count: Int, onRead: @escaping @Sendable (Int64) throws -> Void = { _ in }) {
        var generator = SplitMix64(seed: UInt64(count))
        var bytes = ByteBuffer()
        bytes.reserveCapacity(count)
        while bytes.readableBytes + 8 <= count { bytes.writeInteger(generator.next()) }
        while bytes.readableBytes < count { bytes.writeInteger(UInt8(truncatingIfNeeded: generator.next())) }
        self.init(bytes, onRead: onRead)
    }

    func read(at offset: Int64, count: Int) async throws -> ByteBuffer {
        try onRead(offset)
        furthest.withLock { $0 = max($0, offset + Int64(count)) }
        guard let piece = bytes.getSlice(at: bytes.readerIndex + Int(offset), length: count) else { throw Outside() }
        return piece
    }

    struct Outside: Error {}
}

/// A number that many may add to.
final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add(_ more: Int) { count.withLock { $0 += more } }
}

/// Everything that was logged, at every level.
final class RecordedLog: Sendable {
    private let lines = Mutex<[String]>([])

    var text: [String] { lines.withLock { $0 } }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(log: self) }
    }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let metadata = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            log.lines.withLock { $0.append("\(event.level) \(event.message) " + metadata.joined(separator: " ")) }
        }
    }
}

extension ScriptedServer {
    /// A URL of this server as the platform would hand it out.
    func presigned(_ path: String = "/_store/part") -> PresignedURL {
        PresignedURL(text: "\(origin)\(path)?partNumber=1&X-Amz-Signature=\(testSignature)", expiresAfter: nil)
    }
}
