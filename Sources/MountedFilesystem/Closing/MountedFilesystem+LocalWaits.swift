import Dispatch
import FuseLowLevel
import Logging
import UploadCore
import UploadEngine
import UploadStore

// Closes that wait for this machine's disk or journal, and not for the platform.

extension MountedFilesystem {
    /// Lets a close wait until spool and journal are on disk; the upload goes on by itself.
    func waitForDisk(for upload: Upload, committing scope: CommitScope?, pid: Int32, _ wait: CloseWait) {
        add(wait, pid: pid)
        if let scope { upload.apply(.committed(scope)) }
        DispatchQueue.global().async {
            self.putOnDisk(upload.spool, of: upload) { result in
                self.closeWaits.remove(wait)
                wait.answer(result.mapError { FuseErrno($0) })
            }
        }
    }

    /// Lets a close of what nobody uploads wait until the journal knows it; where a close promises the disk, until it is there.
    func waitForJournal(of open: OpenFile, pid: Int32, _ wait: CloseWait) {
        guard configuration.closeMode == .spool else {
            promise(open)
            return whenJournalled(durably: false) { wait.answer($0.mapError { FuseErrno($0) }) }
        }
        add(wait, pid: pid)
        synchronize(open) { result in
            self.closeWaits.remove(wait)
            wait.answer(result)
        }
    }

    /// A wait that its caller may give up.
    private func add(_ wait: CloseWait, pid: Int32) {
        closeWaits.add(wait)
        wait.onInterrupt {
            self.interrupts.watch(isOver: { wait.isOver }, isAskedToEnd: { self.writers.isAskedToEnd(pid) }) {
                if wait.answer(.failure(.interrupted)) { self.closeWaits.remove(wait) }
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
