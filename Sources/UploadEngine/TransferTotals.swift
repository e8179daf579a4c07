import Synchronization
import UploadCore

/// What went through a mount since it began. Never falls, whatever becomes of the uploads: monitoring takes a counter that
/// falls for a restart.
public final class TransferTotals: Sendable {
    private let written = Atomic<Int64>(0)
    private let uploaded = Atomic<Int64>(0)
    private let repeated = Atomic<Int>(0)

    /// Bytes written into the mount.
    public var bytesWritten: Int64 { written.load(ordering: .relaxed) }
    /// Bytes of chunks that the store took; those sent again are counted again.
    public var bytesUploaded: Int64 { uploaded.load(ordering: .relaxed) }
    /// How many calls and PUTs were repeated.
    public var retries: Int { repeated.load(ordering: .relaxed) }

    /// Counts what happened to an upload, which repeated `retries` calls for it.
    func count(_ event: UploadEvent, retries: Int) {
        if retries > 0 { repeated.add(retries, ordering: .relaxed) }
        switch event {
        case .wrote(let range): written.add(Int64(range.count), ordering: .relaxed)
        case .chunkStored(let put, _): uploaded.add(Int64(put.range.count), ordering: .relaxed)
        default: break
        }
    }
}
