import FileTree
import Filesystem
import Formats
import FuseLowLevel
import Logging
import NIOCore
import NIOPosix
import PlatformClient
import SandboxPlatform
import Synchronization
import TestSupport
import Testing
import UploadCore
import UploadEngine
import UploadStore

/// The file system without FUSE and without a mount: its operations are called as methods. Spool, engine and client are
/// the real ones, the platform is the stand-in.
final class InProcess: Sendable {
    let filesystem: FilesystemService
    let engine: UploadEngine
    let sandbox: Sandbox
    let writers = FakeWriters()
    let clock: CountingClock
    let journal: UploadStore.Journal
    let spool: SpoolDirectory
    /// The file system as another process would find it, were this one killed now. Nothing goes on in it.
    let restore: @Sendable () throws -> FilesystemService

    private init(
        filesystem: (FakeWriters) -> FilesystemService, engine: UploadEngine, sandbox: Sandbox, clock: CountingClock,
        journal: UploadStore.Journal, spool: SpoolDirectory, restore: @escaping @Sendable () throws -> FilesystemService
    ) {
        self.journal = journal
        self.spool = spool
        self.restore = restore
        self.filesystem = filesystem(writers)
        self.engine = engine
        self.sandbox = sandbox
        self.clock = clock
    }

    /// Runs `body` with a file system that is gone afterwards.
    static func run(
        _ configure: (inout FilesystemConfiguration) -> Void = { _ in }, stallTimeout: Duration = .seconds(300),
        clockPace: Int = 1, spoolLimit: ByteCount = .mebibytes(512), bootID: String = "this boot",
        prepare: (_ stateDirectory: String) throws -> Void = { _ in },
        sandbox changeSandbox: (inout SandboxConfiguration) -> Void = { _ in },
        _ body: (InProcess) async throws -> Void
    ) async throws {
        try await withScratch { scratch in
            var platform = SandboxConfiguration()
            platform.processingTime = .zero
            changeSandbox(&platform)
            let sandbox = try await Sandbox.start(platform)
            let key = APIKeySource(try APIKey(platform.apiKey))
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let client = try PlatformClient(
                configuration: PlatformConfiguration(baseURL: sandbox.baseURL, keySource: key), logger: logger)
            let threads = NIOThreadPool(numberOfThreads: 2)
            threads.start()
            let clock = CountingClock(pace: clockPace)
            var settings = EngineConfiguration()
            settings.upload.stallTimeout = stallTimeout
            try prepare(scratch.path)
            let journal = try UploadStore.Journal(stateDirectory: scratch.path, bootID: bootID)
            let engine = UploadEngine(
                configuration: settings, client: client, threads: threads, clock: clock.engineClock, logger: logger,
                journal: journal)
            let spool = try SpoolDirectory(
                stateDirectory: scratch.path, limit: spoolLimit, diskReserve: ByteCount(0))
            var configuration = FilesystemConfiguration(uid: 0, gid: 0, mountPoint: "/mnt")
            configure(&configuration)
            let (final, finalSettings) = (configuration, settings)
            let restore: @Sendable () throws -> FilesystemService = {
                let journal = try UploadStore.Journal(stateDirectory: scratch.path, bootID: bootID)
                let engine = UploadEngine(
                    configuration: finalSettings, client: client, threads: threads, clock: clock.engineClock,
                    logger: logger, journal: journal)
                let spool = try SpoolDirectory(
                    stateDirectory: scratch.path, limit: spoolLimit, diskReserve: ByteCount(0))
                let filesystem = FilesystemService(
                    configuration: final, engine: engine, spool: spool, writers: FakeWriters(), logger: logger,
                    journal: journal)
                filesystem.recover()
                return filesystem
            }
            let run = InProcess(
                filesystem: {
                    FilesystemService(
                        configuration: configuration, engine: engine, spool: spool, writers: $0, logger: logger,
                        journal: journal)
                }, engine: engine, sandbox: sandbox, clock: clock, journal: journal, spool: spool,
                restore: restore)
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(try await body(run))
            } catch {
                outcome = .failure(error)
            }
            await engine.stop()
            await client.shutdown()
            try await threads.shutdownGracefully()
            journal.close()
            await sandbox.stop()
            try outcome.get()
        }
    }

    // MARK: Operations

    static func caller(_ pid: Int32) -> FuseRequestContext { FuseRequestContext(pid: pid, uid: 0, gid: 0, umask: 0) }

    private static let writing = FileOpenFlags(rawValue: 1)
    private static let cutting = FileOpenFlags(rawValue: 1 | 0o1000)

    func create(_ name: String, exclusively: Bool = false, by pid: Int32 = 1) throws -> UInt64 {
        let (node, file) = try filesystem.namespace.createFile(
            Array(name.utf8), in: .root, permissions: 0o644, context: Self.caller(pid))
        return try filesystem.content.openHandle(
            file, node: node, canWrite: true, isExclusive: exclusively, context: Self.caller(pid)
        ).handle
    }

    func node(_ name: String) throws -> NodeID { try filesystem.namespace.lookup(Array(name.utf8), in: .root).node }

    func open(_ name: String, cutting: Bool = false, by pid: Int32 = 1) throws -> UInt64 {
        try filesystem.open(
            try node(name), flags: cutting ? Self.cutting : Self.writing, context: Self.caller(pid)
        ).handle
    }

    @discardableResult
    func write(_ bytes: [UInt8], to handle: UInt64, at offset: Int64 = 0, by pid: Int32 = 1) throws -> Int {
        try bytes.withUnsafeBytes {
            try filesystem.content.write($0, handle: handle, at: offset, context: Self.caller(pid))
        }
    }

    /// Makes a file with these bytes, and closes it.
    func finish(_ name: String, _ bytes: [UInt8] = [1, 2, 3], exclusively: Bool = false) async throws {
        let handle = try create(name, exclusively: exclusively)
        try write(bytes, to: handle)
        #expect(await close(handle) == nil)
        filesystem.committer.release(handle)
    }

    /// Up to 1 MiB of a file of this file system, or of the one that another process would find.
    func content(_ name: String, in other: FilesystemService? = nil) throws -> [UInt8] {
        let filesystem = other ?? filesystem
        let node = try filesystem.namespace.lookup(Array(name.utf8), in: .root).node
        let handle = try filesystem.open(node, flags: FileOpenFlags(rawValue: 0), context: Self.caller(9)).handle
        defer { filesystem.committer.release(handle) }
        return try filesystem.content.read(handle, at: 0, count: 1 << 20)
    }

    func cut(_ name: String, to size: Int64, through handle: UInt64?, by pid: Int32 = 1) throws {
        var changes = FileAttributeChanges()
        changes.size = size
        _ = try filesystem.setAttributes(of: try node(name), changes, handle: handle, context: Self.caller(pid))
    }

    /// A FLUSH and its answer: nil for success.
    func close(_ handle: UInt64, by pid: Int32 = 1) async -> FuseErrno? {
        await answer { self.filesystem.committer.close(handle, context: Self.caller(pid), $0) }
    }

    /// An FSYNC and its answer: nil for success.
    @discardableResult
    func synchronize(_ handle: UInt64) async -> FuseErrno? {
        await withCheckedContinuation { continuation in
            guard let open = try? filesystem.content.handles.get(handle) else {
                return continuation.resume(returning: .badFileDescriptor)
            }
            filesystem.durability.synchronize(open) { result in
                switch result {
                case .success: continuation.resume(returning: nil)
                case .failure(let errno): continuation.resume(returning: errno)
                }
            }
        }
    }

    func rename(_ name: String, to newName: String) async -> FuseErrno? {
        await answer {
            self.filesystem.committer.rename(
                Array(name.utf8), in: .root, to: Array(newName.utf8), in: .root, flags: [], pid: 1, $0)
        }
    }

    func answer(
        whenInterrupted: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void = { _ in },
        _ ask: (CloseWait) -> Void
    ) async -> FuseErrno? {
        await withCheckedContinuation { continuation in
            ask(
                CloseWait(
                    reply: { result in
                        switch result {
                        case .success: continuation.resume(returning: nil)
                        case .failure(let errno): continuation.resume(returning: errno)
                        }
                    }, whenInterrupted: whenInterrupted))
        }
    }

    /// The bytes of the only complete asset; nil when there is none, or more than one.
    func onlyAsset() async throws -> [UInt8]? {
        let assets = try await sandbox.completeAssets()
        guard assets.count == 1, let asset = assets.first else { return nil }
        return try await sandbox.content(ofAsset: asset.assetID).map { Array($0.readableBytesView) }
    }
}

/// The machine's clock, or one that runs faster, and how often it was asked to wait for a moment that had passed.
final class CountingClock: Sendable {
    private let waitsForThePast = Mutex(0)
    private let start = ContinuousClock.now
    private let pace: Int
    /// Called once, when the time of day is asked for: while an upload begins.
    let onWallTime = Mutex<(@Sendable () -> Void)?>(nil)

    /// - Parameter pace: seconds of this clock in one of the machine's.
    init(pace: Int) { self.pace = pace }

    var vain: Int { waitsForThePast.withLock { $0 } }

    private var now: ContinuousClock.Instant { start + (ContinuousClock.now - start) * pace }

    var engineClock: EngineClock {
        EngineClock(
            now: { self.now },
            wallTime: {
                self.onWallTime.withLock { $0.take() }?()
                return WallClock.now()
            },
            sleep: { deadline in
                let rest = deadline - self.now
                if rest <= .zero { self.waitsForThePast.withLock { $0 += 1 } }
                try await Task.sleep(for: rest / self.pace)
            })
    }
}

extension Upload {
    /// The state it ends in.
    func end() async -> UploadState {
        await withCheckedContinuation { continuation in whenEnded { continuation.resume(returning: $0) } }
    }
}
