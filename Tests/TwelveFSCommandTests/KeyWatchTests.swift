import Foundation
import Logging
import PlatformClient
import Synchronization
import Testing
import TwelveFSCommand

@Suite struct KeyWatchTests {
    private final class Lines: LogSink {
        private let lines = Mutex<[String]>([])

        func write(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    private let lines = Lines()
    private let scratch: ScratchDirectory
    private let source: APIKeySource

    init() throws {
        scratch = try ScratchDirectory()
        source = APIKeySource(try APIKey("tlk_first"))
    }

    private func watch(_ file: String?) -> KeyWatch {
        let logger = Logger(label: "test") { [lines] _ in LineLogHandler(sink: lines, level: .info) }
        return KeyWatch(file: file, source: source, logger: logger)
    }

    private func says(_ words: String) -> Int { lines.all.count { $0.contains(words) } }

    @Test func anotherKeyInTheFileIsTaken() throws {
        let file = try scratch.file("key", "tlk_first\n")
        let watch = watch(file)
        #expect(!watch.look())
        #expect(!watch.look())
        try scratch.file("key", "tlk_second\n")
        #expect(watch.look())
        #expect(try source.current == APIKey("tlk_second"))
        #expect(!watch.look())
        #expect(says("holds another key") == 1)
        #expect(lines.all.allSatisfy { !$0.contains("tlk_") })
    }

    @Test func aKeyThatWasThereBeforeTheFirstLookIsTaken() throws {
        let watch = watch(try scratch.file("key", "tlk_second\n"))
        #expect(watch.look())
        #expect(try source.current == APIKey("tlk_second"))
    }

    @Test func aFileThatTakesThePlaceOfAnotherIsRead() throws {
        let file = try scratch.file("key", "tlk_first\n")
        let watch = watch(file)
        #expect(!watch.look())
        // Of the same length, as keys are.
        let other = try scratch.file("other", "tlk_three\n")
        #expect(rename(other, file) == 0)
        #expect(watch.look())
    }

    @Test func whatIsNoKeyIsLeftAndReadAgainWhenItChanges() throws {
        let file = try scratch.file("key", "tlk_first\n")
        let watch = watch(file)
        #expect(!watch.look())
        try FileManager.default.removeItem(atPath: file)
        #expect(!watch.look())
        try scratch.file("key", "")
        #expect(!watch.look())
        #expect(!watch.look())
        #expect(says("cannot be used") == 1)
        try scratch.file("key", "tlk_second\n", mode: 0o666)
        #expect(!watch.look())
        #expect(try source.current == APIKey("tlk_first"))
        try scratch.file("key", "tlk_second\n", mode: 0o600)
        #expect(watch.look())
    }

    @Test func aPipeIsNotReadAgain() throws {
        let pipe = scratch.path("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(!watch(pipe).look())
    }

    @Test func aKeyFromTheEnvironmentCannotChangeAndTheLogSaysSoOnce() throws {
        let watch = watch(nil)
        for _ in 1...3 { #expect(!watch.look()) }
        #expect(lines.all.count == 1)
        #expect(says("--api-key-file") == 1)
    }
}
