import Formats
import UploadCore

/// A mount's status as lines for people.
package struct StatusTable {
    /// The terminal's width, or nil when the lines go elsewhere.
    package var width: Int?
    package var bar: ProgressBar
    /// How many lines fit, or nil for all.
    package var height: Int?
    /// What the clock on the wall says.
    package var localTime: LocalTime

    package init(width: Int?, bar: ProgressBar, height: Int? = nil, localTime: LocalTime = .current) {
        self.width = width
        self.bar = bar
        self.height = height
        self.localTime = localTime
    }

    /// A headline, and a table of the uploads: those under way, what went wrong, then the newest finished ones.
    package func lines(for status: MountStatus) -> [String] {
        let title = TerminalText.sanitised("\(status.mountPoint): \(headline(status))")
        let head = width.map { TerminalText.cut(title, to: $0) } ?? title
        let note = status.isPartial ? [width.map { TerminalText.cut(Self.partial, to: $0) } ?? Self.partial] : []
        guard !status.uploads.isEmpty else { return [head] + note }
        var table = TextTable(columns: [
            .init(title: "NAME", givesWay: true), .init(title: "STATE"), .init(title: "PROGRESS"),
            .init(title: "SIZE", isNumber: true), .init(title: "RATE", isNumber: true),
            .init(title: "LEFT", isNumber: true),
        ])
        let ordered = ordered(status.uploads)
        var linesLeft = height.map { max($0 - (status.isPartial ? 5 : 4), 1) } ?? Int.max
        var shown = 0
        for upload in ordered {
            let row = TextTable.Row(cells: cells(upload), notes: notes(upload))
            linesLeft -= 1 + row.notes.count
            guard linesLeft >= 0 || shown == 0 else { break }
            table.rows.append(row)
            shown += 1
        }
        let more = ordered.count - shown
        return [head, ""] + table.lines(width: width) + (more > 0 ? ["… and \(more) more"] : []) + note
    }

    private static let partial = "uploads of files that you may not read are shown to the mount's owner and root alone"

    /// The same, or why there is none: one line.
    func lines(for result: Result<MountStatus, CommandFailure>, at mountPoint: String) -> [String] {
        switch result {
        case .success(let status): return lines(for: status)
        case .failure(let failure):
            let line = TerminalText.sanitised("\(mountPoint): \(failure)")
            return [width.map { TerminalText.cut(line, to: $0) } ?? line]
        }
    }

    private func headline(_ status: MountStatus) -> String {
        let counts = status.summary.counts ?? [:]
        var parts = ["open", "staged", "finishing", "failed", "interrupted", "cancelled", "completed"].compactMap {
            state in
            counts[state].flatMap { $0 > 0 ? "\($0) \(state)" : nil }
        }
        if parts.isEmpty { parts = ["no uploads"] }
        let rate = rate(status.summary.bytesPerSecond)
        if !rate.isEmpty { parts.append(rate) }
        if let used = status.summary.spoolUsed, used > 0 {
            let limit = status.summary.spoolLimit.map { " of \(ByteCount($0))" } ?? ""
            parts.append("spool \(ByteCount(used))\(limit)")
        }
        return parts.joined(separator: ", ")
    }

    private func ordered(_ uploads: [UploadDocument]) -> [UploadDocument] {
        let underWay = uploads.filter(\.isUnderWay)
        let troubled = uploads.filter { !$0.isUnderWay && $0.state != "completed" }
        let finished = uploads.filter { $0.state == "completed" }
        return underWay + troubled.reversed() + finished.reversed()
    }

    private func cells(_ upload: UploadDocument) -> [String] {
        let isRunning = upload.isUnderWay
        let size = upload.totalSize ?? upload.bytesWritten
        return [
            name(upload), state(upload), progress(upload), size.map { ByteCount($0).description } ?? "",
            isRunning ? rate(upload.bytesPerSecond) : "",
            isRunning ? upload.etaSeconds.map { DurationText.format(.seconds($0)) } ?? "" : "",
        ]
    }

    private func rate(_ bytesPerSecond: Int64?) -> String {
        bytesPerSecond.flatMap { $0 > 0 ? "\(ByteCount($0))/s" : nil } ?? ""
    }

    private func name(_ upload: UploadDocument) -> String {
        guard let path = upload.path, path != "/" else { return upload.filename ?? upload.uploadID ?? "?" }
        return path.hasPrefix("/") ? String(path.dropFirst()) : path
    }

    /// A finished upload goes on as an asset, whose state is what people wait for then.
    private func state(_ upload: UploadDocument) -> String {
        switch (upload.state, upload.assetStatus) {
        case ("completed", let asset?): asset
        case (let state, _): state ?? "?"
        }
    }

    /// A bar and a percentage; in a narrow terminal the percentage alone, so that names have space.
    private func progress(_ upload: UploadDocument) -> String {
        let done = upload.bytesUploaded ?? 0
        guard let total = upload.totalSize, total > 0 else { return done > 0 ? ByteCount(done).description : "" }
        let percent = Int(Double(min(max(done, 0), total)) / Double(total) * 100)
        let number = TerminalText.padded("\(percent)%", to: 4, toTheRight: true)
        let width = width ?? 80
        guard width >= 70 else { return number }
        return bar.text(done: done, total: total, columns: width >= 100 ? 20 : 10) + " " + number
    }

    private func notes(_ upload: UploadDocument) -> [String] {
        var notes: [String] = []
        if let error = upload.error {
            let words = [error.message, error.code.map { "(\($0))" }].compactMap(\.self).joined(separator: " ")
            notes.append(words.isEmpty ? "failed" : words)
            if let hint = error.hint, !hint.isEmpty { notes.append("hint: \(hint)") }
        }
        if let typeNote = upload.typeNote { notes.append(typeNote) }
        if let exit = upload.writerExit {
            notes.append("the program that wrote it ended with \(exit) afterwards: it may not be whole")
        }
        if let assetError = upload.assetError {
            notes.append(Self.words(for: assetError, assetStatus: upload.assetStatus))
        }
        if upload.isUnderWay, let waiting = upload.waitingFor { notes.append(self.waiting(for: waiting, upload)) }
        return notes
    }

    private static func words(for assetError: String, assetStatus: String?) -> String {
        switch assetStatus {
        case "failed": "the platform could not use it: \(assetError)"
        case "unknown": "the platform does not tell what became of it: \(assetError)"
        default: assetError
        }
    }

    private func waiting(for what: String, _ upload: UploadDocument) -> String {
        switch StatusDocument.WaitingFor(rawValue: what) {
        case .writer: "waiting for its writer"
        case .space: "waiting for space in the spool"
        case .network: "waiting for the network; it goes on by itself"
        case .key: "waiting for a key that the platform accepts"
        case .rateLimit:
            if let end = upload.retryAt.flatMap(Timestamp.init(rfc3339:)) {
                "waiting, as the platform asked: rate limit until \(localTime.text(end))"
            } else {
                "waiting, as the platform asked (rate limit)"
            }
        case nil: "waiting for \(what)"
        }
    }
}
