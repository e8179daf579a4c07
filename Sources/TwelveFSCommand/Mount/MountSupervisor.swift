import FoundationEssentials
import Logging
import PlatformClient
import SystemPackage
import UnixSignals

#if canImport(Glibc)
import Glibc
#endif

/// Everything around a mount that serves: checks, lock, log, signals, readiness, and what is told at the end.
///
/// The first half runs alone on the main thread, since ``MountService/attach(_:logger:)`` forks; the second half is
/// ``ServingLoop``.
struct MountSupervisor<Service: MountService> {
    let service: Service

    /// Mounts and serves until stopped.
    ///
    /// - Parameter readiness: who waits for the mount to be usable, if anybody.
    /// - Throws: a ``CommandFailure`` when the mount cannot be had, after it was told to `readiness`;
    ///   ``ExitStatus/resumable`` when it ended with uploads left.
    func serve(_ configuration: MountConfiguration, key: APIKey, reportingTo readiness: Readiness?) throws {
        let serving: Serving
        do {
            serving = try prepare(configuration, inBackground: readiness != nil)
        } catch {
            let failure = CommandFailure(wrapping: error)
            _ = readiness?.say(failure)
            throw failure
        }
        let outcome = try waitFor { [serving] in
            let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
            return try await serving.loop(key: key, readiness: readiness).run(signals: signals)
        }
        let record = serving.record(outcome)
        try? StateFile.write(record, to: StopRecord.path(in: serving.configuration.stateDirectory))
        serving.sayEnd(record)
        if record.status != .success { throw record.status }
    }

    /// Everything that must hold before the platform is asked, the attached mount included.
    private func prepare(_ configuration: MountConfiguration, inBackground: Bool) throws -> Serving {
        ProcessTable.nameThisProcess()
        Self.setUpSignals()
        // Spool, journal and log are nobody else's. The modes of files in the mount do not depend on it.
        umask(0o077)
        var configuration = configuration
        try FuseCheck.run(allowsOther: configuration.allowsOther, environment: ProcessInfo.processInfo.environment)
        configuration.mountPoint = try MountPoint.checked(configuration.mountPoint)
        configuration.stateDirectory = try StateDirectory.prepare(configuration.stateDirectory)
        try Self.checkApart(configuration)
        let lock = try StateLock.take(in: configuration.stateDirectory, servingAt: configuration.mountPoint)
        let logFile = try configuration.logFile.map { try LogFile(path: $0, takesStandardError: inBackground) }
        let level: Logger.Level = configuration.isDebug ? .debug : .info
        let sink: any LogSink = logFile ?? StandardErrorSink()
        let logger = Logger(label: "twelvefs") { _ in LineLogHandler(sink: sink, level: level) }
        let attached = try service.attach(configuration, logger: logger)
        return Serving(configuration: configuration, lock: lock, logFile: logFile, logger: logger, attached: attached)
    }

    /// Signals are for one reader (`UnixSignalsSequence`): every thread that is started from here on has them blocked, so that
    /// none is ended by them. A broken pipe is an error of the write, not an end.
    private static func setUpSignals() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// A spool or a log inside its own mount would wait for itself for ever.
    private static func checkApart(_ configuration: MountConfiguration) throws {
        let mountPoint = FilePath(configuration.mountPoint)
        for (path, option) in [(configuration.stateDirectory, "--state-dir"), (configuration.logFile, "--log-file")] {
            guard let path, FilePath(path).starts(with: mountPoint) else { continue }
            throw CommandFailure("\(option) \(path) is inside the mount point \(mountPoint)", hint: "Keep them apart")
        }
        guard !mountPoint.starts(with: FilePath(configuration.stateDirectory)) else {
            throw CommandFailure("the mount point \(mountPoint) is inside the state directory", hint: "Keep them apart")
        }
    }
}

/// A mount between its preparation and its end.
struct Serving: Sendable {
    let configuration: MountConfiguration
    /// Held for as long as this lives.
    let lock: StateLock
    let logFile: LogFile?
    let logger: Logger
    let attached: any AttachedMount

    func loop(key: APIKey, readiness: Readiness?) -> ServingLoop {
        let stateDirectory = configuration.stateDirectory
        return ServingLoop(
            logger: logger,
            start: { [configuration, attached, logger] in
                do {
                    try await PlatformProbe.run(
                        configuration, key: key, hasUploadsToResume: attached.hasUploadsToResume, logger: logger)
                } catch {
                    attached.detach()
                    throw error
                }
                return try await attached.start(key: key)
            },
            sayReady: { readiness?.say($0) ?? true },
            drainTimeout: { [configuration] in
                let request = StateFile.read(DrainRequest.self, from: DrainRequest.path(in: stateDirectory))
                unlink(DrainRequest.path(in: stateDirectory))
                return request?.pid == getpid() ? request?.timeout ?? configuration.drainTimeout : configuration.drainTimeout
            },
            reopenLog: { [logFile] in logFile?.reopen() })
    }

    func record(_ outcome: DrainOutcome) -> StopRecord {
        StopRecord(pid: getpid(), startTime: ProcessTable.startTime(of: getpid()) ?? 0, outcome: outcome)
    }

    func sayEnd(_ record: StopRecord) {
        logger.notice(
            "ended",
            metadata: ["resumable": "\(record.outcome.resumable)", "unfinished": "\(record.outcome.unfinished)"])
    }
}
