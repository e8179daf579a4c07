import Formats
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// Waits for a server to end; in a terminal, with a line that tells what it still does.
package struct DrainProgress {
    let server: Server

    /// - Returns: what it left; nil when it ended without a word.
    /// - Throws: a ``CommandFailure`` when the mount goes on since somebody is in it, or the process does not answer.
    func waitForEnd(_ line: ServerLine) throws -> DrainOutcome? {
        var display = ProgressDisplay(server)
        defer { display.clear() }
        var outcome: DrainOutcome?
        hearing: while true {
            switch try line.listen() {
            case .answer(.waiting(let users)): display.users = users
            case .answer(.busy(let users)): throw Self.busy(users)
            case .answer(.refused(let reason)):
                throw CommandFailure("\(server.mountPoint) cannot be unmounted: \(reason)")
            case .answer(.ended(let left)): outcome = left
            case .silence: display.show()
            case .end: break hearing
            }
        }
        // The connection ends a moment before its process, and processes of others cannot be waited for but by looking.
        let deadline = ContinuousClock.now + Self.patience
        while !server.hasEnded {
            guard ContinuousClock.now < deadline else {
                throw CommandFailure("what serves \(server.mountPoint) (\(server.record.words)) has not ended")
            }
            usleep(10_000)
        }
        return outcome
    }

    /// The kernel closes what a process had while it ends.
    private static let patience: Duration = .seconds(30)

    /// `busy: video.mp4 (cp, pid 4242)`
    package static func busy(_ users: [String]) -> CommandFailure {
        CommandFailure(
            "busy: \(users.joined(separator: ", "))",
            hint: "the mount goes on; try again when they are done, or with --force")
    }

    /// `waiting for video.mp4 (cp, pid 4242); finishing …`
    package static func line(users: [String], _ uploads: String) -> String {
        guard let first = users.first else { return uploads }
        let others = users.count > 1 ? " and \(users.count - 1) more" : ""
        return "waiting for \(first)\(others); \(uploads)"
    }

    /// `finishing 2 uploads, 120 MiB left, 34 MiB/s`
    package static func line(_ status: MountStatus) -> String {
        let underWay = status.uploads.filter(\.isUnderWay)
        guard !underWay.isEmpty else { return "unmounting" }
        let left = underWay.reduce(Int64(0)) { sum, upload in
            let size = upload.totalSize ?? upload.bytesWritten ?? 0
            return sum.addingClamped(max(0, size.subtractingClamped(upload.bytesUploaded ?? 0)))
        }
        var line = "finishing \(underWay.count) \(underWay.count == 1 ? "upload" : "uploads"), \(ByteCount(left)) left"
        if let rate = status.summary.bytesPerSecond, rate > 0 { line += ", \(ByteCount(rate))/s" }
        return line
    }
}

/// The line in the terminal.
private struct ProgressDisplay {
    /// Who is in the mount.
    var users: [String] = []
    private let isUseful = Terminal.isTerminal(STDERR_FILENO)
    /// Nil for another user's mount, which may keep whoever looks into it waiting for ever.
    private var reader: StatusReader?
    private var isShown = false
    private var ticks = 0

    init(_ server: Server) {
        reader = server.owner == geteuid() ? StatusReader(mountPoint: server.mountPoint) : nil
    }

    /// Shows how far it is: about every second.
    mutating func show() {
        ticks += 1
        guard isUseful, ticks % 10 == 5 else { return }
        let width = Terminal.size(STDERR_FILENO)?.columns ?? 80
        // The mount may go while it is looked at: then there is nothing more to tell.
        let uploads = (try? reader?.read()).map(DrainProgress.line) ?? "waiting for the serving process to end"
        let line = DrainProgress.line(users: users, uploads)
        Terminal.write("\r\u{1B}[K" + TerminalText.cut(line, to: width - 1), to: STDERR_FILENO)
        isShown = true
    }

    mutating func clear() {
        if isShown { Terminal.write("\r\u{1B}[K", to: STDERR_FILENO) }
        isShown = false
    }
}
