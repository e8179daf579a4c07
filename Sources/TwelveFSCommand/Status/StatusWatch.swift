import Formats
import FoundationEssentials
import PlatformClient
import UploadCore

#if canImport(Glibc)
import Glibc
#endif

/// `status --watch`: in a terminal one picture that is drawn again and again; elsewhere a line for each change.
///
/// Draws over its last picture rather than on a screen of its own, so that the last state stays to be seen after Ctrl-C.
package struct StatusWatch {
    private let sources: [StatusSource]

    init(sources: [StatusSource]) {
        self.sources = sources
    }

    /// Ends with Ctrl-C, or when the mounts are gone.
    func run() throws {
        if Terminal.isTerminal(STDOUT_FILENO) { try draw() } else { try log() }
    }

    // MARK: In a terminal

    private static let hideCursor = "\u{1B}[?25l"
    private static let showCursor = "\u{1B}[?25h"

    private func draw() throws {
        // Only what a signal handler may do: one write, and the end.
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in
                let ending: StaticString = "\u{1B}[?25h\n"
                Glibc.write(STDOUT_FILENO, ending.utf8Start, ending.utf8CodeUnitCount)
                _exit(0)
            }
        }
        // With a handler, even one that does nothing, a new size of the window cuts the pause short.
        signal(SIGWINCH) { _ in }
        Terminal.say(Self.hideCursor)
        defer { Terminal.say(Self.showCursor) }

        let bar = ProgressBar(isUnicode: Terminal.showsUnicode(ProcessInfo.processInfo.environment))
        var frame = Frame()
        while true {
            let size = Terminal.size(STDOUT_FILENO) ?? (80, 24)
            let table = StatusTable(width: size.columns, bar: bar, height: (size.rows - 1) / max(sources.count, 1))
            var lines: [String] = []
            for (source, result) in zip(sources, try read()) {
                if !lines.isEmpty { lines.append("") }
                lines += table.lines(for: result, at: source.mountPoint)
            }
            Terminal.say(frame.drawing(lines, columns: size.columns, rows: size.rows))
            pause()
        }
    }

    /// What is on the screen, and what has to be written to change it.
    package struct Frame {
        private var height = 0
        private var columns = 0

        package init() {}

        /// The text that replaces the last picture by `lines`, cut to the window's height.
        package mutating func drawing(_ lines: [String], columns: Int, rows: Int) -> String {
            let lines = lines.prefix(max(rows - 1, 1))
            // After a change of width, old lines may be wrapped, and nobody knows where they begin.
            var text = self.columns != 0 && self.columns != columns ? "\u{1B}[2J\u{1B}[H" : "\r"
            if height > 0, text == "\r" { text += "\u{1B}[\(height)A" }
            for line in lines { text += "\(line)\u{1B}[K\n" }
            height = lines.count
            self.columns = columns
            return text + "\u{1B}[J"
        }
    }

    // MARK: Elsewhere

    private func log() throws {
        var last: [String: String] = [:]
        while true {
            for status in try read().compactMap({ try? $0.get() }) {
                for upload in status.uploads {
                    let key = "\(status.mountPoint)\u{0}\(upload.path ?? "")\u{0}\(upload.createdAt ?? "")"
                    let line = Self.line(status.mountPoint, upload)
                    guard last.updateValue(line, forKey: key) != line else { continue }
                    Terminal.say("\(WallClock.now().rfc3339) \(line)\n")
                }
            }
            pause()
        }
    }

    /// `/mnt/a.mp4 open 52% 1.2 GiB 34 MiB/s`
    package static func line(_ mountPoint: String, _ upload: UploadDocument) -> String {
        var words = [mountPoint + (upload.path ?? "/?"), upload.state ?? "?"]
        if let total = upload.totalSize, total > 0 {
            let done = min(max(upload.bytesUploaded ?? 0, 0), total)
            words.append("\(Int(Double(done) / Double(total) * 100))% of \(ByteCount(total))")
        }
        if upload.isUnderWay, let rate = upload.bytesPerSecond, rate > 0 { words.append("\(ByteCount(rate))/s") }
        if let asset = upload.assetStatus { words.append("asset \(asset)") }
        if let message = upload.error?.message { words.append("error: \(message)") }
        if upload.isUnderWay, let waiting = upload.waitingFor { words.append("waiting for \(waiting)") }
        return TerminalText.sanitised(words.joined(separator: " "))
    }

    /// - Throws: a ``CommandFailure`` when none can be read.
    private func read() throws -> [Result<MountStatus, CommandFailure>] {
        let results = StatusSource.read(sources)
        if let first = results.first, results.allSatisfy({ (try? $0.get()) == nil }) { _ = try first.get() }
        return results
    }

    private func pause() {
        usleep(1_000_000)
    }
}
