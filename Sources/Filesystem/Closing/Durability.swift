import FuseLowLevel
import Logging
import UploadCore
import UploadEngine
import UploadStore

/// What is on this machine's disk: bytes, and what the journal says of them. Most of it blocks on the disk.
package final class Durability: Sendable {
    private let namespace: Namespace
    private let engine: UploadEngine
    private let journal: Journal?
    private let logger: Logger

    init(namespace: Namespace, engine: UploadEngine, logger: Logger) {
        self.namespace = namespace
        self.engine = engine
        self.logger = logger
        journal = namespace.journal
    }

    /// Whether anything survives a crash.
    var isKept: Bool { journal != nil }

    /// Puts what was written through a handle on disk, with everything that is needed to find it again.
    package func synchronize(_ open: OpenFile, _ answer: @escaping @Sendable (Result<Void, FuseErrno>) -> Void) {
        // What was evicted the platform has: nothing of it is here to be put on the disk.
        guard let version = promise(open), !open.file.isEvicted(version) else {
            return whenJournalled(durably: true) { answer($0.mapError { FuseErrno($0) }) }
        }
        promise(version.spool, of: version.upload) { answer($0.mapError { FuseErrno($0) }) }
    }

    /// Puts all bytes on disk, as ``putOnDisk(_:of:_:)`` does; fails at once where some have been released and are not
    /// confirmed. It never waits for the network.
    func promise(
        _ spool: SpoolFile, of upload: Upload?, _ answer: @escaping @Sendable (Result<Void, UploadFailure>) -> Void
    ) {
        do throws(UploadFailure) {
            try upload?.promiseBegins()
        } catch {
            logger.error("the disk could not be promised", metadata: ["reason": "\(error.message)"])
            upload?.cannotBeMadeDurable(error)
            return answer(.failure(error))
        }
        putOnDisk(spool, of: upload) { result in
            upload?.promiseEnds()
            answer(result)
        }
    }

    /// Has the journal told of a file that has no upload: nobody else tells of it before its writer closes it. Its version
    /// is returned.
    @discardableResult
    func promise(_ open: OpenFile) -> FileVersion? {
        let version = open.file.promised()
        if version?.staysHere ?? true { namespace.markDirty([open.node]) }
        return version
    }

    /// Puts what bytes there are on disk, and then what the journal knows of them; tells how it went. Blocks on the disk.
    func putOnDisk(
        _ spool: SpoolFile, of upload: Upload?, _ answer: @escaping @Sendable (Result<Void, UploadFailure>) -> Void
    ) {
        let mark = upload?.contentVersion
        do throws(SpoolError) {
            try spool.synchronize()
        } catch {
            logger.error("the spool could not be put on disk", metadata: ["reason": "\(error)"])
            upload?.cannotBeMadeDurable(error.uploadFailure)
            return answer(.failure(error.uploadFailure))
        }
        if let mark { upload?.contentIsSynced(asOf: mark) }
        whenJournalled(durably: true) { result in
            switch result {
            case .success: if let mark { upload?.contentIsDurable(asOf: mark) }
            case .failure(let failure): upload?.cannotBeMadeDurable(failure)
            }
            answer(result)
        }
    }

    /// Calls `body` with success once the journal knows everything that it was told, or with what kept it from that.
    func whenJournalled(durably: Bool, _ body: @escaping @Sendable (Result<Void, UploadFailure>) -> Void) {
        guard let journal else { return body(.success(())) }
        journal.whenWritten(durably: durably) { [logger] result in
            if case .failure(let failure) = result {
                logger.error(
                    "the journal could not be written", metadata: ["reason": "\(failure.uploadFailure.message)"])
            }
            body(result.mapError { $0.uploadFailure })
        }
    }

    /// Throws when nothing can be written down: what was accepted now might be lost. Where that was so a moment ago it is
    /// tried again; then it blocks on the disk.
    func checkJournal() throws(UploadFailure) {
        guard let journal, journal.failure != nil else { return }
        try waitForJournal(durably: false)
    }

    /// Returns when the journal knows everything that it was told. Blocks on the disk.
    func waitForJournal(durably: Bool) throws(UploadFailure) {
        do throws(JournalError) {
            try journal?.waitUntilWritten(durably: durably)
        } catch {
            throw error.uploadFailure
        }
    }

    /// Puts the bytes of every upload that the next mount has to recover on disk. Blocks on the disk.
    package func putLeftoversOnDisk() {
        for upload in engine.uploads where upload.stateToKeep.isUnderWay && !upload.isWhollyDurable {
            putOnDisk(upload.spool, of: upload) { _ in }
        }
    }
}
