import Formats
import Foundation
import Logging
import NIOPosix
import PlatformClient
import SandboxPlatform
import UploadCore
import UploadEngine
import UploadStore

/// A state directory and a platform that outlive the engines that work on them, one after another.
final class ResumeStage: Sendable {
    let sandbox: Sandbox
    let path: String

    private init(sandbox: Sandbox, path: String) {
        self.sandbox = sandbox
        self.path = path
    }

    /// Runs `body` with a platform whose chunks have 1000 bytes.
    static func with(
        sandbox change: (inout SandboxConfiguration) -> Void = { _ in }, _ body: (ResumeStage) async throws -> Void
    ) async throws {
        var configuration = SandboxConfiguration()
        configuration.chunkSize = 1000
        configuration.processingTime = .zero
        change(&configuration)
        let sandbox = try await Sandbox.start(configuration)
        let path = FileManager.default.temporaryDirectory.path + "/UploadEngineTests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(ResumeStage(sandbox: sandbox, path: path)))
        } catch {
            outcome = .failure(error)
        }
        await sandbox.stop()
        try outcome.get()
    }

    /// An engine's life: what the journal knows is taken in, and recovered unless it is to wait. At its end nothing
    /// is said to anybody, as when its process is killed.
    func life(
        boot: String = "boot", isResumed: Bool = true, _ body: (EngineLife) async throws -> Void
    ) async throws {
        let journal = try Journal(stateDirectory: path, bootID: boot)
        let spool = try SpoolDirectory(stateDirectory: path, limit: nil, diskReserve: ByteCount(0))
        var limits = RetryPolicy.Limits()
        limits.base = .milliseconds(5)
        limits.cap = .milliseconds(50)
        var configuration = EngineConfiguration()
        configuration.upload.retryPolicy = RetryPolicy(limits: limits)
        configuration.upload.writtenBeforeSession = 1000
        configuration.uploadConcurrency = 1
        let key = try APIKey("sandbox-key")
        let logger = Logger(label: "UploadEngineTests") { _ in SwiftLogNoOpLogHandler() }
        let client = try PlatformClient(
            configuration: PlatformConfiguration(baseURL: sandbox.baseURL, keySource: APIKeySource(key)),
            logger: logger)
        let threads = NIOThreadPool(numberOfThreads: 2)
        threads.start()
        let engine = UploadEngine(
            configuration: configuration, client: client, threads: threads, clock: .real, logger: logger,
            journal: journal)
        let life = EngineLife(engine: engine, spool: spool, journal: journal)
        let outcome: Result<Void, any Error>
        do {
            try life.restore()
            if isResumed { engine.resume() }
            outcome = .success(try await body(life))
        } catch {
            outcome = .failure(error)
        }
        await engine.stop()
        await client.shutdown()
        try? await threads.shutdownGracefully()
        journal.close()
        try outcome.get()
    }

    /// The bytes of the complete asset of that name; throws when there is not exactly one.
    func content(of name: String) async throws -> [UInt8] {
        let assets = try await sandbox.completeAssets().filter { $0.filename == name }
        guard assets.count == 1, let content = try await sandbox.content(ofAsset: assets[0].assetID) else {
            throw NotOneAsset(name: name, count: assets.count)
        }
        return Array(content.readableBytesView)
    }

    /// The chunks that the store took, in their order.
    var storedChunks: [Int] {
        sandbox.journal(of: .put).filter { $0.status == 200 }.compactMap(\.chunkIndex)
    }
}

/// One engine on a state directory.
struct EngineLife {
    let engine: UploadEngine
    let spool: SpoolDirectory
    let journal: Journal

    func begin(_ name: String) throws -> Upload {
        let identity = UploadIdentity(path: [Array(name.utf8)], filename: name, type: .video)
        return engine.begin(identity, spool: try spool.create())
    }

    /// Returns once the journal knows everything that it was told.
    func journalIsWritten() async {
        await withCheckedContinuation { continuation in
            journal.whenWritten(durably: false) { _ in continuation.resume() }
        }
    }

    /// Takes in what the journal knows: bytes are where they were.
    func restore() throws {
        let contents = journal.contents
        for record in contents.uploads {
            let session = contents.sessions.first { $0.upload == record.number }
            let loss =
                record.contentCanBeTrusted(inBoot: journal.bootID)
                ? nil : UploadFailure(.interrupted, message: "the machine was restarted")
            _ = engine.restore(
                record, session: session, chunks: contents.chunks.filter { $0.uploadID == session?.uploadID },
                spool: try spool.open(record.spool), contentLoss: loss)
        }
    }
}
