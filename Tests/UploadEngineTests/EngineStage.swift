import Formats
import Foundation
import Logging
import NIOPosix
import PlatformClient
import SandboxPlatform
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

import class TestSupport.QuietPort

/// An engine in this process, with a spool on disk and the stand-in as its platform.
final class EngineStage: Sendable {
    let engine: UploadEngine
    let spool: SpoolDirectory
    /// Where calls take the key from.
    let key: APIKeySource
    /// What the client said of its attempts.
    let log: AttemptLog
    private let platform: Mutex<Sandbox>
    /// Where the platform was, while it is stopped.
    private let vacant = Mutex<QuietPort?>(nil)
    private let sandboxConfiguration: SandboxConfiguration

    var sandbox: Sandbox { platform.withLock { $0 } }

    private init(
        engine: UploadEngine, sandbox: Sandbox, _ sandboxConfiguration: SandboxConfiguration, spool: SpoolDirectory,
        key: APIKeySource, log: AttemptLog
    ) {
        self.engine = engine
        platform = Mutex(sandbox)
        self.sandboxConfiguration = sandboxConfiguration
        self.spool = spool
        self.key = key
        self.log = log
    }

    /// Nothing listens there any more.
    func stopPlatform() async throws {
        await sandbox.stop()
        let quiet = try QuietPort(sandbox.port)
        vacant.withLock { $0 = quiet }
    }

    /// The platform is back where it was, and knows what it knew.
    func startPlatform() async throws {
        var configuration = sandboxConfiguration
        configuration.port = sandbox.port
        let back = try await Sandbox.start(configuration)
        platform.withLock { $0 = back }
        vacant.withLock { $0 = nil }
    }

    /// Runs `body` on a stage of its own: chunks of 1000 bytes, and a session from 1000 written bytes on.
    static func with(
        clock: EngineClock = .real, engine change: (inout EngineConfiguration) -> Void = { _ in },
        sandbox changeSandbox: (inout SandboxConfiguration) -> Void = { _ in },
        platform changePlatform: (inout PlatformConfiguration) -> Void = { _ in },
        _ body: (EngineStage) async throws -> Void
    ) async throws {
        var sandboxConfiguration = SandboxConfiguration()
        sandboxConfiguration.chunkSize = 1000
        sandboxConfiguration.processingTime = .zero
        changeSandbox(&sandboxConfiguration)
        let path = FileManager.default.temporaryDirectory.path + "/UploadEngineTests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: path) }
        sandboxConfiguration.stateDirectory = path + "/platform"
        let sandbox = try await Sandbox.start(sandboxConfiguration)

        var limits = RetryPolicy.Limits()
        limits.base = .milliseconds(5)
        limits.cap = .milliseconds(50)
        var configuration = EngineConfiguration()
        configuration.upload.retryPolicy = RetryPolicy(limits: limits)
        configuration.upload.writtenBeforeSession = 1000
        change(&configuration)

        let spool = try SpoolDirectory(stateDirectory: path, limit: nil, diskReserve: ByteCount(0))

        let key = APIKeySource(try APIKey("sandbox-key"))
        var platform = PlatformConfiguration(baseURL: sandbox.baseURL, keySource: key)
        platform.uploadConcurrency = configuration.uploadConcurrency
        changePlatform(&platform)
        let log = AttemptLog()
        let logger = Logger(label: "UploadEngineTests") { _ in log }
        let client = try PlatformClient(configuration: platform, logger: logger)
        let threads = NIOThreadPool(numberOfThreads: 2)
        threads.start()
        let stage = EngineStage(
            engine: UploadEngine(
                configuration: configuration, client: client, threads: threads, clock: clock, logger: logger),
            sandbox: sandbox, sandboxConfiguration, spool: spool, key: key, log: log)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(stage))
        } catch {
            outcome = .failure(error)
        }
        stage.sandbox.clearFaults()
        await stage.engine.stop()
        await client.shutdown()
        try? await threads.shutdownGracefully()
        await stage.sandbox.stop()
        try outcome.get()
    }

    /// Begins an upload with a spool file of its own.
    func begin(_ name: String) throws -> Upload {
        let identity = UploadIdentity(path: [Array(name.utf8)], filename: name, type: .video)
        return engine.begin(identity, spool: try spool.create())
    }

    /// Begins an upload, writes all of it and commits it.
    func upload(_ name: String, _ bytes: [UInt8]) throws -> Upload {
        let upload = try begin(name)
        try upload.write(bytes, at: 0)
        upload.apply(.committed(.whole))
        return upload
    }

    /// The bytes of the complete asset of that name; throws when there is not exactly one.
    func content(of name: String) async throws -> [UInt8] {
        let assets = try await sandbox.completeAssets().filter { $0.filename == name }
        guard assets.count == 1, let content = try await sandbox.content(ofAsset: assets[0].assetID) else {
            throw NotOneAsset(name: name, count: assets.count)
        }
        return Array(content.readableBytesView)
    }
}

struct NotOneAsset: Error {
    var name: String
    var count: Int
}

extension EngineClock {
    static let real = EngineClock(
        now: { ContinuousClock.now }, wallTime: WallClock.now,
        sleep: { try await Task.sleep(until: $0, clock: .continuous) })
}

extension Upload {
    func write(_ bytes: [UInt8], at offset: Int64) throws {
        try bytes.withUnsafeBytes { try spool.write($0, at: offset) }
        apply(.wrote(offset..<offset + Int64(bytes.count)))
    }

    /// What a close would be answered.
    func answer() async -> Result<Void, UploadFailure> {
        await withCheckedContinuation { continuation in
            _ = whenAnswered { continuation.resume(returning: $0) }
        }
    }

    /// The state it ends in.
    func end() async -> UploadState {
        await withCheckedContinuation { continuation in whenEnded { continuation.resume(returning: $0) } }
    }
}

/// Bytes of which no two chunks are the same.
func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
    }
}

/// Collects what was answered, in order.
final class Answers: Sendable {
    private let all = Mutex<[Result<Void, UploadFailure>]>([])

    func add(_ answer: Result<Void, UploadFailure>) { all.withLock { $0.append(answer) } }

    var kinds: [UploadFailure.Kind?] {
        all.withLock { answers in
            answers.map { answer in
                switch answer {
                case .success: nil
                case .failure(let failure): failure.kind
                }
            }
        }
    }
}
