import Filesystem
import FuseLowLevel
import Glibc
import Logging
import NIOPosix
import PlatformClient
import ProcessInspection
import UploadCore
import UploadEngine
import UploadStore

/// The mount that `twelvefs mount` serves: file system, engine and platform put together.
struct PlatformMount: MountService {
    func hasUploadsToResume(_ mount: PreparedMount) async throws -> Bool {
        await offPool { Journal.hasUploadsToResume(in: mount.stateDirectory.path) }
    }

    func leftBehind(_ mount: PreparedMount) -> DrainOutcome {
        DrainOutcome(resumable: Journal.uploadsToResume(in: mount.stateDirectory.path))
    }

    func start(_ mount: PreparedMount) async throws -> any RunningMount {
        // A file size limit of the process's own is answered as `EFBIG`, not with a signal.
        signal(SIGXFSZ, SIG_IGN)
        Self.allowManyFiles()
        let journal = try await Self.journal(mount)
        do {
            return try await start(mount, journal: journal)
        } catch {
            await offPool { journal.close() }
            throw error
        }
    }

    private static func journal(_ mount: PreparedMount) async throws -> Journal {
        let bootID = BootID()?.description ?? ""
        let journal: Journal
        do {
            journal = try await offPool {
                try Journal(stateDirectory: mount.stateDirectory.path, bootID: bootID)
            }
        } catch let error as JournalError {
            throw error.uploadFailure
        }
        if let damage = journal.damage {
            mount.logger.error(
                "the journal was damaged: it was set aside, and its intact records were recovered",
                metadata: [
                    "set_aside": "\(mount.stateDirectory.path)/\(damage.setAside)", "reason": "\(damage.reason)",
                    "uploads": "\(journal.contents.uploads.count)", "nodes": "\(journal.contents.nodes.count)",
                ])
        }
        return journal
    }

    private func start(_ mount: PreparedMount, journal: Journal) async throws -> any RunningMount {
        let (configuration, access, logger) = (mount.configuration, mount.access, mount.logger)
        let spool = try SpoolDirectory(stateDirectory: mount.stateDirectory.path, limit: configuration.spoolLimit)
        let orphans = try spool.setAsideOrphans(except: journal.contents.spoolNames)
        if !orphans.isEmpty {
            logger.warning(
                "spool files of an earlier mount were set aside in orphans/",
                metadata: ["count": "\(orphans.count)", "state_dir": "\(configuration.stateDirectory)"])
        }
        let keySource = APIKeySource(access.key)
        let keyWatch = KeyWatch(file: configuration.apiKeyFile, source: keySource, logger: logger)
        let client = try PlatformClient(configuration: Self.platform(configuration, access, keySource), logger: logger)
        let threads = NIOThreadPool(numberOfThreads: Self.spoolReaders)
        threads.start()
        let engine = UploadEngine(
            configuration: Self.engine(configuration, keyWatch), client: client, threads: threads, clock: .system,
            logger: logger, journal: journal)
        let inspector = ProcessInspector(mountPoint: configuration.mountPoint)
        let filesystem = FilesystemService(
            configuration: Self.filesystem(configuration), engine: engine, spool: spool, writers: inspector,
            logger: logger, journal: journal)
        let parts = MountParts(
            client: client, threads: threads, engine: engine, filesystem: filesystem, journal: journal,
            logger: logger)
        do {
            // Recovering tells the journal of what it settles: that is to count when there is a mount.
            journal.hold()
            await offPool { filesystem.recover() }
            let session = try FuseSession(
                mountpoint: configuration.mountPoint, options: Self.fuse(configuration), operations: filesystem,
                log: { level, message in
                    logger.log(level: Logger.Level(level), "libfuse", metadata: ["says": "\(message)"])
                })
            try await offPool {
                try mount.place.makeFree()
                try session.mount()
                inspector.locate()
                try mount.place.check(mount: session.mountID)
                try session.start()
            }
            journal.begin()
            let left = engine.resumable
            if left > 0 { logger.notice("recovering uploads of an earlier mount", metadata: ["count": "\(left)"]) }
            await offPool { filesystem.resume() }
            return ServedMount(session: session, parts: parts)
        } catch {
            await parts.stop()
            throw error
        }
    }

    /// Files that are written and connections need descriptors: as many as the machine allows, not what shells are usually
    /// given.
    private static func allowManyFiles() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Threads that read the spool for PUTs: as many as a disk serves well; they do not grow with the uploads.
    private static let spoolReaders = 2

    private static func platform(
        _ configuration: MountConfiguration, _ access: PlatformAccess, _ keySource: APIKeySource
    ) -> PlatformConfiguration {
        var platform = PlatformConfiguration(
            baseURL: configuration.apiURL, keySource: keySource, keyLocation: access.keyLocation)
        platform.certificates = access.certificates
        platform.proxies = access.proxies
        platform.uploadConcurrency = configuration.uploadConcurrency
        return platform
    }

    private static func engine(_ configuration: MountConfiguration, _ keyWatch: KeyWatch) -> EngineConfiguration {
        var engine = EngineConfiguration()
        engine.keyRenewal = KeyRenewal { await offPool { keyWatch.look() } }
        engine.uploadConcurrency = configuration.uploadConcurrency
        engine.upload.sizeLimit = configuration.maxFileSize.bytes
        engine.upload.spaceLimit = configuration.spoolLimit?.bytes
        engine.upload.releasesChunks = configuration.closeMode == .upload
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
        filesystem.closeMode = configuration.closeMode
        filesystem.keepInterrupted = configuration.keepInterrupted
        filesystem.isReadOnly = configuration.isReadOnly
        filesystem.takesUnseenWriters = configuration.unseenWriters == .allow
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
        fuse.autoUnmount = configuration.unmountsItself
        fuse.extra = configuration.mountFlags
        return fuse
    }
}

/// What a mount is made of besides its FUSE session, and has to be ended with it.
struct MountParts: Sendable {
    let client: PlatformClient
    let threads: NIOThreadPool
    let engine: UploadEngine
    let filesystem: FilesystemService
    let journal: Journal
    let logger: Logger

    func stop() async {
        await engine.stop()
        await client.shutdown()
        // Fails only when it was not started.
        try? await threads.shutdownGracefully()
        await offPool { journal.close() }
    }
}

extension EngineClock {
    /// The machine's clocks.
    static let system = EngineClock(
        now: { ContinuousClock.now }, wallTime: WallClock.now,
        sleep: { try await CancellingClock.shared.sleep(until: $0) })
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
