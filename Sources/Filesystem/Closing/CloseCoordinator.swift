import Dispatch
import FuseLowLevel
import UploadCore
import UploadEngine
import UploadStore

/// Who waits for what: closes and renames that are answered when the platform, the disk or the journal has what they
/// asked for, when a signal ends the wait, or when the mount ends.
final class CloseCoordinator: Sendable {
    private let configuration: FilesystemConfiguration
    private let durability: Durability
    private let writers: any WriterInspector
    private let interrupts = InterruptWatch()
    private let closeWaits = CloseWaits()

    init(configuration: FilesystemConfiguration, durability: Durability, writers: any WriterInspector) {
        self.configuration = configuration
        self.durability = durability
        self.writers = writers
    }

    /// Answers every close that still waits, as a stall would: what is not confirmed is not called so.
    func answerAll(_ failure: UploadFailure) { closeWaits.answerAll(.failure(failure)) }

    // MARK: The platform

    /// Lets a close wait for an upload, until that is decided or stalls, the caller is told to end, or the mount ends.
    func wait(for upload: Upload, committing scope: CommitScope?, pid: Int32, _ wait: CloseWait) {
        if configuration.closeMode == .spool, upload.currentState.isUnderWay {
            return waitForDisk(for: upload, committing: scope, pid: pid, wait)
        }
        closeWaits.add(wait)
        let waiter = upload.whenAnswered(stagedIsEnough: scope != .whole) { result in
            self.closeWaits.remove(wait)
            let isAnswer = wait.answer(result.mapError { FuseErrno($0) })
            if case .failure = result, isAnswer { self.makeDurable(upload) }
        }
        wait.onInterrupt {
            self.interrupts.watch(isOver: { wait.isOver }, isAskedToEnd: { self.writers.isAskedToEnd(pid) }) {
                guard wait.answer(.failure(.interrupted)) else { return }
                self.closeWaits.remove(wait)
                if let waiter { upload.stopWaiting(waiter) }
                self.makeDurable(upload)
            }
        }
        if let scope { upload.apply(.committed(scope)) }
    }

    /// Puts the bytes of an upload on disk, beside everything else: its close was answered before it was confirmed.
    private func makeDurable(_ upload: Upload) {
        guard upload.currentState.isUnderWay else { return }
        // What went wrong is in the log; the upload goes on all the same.
        DispatchQueue.global().async { self.durability.putOnDisk(upload.spool, of: upload) { _ in } }
    }

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

    // MARK: This machine

    /// Lets a close wait until spool and journal are on disk; the upload goes on by itself.
    func waitForDisk(for upload: Upload, committing scope: CommitScope?, pid: Int32, _ wait: CloseWait) {
        add(wait, pid: pid)
        if let scope { upload.apply(.committed(scope)) }
        DispatchQueue.global().async {
            self.durability.putOnDisk(upload.spool, of: upload) { result in
                self.closeWaits.remove(wait)
                // What is known by now to have failed is not called well.
                let failure = upload.currentState == .failed ? upload.inspect { $0.failure } : nil
                wait.answer((failure.map { .failure($0) } ?? result).mapError { FuseErrno($0) })
            }
        }
    }

    /// Lets a close of what nobody uploads wait until the journal knows it; where a close promises the disk, until it is there.
    func waitForJournal(of open: OpenFile, pid: Int32, _ wait: CloseWait) {
        guard configuration.closeMode == .spool else {
            durability.promise(open)
            return durability.whenJournalled(durably: false) { wait.answer($0.mapError { FuseErrno($0) }) }
        }
        add(wait, pid: pid)
        durability.synchronize(open) { result in
            self.closeWaits.remove(wait)
            wait.answer(result)
        }
    }

    /// A wait that its caller may end.
    private func add(_ wait: CloseWait, pid: Int32) {
        closeWaits.add(wait)
        wait.onInterrupt {
            self.interrupts.watch(isOver: { wait.isOver }, isAskedToEnd: { self.writers.isAskedToEnd(pid) }) {
                if wait.answer(.failure(.interrupted)) { self.closeWaits.remove(wait) }
            }
        }
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
            }, whenInterrupted: { wait.onInterrupt($0) })
    }
}
