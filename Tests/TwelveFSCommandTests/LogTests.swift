import Formats
import Foundation
import Logging
import Synchronization
import Testing
import TwelveFSCommand
import UploadCore

@Suite struct LogTests {
    private final class Lines: LogSink {
        private let lines = Mutex<[String]>([])

        func write(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    private let lines = Lines()
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    private func logger(_ level: Logger.Level = .info) -> Logger {
        let now = Timestamp(millisecondsSince1970: 1_767_323_045_678)
        return Logger(label: "test") { [lines] _ in LineLogHandler(sink: lines, level: level) { now } }
    }

    @Test func lineIsReadable() {
        logger().info("chunk stored", metadata: ["path": "/a b.mp4", "chunk": "3", "empty": ""])
        logger().warning("slow")
        #expect(
            lines.all == [
                "2026-01-02T03:04:05.678Z info     chunk stored chunk=3 empty=\"\" path=\"/a b.mp4\"\n",
                "2026-01-02T03:04:05.678Z warning  slow\n",
            ])
    }

    @Test func valuesCannotForgeLines() {
        logger().info("m\n2026 forged", metadata: ["name": "x\ny=\"1\"\u{1B}[0m", "k\n": "v"])
        #expect(lines.all.count == 1)
        #expect(
            lines.all.first?.dropLast().unicodeScalars.contains { $0.properties.generalCategory == .control } == false)
        #expect(lines.all.first?.contains(#"name="x\#u{FFFD}y=\"1\"\#u{FFFD}[0m""#) == true)
    }

    @Test func nearestValueWinsAndLevelsAreKept() {
        var logger = logger()
        logger[metadataKey: "upload"] = "one"
        logger.debug("not seen")
        logger.info("a", metadata: ["upload": "two"])
        logger.info("b")
        #expect(lines.all.map { String($0.dropFirst(34)) } == ["a upload=two\n", "b upload=one\n"])
    }

    @Test func fileIsAppendedToAndOurs() throws {
        let path = try scratch.file("log", "old\n")
        do { try LogFile(path: path).write("new\n") }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "old\nnew\n")
        let made = scratch.path("made")
        _ = try LogFile(path: made)
        #expect(try mode(of: made) == 0o600)
    }

    @Test func fullFileIsPutAsideOnce() throws {
        let path = scratch.path("log")
        let log = try LogFile(path: path, cap: ByteCount(20))
        for number in 0..<7 { log.write("line \(number)\n") }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "line 6\n")
        #expect(try String(contentsOfFile: path + ".1", encoding: .utf8) == "line 4\nline 5\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted() == ["log", "log.1"])
    }

    @Test func lineLongerThanTheCapIsStillWritten() throws {
        let path = scratch.path("log")
        let log = try LogFile(path: path, cap: ByteCount(4))
        log.write("much too long\n")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "much too long\n")
        #expect(!FileManager.default.fileExists(atPath: path + ".1"))
    }

    @Test func reopeningFollowsARenamedFile() throws {
        let path = scratch.path("log")
        let log = try LogFile(path: path)
        log.write("one\n")
        try FileManager.default.moveItem(atPath: path, toPath: path + ".old")
        log.write("two\n")
        log.reopen()
        log.write("three\n")
        #expect(try String(contentsOfFile: path + ".old", encoding: .utf8) == "one\ntwo\n")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "three\n")
    }

    @Test func deviceIsOnlyWrittenTo() throws {
        let log = try LogFile(path: "/dev/null", cap: ByteCount(1))
        log.write("one\n")
        log.write("two\n")
        #expect(!FileManager.default.fileExists(atPath: "/dev/null.1"))
    }

    @Test func unusableFileIsRefused() {
        #expect(throws: CommandFailure.self) { try LogFile(path: scratch.path("none/log")) }
    }
}
