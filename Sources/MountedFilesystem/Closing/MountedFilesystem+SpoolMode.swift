import Dispatch
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine
import UploadStore

// Closing where a close promises no more than that the bytes are safe on this machine's disk.

extension MountedFilesystem {
    /// Lets a close wait until spool and journal are on disk; the upload goes on by itself.
    func waitForDisk(for upload: Upload, committing scope: CommitScope?, pid: Int32, _ wait: CloseWait) {
        closeWaits.add(wait)
        wait.onInterrupt {
            self.interrupts.watch(isOver: { wait.isOver }, isAskedToEnd: { self.writers.isAskedToEnd(pid) }) {
                if wait.answer(.failure(.interrupted)) { self.closeWaits.remove(wait) }
            }
        }
        if let scope { upload.apply(.committed(scope)) }
        DispatchQueue.global().async {
            self.putOnDisk(upload.spool, of: upload) { result in
                self.closeWaits.remove(wait)
                wait.answer(result.mapError { FuseErrno($0) })
            }
        }
    }

    /// Puts the bytes of every upload that the next mount has to go on with on disk. Blocks on the disk.
    package func putLeftoversOnDisk() {
        for upload in engine.uploads where upload.currentState.isUnderWay && !upload.isWhollyDurable {
            putOnDisk(upload.spool, of: upload) { _ in }
        }
    }
}
