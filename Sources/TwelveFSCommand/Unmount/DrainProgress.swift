import Formats
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// Waits for a server to end; in a terminal, with a line that tells what it still does.
package struct DrainProgress {
    let server: Server

    /// - Throws: a ``CommandFailure`` when the mount goes on since somebody is in it.
    func waitForEnd() throws {
        let showsProgress = Terminal.isTerminal(STDERR_FILENO)
        var reader = StatusReader(mountPoint: server.mountPoint)
        var shown = false
        var ticks = 0
        while !server.hasEnded {
            let news = server.news
            if let news, news.isBusy {
                if shown { Terminal.write("\r\u{1B}[K", to: STDERR_FILENO) }
                throw Self.busy(news.users)
            }
            if showsProgress, ticks % 10 == 5 {
                let width = Terminal.size(STDERR_FILENO)?.columns ?? 80
                // The mount may go while it is looked at: then there is nothing more to tell.
                let uploads = (try? reader.read()).map(Self.line) ?? "waiting for the serving process to end"
                let line = Self.line(users: news?.users ?? [], uploads)
                Terminal.write("\r\u{1B}[K" + TerminalText.cut(line, to: width - 1), to: STDERR_FILENO)
                shown = true
            }
            ticks += 1
            // Processes of others cannot be waited for but by looking.
            usleep(100_000)
        }
        if shown { Terminal.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

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
            sum + max(0, (upload.totalSize ?? upload.bytesWritten ?? 0) - (upload.bytesUploaded ?? 0))
        }
        var line = "finishing \(underWay.count) \(underWay.count == 1 ? "upload" : "uploads"), \(ByteCount(left)) left"
        if let rate = status.summary.bytesPerSecond, rate > 0 { line += ", \(ByteCount(rate))/s" }
        return line
    }
}
