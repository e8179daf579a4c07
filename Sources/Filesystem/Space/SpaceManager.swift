import Formats
import FuseLowLevel
import Logging
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// Space in the spool: whoever writes reserves it here. When there is none, bytes go that the platform has.
///
/// In this order: the content of finished files that nobody has open, the longest unused first (they are evicted); then
/// chunks that are stored, of uploads whose size is known for certain and whose writer was promised nothing yet (they are
/// released); then what is kept of interrupted files, the oldest first.
final class SpaceManager: Sendable {
    private let namespace: Namespace
    private let engine: UploadEngine
    private let spool: SpoolDirectory
    private let reclaimer: SpoolReclaimer
    private let logger: Logger
    /// A finished file whose content could go, as it was when it was looked for.
    private struct Candidate: Sendable {
        weak let file: MountedFile?
        let lastUse: ContinuousClock.Instant
    }

    /// One at a time makes space: two would give back more than is needed. It takes the last of the candidates, which are
    /// looked for anew when none is left: all files are looked at then.
    private let turn = Mutex<[Candidate]>([])

    init(
        namespace: Namespace, engine: UploadEngine, spool: SpoolDirectory, reclaimer: SpoolReclaimer, logger: Logger
    ) {
        self.namespace = namespace
        self.engine = engine
        self.spool = spool
        self.reclaimer = reclaimer
        self.logger = logger
        spool.whenSpaceIsReleased { [queue = engine.spaceQueue] in queue.spaceMayHaveCome() }
    }

    /// A file's last descriptor is closed: where it is finished, its content can go from now on.
    func fileWasClosed() { engine.spaceQueue.spaceMayHaveCome() }

    /// Makes sure that there is space for the range of a spool file. Blocks on the disk.
    ///
    /// - Parameter mayMakeSpace: whether something may be given back for it: not while others wait for that.
    /// - Throws: `noSpace` when nothing is left to give back.
    func reserve(_ range: Range<Int64>, in spoolFile: SpoolFile, mayMakeSpace: Bool = true) throws(UploadFailure) {
        while true {
            do throws(SpoolError) {
                return try spoolFile.reserve(range)
            } catch {
                guard case .noSpace = error, mayMakeSpace, try makeSpace() else { throw error.uploadFailure }
            }
        }
    }

    /// Whether space is on its way: chunks that may be released, or whole files that may be evicted, are being uploaded, or
    /// were a moment ago and are about to be closed.
    var isComing: Bool {
        engine.uploads.contains { upload in
            upload.bringsSpace || upload.stateToKeep == .finishing
        } || namespace.allFiles.contains(where: \.isAboutToBeEvictable)
    }

    /// Bytes of finished files that a writer who needs space would get.
    var evictableBytes: Int64 { namespace.allFiles.reduce(0) { $0.addingClamped($1.evictable?.size ?? 0) } }

    /// The space in the spool: what can be written before `ENOSPC`.
    func statistics() throws(FuseErrno) -> FileSystemStatistics {
        let space: SpoolSpace
        do throws(SpoolError) {
            space = try spool.space()
        } catch {
            throw FuseErrno(error.uploadFailure)
        }
        let blockSize: Int64 = 4096
        let freeBlocks = UInt64(min(space.free.bytes.addingClamped(evictableBytes), space.capacity.bytes) / blockSize)
        let files = UInt64(namespace.count)
        return FileSystemStatistics(
            blockSize: UInt32(blockSize), fragmentSize: UInt32(blockSize),
            blocks: UInt64(space.capacity.bytes / blockSize), freeBlocks: freeBlocks,
            availableBlocks: freeBlocks, files: files + Self.freeFiles,
            freeFiles: Self.freeFiles, maximumNameLength: UInt32(Namespace.maximumNameLength))
    }

    /// There is no limit of the number of files but memory; tools want to see space.
    private static let freeFiles: UInt64 = 1_000_000

    /// Gives back at least one file's or chunk's bytes; false when there is nothing to give back.
    private func makeSpace() throws(UploadFailure) -> Bool {
        let outcome = turn.withLock { candidates -> Result<Bool, SpoolError> in
            do throws(SpoolError) {
                if try evictOne(of: &candidates) { return .success(true) }
                return .success(try releaseOne() || reclaimer.removeOldest(because: "the space was needed"))
            } catch {
                return .failure(error)
            }
        }
        do throws(SpoolError) {
            return try outcome.get()
        } catch {
            logger.error("the spool could not be made smaller", metadata: ["reason": "\(error)"])
            throw error.uploadFailure
        }
    }

    private func evictOne(of candidates: inout [Candidate]) throws(SpoolError) -> Bool {
        if try evictLast(of: &candidates) { return true }
        candidates = namespace.allFiles.compactMap { file in
            file.evictable.map { Candidate(file: file, lastUse: $0.lastUse) }
        }
        candidates.sort { $0.lastUse > $1.lastUse }
        return try evictLast(of: &candidates)
    }

    private func evictLast(of candidates: inout [Candidate]) throws(SpoolError) -> Bool {
        while let candidate = candidates.popLast() {
            // One that was used meanwhile has its turn when they are looked for the next time.
            guard let file = candidate.file, let version = file.evictable, version.lastUse == candidate.lastUse,
                file.evict(version)
            else { continue }
            if let upload = version.upload { try upload.evictContent() }
            logger.debug("the content of a finished file was evicted", metadata: ["bytes": "\(version.size)"])
            return true
        }
        return false
    }

    private func releaseOne() throws(SpoolError) -> Bool {
        for upload in engine.uploads where try upload.releaseChunk() { return true }
        return false
    }
}
