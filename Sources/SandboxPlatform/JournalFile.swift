import FoundationEssentials
import Glibc

/// The journal on disk, so that after a restart, or a crash, what was sent before can still be told.
///
///     journal.jsonl   a request's entry when it arrives, and once more when it is over, one a line
///
/// A line is written before the request goes on, and its answer sent after it: whoever has the answer finds the request.
/// Nothing is synced: this survives the process's end, not the machine's.
final class JournalFile: Sendable {
    private let descriptor: CInt
    private let path: String

    /// Opens the file below a state directory and reads what an earlier run left in it. Throws when it cannot be opened.
    static func open(in stateDirectory: String) throws -> (file: JournalFile, entries: [JournalEntry]) {
        let path = stateDirectory + "/journal.jsonl"
        let descriptor = try PosixFile.open(path, O_RDWR | O_CREAT | O_APPEND)
        let file = JournalFile(descriptor, path)
        let bytes = try PosixFile.contents(of: path)
        // A process that was killed may have left half a line, which is no entry, and which must not spoil the next.
        if let last = bytes.last, last != newline { file.append([newline]) }
        return (file, entries(in: bytes))
    }

    private init(_ descriptor: CInt, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit {
        Glibc.close(descriptor)
    }

    private static let newline = UInt8(ascii: "\n")

    private static func entries(in bytes: [UInt8]) -> [JournalEntry] {
        let decoder = JSONDecoder()
        var entries: [Int: JournalEntry] = [:]
        for line in bytes.split(separator: newline) {
            guard var entry = try? decoder.decode(JournalEntry.self, from: Data(line)) else { continue }
            if entry.finished == nil { entry.error = "the sandbox ended" }
            entries[entry.sequence] = entry
        }
        return entries.values.sorted { $0.sequence < $1.sequence }
    }

    /// Adds an entry's line.
    func write(_ entry: JournalEntry) {
        guard let line = try? JSONEncoder().encode(entry) else { return }
        append(Array(line) + [Self.newline])
    }

    /// One write a line: `O_APPEND` keeps those of several threads apart. Blocks no longer than a page cache does.
    private func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            // A journal that is not complete is no reason not to answer.
            try? PosixFile.write(buffer, to: descriptor, path: path)
        }
    }

    /// Forgets everything.
    func clear() {
        ftruncate(descriptor, 0)
    }
}
