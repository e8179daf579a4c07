import Logging
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// Makes room in the spool when a writer needs some: bytes that the platform has go first.
///
/// In this order: the content of finished files that nobody has open, the longest unused first; then chunks that are
/// stored, of uploads whose size is known for certain and whose writer was promised nothing yet; then what is kept of
/// interrupted files, the oldest first.
final class RoomKeeper: Sendable {
    private let engine: UploadEngine
    private let keeper: InterruptedKeeper
    private let logger: Logger
    /// One at a time makes room: two would give up more than is needed.
    private let turn = Mutex(())

    init(engine: UploadEngine, keeper: InterruptedKeeper, logger: Logger) {
        self.engine = engine
        self.keeper = keeper
        self.logger = logger
    }

    /// Gives up at least one file's or chunk's bytes; false when there is nothing to give up. Blocks on the disk.
    ///
    /// - Parameter files: all files there are.
    func makeRoom(evicting files: () -> [MountedFile]) throws(SpoolError) -> Bool {
        let outcome = turn.withLock { _ -> Result<Bool, SpoolError> in
            do throws(SpoolError) {
                if try evictOne(of: files()) { return .success(true) }
                return .success(try giveUpOne() || keeper.removeOldest())
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    /// Whether room is on its way: chunks that may be given up, or whole files that may be evicted, are being uploaded.
    var isComing: Bool {
        engine.uploads.contains { upload in
            upload.inspect { $0.hasChunksToGiveUpComing || $0.state == .finishing }
        }
    }

    /// Bytes that evicting would free.
    static func evictable(_ files: [MountedFile]) -> Int64 {
        files.reduce(0) { $0 + ($1.evictable?.size ?? 0) }
    }

    private func evictOne(of files: [MountedFile]) throws(SpoolError) -> Bool {
        var candidates: [(file: MountedFile, version: FileVersion)] = files.compactMap { file in
            file.evictable.map { (file, $0) }
        }
        candidates.sort { $0.version.lastUse < $1.version.lastUse }
        for (file, version) in candidates where file.markEvicted(version) {
            if let upload = version.upload { try upload.evictContent() }
            logger.debug("the content of a finished file was evicted", metadata: ["bytes": "\(version.size)"])
            return true
        }
        return false
    }

    private func giveUpOne() throws(SpoolError) -> Bool {
        for upload in engine.uploads where try upload.giveUpChunk() { return true }
        return false
    }
}

extension MountedFile {
    /// The version whose content could be evicted: finished, and nobody has the file open.
    fileprivate var evictable: FileVersion? {
        let version = state.withLock { $0.handles == 0 ? $0.version : nil }
        guard let version, version.isFrozen, !version.isEvicted, version.size > 0 else { return nil }
        return version.upload?.currentState == .completed ? version : nil
    }

    /// Counts the content as evicted from now on; false when somebody has begun to use it.
    fileprivate func markEvicted(_ version: FileVersion) -> Bool {
        state.withLock { state in
            guard state.handles == 0, let current = state.version, current.spool === version.spool, current.isFrozen,
                !current.isEvicted
            else { return false }
            state.version?.isEvicted = true
            return true
        }
    }
}
