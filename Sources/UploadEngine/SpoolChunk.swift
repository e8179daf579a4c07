import NIOCore
import NIOPosix
import PlatformClient
import UploadCore
import UploadStore

/// One chunk's bytes, read from the spool piece by piece while they are sent. Nothing of it is held in memory but the
/// pieces that are on their way.
struct SpoolChunk: ChunkSource {
    let spool: SpoolFile
    let range: Range<Int64>
    /// Reads block, so they are made here and not in Swift's cooperative pool.
    let threads: NIOThreadPool

    var size: Int64 { range.upperBound - range.lowerBound }

    func read(at offset: Int64, count: Int) async throws -> ByteBuffer {
        let start = range.lowerBound + offset
        let wanted = Int(min(Int64(count), range.upperBound - start))
        guard wanted > 0 else { return ByteBuffer() }
        return try await threads.runIfActive {
            var buffer = ByteBufferAllocator().buffer(capacity: wanted)
            let got = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { space in
                do throws(SpoolError) {
                    return try spool.read(at: start, into: UnsafeMutableRawBufferPointer(rebasing: space[..<wanted]))
                } catch {
                    // Which of them passes by itself is told by its code.
                    throw error.uploadFailure
                }
            }
            // Only what was written is read: a spool that ends before has been tampered with, and zeros in its place
            // would be a lie.
            guard got == wanted else {
                throw UploadFailure(
                    .spoolFailed, message: "the spool file is shorter than what was written into it",
                    hint: "check the state directory's disk")
            }
            return buffer
        }
    }
}
