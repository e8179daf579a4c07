import Formats
import FuseLowLevel
import SystemPackage
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// The process that serves a mount, found by the mount's source: that is its state directory, whose lock it holds.
package struct Server {
    let mountPoint: String
    let stateDirectory: String
    let record: ServerRecord

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
            self.init(holder, in: mount.source)
        } catch Errno.permissionDenied {
            throw Self.anothers(path)
        }
    }

    /// The holder of the lock of `stateDirectory`.
    package init(_ holder: ServerRecord, in stateDirectory: String) {
        mountPoint = holder.mountPoint
        self.stateDirectory = stateDirectory
        record = holder
    }

    private static func anothers(_ path: String) -> CommandFailure {
        CommandFailure("the mount on \(path) belongs to another user", hint: "Unmount it as that user, or as root")
    }

    /// Gives it an order.
    ///
    /// - Returns: the connection on which it answers; nil when it has ended meanwhile.
    /// - Throws: a ``CommandFailure``.
    package func ask(_ order: ServerOrder) throws -> ServerLine? {
        do {
            let line = try ServerLine(to: stateDirectory)
            try line.give(order)
            return line
        } catch Errno.permissionDenied {
            throw Self.anothers(mountPoint)
        } catch Errno.resourceTemporarilyUnavailable {
            throw CommandFailure(
                "what serves \(mountPoint) (\(record.words)) does not answer", hint: "Is it, or its container, paused?")
        } catch {
            if hasEnded { return nil }
            throw cannotAsk(error)
        }
    }

    /// Earlier versions took orders in another way, in which one could be taken for another.
    private func cannotAsk(_ error: any Error) -> CommandFailure {
        let reason =
            record.version.map { "\(CommandFailure(wrapping: error).message) (twelvefs \($0))" }
            ?? "it was started by an earlier version of twelvefs"
        let signal = record.isNumberedHere ? "'kill \(record.pid)'" : "SIGTERM"
        return CommandFailure(
            "what serves \(mountPoint) (\(record.words)) takes no orders: \(reason)",
            hint: "Unmount it with that version, or by \(signal), which does as 'unmount --force'")
    }

    /// Whether the process is gone.
    var hasEnded: Bool {
        if let isRunning = record.isRunning { return !isRunning }
        // In another pid namespace its lock tells.
        guard let holder = try? StateLock.holder(in: stateDirectory) else { return true }
        return holder.pid != record.pid || holder.startTime != record.startTime
    }

    /// Takes the mount away if the process could not, and tells what it left.
    ///
    /// - Parameter said: what it said itself; nil when it could not, as the record of its end may.
    func end(_ said: DrainOutcome?) throws -> ExitStatus {
        if let mount = try MountPoint.mount(at: mountPoint), mount.source == stateDirectory,
            try MountPoint.isDead(mount)
        {
            try MountPoint.clear(mount)
        }
        guard let outcome = said ?? recordedOutcome else {
            throw CommandFailure(
                "the serving process (\(record.words)) ended without saying how",
                hint:
                    "Its log, by default \(stateDirectory)/\(StateDirectory.logName), may tell; nothing accepted is lost"
            )
        }
        if outcome.resumable > 0 {
            let uploads = outcome.resumable == 1 ? "1 upload is" : "\(outcome.resumable) uploads are"
            Terminal.complain("\(uploads) left; the next mount with --state-dir \(stateDirectory) goes on")
        }
        for file in outcome.undecided ?? [] {
            Terminal.complain("\(file); the next mount keeps it, and does not complete it by itself")
        }
        return outcome.status
    }

    private var recordedOutcome: DrainOutcome? {
        let stop = StateFile.read(StopRecord.self, from: StopRecord.path(in: stateDirectory))
        guard let stop, stop.pid == record.pid, stop.startTime == record.startTime else { return nil }
        return stop.outcome
    }
}
