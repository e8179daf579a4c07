import Formats
import FuseLowLevel
import SystemPackage
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// The process that serves a mount, found by the mount's source: that is its state directory, whose lock it holds.
struct Server {
    let mountPoint: String
    let stateDirectory: String
    let record: ServerRecord
    /// What this process is told apart by.
    let request = "\(getpid())-\(ProcessClock.startTime(of: getpid()) ?? 0)"

    /// The server of `mount`, which is at `path`; nil when it is gone.
    ///
    /// - Throws: a ``CommandFailure`` when it is another user's.
    init?(of mount: MountTable.Entry, at path: String) throws {
        do {
            guard let holder = try StateLock.holder(in: mount.source), holder.mountPoint == path else {
                guard try MountPoint.isDead(mount) else {
                    throw CommandFailure(
                        "the process that serves \(path) cannot be found", hint: "Use 'fusermount3 -u \(path)'")
                }
                return nil
            }
            mountPoint = path
            stateDirectory = mount.source
            record = holder
        } catch Errno.permissionDenied {
            throw Self.anothers(path)
        }
    }

    private static func anothers(_ path: String) -> CommandFailure {
        CommandFailure("the mount on \(path) belongs to another user", hint: "Unmount it as that user, or as root")
    }

    /// Asks it to drain and end.
    ///
    /// The pid cannot have been given to another process since: it was read from a lock that its process held a moment ago.
    func stop(drainTimeout: Duration?, isForced: Bool) throws {
        do {
            // The directory lets nobody else in; the file itself must be readable for its owner even if root writes it.
            try StateFile.write(
                DrainRequest(pid: record.pid, timeout: drainTimeout, isForced: isForced, id: request),
                to: DrainRequest.path(in: stateDirectory), permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw CommandFailure(
                "the serving process cannot be asked: \(CommandFailure(wrapping: error).message)")
        }
        guard kill(record.pid, SIGTERM) != 0 else { return }
        guard errno == ESRCH else { throw Self.anothers(mountPoint) }
    }

    /// Whether the process and its mount are both gone.
    var hasEnded: Bool { !record.isRunning }

    /// How the end fares that was asked for; nil while nothing is to be told.
    var news: DrainNews? {
        guard let news = StateFile.read(DrainNews.self, from: DrainNews.path(in: stateDirectory)),
            news.requests.contains(request)
        else { return nil }
        return news
    }

    /// Takes the mount away if the process could not, and tells what it left.
    func end() throws -> ExitStatus {
        if let mount = try MountPoint.mount(at: mountPoint), mount.source == stateDirectory,
            try MountPoint.isDead(mount)
        {
            try MountPoint.clear(mount)
        }
        let stop = StateFile.read(StopRecord.self, from: StopRecord.path(in: stateDirectory))
        guard let stop, stop.pid == record.pid, stop.startTime == record.startTime else {
            throw CommandFailure(
                "the serving process (pid \(record.pid)) ended without saying how",
                hint:
                    "Its log, by default \(stateDirectory)/\(StateDirectory.logName), may tell; nothing accepted is lost"
            )
        }
        if stop.outcome.resumable > 0 {
            let uploads = stop.outcome.resumable == 1 ? "1 upload is" : "\(stop.outcome.resumable) uploads are"
            Terminal.complain("\(uploads) left; the next mount with --state-dir \(stateDirectory) goes on")
        }
        return stop.status
    }
}
