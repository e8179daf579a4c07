import Formats
import FuseLowLevel
import SystemPackage
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// The process that serves a mount. The mount's source is its state directory, whose lock it holds and where it listens: which
/// process that is tells the kernel, and not what is written there.
package struct Server {
    let mountPoint: String
    let stateDirectory: OpenDirectory
    /// Who mounted.
    let owner: uid_t
    let record: ServerRecord

    /// The server of `mount`, which is at `path`; nil when it is gone.
    ///
    /// - Parameter directory: the mount's, nil where that is gone.
    /// - Throws: a ``CommandFailure`` when it is another user's, or not who it says.
    init?(of mount: MountTable.Entry, at path: String, in directory: ServedDirectory?) throws {
        do {
            guard let directory,
                let holder = try StateLock.holder(in: directory.directory, of: directory.owner),
                holder.mountPoint == path
            else {
                guard try MountPoint.isDead(mount) else { throw Self.notFound(path) }
                return nil
            }
            self.init(holder, in: directory.directory, of: directory.owner)
        } catch Errno.permissionDenied {
            throw Self.anothers(path)
        }
    }

    /// The holder of the lock of `stateDirectory`.
    package init(_ holder: ServerRecord, in stateDirectory: OpenDirectory, of owner: uid_t = geteuid()) {
        mountPoint = holder.mountPoint
        self.stateDirectory = stateDirectory
        self.owner = owner
        record = holder
    }

    private static func notFound(_ path: String) -> CommandFailure {
        CommandFailure("the process that serves \(path) cannot be found", hint: "Use 'fusermount3 -u \(path)'")
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
            try check(line.peer)
            try line.give(order)
            return line
        } catch Errno.permissionDenied {
            throw Self.anothers(mountPoint)
        } catch Errno.resourceTemporarilyUnavailable {
            throw CommandFailure(
                "what serves \(mountPoint) (\(record.words)) does not answer", hint: "Is it, or its container, paused?")
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            if hasEnded { return nil }
            throw cannotAsk(error)
        }
    }

    /// Makes sure that the process at the other end is the one that the lock names, and of the user who mounted.
    private func check(_ peer: UnixSocket.Peer?) throws {
        let isNamed =
            record.isNumberedHere
            ? peer?.process.map { $0 > 1 && $0 == record.pid && record.isRunning == true } ?? false
                // Of another pid namespace: no number of it says anything here, and none is used.
            : true
        guard peer?.user == owner, isNamed else {
            throw CommandFailure(
                "what listens for \(mountPoint) is not the process that its state directory names",
                hint: "Nothing was asked of it. Use 'fusermount3 -u \(mountPoint)'")
        }
    }

    /// Earlier versions took orders in another way, in which one could be taken for another.
    private func cannotAsk(_ error: any Error) -> CommandFailure {
        let reason =
            record.version.map { "\(CommandFailure(wrapping: error).message) (twelvefs \($0))" }
            ?? "it was started by an earlier version of twelvefs"
        // Another user's word for a number is not passed on to somebody who may end any process.
        let signal = record.isNumberedHere && owner == geteuid() ? "'kill \(record.pid)'" : "SIGTERM"
        return CommandFailure(
            "what serves \(mountPoint) (\(record.words)) takes no orders: \(reason)",
            hint: "Unmount it with that version, or by \(signal), which does as 'unmount --force'")
    }

    /// Whether the process is gone.
    var hasEnded: Bool {
        if let isRunning = record.isRunning { return !isRunning }
        // In another pid namespace its lock tells.
        guard let holder = try? StateLock.holder(in: stateDirectory, of: owner) else { return true }
        return holder.pid != record.pid || holder.startTime != record.startTime
    }

    /// Takes the mount away if the process could not, and tells what it left.
    ///
    /// - Parameter said: what it said itself; nil when it could not, as the record of its end may.
    func end(_ said: DrainOutcome?) throws -> ExitStatus {
        if let mount = try MountPoint.mount(at: mountPoint), mount.source == stateDirectory.path,
            try MountPoint.isDead(mount)
        {
            try MountPoint.clear(mount)
        }
        guard let outcome = said ?? recordedOutcome else {
            throw CommandFailure(
                "the serving process (\(record.words)) ended without saying how",
                hint:
                    "Its log, by default \(stateDirectory.path)/\(StateDirectory.logName), may tell; nothing accepted is lost"
            )
        }
        if outcome.resumable > 0 {
            let uploads = outcome.resumable == 1 ? "1 upload is" : "\(outcome.resumable) uploads are"
            Terminal.complain("\(uploads) left; the next mount with --state-dir \(stateDirectory.path) goes on")
        }
        for file in outcome.undecided ?? [] {
            Terminal.complain("\(file); the next mount keeps it, and does not complete it by itself")
        }
        return outcome.status
    }

    private var recordedOutcome: DrainOutcome? {
        let stop = StateFile.read(StopRecord.self, from: StopRecord.file(in: stateDirectory), of: owner)
        guard let stop, stop.pid == record.pid, stop.startTime == record.startTime else { return nil }
        return stop.outcome
    }
}
