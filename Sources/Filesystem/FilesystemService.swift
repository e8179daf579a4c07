import FuseLowLevel
import Logging
import UploadCore
import UploadEngine
import UploadStore

/// The file system as FUSE sees it: converts what is asked, hands it to whoever does it, and replies with what they say.
///
/// The parts, each below those that use it: ``Namespace`` (names), `SpaceManager` (the spool's space), `Durability` (this
/// machine's disk), ``ContentStore`` (content), `CloseCoordinator` (who waits), `Committer` (what a close decides),
/// `UploadAttributes` (extended attributes). The tree has one lock, each file its own; neither is held while the other is
/// taken, nor while anything blocks.
package final class FilesystemService: Sendable {
    package let namespace: Namespace
    let admission: WriterAdmission
    package let content: ContentStore
    package let committer: Committer
    let closing: CloseCoordinator
    let space: SpaceManager
    package let throttle: WriteThrottle
    package let attributes: UploadAttributes
    package let durability: Durability
    package let status: StatusDirectory
    private let engine: UploadEngine
    private let spool: SpoolDirectory
    let logger: Logger

    /// A file system without files.
    ///
    /// - Parameters:
    ///   - writers: who writes, and what they read.
    ///   - journal: what survives a crash; nil where nothing is to.
    package init(
        configuration: FilesystemConfiguration, engine: UploadEngine, spool: SpoolDirectory,
        writers: any WriterInspector, logger: Logger, journal: Journal? = nil
    ) {
        self.engine = engine
        self.spool = spool
        self.logger = logger
        let reclaimer = SpoolReclaimer(keepFor: configuration.keepInterrupted, engine: engine, logger: logger)
        namespace = Namespace(configuration: configuration, reclaimer: reclaimer, journal: journal, logger: logger)
        space = SpaceManager(namespace: namespace, engine: engine, spool: spool, reclaimer: reclaimer, logger: logger)
        durability = Durability(namespace: namespace, engine: engine, logger: logger)
        let admission = WriterAdmission(configuration: configuration, writers: writers, logger: logger)
        self.admission = admission
        content = ContentStore(
            configuration: configuration, namespace: namespace, engine: engine, spool: spool, space: space,
            reclaimer: reclaimer, durability: durability, admission: admission, logger: logger)
        throttle = WriteThrottle(configuration: configuration, content: content, space: space, engine: engine)
        closing = CloseCoordinator(
            configuration: configuration, durability: durability, writers: writers, logger: logger)
        committer = Committer(
            configuration: configuration, namespace: namespace, handles: content.handles, closing: closing,
            engine: engine, reclaimer: reclaimer, admission: admission)
        status = StatusDirectory(engine: engine, spool: spool, admission: admission, configuration: configuration)
        attributes = UploadAttributes(
            configuration: configuration, namespace: namespace, status: status, reclaimer: reclaimer, logger: logger)
    }

    // MARK: The mount

    /// Takes in what the journal knew when it was opened. To be called once, before anything is asked of the file
    /// system; nothing is sent nor deleted before ``resume()``. Blocks on the disk.
    package func recover() { namespace.recover(into: engine, from: spool) }

    /// Goes on with what was taken in, once the mount has succeeded. Blocks on the disk.
    package func resume() {
        namespace.settleUnlisted()
        engine.resume()
    }

    /// Answers every close that still waits, as a stall would: what is not confirmed is not called so.
    package func answerWaitingCloses(_ failure: UploadFailure) { closing.answerAll(failure) }

    /// Puts the bytes of every upload that the next mount has to recover on disk. Blocks on the disk.
    package func putLeftoversOnDisk() { durability.putLeftoversOnDisk() }
}
