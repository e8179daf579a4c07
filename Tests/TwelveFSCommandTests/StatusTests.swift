import Formats
import Foundation
import Testing
import TwelveFSCommand
import UploadCore

/// A directory with a `.status` in it stands for a mount: the documents are those that a mount writes.
@Suite struct StatusTests {
    private let scratch: ScratchDirectory
    private let created = Timestamp(millisecondsSince1970: 1_767_225_600_000)

    init() throws {
        scratch = try ScratchDirectory()
        try scratch.directory(".status/by-name")
    }

    private func document(_ name: String, _ state: UploadState, age: Int = 0) -> StatusDocument {
        StatusDocument(
            uploadID: "id-\(name)", filename: name, path: "/\(name)", state: state,
            createdAt: created.advanced(by: .seconds(age)))
    }

    private func write(_ documents: [StatusDocument], bytesPerSecond: Int64 = 0) throws {
        for document in documents {
            try scratch.file(".status/\(document.uploadID ?? "pending-1").json", document.json())
        }
        let underWay = documents.filter(\.state.isUnderWay)
        let summary = SummaryDocument(
            mountpoint: scratch.path, closeMode: "upload",
            counts: Dictionary(grouping: documents, by: \.state).mapValues(\.count), bytesPerSecond: bytesPerSecond,
            spoolUsed: 3 << 20, spoolLimit: 1 << 30,
            uploads: underWay.map { .init(id: $0.uploadID ?? "pending-1", state: $0.state) })
        try scratch.file(".status/summary.json", summary.json())
    }

    private func read() throws -> MountStatus {
        var reader = StatusReader(mountPoint: scratch.path)
        return try reader.read()
    }

    private func lines(width: Int?, height: Int? = nil) throws -> [String] {
        let table = StatusTable(
            width: width, bar: ProgressBar(isUnicode: false), height: height, localTime: Self.localTime(now: created))
        return table.lines(for: try read()).map { $0.replacing(scratch.path, with: "/mnt") }
    }

    /// Two hours east of Greenwich.
    private static func localTime(now: Timestamp) -> LocalTime {
        LocalTime(now: { now }) { moment in
            let minutes = Int(moment.millisecondsSince1970 / 60_000) + 120
            let days = minutes / 1440
            // From 2026-01-01, for as long as January lasts.
            return LocalTime.Reading(
                year: 2026, month: 1, day: days - 20_454 + 1, hour: minutes / 60 % 24, minute: minutes % 60)
        }
    }

    /// Another user's server may write anything into its documents.
    @Test func whatIsLeftOfSizesAtTheEdgesIsTold() throws {
        let sizes = [(Int64.max, Int64.min), (.max, 0), (.min, .max), (.max, .max)]
        let uploads = try sizes.map { total, uploaded in
            let text = #"{"state":"open","total_size":\#(total),"bytes_uploaded":\#(uploaded),"eta_seconds":\#(total)}"#
            return try JSONDecoder().decode(UploadDocument.self, from: Data(text.utf8))
        }
        let status = MountStatus(
            mountPoint: "/mnt", summary: try JSONDecoder().decode(SummaryFile.self, from: Data("{}".utf8)),
            uploads: uploads, summaryText: "", uploadTexts: [])
        #expect(DrainProgress.line(status) == "finishing 4 uploads, 7.9 EiB left")
        let table = StatusTable(width: 80, bar: ProgressBar(isUnicode: false))
        #expect(table.lines(for: status).count == 7)
    }

    @Test func theEndOfARateLimitIsToldInLocalTime() throws {
        var limited = document("a.mp4", .finishing)
        (limited.totalSize, limited.waitingFor) = (10 << 20, .rateLimit)
        for (end, words) in [
            (created.advanced(by: .seconds(3 * 3600 + 300)), "rate limit until 05:05"),
            (created.advanced(by: .seconds(22 * 3600)), "rate limit until 2026-01-02 00:00"), (nil, "(rate limit)"),
        ] as [(Timestamp?, String)] {
            limited.retryAt = end
            try write([limited])
            #expect(try lines(width: nil).last?.hasSuffix(words) == true, "\(words)")
        }
    }

    /// Whatever the time zone of the computer, there is a local time.
    @Test func theComputersTimeZoneIsKnown() throws {
        let reading = try #require(LocalTime.current.reading(created))
        #expect((2025...2026).contains(reading.year))
        #expect(LocalTime.current.reading(LocalTime.current.now()) != nil)
    }

