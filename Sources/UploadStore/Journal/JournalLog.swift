import Foundation
import Glibc

/// A look at SQLite's log (`journal.sqlite-wal`) before SQLite reads it.
///
/// SQLite reads its log up to the first record that is not as it was written, takes that for the end, and forgets what
/// follows. After a crash that is right: what follows was never whole. After a disk has lost a bit it is not, and nobody
/// would be told. What tells them apart: a crash leaves at most one record behind that is not whole; damage in the
/// middle leaves whole ones after it.
///
/// The format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.
package struct JournalLog {
    private static let headerSize = 32
    private static let frameHeaderSize = 24
    private static let notALog = "its log does not begin as one"

    private var bytes: [UInt8]
    private let pageSize: Int
    private let sumIsBigEndian: Bool

    // MARK: Damage

    /// What is wrong with the log of the database at `path`, in words; nil when it ends as a log may end.
    package static func damage(ofDatabase path: String) -> String? {
        guard let bytes = read(ofDatabase: path) else { return nil }
        // SQLite would take the log for one that was left behind, and delete it.
        if isEmpty(path) { return "the database is empty, and its log is not" }
        return JournalLog(bytes).map { $0.damage } ?? notALog
    }

    private var damage: String? {
        var sum = Checksum(isBigEndian: sumIsBigEndian)
        sum.add(bytes[..<24])
        guard sum.isEqual(to: bytes, at: 24) else { return Self.notALog }
        for frame in 0..<count {
            add(frame, to: &sum)
            if isOurs(frame), sum.isEqual(to: bytes, at: start(of: frame) + 16) { continue }
            // Pages are written one after the other: of those that a crash cut, only the last can be there in part.
            return ((frame + 1)..<count).contains(where: isOurs)
                ? "its log is damaged after \(frame) of its records" : nil
        }
        return nil
    }

    /// Has SQLite read the whole log of the database at `path` though it is damaged: rows have checksums of their own.
    package static func overlookDamage(ofDatabase path: String) throws {
        guard let bytes = read(ofDatabase: path), var log = JournalLog(bytes) else { return }
        log.sumAgain()
        try Data(log.bytes).write(to: URL(fileURLWithPath: "\(path)-wal"))
        // One page in the file is enough for SQLite to look for the others in the log.
        if isEmpty(path) { try Data(count: log.pageSize).write(to: URL(fileURLWithPath: path)) }
    }

    private mutating func sumAgain() {
        var sum = Checksum(isBigEndian: sumIsBigEndian)
        sum.add(bytes[..<24])
        sum.write(to: &bytes, at: 24)
        guard let last = (0..<count).last(where: isOurs) else { return }
        for frame in 0...last {
            for place in 0..<8 { bytes[start(of: frame) + 8 + place] = bytes[16 + place] }
            add(frame, to: &sum)
            sum.write(to: &bytes, at: start(of: frame) + 16)
        }
    }

    // MARK: The format

    /// Nil where there is none, or nothing in it.
    private static func read(ofDatabase path: String) -> [UInt8]? {
        guard let log = try? Data(contentsOf: URL(fileURLWithPath: "\(path)-wal")), log.count > headerSize else {
            return nil
        }
        return Array(log)
    }

    private static func isEmpty(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_size == 0
    }

    /// Nil for what does not begin as a log.
    private init?(_ bytes: [UInt8]) {
        self.bytes = bytes
        switch Self.word(bytes, at: 0) {
        case 0x377F_0682: sumIsBigEndian = false
        case 0x377F_0683: sumIsBigEndian = true
        default: return nil
        }
        pageSize = Int(Self.word(bytes, at: 8))
        guard (512...65536).contains(pageSize), pageSize % 8 == 0 else { return nil }
    }

    /// Frames that are whole, those of earlier logs included.
    private var count: Int { (bytes.count - Self.headerSize) / (Self.frameHeaderSize + pageSize) }

    private func start(of frame: Int) -> Int { Self.headerSize + frame * (Self.frameHeaderSize + pageSize) }

    /// Whether the frame is of this log, and not of an earlier one whose place it takes.
    private func isOurs(_ frame: Int) -> Bool {
        bytes[(start(of: frame) + 8)..<(start(of: frame) + 16)].elementsEqual(bytes[16..<24])
    }

    private func add(_ frame: Int, to sum: inout Checksum) {
        sum.add(bytes[start(of: frame)..<(start(of: frame) + 8)])
        sum.add(bytes[(start(of: frame) + Self.frameHeaderSize)..<start(of: frame + 1)])
    }

    /// A number of the log's own, which are big-endian.
    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The log's running sum, over words in the order that its first word tells.
    private struct Checksum {
        let isBigEndian: Bool
        private var first: UInt32 = 0
        private var second: UInt32 = 0

        init(isBigEndian: Bool) { self.isBigEndian = isBigEndian }

        /// - Parameter bytes: a multiple of eight.
        mutating func add(_ bytes: ArraySlice<UInt8>) {
            bytes.withUnsafeBytes { bytes in
                for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
                    first &+= number(bytes, offset) &+ second
                    second &+= number(bytes, offset + 4) &+ first
                }
            }
        }

        private func number(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return isBigEndian ? UInt32(bigEndian: word) : UInt32(littleEndian: word)
        }

        func isEqual(to bytes: [UInt8], at offset: Int) -> Bool {
            word(bytes, at: offset) == first && word(bytes, at: offset + 4) == second
        }

        func write(to bytes: inout [UInt8], at offset: Int) {
            for place in 0..<4 {
                bytes[offset + place] = UInt8(truncatingIfNeeded: first >> (24 - 8 * place))
                bytes[offset + 4 + place] = UInt8(truncatingIfNeeded: second >> (24 - 8 * place))
            }
        }
    }
}
