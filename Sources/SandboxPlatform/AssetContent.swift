import Crypto
import Glibc
import NIOCore
import NIOPosix

/// A complete asset's bytes: its parts, one after the other.
struct AssetContent: Sendable {
    struct Piece: Sendable {
        var path: String
        var start: Int64
        var size: Int64
    }

    let pieces: [Piece]
    let size: Int64
    let disk: NIOThreadPool

    init(_ record: SandboxUpload, directory: String, disk: NIOThreadPool) {
        var pieces: [Piece] = []
        var start: Int64 = 0
        for (_, part) in record.parts.sorted(by: { $0.key < $1.key }) {
            pieces.append(Piece(path: "\(directory)/\(part.file)", start: start, size: part.size))
            start += part.size
        }
        self.pieces = pieces
        size = start
        self.disk = disk
    }

    /// At most 256 KiB from the offset on; empty only at the end.
    func read(at offset: Int64, upTo limit: Int64) async throws -> ByteBuffer {
        guard let piece = piece(at: offset) else { return ByteBuffer() }
        let within = offset - piece.start
        let count = Int(min(256 << 10, limit, piece.size - within))
        return try await disk.runIfActive {
            let descriptor = try PosixFile.open(piece.path, O_RDONLY)
            defer { close(descriptor) }
            var buffer = ByteBuffer()
            try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
                try PosixFile.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: space[..<count]), from: descriptor, at: within,
                    path: piece.path)
            }
            guard buffer.readableBytes == count else {
                throw FileFailure(call: "read", path: piece.path, code: EIO)
            }
            return buffer
        }
    }

    /// Hexadecimal, of everything. Reads all of it.
    func sha256() async throws -> String {
        try await disk.runIfActive {
            var digest = SHA256()
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
            defer { buffer.deallocate() }
            for piece in pieces {
                let descriptor = try PosixFile.open(piece.path, O_RDONLY)
                defer { close(descriptor) }
                var offset: Int64 = 0
                while offset < piece.size {
                    let count = try PosixFile.read(into: buffer, from: descriptor, at: offset, path: piece.path)
                    guard count > 0 else { throw FileFailure(call: "read", path: piece.path, code: EIO) }
                    digest.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                    offset += Int64(count)
                }
            }
            return hex(digest.finalize())
        }
    }

    private func piece(at offset: Int64) -> Piece? {
        var low = 0
        var high = pieces.count
        while low < high {
            let middle = (low + high) / 2
            if pieces[middle].start + pieces[middle].size <= offset { low = middle + 1 } else { high = middle }
        }
        return low < pieces.count ? pieces[low] : nil
    }
}

/// A `Range` header (RFC 9110, section 14): one range of bytes.
enum ByteRangeRequest: Equatable {
    /// No header, or one that is not understood, which is ignored.
    case whole
    case part(Range<Int64>)
    /// 416
    case unsatisfiable

    init(_ header: String?, size: Int64) {
        self = header.flatMap { Self.parse($0, size: size) } ?? .whole
    }

    private static func parse(_ header: String, size: Int64) -> ByteRangeRequest? {
        guard header.hasPrefix("bytes="), !header.contains(",") else { return nil }
        let ends = header.dropFirst(6).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2 else { return nil }
        if ends[0].isEmpty {
            guard let count = Int64(ends[1]), count >= 0 else { return nil }
            return count == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - count)..<size)
        }
        guard let first = Int64(ends[0]), first >= 0 else { return nil }
        let last = ends[1].isEmpty ? size - 1 : Int64(ends[1])
        guard let last, ends[1].isEmpty || last >= first else { return nil }
        return first >= size ? .unsatisfiable : .part(first..<min(last, size - 1) + 1)
    }
}