    private var several: [StatusDocument] {
        var open = document("shoot/a.mp4", .open)
        (open.totalSize, open.bytesUploaded, open.bytesPerSecond, open.etaSeconds) = (100 << 20, 52 << 20, 34 << 20, 95)
        open.uploadID = "one"
        var waiting = document("b.mov", .finishing, age: 1)
        (waiting.totalSize, waiting.bytesUploaded, waiting.waitingFor) = (10 << 20, 0, .network)
        var failed = document("c.mp4", .failed, age: 2)
        (failed.totalSize, failed.bytesUploaded) = (1 << 30, 100)
        failed.error = StatusError(
            code: "parameter_invalid", message: "The file is no video.", hint: "convert it first", httpStatus: 400)
        var ready = document("d.mp4", .completed, age: 3)
        (ready.totalSize, ready.bytesUploaded, ready.assetStatus) = (5 << 20, 5 << 20, .ready)
        ready.typeNote = "sent as video"
        var unknown = document("e.mkv", .open, age: 4)
        (unknown.bytesWritten, unknown.uploadID) = (7 << 20, nil)
        return [open, waiting, failed, ready, unknown]
    }

    @Test func tableReadsWell() throws {
        try write(several, bytesPerSecond: 34 << 20)
        // The headline holds the scratch directory's path, and is cut at the width.
        let headline = try lines(width: nil).first
        #expect(headline == "/mnt: 2 open, 1 finishing, 1 failed, 1 completed, 34 MiB/s, spool 3 MiB of 1 GiB")
        let table = try lines(width: 90).dropFirst(2)
        #expect(
            Array(table) == [
                "NAME         STATE      PROGRESS            SIZE      RATE   LEFT",
                "shoot/a.mp4  open       [####....]  52%  100 MiB  34 MiB/s  1m35s",
                "b.mov        finishing  [........]   0%   10 MiB",
                "    waiting for the network; it goes on by itself",
                "e.mkv        open                          7 MiB",
                "c.mp4        failed     [........]   0%    1 GiB",
                "    The file is no video. (parameter_invalid)",
                "    hint: convert it first",
                "d.mp4        ready      [########] 100%    5 MiB",
                "    sent as video",
            ])
    }

    @Test func narrowTerminalsCutNamesAndNotes() throws {
        var long = document("a-directory/with-a-really-long-name-of-a-video.mp4", .open)
        (long.uploadID, long.totalSize, long.waitingFor) = ("long", 1 << 20, .rateLimit)
        try write([long])
        for width in [40, 50, 60, 80] {
            for line in try lines(width: width).dropFirst() {
                #expect(TerminalText.width(line) <= width, "\(width): \(line)")
            }
        }
        #expect(
            try lines(width: 60).contains { $0.hasPrefix("a-direct") && $0.contains("…") && $0.contains(".mp4  open") })
        #expect(
            try lines(width: nil).contains { $0.hasPrefix("a-directory/with-a-really-long-name-of-a-video.mp4  open") })
    }

    @Test func namesCannotSpeakToTheTerminal() throws {
        var evil = document("x", .failed)
        evil.path = "/\u{1B}]0;owned\u{7}\u{1B}[2J.mp4"
        evil.error = StatusError(code: "c", message: "m\u{1B}[31m\nforged line")
        try write([evil])
        for line in try lines(width: 80) + [StatusWatch.line("/mnt", try #require(read().uploads.first))] {
            #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control })
        }
    }

    @Test func shortTerminalsShowWhatIsUnderWayFirst() throws {
        try write(
            (0..<30).map { document("done\($0).mp4", .completed, age: $0) } + [document("live.mp4", .open, age: 99)])
        let lines = try lines(width: 80, height: 10)
        #expect(lines.count == 10)
        #expect(lines[3].hasPrefix("live.mp4"))
        #expect(lines[4].hasPrefix("done29.mp4"))
        #expect(lines.last == "… and 25 more")
    }

    @Test func linksAndOtherFilesAreNoUploads() throws {
        try write([document("a.mp4", .open)])
        _ = try scratch.link(".status/pending-1.json", to: "id-a.mp4.json")
        try scratch.file(".status/metrics", "# EOF\n")
        try scratch.file(".status/torn.json", "{")
        #expect(try read().uploads.map(\.filename) == ["a.mp4"])
    }

    @Test func settledDocumentsAreReadOnceAndOthersAgain() throws {
        var done = document("done.mp4", .completed)
        done.assetStatus = .ready
        let open = document("open.mp4", .open)
        try write([done, open])
        var reader = StatusReader(mountPoint: scratch.path)
        _ = try reader.read()
        done.path = "/changed"
        try write([done, document("open.mp4", .finishing)])
        #expect(try reader.read().uploads.map(\.state) == ["completed", "finishing"])
        #expect(try reader.read().uploads.map(\.path) == ["/done.mp4", "/open.mp4"])
        // One that is tried again stands in the summary, and is read again.
        done.state = .finishing
        try write([done])
        #expect(try reader.read().uploads.contains { $0.path == "/changed" && $0.state == "finishing" })
    }

    @Test("Documents that somebody else may read are left out, and that is said to who is not the mount's owner")
    func documentsOfOthersAreLeftOut() throws {
        try write([document("a.mp4", .completed), document("hidden.mp4", .completed)])
        let hidden = scratch.path + "/.status/id-hidden.mp4.json"
        // What not even root can read.
        try FileManager.default.removeItem(atPath: hidden)
        try FileManager.default.createDirectory(atPath: hidden, withIntermediateDirectories: false)
        var status = try read()
        #expect(status.uploads.map(\.filename) == ["a.mp4"])
        #expect(!status.isPartial)
        status.isPartial = true
        let table = StatusTable(width: nil, bar: ProgressBar(isUnicode: false))
        #expect(table.lines(for: status).last?.contains("the mount's owner") == true)
    }

    @Test func missingStatusIsSaid() throws {
        var reader = StatusReader(mountPoint: try scratch.directory("plain"))
        let failure = #expect(throws: CommandFailure.self) { try reader.read() }
        #expect(failure?.message.contains("no twelvefs is mounted") == true)
        try scratch.file(".status/summary.json", "<html>")
        #expect(throws: CommandFailure.self) { try read() }
    }

    @Test func jsonIsOneDocumentThatKeepsEveryField() throws {
        try write(several)
        let text = try StatusJSON.text([scratch.path, "/b"].map { ($0, .success(try read())) })
        let document = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let mounts = try #require(document["mounts"] as? [[String: Any]])
        #expect(mounts.count == 2)
        #expect(mounts[0]["mountpoint"] as? String == scratch.path)
        #expect((mounts[0]["summary"] as? [String: Any])?["close_mode"] as? String == "upload")
        let uploads = try #require(mounts[0]["uploads"] as? [[String: Any]])
        #expect(uploads.count == 5)
        #expect(uploads.allSatisfy { $0["superseded_upload_ids"] != nil && $0["schema"] as? Int == 1 })
        #expect(try StatusJSON.text([]) == "{\"mounts\":[]}\n")
    }

    @Test func linesForLogsTellTheSame() throws {
        try write(several)
        let lines = try read().uploads.map { StatusWatch.line("/mnt", $0) }
        #expect(
            lines == [
                "/mnt/shoot/a.mp4 open 52% of 100 MiB 34 MiB/s",
                "/mnt/b.mov finishing 0% of 10 MiB waiting for network",
                "/mnt/c.mp4 failed 0% of 1 GiB error: The file is no video.",
                "/mnt/d.mp4 completed 100% of 5 MiB asset ready",
                "/mnt/e.mkv open",
            ])
        #expect(DrainProgress.line(try read()) == "finishing 3 uploads, 65 MiB left")
    }

    @Test func picturesAreDrawnOverEachOther() {
        var frame = StatusWatch.Frame()
        #expect(frame.drawing(["one", "two"], columns: 80, rows: 24) == "\rone\u{1B}[K\ntwo\u{1B}[K\n\u{1B}[J")
        #expect(frame.drawing(["three"], columns: 80, rows: 24) == "\r\u{1B}[2Athree\u{1B}[K\n\u{1B}[J")
        #expect(frame.drawing(["four"], columns: 70, rows: 24) == "\u{1B}[2J\u{1B}[Hfour\u{1B}[K\n\u{1B}[J")
        // Never as many lines as would scroll the window.
        #expect(
            frame.drawing(["a", "b", "c", "d"], columns: 70, rows: 3) == "\r\u{1B}[1Aa\u{1B}[K\nb\u{1B}[K\n\u{1B}[J")
    }
}

