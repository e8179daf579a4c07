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
enum JournalLog {
    private static let headerSize = 32
    private static let frameHeaderSize = 24

    /// What is wrong with the log of the database at `path`, in words; nil when it ends as a log may end.
    static func damage(ofDatabase path: String) -> String? {
        guard let log = try? Data(contentsOf: URL(fileURLWithPath: "\(path)-wal")), log.count > headerSize else {
            return nil
        }
        var status = stat()
        let isEmpty = stat(path, &status) == 0 && status.st_size == 0
        // SQLite would take the log for one that was left behind, and delete it.
        if isEmpty { return "the database is empty, and its log is not" }
        return log.withUnsafeBytes { damage(in: $0) }
    }

    private static func damage(in log: UnsafeRawBufferPointer) -> String? {
        let isBigEndian: Bool
        switch word(log, at: 0) {
        case 0x377F_0682: isBigEndian = false
        case 0x377F_0683: isBigEndian = true
        default: return "its log does not begin as one"
        }
        let pageSize = Int(word(log, at: 8))
        var sum = Checksum(isBigEndian: isBigEndian)
        sum.add(UnsafeRawBufferPointer(rebasing: log[..<24]))
        guard sum.isEqual(to: log, at: 24), (512...65536).contains(pageSize) else {
            return "its log does not begin as one"
        }
        let frameSize = frameHeaderSize + pageSize
        let count = (log.count - headerSize) / frameSize
        /// Whether the frame is of this log, and not of an earlier one whose place it takes.
        func isOurs(_ frame: Int) -> Bool {
            let start = headerSize + frame * frameSize
            return (0..<8).allSatisfy { log[start + 8 + $0] == log[16 + $0] }
        }
        for frame in 0..<count {
            let start = headerSize + frame * frameSize
            sum.add(UnsafeRawBufferPointer(rebasing: log[start..<start + 8]))
            sum.add(UnsafeRawBufferPointer(rebasing: log[start + frameHeaderSize..<start + frameSize]))
            if isOurs(frame), sum.isEqual(to: log, at: start + 16) { continue }
            // Pages are written one after the other: of those that a crash cut, only the last can be there in part.
            return ((frame + 1)..<count).contains(where: isOurs)
                ? "its log is damaged after \(frame) of its records" : nil
        }
        return nil
    }

    /// A number of the log's own, which are big-endian.
    private static func word(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt32 {
        UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The log's running sum, over words in the order that its first word tells.
    private struct Checksum {
        let isBigEndian: Bool
        private var first: UInt32 = 0
        private var second: UInt32 = 0

        init(isBigEndian: Bool) { self.isBigEndian = isBigEndian }

        /// - Parameter bytes: a multiple of eight.
        mutating func add(_ bytes: UnsafeRawBufferPointer) {
            for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
                first &+= number(bytes, offset) &+ second
                second &+= number(bytes, offset + 4) &+ first
            }
        }

        private func number(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return isBigEndian ? UInt32(bigEndian: word) : UInt32(littleEndian: word)
        }

        func isEqual(to bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
            word(bytes, at: offset) == first && word(bytes, at: offset + 4) == second
        }
    }
}
