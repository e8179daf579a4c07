import FuseLowLevel
import Logging
import MountedFilesystem
import NIOPosix
import PlatformClient
import UploadCore
import UploadEngine
import UploadStore

#if canImport(Glibc)
import Glibc
#endif

/// The mount that `twelvefs mount` serves: file system, engine and platform put together.
struct PlatformMount: MountService {
    func hasUploadsToResume(_ configuration: MountConfiguration, logger: Logger) async throws -> Bool { false }

    func start(_ configuration: MountConfiguration, key: APIKey, logger: Logger) async throws -> any RunningMount {
        // A file size limit of the process's own is answered as `EFBIG`, not with a signal.
        signal(SIGXFSZ, SIG_IGN)
        let spool = try SpoolDirectory(stateDirectory: configuration.stateDirectory, limit: configuration.spoolLimit)
        let orphans = try spool.setAsideOrphans()
        if !orphans.isEmpty {
            logger.warning(
                "spool files of an earlier mount were set aside in orphans/",
                metadata: ["count": "\(orphans.count)", "state_dir": "\(configuration.stateDirectory)"])
        }
        let client = try PlatformClient(configuration: Self.platform(configuration, key: key), logger: logger)
        let threads = NIOThreadPool(numberOfThreads: Self.spoolReaders)
        threads.start()
        let engine = UploadEngine(
            configuration: Self.engine(configuration), client: client, threads: threads, clock: .system,
            logger: logger)
        let filesystem = MountedFilesystem(
            configuration: Self.filesystem(configuration), engine: engine, spool: spool,
            writers: ProcessInspector(mountPoint: configuration.mountPoint), logger: logger)
        let parts = MountParts(
            client: client, threads: threads, engine: engine, filesystem: filesystem, logger: logger)
        do {
            let session = try FuseSession(
                mountpoint: configuration.mountPoint, options: Self.fuse(configuration), operations: filesystem,
                log: { level, message in
                    logger.log(level: Logger.Level(level), "libfuse", metadata: ["says": "\(message)"])
                })
            try await offPool {
                try session.mount()
                try session.start()
            }
            return ServedMount(session: session, parts: parts)
        } catch {
            await parts.stop()
            throw error
        }
    }

    /// Threads that read the spool for PUTs: as many as a disk serves well; they do not grow with the uploads.
    private static let spoolReaders = 2

    private static func platform(_ configuration: MountConfiguration, key: APIKey) -> PlatformConfiguration {
        var platform = PlatformConfiguration(baseURL: configuration.apiURL, keySource: APIKeySource(key))
        if let file = configuration.apiKeyFile { platform.keyLocation = file }
        platform.caFile = configuration.caFile
        platform.uploadConcurrency = configuration.uploadConcurrency
        return platform
    }

    private static func engine(_ configuration: MountConfiguration) -> EngineConfiguration {
        var engine = EngineConfiguration()
        engine.uploadConcurrency = configuration.uploadConcurrency
        engine.upload.sizeLimit = configuration.maxFileSize.bytes
        engine.upload.roomLimit = configuration.spoolLimit?.bytes
        engine.upload.stallTimeout = configuration.stallTimeout
        engine.upload.urlReserve = 2 * configuration.uploadConcurrency
        engine.enableHLS = configuration.enableHLS
        engine.enableThumbnail = configuration.enableThumbnail
        engine.metadata = configuration.metadata.map { (key: $0.key, value: $0.value) }
        return engine
    }

    private static func filesystem(_ configuration: MountConfiguration) -> FilesystemConfiguration {
        var filesystem = FilesystemConfiguration(
            uid: configuration.uid ?? getuid(), gid: configuration.gid ?? getgid(),
            mountPoint: configuration.mountPoint)
        filesystem.fixedUID = configuration.uid
        filesystem.fixedGID = configuration.gid
        filesystem.maxFileSize = configuration.maxFileSize.bytes
        filesystem.runAhead = configuration.runAhead
        filesystem.usesSizeHints = configuration.usesSizeHints
        filesystem.names = NamePolicy(otherFiles: configuration.otherFiles)
        switch configuration.assetType {
        case .video: filesystem.assetTypes = .always(.video)
        case .audio: filesystem.assetTypes = .always(.audio)
        case .auto: filesystem.assetTypes = .byName
        }
        filesystem.keepInterrupted = configuration.keepInterrupted
        filesystem.isReadOnly = configuration.isReadOnly
        filesystem.fileMode = configuration.fileMode
        filesystem.directoryMode = configuration.directoryMode
        return filesystem
    }

    private static func fuse(_ configuration: MountConfiguration) -> FuseMountOptions {
        var fuse = FuseMountOptions()
        fuse.fsname = configuration.sourceName
        fuse.subtype = MountConfiguration.subtype
        fuse.allowOther = configuration.allowsOther
        fuse.readOnly = configuration.isReadOnly
        fuse.extra = configuration.mountFlags
        return fuse
    }
}

/// What a mount is made of besides its FUSE session, and has to be ended with it.
struct MountParts: Sendable {
    let client: PlatformClient
    let threads: NIOThreadPool
    let engine: UploadEngine
    let filesystem: MountedFilesystem
    let logger: Logger

    func stop() async {
        await engine.stop()
        await client.shutdown()
        // Fails only when it was not started.
        try? await threads.shutdownGracefully()
    }
}

extension EngineClock {
    /// The machine's clocks.
    static let system = EngineClock(
        now: { ContinuousClock.now }, wallTime: WallClock.now,
        sleep: { try await Task.sleep(until: $0, clock: .continuous) })
}

extension Logger.Level {
    fileprivate init(_ level: FuseLogLevel) {
        switch level {
        case .emergency, .alert, .critical: self = .critical
        case .error: self = .error
        case .warning: self = .warning
        case .notice: self = .notice
        case .info: self = .info
        case .debug: self = .debug
        }
    }
}
