import FileTree
import FuseLowLevel
import Logging
import ProcessInspection
import Synchronization
import UploadCore
import UploadEngine
import UploadStore

/// The content of files: opening, reading, writing, and setting sizes. The only one that changes it.
///
/// A change goes into the version that can be changed, or into another one, made beside it, that takes its place when the
/// change has succeeded.
package final class ContentStore: Sendable {
    let configuration: FilesystemConfiguration
    let namespace: Namespace
    let engine: UploadEngine
    let spool: SpoolDirectory
    let space: SpaceManager
    let reclaimer: SpoolReclaimer
    let durability: Durability
    let writers: any WriterInspector
    let admission: WriterAdmission
    let logger: Logger
    package let handles = HandleTable<OpenFile>()
    private let remoteContent: RemoteContent

    init(
        configuration: FilesystemConfiguration, namespace: Namespace, engine: UploadEngine, spool: SpoolDirectory,
        space: SpaceManager, reclaimer: SpoolReclaimer, durability: Durability, admission: WriterAdmission,
        logger: Logger
    ) {
        self.configuration = configuration
        self.namespace = namespace
        self.engine = engine
        self.spool = spool
        self.space = space
        self.reclaimer = reclaimer
        self.durability = durability
        self.admission = admission
        writers = admission.writers
        self.logger = logger
        remoteContent = RemoteContent(engine: engine)
    }

    // MARK: Handles

    /// A handle that can write bypasses the page cache: the kernel then asks for no `security.capability` before each
    /// write, writes arrive with their writer's pid, and a shared writable mapping is refused. One that only reads needs
    /// no FLUSH.
    ///
    /// Whoever opens for writing is to have been admitted.
    package func openHandle(
        _ file: MountedFile, node: NodeID, canWrite: Bool, isExclusive: Bool = false, context: FuseRequestContext
    ) throws(FuseErrno) -> FuseOpen {
        let opener = canWrite ? writers.threadGroup(of: context.pid) : nil
        let processes = canWrite ? writers.snapshot() : nil
        // Taken out of the listing a moment ago: what were written into it now would go nowhere.
        guard file.opened(canWrite: canWrite, by: opener, among: processes) else { throw .staleFileHandle }
        if canWrite, let opener { namespace.opened(by: opener) }
        let number = handles.add(
            OpenFile(
                node: node, file: file, canWrite: canWrite, isExclusive: isExclusive, opener: opener ?? context.pid))
        return FuseOpen(handle: number, directIO: canWrite, noFlush: !canWrite)
    }

    // MARK: Reading

    /// At most `count` bytes, fewer only where the file ends.
    package func read(_ handle: UInt64, at offset: Int64, count: Int) throws(FuseErrno) -> [UInt8] {
        let file = try handles.get(handle).file
        while let version = file.version {
            let wanted = Int(min(Int64(count), max(0, version.size - offset)))
            guard wanted > 0 else { return [] }
            let (bytes, failure) = Self.read(version.spool, at: offset, count: wanted)
            // Where another version took its place meanwhile, its bytes may be gone: that one's are read.
            guard file.version?.isSame(as: version) ?? false else { continue }
            if let failure { throw FuseErrno(failure.uploadFailure) }
            // Asked afterwards: what is released counts as gone before it is, and never reads as zeros.
            guard holds(offset..<offset + Int64(wanted), of: version, in: file) else { throw .ioError }
            return bytes
        }
        return []
    }

    private static func read(_ spool: SpoolFile, at offset: Int64, count: Int) -> ([UInt8], SpoolError?) {
        var failure: SpoolError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(SpoolError) {
                initialized = try spool.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
            } catch {
                failure = error
            }
        }
        return (bytes, failure)
    }

    /// Whether a range of a version is in the spool.
    func holds(_ range: Range<Int64>, of version: FileVersion, in file: MountedFile) -> Bool {
        !file.isEvicted(version) && !(version.upload?.hasReleased(range) ?? false)
    }

    // MARK: What has left the spool

    /// What a READ wants that is not in the spool any more.
    package struct RemoteRead: Sendable {
        var upload: Upload
        var range: Range<Int64>
        var size: Int64
    }

    /// Where to read a range from that the spool does not hold; nil when the platform does not hold it either.
    package func remoteRead(_ handle: UInt64, at offset: Int64, count: Int) -> RemoteRead? {
        guard let file = try? handles.get(handle).file, let version = file.version,
            let upload = version.upload, upload.currentState == .completed
        else { return nil }
        let range = offset..<min(version.size, offset + Int64(count))
        guard !holds(range, of: version, in: file) else { return nil }
        return RemoteRead(upload: upload, range: range, size: version.size)
    }

    /// Answers a READ with what the platform serves.
    func read(_ remote: RemoteRead, _ reply: DeferredReply<FuseData>) {
        let task = Task {
            do throws(FuseErrno) {
                reply.succeed(try await bytes(of: remote))
            } catch {
                reply.fail(error)
            }
        }
        // The block may be wanted by others: only the waiting ends.
        reply.onInterrupt { [weak reply] in
            reply?.fail(.interrupted)
            task.cancel()
        }
    }

    /// What the platform serves; `EIO` where it does not, with the reason in the status and the log.
    package func bytes(of remote: RemoteRead) async throws(FuseErrno) -> [UInt8] {
        do throws(UploadFailure) {
            let bytes = try await remoteContent.read(remote.range, of: remote.upload, size: remote.size)
            remote.upload.wasRead()
            return bytes
        } catch {
            remote.upload.cannotBeRead(error)
            logger.error(
                "a file that has left the spool could not be read from the platform",
                metadata: [
                    "filename": "\(remote.upload.identity.filename)", "code": "\(error.code)",
                    "reason": "\(error.message)",
                ])
            throw .ioError
        }
    }
}