@Suite struct UploadsTableTests {
    private let uploads = [
        IncompleteUpload(
            uploadID: "65f1", status: .active, totalSize: 200 << 20, chunkSize: 5 << 20, totalChunks: 40,
            createdAt: Timestamp(rfc3339: "2026-01-02T03:04:05Z"), expiresAt: Timestamp(rfc3339: "2026-01-03T03:04:05Z")
        ),
        IncompleteUpload(uploadID: "evil\u{1B}", status: .unknown("odd")),
    ]

    @Test func tableReadsWell() {
        #expect(
            UploadsTable.text(uploads, width: 100) == """
                UPLOAD  STATE      SIZE  CHUNKS  CREATED               EXPIRES
                65f1    active  200 MiB      40  2026-01-02T03:04:05Z  2026-01-03T03:04:05Z
                evil\u{FFFD}   odd

                """)
        #expect(UploadsTable.text([], width: 80) == "no open uploads\n")
    }

    @Test func jsonNamesFieldsAsTheAPIDoes() throws {
        let text = try UploadsTable.json(uploads)
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: [[String: Any]]])
        let list = try #require(document["uploads"])
        #expect(list[0]["upload_id"] as? String == "65f1")
        #expect(list[0]["total_size"] as? Int == 200 << 20)
        #expect(list[0]["expires_at"] as? String == "2026-01-03T03:04:05Z")
        #expect(list[1].keys.sorted() == ["status", "upload_id"])
    }
}
