import Crypto
import Glibc
import Hummingbird
import NIOCore
import NIOPosix

/// Streams one PUT's body into a file: MD5 and write on a disk thread, a few hundred KiB at a time.
struct PartReceiver: Sendable {
    /// Buffers are gathered up to this before a disk thread is woken.
    static let batchSize = 512 << 10

    let disk: NIOThreadPool
    let throttle: Throttle

    struct Received: Sendable {
        var size: Int64
        /// Hexadecimal.
        var md5: String
    }

    /// What a disk thread works on; handed from call to call, never used by two at once.
    private struct Progress: Sendable {
        var descriptor: CInt
        var digest = Insecure.MD5()
    }

    /// Reads the body to its end into `path`, which is created. When the body ends early, is longer than
    /// `expected`, or cannot be written, the file is removed again.
    /// - Parameter onBytes: called with the number of bytes of each buffer that has arrived.
    /// - Throws: `Refusal` for a body of the wrong length; what reading and writing throw.
    func receive(
        _ body: RequestBody, expecting expected: Int64, into path: String, onBytes: @Sendable (Int) -> Void
    ) async throws -> Received {
        var progress = try await disk.runIfActive {
            Progress(descriptor: try PosixFile.open(path, O_WRONLY | O_CREAT | O_EXCL))
        }
        do {
            var size: Int64 = 0
            var batch: [ByteBuffer] = []
            var batched = 0
            for try await buffer in body {
                let count = buffer.readableBytes
                size += Int64(count)
                onBytes(count)
                guard size <= expected else {
                    throw Refusal.store(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
                }
                try await throttle.pass(count)
                batch.append(buffer)
                batched += count
                if batched >= Self.batchSize {
                    progress = try await write(batch, progress, path: path)
                    batch.removeAll(keepingCapacity: true)
                    batched = 0
                }
            }
            guard size == expected else {
                throw Refusal.store(
                    400, "IncompleteBody",
                    "You did not provide the number of bytes specified by the Content-Length HTTP header")
            }
            return try await finish(batch, progress, size: size, path: path)
        } catch {
            let descriptor = progress.descriptor
            // On NIO's own thread when the pool has been shut down: closing must not depend on it.
            try? await disk.runIfActive {
                close(descriptor)
                PosixFile.remove(path)
            }
            throw error
        }
    }

    private func write(_ batch: [ByteBuffer], _ progress: Progress, path: String) async throws -> Progress {
        try await disk.runIfActive { try Self.append(batch, progress, path: path) }
    }

    private func finish(
        _ batch: [ByteBuffer], _ progress: Progress, size: Int64, path: String
    ) async throws -> Received {
        try await disk.runIfActive {
            let last = try Self.append(batch, progress, path: path)
            close(last.descriptor)
            return Received(size: size, md5: hex(last.digest.finalize()))
        }
    }

    private static func append(_ batch: [ByteBuffer], _ progress: Progress, path: String) throws -> Progress {
        var progress = progress
        for buffer in batch {
            try buffer.withUnsafeReadableBytes { bytes in
                progress.digest.update(bufferPointer: bytes)
                try PosixFile.write(bytes, to: progress.descriptor, path: path)
            }
        }
        return progress
    }
}
