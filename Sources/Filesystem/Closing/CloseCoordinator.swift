import FuseLowLevel
import Logging
import UploadCore
import UploadEngine
import UploadStore

/// Who waits for what: closes and renames that are answered when the platform, the disk or the journal has what they
/// asked for, when a signal ends the wait, or when the mount ends.
final class CloseCoordinator: Sendable {
    let configuration: FilesystemConfiguration
    let durability: Durability
    private let writers: any WriterInspector
    let logger: Logger
    private let interrupts = InterruptWatch()
    private let closeWaits = CloseWaits()

    init(
        configuration: FilesystemConfiguration, durability: Durability, writers: any WriterInspector, logger: Logger
    ) {
        self.configuration = configuration
        self.durability = durability
        self.writers = writers
        self.logger = logger
    }

    /// Answers every close that still waits, as a stall would: what is not confirmed is not called so.
    func answerAll(_ failure: UploadFailure) { closeWaits.answerAll(.failure(failure)) }

    /// A close waits for another look: the end of the mount answers it.
    func hold(_ wait: CloseWait) { add(wait) }

    /// The other look is due.
    func letGo(_ wait: CloseWait) { closeWaits.remove(wait) }

    /// The caller has been looked at: a signal that comes from now on, or has come, ends the wait.
    ///
    /// Not before: a killed process is gone as soon as its close is answered, and nobody could tell any more whether it had
    /// closed the file, or its end had.
    func begin(_ wait: CloseWait, pid: Int32) {
        // Weakly: a wait that nobody holds any more answers by going.
        wait.onInterrupt { [weak wait] in
            guard let wait else { return }
            // Of whoever is not to be seen the signal may be a harmless one: the wait goes on.
            self.interrupts.watch(isOver: { wait.isOver }, isAskedToEnd: { self.writers.isAskedToEnd(pid) ?? false }) {
                wait.interrupt()
            }
        }
    }

    // MARK: The platform

    /// Lets a close wait for an upload, until that is decided or stalls, the caller is told to end, or the mount ends.
    func wait(for upload: Upload, committing scope: CommitScope?, _ wait: CloseWait) {
        if configuration.closeMode == .spool, upload.currentState.isUnderWay {
            return waitForDisk(for: upload, committing: scope, wait)
        }
        closeWaits.add(wait)
        let waiter = upload.whenAnswered(stagedIsEnough: scope != .whole) { result in
            self.closeWaits.remove(wait)
            let isAnswer = wait.answer(result.mapError { FuseErrno($0) })
            if case .failure = result, isAnswer { self.makeDurable(upload) }
        }
        wait.afterInterrupt {
            self.closeWaits.remove(wait)
            if let waiter { upload.stopWaiting(waiter) }
            self.makeDurable(upload)
        }
        if let scope { upload.apply(.committed(scope)) }
    }

    /// Puts the bytes of an upload on disk, beside everything else: its close was answered before it was confirmed.
    private func makeDurable(_ upload: Upload) {
        guard upload.stateToKeep.isUnderWay else { return }
        // What went wrong is in the log; the upload goes on all the same.
        BackgroundWork.useDisk { self.durability.putOnDisk(upload.spool, of: upload) { _ in } }
    }

    // MARK: This machine

    /// Lets a close wait until spool and journal are on disk; the upload goes on by itself.
    func waitForDisk(for upload: Upload, committing scope: CommitScope?, _ wait: CloseWait) {
        add(wait)
        if let scope { upload.apply(.committed(scope)) }
        BackgroundWork.useDisk {
            self.durability.promise(upload.spool, of: upload) { result in
                self.closeWaits.remove(wait)
                // What is known by now to have failed is not called well.
                let failure = upload.currentState == .failed ? upload.inspect { $0.failure } : nil
                wait.answer((failure.map { .failure($0) } ?? result).mapError { FuseErrno($0) })
            }
        }
    }

    /// Lets a close of what nobody uploads wait until the journal knows it; where a close promises the disk, until it is there.
    func waitForJournal(of open: OpenFile, _ wait: CloseWait) {
        guard configuration.closeMode == .spool else {
            durability.promise(open)
            return durability.whenJournalled(durably: false) { wait.answer($0.mapError { FuseErrno($0) }) }
        }
        add(wait)
        BackgroundWork.useDisk {
            self.durability.synchronize(open) { result in
                self.closeWaits.remove(wait)
                wait.answer(result)
            }
        }
    }

    private func add(_ wait: CloseWait) {
        closeWaits.add(wait)
        wait.afterInterrupt { self.closeWaits.remove(wait) }
    }

    /// A wait whose good answer is given when the journal knows what led to it.
    func journalled(_ wait: CloseWait) -> CloseWait {
        guard durability.isKept else { return wait }
        return CloseWait(
            reply: { result in
                guard case .success = result else {
                    wait.answer(result)
                    return
                }
                self.durability.whenJournalled(durably: self.configuration.closeMode == .spool) { outcome in
                    // What was confirmed is confirmed; only what is promised to be on disk has to be there.
                    let isPromise = self.configuration.closeMode == .spool
                    wait.answer(isPromise ? outcome.mapError { FuseErrno($0) } : result)
                }
            }, whenInterrupted: { _ in })
    }
}
