import FuseLowLevel
import Logging
import UploadCore
import UploadEngine

// Reading what has left the spool: from the platform, beside everything else, while the reader waits.

extension MountedFilesystem {
    /// What a READ wants that is not in the spool any more.
    struct RemoteRead: Sendable {
        var upload: Upload
        var range: Range<Int64>
        var size: Int64
    }

    /// Where to read a range from that the spool does not hold; nil when the platform does not hold it either.
    func remoteRead(_ handle: UInt64, at offset: Int64, count: Int) -> RemoteRead? {
        guard let file = try? handles.get(handle).file, let version = file.version,
            let upload = version.upload, upload.currentState == .completed
        else { return nil }
        let range = offset..<min(version.size, offset + Int64(count))
        guard !holds(range, of: version, in: file) else { return nil }
        return RemoteRead(upload: upload, range: range, size: version.size)
    }

    /// Answers a READ with what the platform serves; `EIO` where it does not, with the reason in the status and the log.
    func read(_ remote: RemoteRead, _ reply: DeferredReply<FuseData>) {
        let task = Task {
            do throws(UploadFailure) {
                let bytes = try await remoteContent.read(remote.range, of: remote.upload, size: remote.size)
                remote.upload.wasRead()
                reply.succeed(bytes)
            } catch {
                remote.upload.cannotBeRead(error)
                logger.error(
                    "a file that has left the spool could not be read from the platform",
                    metadata: [
                        "filename": "\(remote.upload.identity.filename)", "code": "\(error.code)",
                        "reason": "\(error.message)",
                    ])
                reply.fail(.ioError)
            }
        }
        // The block may be wanted by others: what is given up is the waiting.
        reply.onInterrupt { [weak reply] in
            reply?.fail(.interrupted)
            task.cancel()
        }
    }
}
