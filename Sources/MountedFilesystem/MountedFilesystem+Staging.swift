import Dispatch
import FileTree
import FuseLowLevel
import Synchronization
import UploadCore
import UploadEngine

// Staging: what was sent under a name that was not the final one yet, and what completes it.

extension MountedFilesystem {
    /// Completes an upload that has been sent already, or will be soon, and then does what follows from it. The directory
    /// stands still meanwhile, hence the bound; the upload goes on after it, and what was asked can be tried again.
    func confirm(
        _ upload: Upload, _ wait: CloseWait,
        then finish: @escaping @Sendable () throws(FuseErrno) -> Void
    ) {
        closeWaits.add(wait)
        let waiter = upload.whenAnswered(stagedIsEnough: false) { result in
            self.closeWaits.remove(wait)
            wait.answer {
                if case .failure(let failure) = result { return .failure(FuseErrno(failure)) }
                do throws(FuseErrno) {
                    try finish()
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
        }
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.confirmationLimit) {
            guard wait.answer(.failure(.ioError)) else { return }
            self.closeWaits.remove(wait)
            if let waiter { upload.stopWaiting(waiter) }
        }
        upload.apply(.committed(.whole))
    }

    private static let confirmationLimit = DispatchTimeInterval.seconds(10)

    /// aria2 writes under the final name, and says that this is whole by removing `NAME.aria2` from beside it: commits the
    /// file and gives its upload, which waited for just that.
    ///
    /// Only the process that wrote the file says so. Whoever else removes that file throws away a download that was
    /// stopped, and nothing follows from it.
    func downloadCompleted(
        byRemoving control: [UInt8], in parent: NodeID, pid: Int32
    ) -> Upload? {
        let suffix = Array(".aria2".utf8)
        guard control.count > suffix.count, control.suffix(suffix.count).elementsEqual(suffix) else { return nil }
        let name = Array(control.dropLast(suffix.count))
        guard let parents = path(of: parent), verdict(on: parents + [name]) == .upload else { return nil }
        let found = tree.withLock { tree -> (NodeID, MountedFile)? in
            guard let node = try? tree.lookup(path: parents + [name]), let file = try? tree.file(node) else {
                return nil
            }
            return (node, file)
        }
        guard let (node, file) = found, let remover = writers.threadGroup(of: pid) else { return nil }
        let look = file.look
        guard look.writeHandles == 0, let version = look.version, version.writers.contains(remover) else { return nil }
        if version.phase == .staged, let upload = file.seal(version, .whole, unlessOpen: true) { return upload }
        lastWriterReleased(file, node: node)
        return nil
    }
}
