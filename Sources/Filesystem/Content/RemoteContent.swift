import Synchronization
import UploadCore
import UploadEngine

/// Reads what has left the spool from where the platform serves it, in blocks of which the last few are kept: readers
/// ask for 128 KiB at a time, and mostly for what comes next.
///
/// Two readers of one block share one request.
final class RemoteContent: Sendable {
    private struct Block: Hashable {
        var upload: Int
        var index: Int64
    }

    private struct Entry: Sendable {
        var content: Task<[UInt8], any Error>
        var lastUse: Int
    }

    private struct State: Sendable {
        var entries: [Block: Entry] = [:]
        var uses = 0
    }

    private let engine: UploadEngine
    private let state = Mutex(State())

    /// Bytes in one request, and how many such blocks are kept: 16 MiB in all.
    private static let blockSize: Int64 = 2 << 20
    private static let blocksKept = 8

    init(engine: UploadEngine) { self.engine = engine }

    /// The bytes of a range that is not empty and within the file.
    func read(_ range: Range<Int64>, of upload: Upload, size: Int64) async throws(UploadFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        var position = range.lowerBound
        while position < range.upperBound {
            let index = position / Self.blockSize
            let start = index * Self.blockSize
            let block = try await block(Block(upload: upload.number, index: index), of: upload, size: size)
            let end = min(range.upperBound, start + Int64(block.count))
            guard position < end else { throw Self.tooShort }
            bytes += block[Int(position - start)..<Int(end - start)]
            position = end
        }
        return bytes
    }

    private func block(_ block: Block, of upload: Upload, size: Int64) async throws(UploadFailure) -> [UInt8] {
        let content = state.withLock { state in
            state.uses += 1
            if let entry = state.entries[block] {
                state.entries[block]?.lastUse = state.uses
                return entry.content
            }
            let start = block.index * Self.blockSize
            let range = start..<min(start + Self.blockSize, size)
            let content = Task { [engine] in
                Array(try await engine.content(of: upload, range: range, totalSize: size).readableBytesView)
            }
            state.entries[block] = Entry(content: content, lastUse: state.uses)
            if state.entries.count > Self.blocksKept,
                let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.entries[oldest.key] = nil
            }
            return content
        }
        do {
            return try await content.value
        } catch {
            // Not kept: the next reader tries again.
            state.withLock { if $0.entries[block]?.content == content { $0.entries[block] = nil } }
            throw error as? UploadFailure ?? Self.tooShort
        }
    }

    private static let tooShort = UploadFailure(.unreadableAnswer, message: "the platform sent too little")
}
