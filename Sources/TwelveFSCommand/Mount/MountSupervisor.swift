import Glibc
import Logging
import ProcessInspection
import SystemPackage
import UnixSignals

/// Everything around a mount that serves: checks, lock, log, signals, readiness, and what is told at the end.
///
/// The first half, up to the log, runs on the main thread alone; the second half is ``ServingLoop``.
struct MountSupervisor: Sendable {
    let service: any MountService

    /// Mounts and serves until stopped.
    ///
    /// - Parameter readiness: who waits for the mount to be usable, if anybody.
    /// - Throws: a ``CommandFailure`` when the mount cannot be had, or only its ``ExitStatus`` when `readiness` was told why;
    ///   ``ExitStatus/resumable`` when it ended with uploads left.
    func serve(
        _ configuration: MountConfiguration, access: PlatformAccess, reportingTo readiness: Readiness?
    ) throws {
        let serving: Serving
        do {
            serving = try prepare(configuration, access, inBackground: readiness != nil)
        } catch {
            let failure = CommandFailure(wrapping: error)
            guard let readiness else { throw failure }
            _ = readiness.say(failure)
            throw failure.status
        }
        let outcome: DrainOutcome
        do {
            outcome = try waitFor {
                let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
                return try await loop(serving, readiness).run(signals: signals, orders: serving.orders?.events)
            }
        } catch let failure as CommandFailure where readiness != nil {
            throw failure.status
        }
        serving.tellEnd(outcome)
        // The lock is read by nobody here, and must not end before the last word is written; nor may the connections, whose
        // end says that the process is about to.
        withExtendedLifetime(serving) {}
        if outcome.status != .success { throw outcome.status }
    }

    /// Everything that must hold before the platform is asked.
    private func prepare(
        _ configuration: MountConfiguration, _ access: PlatformAccess, inBackground: Bool
    ) throws -> Serving {
        ProcessClock.nameThisProcess()
        CrashReports.leaveNoCore()
        Self.setUpSignals()
        // Spool, journal and log are nobody else's. The modes of files in the mount do not depend on it.
        umask(0o077)
        var configuration = configuration
        let place = try MountPlace(checking: configuration.mountPoint)
        configuration.mountPoint = place.path
        // Before anything is made, and again when links are resolved.
        try Self.checkApart(configuration)
        let ownLog = FilePath(configuration.stateDirectory).appending(StateDirectory.logName)
        let stateDirectory = try StateDirectory.prepare(configuration.stateDirectory)
        configuration.stateDirectory = stateDirectory.path
        try Self.checkApart(configuration)
        let lock = try StateLock.take(in: stateDirectory, servingAt: configuration.mountPoint)
        let logFile = try configuration.logFile.map { path in
            FilePath(path) == ownLog
                ? try LogFile(stateDirectory.file(StateDirectory.logName), takesStandardError: inBackground)
                : try LogFile(path: path, takesStandardError: inBackground)
        }
        let level: Logger.Level = configuration.isDebug ? .debug : .info
        let sink: any LogSink = logFile ?? StandardErrorSink()
        let logger = Logger(label: "twelvefs") { _ in LineLogHandler(sink: sink, level: level) }
        let mount = PreparedMount(
            configuration: configuration, access: access, stateDirectory: stateDirectory, place: place, logger: logger)
        return Serving(mount: mount, lock: lock, orders: Self.orders(mount), logFile: logFile)
    }

    /// A file system that has no sockets is no reason not to mount.
    private static func orders(_ mount: PreparedMount) -> OrderSocket? {
        do {
            return try OrderSocket(in: mount.stateDirectory)
        } catch {
            mount.logger.warning(
                "no orders can be taken: only a signal unmounts",
                metadata: ["reason": "\(CommandFailure(wrapping: error))"])
            return nil
        }
    }

    private func loop(_ serving: Serving, _ readiness: Readiness?) -> ServingLoop {
        let mount = serving.mount
        return ServingLoop(
            logger: mount.logger,
            start: {
                let resumes = try await service.hasUploadsToResume(mount)
                try await PlatformProbe.run(
                    mount.configuration, access: mount.access, hasUploadsToResume: resumes, logger: mount.logger)
                return try await service.start(mount)
            },
            leftBehind: { service.leftBehind(mount) },
            reportReady: { failure in readiness?.say(failure) ?? true },
            drainTimeout: mount.configuration.drainTimeout,
            reopenLog: { serving.logFile?.reopen() })
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

/// What a mount holds from its preparation to its end.
private struct Serving: Sendable {
    let mount: PreparedMount
    /// Held for as long as this lives.
    let lock: StateLock
    /// Nil where none can be taken.
    let orders: OrderSocket?
    let logFile: LogFile?

    /// Tells the log how it ended, and whoever could not hear it.
    func tellEnd(_ outcome: DrainOutcome) {
        let record = StopRecord(pid: getpid(), startTime: ProcessClock.startTime(of: getpid()) ?? 0, outcome: outcome)
        do {
            try StateFile.write(record, to: StopRecord.file(in: mount.stateDirectory))
        } catch {
            mount.logger.error("the end cannot be recorded", metadata: ["reason": "\(CommandFailure(wrapping: error))"])
        }
        mount.logger.notice(
            "ended", metadata: ["resumable": "\(outcome.resumable)", "unfinished": "\(outcome.unfinished)"])
    }
}
